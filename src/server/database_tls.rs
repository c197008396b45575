//! Whether a connection to the database is encrypted, and whom it is believed to lead to.
//!
//! A certificate that the database shows is always checked, its name too: what PostgreSQL's own programs do with `verify-full`
//! alone. Root certificates are needed only where one may be shown.

use std::path::Path;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::net::{client_tls, client_tls_for_nobody};

/// What connections are made with.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) connector: MakeRustlsConnect,
    /// Why no certificate is believed, where that is so.
    distrusts: Option<String>,
}

impl Tls {
    /// For a database; its certificate is checked with those in a file, or with the system's.
    pub(super) fn of(config: &Config, root_certificate: Option<&Path>) -> Result<Self, String> {
        let is_local = |host: &Host| matches!(host, Host::Unix(_));
        let is_plain = config.get_ssl_mode() == SslMode::Disable || config.get_hosts().iter().all(is_local);
        if is_plain && root_certificate.is_none() {
            return Ok(Self { connector: MakeRustlsConnect::new(client_tls_for_nobody()?), distrusts: None });
        }
        match client_tls(root_certificate) {
            Ok(tls) => Ok(Self { connector: MakeRustlsConnect::new(tls), distrusts: None }),
            // The database may have none.
            Err(reason) if root_certificate.is_none() && config.get_ssl_mode() == SslMode::Prefer => {
                let connector = MakeRustlsConnect::new(client_tls_for_nobody()?);
                Ok(Self { connector, distrusts: Some(reason) })
            }
            Err(reason) => Err(reason),
        }
    }

    /// What went wrong in connecting, with what is known of it here.
    pub(super) fn explained(&self, said: String) -> String {
        match &self.distrusts {
            Some(reason) if said.contains("TLS") => {
                format!("it shows a certificate, and {reason}; `?sslmode=disable` does without")
            }
            _ => said,
        }
    }
}

/// An address as the library reads it, which knows no names for that certificates are checked: they always are.
pub(super) fn understood(address: &str) -> String {
    let Some((before, query)) = address.rsplit_once('?') else { return address.to_owned() };
    let pairs = query.split('&').map(|pair| match pair {
        "sslmode=verify-ca" | "sslmode=verify-full" => "sslmode=require",
        other => other,
    });
    format!("{before}?{}", pairs.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_uses_no_certificates_needs_none_to_check_them_with() {
        let missing = Path::new("/nonexistent/root.pem");
        for address in ["postgres://db.example/caro?sslmode=disable", "postgres:///caro?host=/run/postgresql"] {
            let config: Config = address.parse().unwrap();
            assert!(Tls::of(&config, None).is_ok(), "{address}");
            assert!(Tls::of(&config, Some(missing)).is_err(), "what is named has to be there");
        }
    }
}
