//! PostgreSQL, or what speaks its protocol, as the store of a server: its address, and connections to it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_postgres::config::Host;
use tokio_postgres::{AsyncMessage, Client, Config};

use super::database_tls::{Tls, understood};

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(5);
/// What every connection begins with: no statement takes for ever, and what has been committed is on disk whatever is usual
/// in the database.
const BEGINNING: &str = "SET statement_timeout = 15000; SET synchronous_commit = on";

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
    pub(crate) fn config(&self) -> Result<Config, String> {
        if !self.0.starts_with("postgres://") && !self.0.starts_with("postgresql://") {
            return Err("a database looks like postgres://user:password@host/name".into());
        }
        understood(&self.0).parse().map_err(|_| "this is no address of a database".into())
    }

    /// As PostgreSQL's own programs take it, without the password, which they ask for.
    #[must_use]
    pub fn for_its_tools(&self) -> String {
        let Ok(config) = self.config() else { return self.to_string() };
        let hosts = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(folder) => folder.display().to_string(),
        });
        let ports: Vec<String> = config.get_ports().iter().map(u16::to_string).collect();
        let pairs = [
            ("host", hosts.collect::<Vec<_>>().join(",")),
            ("port", ports.join(",")),
            ("user", config.get_user().unwrap_or_default().to_owned()),
            ("dbname", config.get_dbname().unwrap_or_default().to_owned()),
        ];
        // What would have to be quoted may be a part of the password, where the address is no good.
        let is_plain =
            |value: &str| value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/,:".contains(&byte));
        if !pairs.iter().all(|(_, value)| is_plain(value)) {
            return self.to_string();
        }
        let given = pairs.iter().filter(|(_, value)| !value.is_empty());
        given.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
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

/// What connects to a database.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    tls: Tls,
}

/// A connection, ended when this is dropped.
pub(crate) struct DatabaseConnection {
    client: Arc<Client>,
    driver: tokio::task::JoinHandle<()>,
}

impl Connector {
    /// Connects to the database at an address, where this is known by `name`; certificates are checked with those in a file, or with
    /// the system's.
    pub(crate) fn new(address: &DatabaseAddress, root_certificate: Option<&Path>, name: &str) -> Result<Self, String> {
        let mut config = address.config()?;
        config.application_name(name);
        let tls = Tls::of(&config, root_certificate)?;
        Ok(Self { config, tls })
    }

    /// Connects; `hear` is told what the database says unasked, and nothing once the connection has ended.
    pub(crate) async fn connect(
        &self,
        mut hear: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<DatabaseConnection, String> {
        let connecting = self.config.connect(self.tls.connector.clone());
        let (client, mut connection) = match tokio::time::timeout(CONNECTING, connecting).await {
            Ok(connected) => connected.map_err(|error| self.tls.explained(in_words(&error)))?,
            Err(_) => return Err("it does not answer".to_owned()),
        };
        let driver = tokio::spawn(async move {
            while let Some(message) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    Ok(message) => hear(message),
                    Err(error) => {
                        tracing::debug!(%error, "the connection to the database was lost");
                        return;
                    }
                }
            }
        });
        let connected = DatabaseConnection { client: Arc::new(client), driver };
        // A database that knows no such settings has usual ones of its own.
        if let Err(error) = connected.client.batch_execute(BEGINNING).await {
            tracing::debug!(%error, "the database keeps its own settings");
        }
        Ok(connected)
    }
}

impl DatabaseConnection {
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl Drop for DatabaseConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What a database says, in a line.
pub(crate) fn in_words(error: &tokio_postgres::Error) -> String {
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
            assert!(!refused.unwrap_or_default().contains("s3cret") && !address.for_its_tools().contains("s3"));
        }
    }

    #[test]
    fn an_address_may_say_that_the_certificate_is_to_be_checked_as_it_is_in_any_case() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let address = format!("postgres://db.example/caro?sslmode={mode}&connect_timeout=3");
            let config = DatabaseAddress::from(address).config().unwrap();
            assert_eq!(config.get_ssl_mode(), tokio_postgres::config::SslMode::Require, "{mode}");
            assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        }
        assert!(DatabaseAddress::from("postgres://db.example/caro?sslmode=perhaps".to_owned()).config().is_err());
    }
}
