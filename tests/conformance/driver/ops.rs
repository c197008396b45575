//! The ops of `tests/conformance/ops.d.ts`, which only this test target has.
//!
//! The SQL ones are the product's own functions, on databases named by handles; the report goes to the
//! thread that watches over the isolate.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc;

use caro::runtime::{open_database, query_for_script, run_for_script};
use deno_core::{OpState, op2, v8};
use deno_error::JsErrorBox;
use rusqlite::Connection;

use crate::file_run::Record;

/// What the ops share in one isolate.
pub struct Bench {
    /// Where its databases lie.
    folder: PathBuf,
    databases: HashMap<u32, Rc<Connection>>,
    next: u32,
    records: mpsc::Sender<Record>,
    done: Rc<Cell<bool>>,
}

impl Bench {
    /// `done` becomes true with the last record.
    pub fn new(folder: PathBuf, records: mpsc::Sender<Record>, done: Rc<Cell<bool>>) -> Self {
        Self { folder, databases: HashMap::new(), next: 1, records, done }
    }
}

/// Nothing of the state stays borrowed, as in the product's ops.
fn opened(state: &RefCell<OpState>, handle: u32) -> Result<Rc<Connection>, JsErrorBox> {
    let state = state.borrow();
    let database = state.borrow::<Bench>().databases.get(&handle);
    database.cloned().ok_or_else(|| JsErrorBox::type_error("this database is closed"))
}

deno_core::extension!(
    conformance,
    ops = [op_test_sql_open, op_test_sql_run, op_test_sql_query, op_test_sql_close, op_test_report],
);

/// The ops, for an isolate to which a [`Bench`] is given.
pub fn extension() -> deno_core::Extension {
    conformance::init()
}

fn exception(error: impl std::fmt::Display) -> JsErrorBox {
    JsErrorBox::generic(error.to_string())
}

#[op2(fast)]
#[smi]
fn op_test_sql_open(state: &mut OpState, #[string] name: &str) -> Result<u32, JsErrorBox> {
    let bench = state.borrow_mut::<Bench>();
    let mut parts = Path::new(name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        return Err(JsErrorBox::type_error(format!("{name} is not a bare file name")));
    }
    let connection = open_database(Some(&bench.folder.join(name))).map_err(exception)?;
    // The files live as long as their isolate: nothing has to survive a power cut.
    connection.execute_batch("PRAGMA synchronous = OFF").map_err(exception)?;
    let handle = bench.next;
    bench.next += 1;
    bench.databases.insert(handle, Rc::new(connection));
    Ok(handle)
}

#[op2(fast, reentrant)]
fn op_test_sql_run<'s, 'i>(
    scope: &mut v8::PinScope<'s, 'i>,
    state: Rc<RefCell<OpState>>,
    #[smi] database: u32,
    #[string] sql: &str,
    params: v8::Local<'s, v8::Array>,
) -> Result<(), JsErrorBox> {
    run_for_script(scope, &*opened(&state, database)?, sql, params)
}

#[op2(reentrant)]
fn op_test_sql_query<'s, 'i>(
    scope: &mut v8::PinScope<'s, 'i>,
    state: Rc<RefCell<OpState>>,
    #[smi] database: u32,
    #[string] sql: &str,
    params: v8::Local<'s, v8::Array>,
) -> Result<v8::Local<'s, v8::Array>, JsErrorBox> {
    query_for_script(scope, &*opened(&state, database)?, sql, params)
}

#[op2(fast)]
fn op_test_sql_close(state: &mut OpState, #[smi] database: u32) {
    state.borrow_mut::<Bench>().databases.remove(&database);
}

#[op2(fast)]
fn op_test_report(state: &OpState, #[string] json: &str) -> Result<(), JsErrorBox> {
    let record: Record = serde_json::from_str(json).map_err(exception)?;
    let bench = state.borrow::<Bench>();
    bench.done.set(matches!(record, Record::Done { .. }));
    bench.records.send(record).map_err(exception)
}
