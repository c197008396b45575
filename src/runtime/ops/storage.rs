//! SQL on the one database that was opened for this isolate.
//!
//! The SDK owns the schema; we own the file of SQLite: private to the user, write-ahead logged, and
//! overwriting what is deleted. No statement reaches any other file. A transaction is on disk when it has been committed
//! (`synchronous = FULL`), unless its owner takes that upon itself.

use std::cell::RefCell;
use std::fs::Permissions;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use deno_core::{OpState, op2, v8};
use deno_error::JsErrorBox;
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql};

use super::{exception, guarded, guarded_async, text};
use crate::runtime::store::{Rows, Store};

/// Statements kept prepared; the SDK has about 50 different ones.
const CACHED_STATEMENTS: usize = 128;
/// How long to wait for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The isolate's database. An op holds a count of its own and nothing else of the isolate's state,
/// since reading its parameters may run the script, and with it other ops.
pub(crate) struct Database(pub Rc<dyn Store>);

fn database(state: &RefCell<OpState>) -> Rc<dyn Store> {
    state.borrow().borrow::<Database>().0.clone()
}

/// Opens a database for an isolate, or makes it; none for one in memory.
///
/// # Errors
///
/// What SQLite or the file system says: the folder is missing or not writable, the file is no
/// database, the disk is full.
pub fn open_database(path: Option<&Path>) -> rusqlite::Result<Connection> {
    let connection = match path {
        Some(path) => {
            make_private(path).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
            Connection::open(path)?
        }
        None => Connection::open_in_memory()?,
    };
    // `ATTACH` and `VACUUM INTO` would be a way to other files.
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;",
    )?;
    Ok(connection)
}

/// As [`open_database`], but a transaction need not be on disk when it has been committed: it survives the
/// end of the process, and a power cut only after [`flush_database`]. For an owner that can fetch again what
/// a power cut takes.
///
/// # Errors
///
/// As [`open_database`].
pub fn open_database_deferred(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_database(Some(path))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// Brings everything that was committed to disk, from any thread or process.
///
/// # Errors
///
/// What the file system says.
pub fn flush_database(path: &Path) -> std::io::Result<()> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    // The database itself is not opened: closing it again would drop every lock that this process has on it
    // (that is how POSIX locks are). It needs nothing either, since the log is brought to disk before it is
    // written back, and the database after that.
    match std::fs::File::open(log) {
        Ok(log) => log.sync_all(),
        // It has been written back whole.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// Makes the file before SQLite does, so that it is private from its first byte on; SQLite gives its
/// log the same permissions.
fn make_private(path: &Path) -> std::io::Result<()> {
    let file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Runs one statement for its effect.
#[op2(fast, reentrant)]
pub fn op_sql_run<'s, 'i>(
    scope: &mut v8::PinScope<'s, 'i>,
    state: Rc<RefCell<OpState>>,
    #[string] sql: &str,
    params: v8::Local<'s, v8::Array>,
) -> Result<(), JsErrorBox> {
    run_for_script(scope, &*database(&state), sql, params)
}

/// All rows of a query, as objects keyed by column name.
#[op2(reentrant)]
pub fn op_sql_query<'s, 'i>(
    scope: &mut v8::PinScope<'s, 'i>,
    state: Rc<RefCell<OpState>>,
    #[string] sql: &str,
    params: v8::Local<'s, v8::Array>,
) -> Result<v8::Local<'s, v8::Array>, JsErrorBox> {
    query_for_script(scope, &*database(&state), sql, params)
}

/// Waits until everything is on disk that was committed before this call.
#[op2]
pub async fn op_sql_flush(state: Rc<RefCell<OpState>>) -> Result<(), JsErrorBox> {
    guarded_async(async {
        let Some(flush) = database(&state).flush() else { return Ok(()) };
        // The script goes on while the disk works.
        tokio::task::spawn_blocking(move || flush()).await.map_err(exception)?.map_err(exception)
    })
    .await
}

/// What [`op_sql_run`] does, on any database; public for the test target that runs the SDK's own suite.
///
/// # Errors
///
/// What SQLite says, or that a parameter has no form in SQL; both as exceptions.
#[doc(hidden)]
pub fn run_for_script<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    database: &dyn Store,
    sql: &str,
    params: v8::Local<'s, v8::Array>,
) -> Result<(), JsErrorBox> {
    let params = parameters(scope, params)?;
    guarded(|| database.run(sql, &params).map_err(exception))
}

/// What [`op_sql_query`] does, on any database; public as [`run_for_script`] is.
///
/// # Errors
///
/// As [`run_for_script`], or that a value is too long for the script.
#[doc(hidden)]
pub fn query_for_script<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    database: &dyn Store,
    sql: &str,
    params: v8::Local<'s, v8::Array>,
) -> Result<v8::Local<'s, v8::Array>, JsErrorBox> {
    let params = parameters(scope, params)?;
    let (columns, rows) = guarded(|| database.query(sql, &params).map_err(exception))?;

    let mut names = Vec::with_capacity(columns.len());
    for column in &columns {
        let name = v8::String::new_from_utf8(scope, column.as_bytes(), v8::NewStringType::Internalized)
            .ok_or_else(|| JsErrorBox::range_error("a column's name is too long"))?;
        names.push(name);
    }
    let array = v8::Array::new(scope, i32::try_from(rows.len()).map_err(exception)?);
    for (index, row) in rows.iter().enumerate() {
        let object = v8::Object::new(scope);
        for (name, value) in names.iter().zip(row) {
            let value = to_script(scope, value)?;
            object.set(scope, (*name).into(), value);
        }
        array.set_index(scope, u32::try_from(index).map_err(exception)?, object.into());
    }
    Ok(array)
}

/// Runs a statement; what it returns (a PRAGMA may) is read to its end and dropped.
pub(crate) fn run(database: &Connection, sql: &str, params: &[Value]) -> rusqlite::Result<()> {
    let mut statement = database.prepare_cached(sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(params.iter().map(Borrowed)))?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// Runs a query and reads everything it gives.
pub(crate) fn query(database: &Connection, sql: &str, params: &[Value]) -> rusqlite::Result<Rows> {
    let mut statement = database.prepare_cached(sql)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query(rusqlite::params_from_iter(params.iter().map(Borrowed)))?;
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        read.push((0..columns.len()).map(|i| row.get(i)).collect::<rusqlite::Result<_>>()?);
    }
    Ok((columns, read))
}

/// A parameter without a copy of its text.
struct Borrowed<'a>(&'a Value);

impl ToSql for Borrowed<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::from(self.0)))
    }
}

/// The script's parameters as SQL values.
fn parameters<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    params: v8::Local<'s, v8::Array>,
) -> Result<Vec<Value>, JsErrorBox> {
    let mut values = Vec::with_capacity(params.length() as usize);
    for index in 0..params.length() {
        let value =
            params.get_index(scope, index).ok_or_else(|| JsErrorBox::type_error("a parameter cannot be read"))?;
        values.push(to_sql(scope, value)?);
    }
    Ok(values)
}

fn to_sql<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> Result<Value, JsErrorBox> {
    if value.is_null_or_undefined() {
        Ok(Value::Null)
    } else if let Ok(string) = v8::Local::<v8::String>::try_from(value) {
        Ok(Value::Text(text(scope, &string)?))
    } else if value.is_number() {
        let number = value.number_value(scope).unwrap_or(f64::NAN);
        // Whole numbers up to 2^53 are exact in both worlds.
        if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 {
            #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
            Ok(Value::Integer(number as i64))
        } else {
            Ok(Value::Real(number))
        }
    } else if value.is_boolean() {
        Ok(Value::Integer(i64::from(value.is_true())))
    } else {
        Err(JsErrorBox::type_error("a parameter is neither text nor a number nor null"))
    }
}

fn to_script<'s>(scope: &mut v8::PinScope<'s, '_>, value: &Value) -> Result<v8::Local<'s, v8::Value>, JsErrorBox> {
    Ok(match value {
        Value::Null => v8::null(scope).into(),
        #[expect(clippy::cast_precision_loss, reason = "row ids, counts and times stay below 2^53")]
        Value::Integer(number) => v8::Number::new(scope, *number as f64).into(),
        Value::Real(number) => v8::Number::new(scope, *number).into(),
        Value::Text(text) => v8::String::new(scope, text)
            .ok_or_else(|| JsErrorBox::range_error("a value is too long for the script"))?
            .into(),
        Value::Blob(_) => return Err(JsErrorBox::type_error("the store holds no binary values")),
    })
}
