//! A relay's store in PostgreSQL, or in what speaks its protocol: for several relays that share what they hold.
//!
//! Every engine has a connection of its own. Erased content is gone for whoever asks the database; it leaves the
//! database's files, logs and backups when its own upkeep (vacuum, the end of a log) comes to them.

mod dialect;
mod news;
mod schema;
mod session;
mod store;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

pub(super) use news::News;
pub(super) use store::PostgresStore;

use crate::net::client_tls;

/// Where a database is and who uses it, as PostgreSQL writes it: `postgres://user:password@host/name?sslmode=require`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DatabaseAddress(String);

/// Looked at only when it is used: whoever names a wrong one would be shown it, with the password.
impl From<String> for DatabaseAddress {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl DatabaseAddress {
    pub(super) fn config(&self) -> Result<Config, String> {
        if !self.0.starts_with("postgres://") && !self.0.starts_with("postgresql://") {
            return Err("a database looks like postgres://user:password@host/name".into());
        }
        self.0.parse().map_err(|_| "this is no address of a database".into())
    }
}

/// Without the password.
impl fmt::Display for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("postgres", &self.0));
        let host = match rest.rsplit_once('@') {
            // Of the password, or after it: what it belongs to cannot be told.
            Some((before, _)) if before.contains('?') => "…",
            Some((_, host)) => host,
            None => rest,
        };
        write!(f, "{scheme}://{}", host.split('?').next().unwrap_or(host))
    }
}

impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The database that a relay was told of.
pub(super) struct Database {
    config: Config,
    tls: MakeRustlsConnect,
    runtime: Handle,
    /// Whether it did not answer when it was last asked.
    is_away: AtomicBool,
}

impl Database {
    /// The database at an address; certificates are checked with those in a file, or with the system's.
    pub(super) fn at(
        address: &DatabaseAddress,
        root_certificate: Option<PathBuf>,
        runtime: Handle,
    ) -> Result<Arc<Self>, String> {
        let mut config = address.config()?;
        config.application_name("caro relay");
        let tls = MakeRustlsConnect::new(client_tls(root_certificate.as_deref())?);
        Ok(Arc::new(Self { config, tls, runtime, is_away: AtomicBool::new(false) }))
    }

    /// Makes the tables where they are missing.
    pub(super) async fn prepare(&self) -> Result<(), String> {
        schema::prepare(self).await
    }

    /// Whether it answers, as far as is known.
    pub(super) fn answers(&self) -> bool {
        !self.is_away.load(Ordering::Relaxed)
    }
}

/// What a database says, in a line.
fn in_words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => said.message().to_owned(),
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (given, shown) in [
            ("postgres://relay:s3cret@db.example:5433/caro?sslmode=require", "postgres://db.example:5433/caro"),
            ("relay:s3cret@db.example/caro", "postgres://db.example/caro"),
            ("postgres://db.example/caro?user=relay&password=s3@cret", "postgres://…"),
            ("mysql://relay:s3cret@db.example", "mysql://db.example"),
        ] {
            let address = DatabaseAddress::from(given.to_owned());
            assert_eq!((address.to_string(), format!("{address:?}")), (shown.to_owned(), shown.to_owned()));
            let refused = address.config().err();
            assert_eq!(refused.is_none(), given.starts_with("postgres://"));
            assert!(!refused.unwrap_or_default().contains("s3cret"));
        }
    }
}
