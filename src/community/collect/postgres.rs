//! The store in a PostgreSQL database, for several collectors that share it, or for whoever has one anyway.
//!
//! The database keeps more than it is asked to: rows lie in the order in which they came, each with the number of its
//! transaction, and its log has them once more. Whoever can read its files can tell what came after what.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Error};

use super::store::{Counts, Entry, Known, Month, Part, StoreError};
use crate::community::KeyId;
use crate::server::{Connector, DatabaseAddress, DatabaseConnection, in_words};

/// How long one thing may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The layout of the tables.
const LAYOUT: &str = "1";
/// Two collectors that start at the same moment make them one after the other.
const TABLES: &str = "
    BEGIN;
    SELECT pg_advisory_xact_lock(7164770302);
    CREATE TABLE IF NOT EXISTS caro_reports (
        key BYTEA PRIMARY KEY, question TEXT NOT NULL, answer TEXT NOT NULL, month TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS caro_revoked (key BYTEA PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS caro_collector (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    INSERT INTO caro_collector (key, value) VALUES ('layout', '1') ON CONFLICT (key) DO NOTHING;
    COMMIT;
";

/// The store: a connection that is used by one after the other.
pub(super) struct PostgresStore {
    connector: Connector,
    connection: Mutex<Option<DatabaseConnection>>,
}

impl PostgresStore {
    /// The store in the database at an address, with its tables; else why it cannot be used.
    pub(super) async fn open(address: &DatabaseAddress, root_certificate: Option<&Path>) -> Result<Self, String> {
        let connector = Connector::new(address, root_certificate, "caro collector")?;
        let store = Self { connector, connection: Mutex::default() };
        let layout = store.run(|client| async move {
            client.batch_execute(TABLES).await?;
            let row = client.query_one("SELECT value FROM caro_collector WHERE key = 'layout'", &[]).await?;
            row.try_get::<_, String>(0)
        });
        match layout.await {
            Ok(layout) if layout == LAYOUT => Ok(store),
            Ok(_) => Err("a newer version of caro has changed its tables".into()),
            Err(StoreError(reason)) => Err(reason),
        }
    }

    pub(super) async fn look(&self, entry: Entry) -> Result<Known, StoreError> {
        self.run(move |client| async move { known(&client, &entry).await }).await
    }

    pub(super) async fn add(&self, entry: Entry, month: Month) -> Result<Known, StoreError> {
        self.run(move |client| async move {
            begin(&client, entry.key).await?;
            let known = known(&client, &entry).await?;
            if known == Known::New {
                let (question, answer) = (entry.question.name, entry.told());
                let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                    [&entry.key.0.as_slice(), &question, &answer, &month.as_str()];
                client
                    .execute("INSERT INTO caro_reports (key, question, answer, month) VALUES ($1, $2, $3, $4)", &values)
                    .await?;
            }
            client.batch_execute("COMMIT").await?;
            Ok(known)
        })
        .await
    }

    pub(super) async fn revoke(&self, key: KeyId) -> Result<bool, StoreError> {
        self.run(move |client| async move {
            begin(&client, key).await?;
            let name = key.0.as_slice();
            let is_there = client.execute("DELETE FROM caro_reports WHERE key = $1", &[&name]).await? > 0;
            if is_there {
                client.execute("INSERT INTO caro_revoked (key) VALUES ($1)", &[&name]).await?;
            }
            let was_there = is_there || was_revoked(&client, key).await?;
            client.batch_execute("COMMIT").await?;
            Ok(was_there)
        })
        .await
    }

    /// Adds what is in a part to the counts.
    pub(super) async fn count(&self, part: Part, since: Month, mut counts: Counts) -> Result<Counts, StoreError> {
        self.run(move |client| async move {
            let sql = "SELECT question, answer, month >= $1, count(*) FROM caro_reports WHERE key BETWEEN $2 AND $3 \
                       GROUP BY 1, 2, 3";
            let (first, last) = (part.first(), part.last());
            for row in client.query(sql, &[&since.as_str(), &first.as_slice(), &last.as_slice()]).await? {
                counts.add(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            }
            Ok(counts)
        })
        .await
    }

    /// Asks whether the database is there, and whether it takes a change where `writing` says so.
    pub(super) async fn ask(&self, writing: bool) -> Result<(), StoreError> {
        let asked = if writing { "UPDATE caro_collector SET value = value WHERE key = 'layout'" } else { "" };
        self.run(move |client| async move { client.batch_execute(asked).await }).await
    }

    /// Runs something on the connection, or on a new one where that is gone.
    async fn run<T, F>(&self, what: impl FnOnce(Arc<Client>) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let mut kept = self.connection.lock().await;
        let connection = match kept.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => self.connector.connect(|_| {}).await.map_err(StoreError)?,
        };
        let running: BoxFuture<'static, Result<T, Error>> = what(connection.client().clone()).boxed();
        let answer = match tokio::time::timeout(PATIENCE, running).await {
            Ok(answer) => answer.map_err(|error| StoreError(in_words(&error)))?,
            Err(_) => return Err(StoreError("the database does not answer".into())),
        };
        // One that was left in the middle of something is not used again.
        *kept = Some(connection);
        Ok(answer)
    }
}

/// Begins a transaction in which nobody else changes what is known of a key.
async fn begin(client: &Client, key: KeyId) -> Result<(), Error> {
    let [a, b, c, d, e, f, g, h, ..] = key.0;
    let number = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
    client.batch_execute("BEGIN").await?;
    client.execute("SELECT pg_advisory_xact_lock($1)", &[&number]).await.map(drop)
}

async fn known(client: &Client, entry: &Entry) -> Result<Known, Error> {
    let was_revoked = was_revoked(client, entry.key).await?;
    let key = entry.key.0.as_slice();
    let stored = client.query_opt("SELECT question, answer FROM caro_reports WHERE key = $1", &[&key]).await?;
    let stored = stored.map(|row| Ok::<_, Error>((row.try_get(0)?, row.try_get(1)?))).transpose()?;
    Ok(Known::of(entry, was_revoked, stored))
}

async fn was_revoked(client: &Client, key: KeyId) -> Result<bool, Error> {
    let found = client.query_opt("SELECT 1 FROM caro_revoked WHERE key = $1", &[&key.0.as_slice()]).await?;
    Ok(found.is_some())
}
