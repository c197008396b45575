//! One connection to the database, with its prepared statements.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::BytesMut;
use futures::future::BoxFuture;
use rusqlite::types::Value;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, Error, Row, Statement};

use super::{Database, dialect};
use crate::server::DatabaseConnection;

/// A connection, ended when this is dropped.
pub(super) struct Session {
    connection: DatabaseConnection,
    statements: HashMap<String, Statement>,
}

impl Session {
    /// Connects for what clients need; `hear` is told what the database says unasked, and nothing once the connection has
    /// ended. Where it fails, the relay takes nobody in until it is well again.
    pub(super) async fn open(
        database: &Database,
        hear: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<Self, String> {
        let connected = Self::connect(database, hear).await;
        database.is_away.store(connected.is_err(), Ordering::Relaxed);
        connected
    }

    /// Connects for something that clients do not wait for.
    pub(super) async fn aside(database: &Database) -> Result<Self, String> {
        Self::connect(database, |_| {}).await
    }

    async fn connect(database: &Database, hear: impl FnMut(AsyncMessage) + Send + 'static) -> Result<Self, String> {
        Ok(Self { connection: database.connector.connect(hear).await?, statements: HashMap::new() })
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        self.connection.client()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// Runs statements of the SDK in one go, without waiting for one before the next is sent. What the last of them gives.
    pub(super) async fn run(&mut self, steps: Vec<Step>) -> Result<Vec<Row>, Error> {
        for step in &steps {
            if let Step::Statement { sql, .. } = step
                && !self.statements.contains_key(sql)
            {
                let statement = self.client().prepare(&dialect::translated(sql)).await?;
                self.statements.insert(sql.clone(), statement);
            }
        }
        let mut under_way = Vec::with_capacity(steps.len());
        for step in steps {
            let mut asking = self.ask(step);
            // Asking once is what sends it.
            let answered = futures::poll!(asking.as_mut());
            under_way.push((asking, answered));
        }
        let mut last = Vec::new();
        for (asking, answered) in under_way {
            last = match answered {
                Poll::Ready(answer) => answer?,
                Poll::Pending => asking.await?,
            };
        }
        Ok(last)
    }

    fn ask(&self, step: Step) -> BoxFuture<'static, Result<Vec<Row>, Error>> {
        let client = self.client().clone();
        match step {
            Step::Begin => Box::pin(async move { client.batch_execute("BEGIN").await.map(|()| Vec::new()) }),
            Step::Commit => Box::pin(async move { client.batch_execute("COMMIT").await.map(|()| Vec::new()) }),
            Step::RollBack => Box::pin(async move { client.batch_execute("ROLLBACK").await.map(|()| Vec::new()) }),
            Step::Statement { sql, params } => {
                let statement = self.statements.get(&sql).cloned();
                Box::pin(async move {
                    let params: Vec<Param> = params.into_iter().map(Param).collect();
                    let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as _).collect();
                    match statement {
                        Some(statement) => client.query(&statement, &params).await,
                        None => client.query(dialect::translated(&sql).as_str(), &params).await,
                    }
                })
            }
        }
    }
}

/// One thing that is asked of the database.
pub(super) enum Step {
    Begin,
    /// A statement as the SDK writes it.
    Statement {
        sql: String,
        params: Vec<Value>,
    },
    Commit,
    RollBack,
}

/// A value of the script's.
#[derive(Debug)]
struct Param(Value);

impl ToSql for Param {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match &self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(number) if *kind == Type::INT8 => number.to_sql(kind, out),
            Value::Text(text) => text.to_sql(kind, out),
            _ => Err(format!("a value does not fit {kind}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// What became of a connection or a transaction of which this was said.
pub(super) enum Trouble {
    /// The connection is of no use any more.
    Lost,
    /// Somebody else changed the same.
    Conflict,
    /// Asking again would not help.
    Other,
}

impl Trouble {
    pub(super) fn of(error: &Error) -> Self {
        match error.code() {
            None if error.is_closed()
                || std::error::Error::source(error).is_some_and(|cause| cause.is::<std::io::Error>()) =>
            {
                Self::Lost
            }
            None => Self::Other,
            Some(code) => match code {
                &SqlState::T_R_SERIALIZATION_FAILURE
                | &SqlState::T_R_DEADLOCK_DETECTED
                | &SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
                | &SqlState::UNIQUE_VIOLATION => Self::Conflict,
                // It is stopping or starting, or another one writes from now on.
                &SqlState::ADMIN_SHUTDOWN
                | &SqlState::CRASH_SHUTDOWN
                | &SqlState::CANNOT_CONNECT_NOW
                | &SqlState::READ_ONLY_SQL_TRANSACTION => Self::Lost,
                _ => Self::Other,
            },
        }
    }
}
