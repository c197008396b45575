//! `caro community collect`: the maintainers' side, until it is stopped.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::cli::server::{certificate, inherited, network, tell};
use crate::cli::{CliError, Home, Kind, Ui};
use crate::community::collect::{CollectorError, CollectorOptions, DatabaseAddress, ListenAddress, collect};

/// Where it listens unless it is told.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 4210);
/// The folder of its store, in the data folder.
const FOLDER: &str = "collector";

/// Collect anonymous reports, and publish what they tell of many
///
/// For the makers of a program, not for its users. It takes reports and revocations, keeps question, answer, month and key of each,
/// and serves a page and JSON with estimates and error bars. It keeps no address. It listens at 127.0.0.1:4210 unless told
/// otherwise; clients on other machines want https://, so give it a certificate, or put a proxy before it that has one.
/// On SIGHUP it reads its certificate again. What it promises: docs/community.md.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caro community collect
  caro community collect --listen '[::]:443' --tls-certificate fullchain.pem --tls-key privkey.pem
  caro community collect --listen unix:/run/caro/collector.sock          behind a proxy
  caro community collect --database postgres://caro@db.example/caro
")]
pub(in crate::cli) struct Args {
    /// Where to listen: an address (port 0 takes any free one) or `unix:/path`; may be given several times
    #[arg(long, value_name = "ADDRESS", env = "CARO_COLLECTOR_LISTEN", value_delimiter = ',', hide_env_values = true)]
    listen: Vec<ListenAddress>,

    /// The folder of the store; your data directory's `collector` unless given
    #[arg(long, value_name = "DIR", env = "CARO_COLLECTOR_DATA_DIR", hide_env_values = true)]
    data_dir: Option<PathBuf>,

    /// A PostgreSQL database in place of the store in the folder: postgres://user:password@host/name
    #[arg(long, value_name = "URL", env = "CARO_COLLECTOR_DATABASE", hide_env_values = true)]
    database: Option<DatabaseAddress>,

    /// PEM file with the certificates that the database is checked with; those of the system unless given
    #[arg(long, value_name = "FILE", env = "CARO_COLLECTOR_DATABASE_CA", hide_env_values = true)]
    database_ca: Option<PathBuf>,

    /// PEM file with the certificate, and those up to its root: the collector then speaks TLS by itself
    #[arg(long, value_name = "FILE", env = "CARO_COLLECTOR_TLS_CERTIFICATE", hide_env_values = true)]
    tls_certificate: Option<PathBuf>,

    /// PEM file with the certificate's private key
    #[arg(long, value_name = "FILE", env = "CARO_COLLECTOR_TLS_KEY", hide_env_values = true)]
    tls_key: Option<PathBuf>,

    /// Address or network of a proxy that is believed about whom it stands for (X-Forwarded-For, Forwarded)
    #[arg(
        long,
        value_name = "NETWORK",
        env = "CARO_COLLECTOR_TRUSTED_PROXY",
        value_delimiter = ',',
        hide_env_values = true
    )]
    #[arg(value_parser = network)]
    trusted_proxy: Vec<IpNet>,

    /// Reports from one address in an hour, and as many revocations
    #[arg(
        long,
        value_name = "N",
        env = "CARO_COLLECTOR_REPORTS_PER_HOUR",
        hide_env_values = true,
        default_value_t = 30
    )]
    reports_per_hour: u32,

    /// Seconds for which the same figures are published before they are counted anew
    ///
    /// Whoever sees that somebody sends something, and the figures before and after, sees what it was. So a day, unless given.
    #[arg(long, value_name = "SECONDS", env = "CARO_COLLECTOR_PUBLISH_EVERY", hide_env_values = true)]
    #[arg(default_value_t = 86_400)]
    publish_every: u32,
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, home: &Home, args: Args) -> Result<(), CliError> {
    let inherited = inherited();
    let listen = match args.listen {
        // One that has inherited sockets listens at those.
        listen if listen.is_empty() && inherited.is_empty() => vec![ListenAddress::Tcp(LISTEN.into())],
        listen => listen,
    };
    let options = CollectorOptions {
        listen,
        inherited,
        data_dir: args.data_dir.unwrap_or_else(|| home.data_dir.join(FOLDER)),
        database: args.database.map(|address| (address, args.database_ca)),
        certificate: certificate(args.tls_certificate, args.tls_key)?,
        trusted_proxies: args.trusted_proxy,
        reports_per_hour: args.reports_per_hour,
        publish_every: Duration::from_secs(args.publish_every.into()),
    };
    let mut said = Ok(());
    collect(options, |what| {
        if let Err(error) = tell(ui, &what) {
            said = Err(error);
        }
    })?;
    said
}

impl From<CollectorError> for CliError {
    fn from(error: CollectorError) -> Self {
        let (kind, hint) = match &error {
            CollectorError::Listen(_) => (Kind::Failed, "Choose another address with --listen."),
            CollectorError::Certificate(_) => (Kind::Usage, "Name PEM files with --tls-certificate and --tls-key."),
            CollectorError::Store { .. } => {
                (Kind::Failed, "Make the folder writable, or name another with --data-dir.")
            }
            CollectorError::Database { .. } => {
                (Kind::Failed, "Look whether it runs, and whether the address and its user are right.")
            }
            CollectorError::System(_) => (Kind::Failed, "CARO_LOG=debug shows what happens."),
        };
        Self::new(kind, error.to_string()).hinted(hint).caused_by(error)
    }
}
