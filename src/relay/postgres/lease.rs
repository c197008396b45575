//! Something that one of the relays on a database does at a time, until it has done it or a time has passed without a word of it.
//!
//! A row and the database's clock, which every database has that speaks the protocol; not all have its locks.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};

use super::session::Session;
use super::{Database, in_words};

/// What a relay does alone.
pub(in crate::relay) struct Lease {
    database: Arc<Database>,
    name: &'static str,
    holder: String,
    seconds: i64,
}

/// The database's time, in seconds.
const NOW: &str = "CAST(EXTRACT(EPOCH FROM now()) AS BIGINT)";

impl Lease {
    /// Of what goes by this name, for so long each time.
    pub(in crate::relay) fn of(database: Arc<Database>, name: &'static str, time: Duration) -> Self {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Self { database, name, holder: uuid::Uuid::new_v4().simple().to_string(), seconds }
    }

    /// Whether it is ours, from now on for its time.
    pub(in crate::relay) async fn take(&self) -> Result<bool, String> {
        let sql = format!(
            "INSERT INTO caro_leases (name, holder, ends) VALUES ($1, $2, {NOW} + $3)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends = excluded.ends
             WHERE caro_leases.holder = excluded.holder OR caro_leases.ends < {NOW} RETURNING name"
        );
        self.change(&sql, &[(&self.name, Type::TEXT), (&self.holder, Type::TEXT), (&self.seconds, Type::INT8)]).await
    }

    /// Leaves it to others.
    pub(in crate::relay) async fn end(&self) -> Result<(), String> {
        let sql = "DELETE FROM caro_leases WHERE name = $1 AND holder = $2 RETURNING name";
        self.change(sql, &[(&self.name, Type::TEXT), (&self.holder, Type::TEXT)]).await.map(drop)
    }

    /// Whether there was anything to change.
    async fn change(&self, sql: &str, params: &[(&(dyn ToSql + Sync), Type)]) -> Result<bool, String> {
        let session = Session::aside(&self.database).await?;
        let rows = session.client().query_typed(sql, params).await.map_err(|error| in_words(&error))?;
        Ok(!rows.is_empty())
    }
}
