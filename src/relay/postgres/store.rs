//! An engine's store in the database: the SDK's statements, each answered before the script goes on.
//!
//! The statements of a transaction that give nothing wait for the next one that does, or for its end, and are sent
//! together: a change costs four turns to the database and back.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::session::{Session, Step, Trouble};
use super::{Database, dialect, in_words};
use crate::runtime::{Rows, Store, StoreError};

/// How long one thing may take in all, with connecting again. An engine that waits longer in one turn is ended.
const PATIENCE: Duration = Duration::from_secs(20);
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
}

impl PostgresStore {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database, session: RefCell::default(), transaction: RefCell::default() }
    }

    /// Sends steps, in the transaction that is under way.
    fn send(&self, steps: Vec<Step>) -> Result<Vec<Row>, StoreError> {
        let session = match self.session.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
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

    /// Runs something on the network thread, and waits for it on this one.
    fn wait<T: Send + 'static>(&self, what: impl Future<Output = T> + Send + 'static) -> Result<T, StoreError> {
        let (done, outcome) = mpsc::sync_channel(1);
        let task = self.database.runtime.spawn(async move {
            // Fails where nobody waits any more.
            let _ = done.send(what.await);
        });
        outcome.recv_timeout(PATIENCE).map_err(|error| {
            task.abort();
            match error {
                RecvTimeoutError::Timeout => StoreError::Failed("the database does not answer".into()),
                RecvTimeoutError::Disconnected => StoreError::Failed("the relay is stopping".into()),
            }
        })
    }

    fn begin(&self) -> Result<(), StoreError> {
        self.transaction.replace(Some(Transaction::default()));
        Ok(())
    }

    fn commit(&self) -> Result<(), StoreError> {
        let Some(transaction) = self.transaction.take() else { return Ok(()) };
        if !transaction.has_begun && transaction.waiting.is_empty() {
            return Ok(());
        }
        let mut steps = transaction.steps();
        steps.push(Step::Commit);
        self.send(steps).map(drop)
    }

    fn roll_back(&self) -> Result<(), StoreError> {
        let has_begun = self.transaction.take().is_some_and(|transaction| transaction.has_begun);
        if has_begun && self.session.borrow().as_ref().is_some_and(|session| !session.is_closed()) {
            self.send(vec![Step::RollBack])?;
        }
        Ok(())
    }

    /// Adds to the transaction under way what is asked for, and sends all of it.
    fn ask(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let step = Step::Statement { sql: sql.to_owned(), params: params.to_vec() };
        let mut transaction = self.transaction.borrow_mut();
        let Some(transaction) = transaction.as_mut() else {
            return match self.send(vec![step]) {
                // Outside of a transaction it can just be asked again.
                Err(StoreError::Conflict(_)) => {
                    self.send(vec![Step::Statement { sql: sql.to_owned(), params: params.to_vec() }])
                }
                answer => answer,
            };
        };
        if transaction.has_begun && self.session.borrow().as_ref().is_none_or(Session::is_closed) {
            return Err(StoreError::Conflict("the connection to the database was lost".into()));
        }
        transaction.waiting.push(step);
        let steps = std::mem::take(transaction).steps();
        transaction.has_begun = true;
        self.send(steps)
    }
}

impl Transaction {
    /// What is to be sent next.
    fn steps(self) -> Vec<Step> {
        let begin = (!self.has_begun).then_some(Step::Begin);
        begin.into_iter().chain(self.waiting).collect()
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
                    transaction.waiting.push(Step::Statement { sql: sql.to_owned(), params: params.to_vec() });
                    return Ok(());
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
        Type::INT8 => row.try_get::<_, Option<i64>>(at).map(|number| number.map_or(Value::Null, Value::Integer)),
        _ => row.try_get::<_, Option<String>>(at).map(|text| text.map_or(Value::Null, Value::Text)),
    };
    let columns = row.columns().iter().enumerate();
    columns
        .map(|(at, column)| value(at, column.type_()).map_err(|error| StoreError::Failed(in_words(&error))))
        .collect()
}
