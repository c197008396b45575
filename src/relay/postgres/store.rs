//! An engine's store in the database: the SDK's statements, each answered before the script goes on.
//!
//! The statements of a transaction that give nothing wait for the next one that does, or for its end, and are sent
//! together: a change costs four turns to the database and back. What it adds to a session's bytes is one more statement
//! at its end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::counted::{ADD, counted};
use super::session::{Session, Step, Trouble};
use super::{Database, dialect, in_words};
use crate::runtime::{Rows, Store, StoreError};

/// How long a database that went away is waited for.
const RETURNS_WITHIN: Duration = Duration::from_secs(12);
/// What passes between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(200);

/// The store of one engine.
pub(crate) struct PostgresStore {
    database: Arc<Database>,
    session: RefCell<Option<Session>>,
    /// None between transactions.
    transaction: RefCell<Option<Transaction>>,
}

/// A transaction under way.
#[derive(Default)]
struct Transaction {
    /// Whether the database knows of it.
    has_begun: bool,
    /// What was not sent yet.
    waiting: Vec<Step>,
    /// Bytes that it adds, by session: each is changed once, and all in one order.
    adds: BTreeMap<i64, i64>,
}

impl PostgresStore {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database, session: RefCell::default(), transaction: RefCell::default() }
    }

    /// Sends steps. Those that go on with a transaction of which the database knows need the connection on which it began:
    /// on another one each of them would be a transaction of its own.
    fn send(&self, steps: Vec<Step>, goes_on: bool) -> Result<Vec<Row>, StoreError> {
        let session = match self.session.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None if goes_on => {
                return Err(StoreError::Conflict("the connection to the database was lost".into()));
            }
            None => self.connect()?,
        };
        let (session, answer) = self.wait(async move {
            let mut session = session;
            let answer = session.run(steps).await;
            (session, answer)
        })?;
        match answer {
            Ok(rows) => {
                self.session.replace(Some(session));
                Ok(rows)
            }
            Err(error) => Err(match Trouble::of(&error) {
                // The session is dropped.
                Trouble::Lost => StoreError::Conflict(in_words(&error)),
                Trouble::Conflict => {
                    self.session.replace(Some(session));
                    StoreError::Conflict(in_words(&error))
                }
                Trouble::Other => {
                    self.session.replace(Some(session));
                    StoreError::Failed(in_words(&error))
                }
            }),
        }
    }

    /// Connects, and waits a while for a database that has just gone; one that is known to be away is asked once.
    fn connect(&self) -> Result<Session, StoreError> {
        let give_up = Instant::now() + if self.database.answers() { RETURNS_WITHIN } else { Duration::ZERO };
        loop {
            let database = self.database.clone();
            match self.wait(async move { Session::open(&database, |_| {}).await })? {
                Ok(session) => return Ok(session),
                Err(reason) if Instant::now() >= give_up => {
                    return Err(StoreError::Failed(format!("the database cannot be reached: {reason}")));
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Waits for something that is done on the network thread.
    fn wait<T: Send + 'static>(&self, what: impl Future<Output = T> + Send + 'static) -> Result<T, StoreError> {
        self.database.wait(what).map_err(|reason| StoreError::Failed(reason.into()))
    }

    fn begin(&self) -> Result<(), StoreError> {
        self.transaction.replace(Some(Transaction::default()));
        Ok(())
    }

    fn commit(&self) -> Result<(), StoreError> {
        let Some(mut transaction) = self.transaction.take() else { return Ok(()) };
        for (session, bytes) in std::mem::take(&mut transaction.adds) {
            let params = vec![Value::Integer(bytes), Value::Integer(session)];
            transaction.waiting.push(Step::Statement { sql: ADD.to_owned(), params });
        }
        if !transaction.has_begun && transaction.waiting.is_empty() {
            return Ok(());
        }
        let mut steps = transaction.steps();
        steps.push(Step::Commit);
        self.send(steps, transaction.has_begun).map(drop)
    }

    fn roll_back(&self) -> Result<(), StoreError> {
        let has_begun = self.transaction.take().is_some_and(|transaction| transaction.has_begun);
        if has_begun && self.session.borrow().as_ref().is_some_and(|session| !session.is_closed()) {
            self.send(vec![Step::RollBack], true)?;
        }
        Ok(())
    }

    /// Adds to the transaction under way what is asked for, and sends all of it.
    fn ask(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let Some(mut transaction) = self.transaction.borrow_mut().take() else {
            let step = || {
                let sent = counted(sql, params)?;
                match sent.adds {
                    None => Ok(vec![Step::Statement { sql: sent.sql, params: sent.params }]),
                    Some(_) => Err(StoreError::Failed("it would not be counted outside of a transaction".into())),
                }
            };
            return match self.send(step()?, false) {
                // Outside of a transaction it can just be asked again.
                Err(StoreError::Conflict(_)) => self.send(step()?, false),
                answer => answer,
            };
        };
        let steps = transaction.add(sql, params).map(|()| transaction.steps());
        let goes_on = std::mem::replace(&mut transaction.has_begun, true);
        self.transaction.replace(Some(transaction));
        self.send(steps?, goes_on)
    }
}

impl Transaction {
    /// Adds a statement of the SDK's.
    fn add(&mut self, sql: &str, params: &[Value]) -> Result<(), StoreError> {
        let sent = counted(sql, params)?;
        if let Some((session, bytes)) = sent.adds {
            *self.adds.entry(session).or_default() += bytes;
        }
        self.waiting.push(Step::Statement { sql: sent.sql, params: sent.params });
        Ok(())
    }

    /// What is to be sent next.
    fn steps(&mut self) -> Vec<Step> {
        let begin = (!self.has_begun).then_some(Step::Begin);
        begin.into_iter().chain(std::mem::take(&mut self.waiting)).collect()
    }
}

impl Store for PostgresStore {
    fn run(&self, sql: &str, params: &[Value]) -> Result<(), StoreError> {
        match dialect::kind(sql) {
            dialect::Kind::Begin => self.begin(),
            dialect::Kind::Commit => self.commit(),
            dialect::Kind::RollBack => self.roll_back(),
            dialect::Kind::Upkeep => Ok(()),
            dialect::Kind::Tables => Err(StoreError::Failed("this relay does not know such tables".into())),
            dialect::Kind::Other => {
                if let Some(transaction) = self.transaction.borrow_mut().as_mut() {
                    return transaction.add(sql, params);
                }
                self.ask(sql, params).map(drop)
            }
        }
    }

    fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, StoreError> {
        if dialect::asks_for_version(sql) {
            return Ok((vec!["user_version".into()], vec![vec![Value::Integer(super::schema::SDK_VERSION)]]));
        }
        if matches!(dialect::kind(sql), dialect::Kind::Upkeep) {
            return Ok((Vec::new(), Vec::new()));
        }
        let rows = self.ask(sql, params)?;
        let columns = rows.first().map(|row| row.columns().iter().map(|column| column.name().to_owned()).collect());
        let read = rows.iter().map(values).collect::<Result<_, _>>()?;
        Ok((columns.unwrap_or_default(), read))
    }
}

/// The values of a row.
fn values(row: &Row) -> Result<Vec<Value>, StoreError> {
    let value = |at: usize, kind: &Type| match *kind {
        Type::INT4 => {
            row.try_get::<_, Option<i32>>(at).map(|number| number.map_or(Value::Null, |it| Value::Integer(it.into())))
        }
        Type::INT8 => row.try_get::<_, Option<i64>>(at).map(|number| number.map_or(Value::Null, Value::Integer)),
        _ => row.try_get::<_, Option<String>>(at).map(|text| text.map_or(Value::Null, Value::Text)),
    };
    let columns = row.columns().iter().enumerate();
    columns
        .map(|(at, column)| value(at, column.type_()).map_err(|error| StoreError::Failed(in_words(&error))))
        .collect()
}
