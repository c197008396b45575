//! What a relay can be told, defined once: as flags, as variables of the environment, and as keys of a TOML file.
//!
//! What a flag says counts before a variable, that before the file, and that before what is usual. A key is named like its
//! flag, with `_` for `-`; a flag that may be given several times is a list.

mod check;
pub(super) mod file;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::cli::log::Format;
use crate::cli::server::{certificate, network};
use crate::cli::sync::dialled_from_here;
use crate::cli::{CliError, Home};
use crate::relay::{
    self, AccessRule, ConnectionLimits, DatabaseAddress, FrameLimits, Inherited, ListenAddress, Mishaps, Rates,
    RelayOptions,
};
use crate::runtime::protocol::Serve;

/// What is usual where a relay needs a number.
const FRAME_MEMORY_MIB: u32 = 512;
const CONTENT_MEMORY_MIB: u32 = 256;
const MAX_VALUE_MIB: u32 = 64;
const FRAME_TIMEOUT: u32 = 30;
const CLIENT_TIMEOUT: u32 = 120;

/// Where the settings are looked for that no flag and no variable names.
const FILE: &str = "relay.toml";

/// The file of the settings: the one that is named, or that beside caro's other settings where there is one.
pub(super) fn file(named: Option<PathBuf>, home: &Home) -> Result<Option<PathBuf>, CliError> {
    let beside = home.config_dir.join(FILE);
    let file = named.or_else(|| beside.exists().then_some(beside));
    // A relay may be started from it elsewhere.
    file.map(std::path::absolute).transpose().map_err(|error| {
        CliError::usage("the working directory is unknown").hinted("Name --config from the root on.").caused_by(error)
    })
}

/// The settings; what is not given is left out.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// Where to listen: an address (port 0 takes any free one) or `unix:/path`; may be given several times
    #[arg(long, value_name = "ADDRESS", env = "CARO_RELAY_LISTEN", value_delimiter = ',', hide_env_values = true)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listen: Vec<ListenAddress>,

    /// The folder of the relay's store; your data directory's `relay` unless given
    #[arg(long, value_name = "DIR", env = "CARO_RELAY_DATA_DIR", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,

    /// Keep everything in memory and forget it at the end
    #[arg(long, conflicts_with = "data_dir", env = "CARO_RELAY_IN_MEMORY", hide_env_values = true)]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_memory: bool,

    /// What to wait for before a change is confirmed: disk, or process, which a power cut may take the last seconds of
    #[arg(
        long,
        value_name = "WHAT",
        env = "CARO_RELAY_DURABILITY",
        hide_env_values = true,
        hide_possible_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,

    /// A PostgreSQL database in place of the store in the folder: postgres://user:password@host/name
    #[arg(long, value_name = "URL", conflicts_with = "in_memory", env = "CARO_RELAY_DATABASE", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseAddress>,

    /// PEM file with the certificates that the database is checked with; those of the system unless given
    #[arg(long, value_name = "FILE", env = "CARO_RELAY_DATABASE_CA", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_ca: Option<PathBuf>,

    /// How many engines share the work, each on a core of its own
    #[arg(long, value_name = "N", env = "CARO_RELAY_ENGINES", hide_env_values = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engines: Option<u32>,

    /// A relay that gets everything that this one holds, and is asked for the rest: wss://relay.example, as devices name it
    #[arg(long, value_name = "URL", env = "CARO_RELAY_UPSTREAM", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamUrl>,

    /// PEM file with the certificates that the upstream is checked with; those of the system unless given
    #[arg(long, value_name = "FILE", env = "CARO_RELAY_UPSTREAM_CA", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_ca: Option<PathBuf>,

    /// PEM file with the certificate, and those up to its root: the relay then speaks TLS by itself
    #[arg(long, value_name = "FILE", env = "CARO_RELAY_TLS_CERTIFICATE", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,

    /// PEM file with the certificate's private key
    #[arg(long, value_name = "FILE", env = "CARO_RELAY_TLS_KEY", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,

    /// The path at which it serves, for a proxy that has other things at the same name
    #[arg(long, value_name = "PATH", env = "CARO_RELAY_PATH", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,

    /// Who may use it: everybody, who has a token of the file, or who was invited (`caro relay invite`)
    #[arg(long, value_name = "WHO", env = "CARO_RELAY_ACCESS", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,

    /// File with tokens, one in a line: only who has one in the address may connect
    #[arg(long, value_name = "FILE", env = "CARO_RELAY_TOKEN_FILE", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,

    /// A web site whose pages may connect (https://…); all may unless one is named
    #[arg(long, value_name = "ORIGIN", env = "CARO_RELAY_ORIGIN", value_delimiter = ',', hide_env_values = true)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origin: Vec<String>,

    /// Address or network of a proxy that is believed about whom it stands for (X-Forwarded-For, Forwarded)
    #[arg(
        long,
        value_name = "NETWORK",
        env = "CARO_RELAY_TRUSTED_PROXY",
        value_delimiter = ',',
        hide_env_values = true
    )]
    #[arg(value_parser = network)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxy: Vec<IpNet>,

    /// Connections at the same time
    #[arg(long, value_name = "N", env = "CARO_RELAY_MAX_CONNECTIONS", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,

    /// Connections at the same time from one address, other than from this machine
    #[arg(long, value_name = "N", env = "CARO_RELAY_MAX_CONNECTIONS_PER_ADDRESS", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections_per_address: Option<u32>,

    /// Connections at the same time of one account, where accounts are invited
    #[arg(long, value_name = "N", env = "CARO_RELAY_MAX_CONNECTIONS_PER_ACCOUNT", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections_per_account: Option<u32>,

    /// Messages a second from one account, or from one address where accounts are not invited; who sends more is read more slowly
    #[arg(long, value_name = "N", env = "CARO_RELAY_MAX_MESSAGES_PER_SECOND", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_messages_per_second: Option<u32>,

    /// The same for bytes
    #[arg(long, value_name = "N", env = "CARO_RELAY_MAX_BYTES_PER_SECOND", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_second: Option<u32>,

    /// MiB of memory for frames that have not arrived whole or were not read on, of all connections together; at least 65
    #[arg(long, value_name = "N", env = "CARO_RELAY_FRAME_MEMORY_MIB", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_memory_mib: Option<u32>,

    /// MiB of what is stored that each engine keeps in memory; beyond it what was used longest ago is read from the store again
    #[arg(long, value_name = "N", env = "CARO_RELAY_CONTENT_MEMORY_MIB", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_memory_mib: Option<u32>,

    /// Seconds within which a frame has to arrive, or at least 16 KiB of it for each of them
    #[arg(long, value_name = "SECONDS", env = "CARO_RELAY_FRAME_TIMEOUT", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_timeout: Option<u32>,

    /// Seconds after which a client is given up from which nothing comes, although it is asked whether it is there
    #[arg(long, value_name = "SECONDS", env = "CARO_RELAY_CLIENT_TIMEOUT", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_timeout: Option<u32>,

    /// MiB that one account may store; as many as it likes unless given
    #[arg(long, value_name = "N", env = "CARO_RELAY_MAX_STORED_MIB_PER_ACCOUNT", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_stored_mib_per_account: Option<u32>,

    /// CoValues (segments of a history, and a dozen others) that one account may own; as many as it likes unless given
    #[arg(long, value_name = "N", env = "CARO_RELAY_MAX_COVALUES_PER_ACCOUNT", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_covalues_per_account: Option<u32>,

    /// MiB that one CoValue (a segment of a history) may become, whoever writes it: who asks for one has the engine hold all of it
    #[arg(long, value_name = "N", env = "CARO_RELAY_MAX_VALUE_MIB", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_value_mib: Option<u32>,

    /// Days after which what an account owns is erased where nobody uses it; never unless given
    #[arg(long, value_name = "DAYS", env = "CARO_RELAY_FORGET_ACCOUNTS_AFTER", hide_env_values = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=36_500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget_accounts_after: Option<u32>,

    /// The address by which clients reach it, for invitations; the first of `listen` unless given
    #[arg(long, value_name = "URL", env = "CARO_RELAY_URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_url: Option<String>,

    /// Seconds to go on serving after being asked to stop, while `/ready` already says no
    #[arg(long, value_name = "SECONDS", env = "CARO_RELAY_DRAIN", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<u32>,

    /// Stop after this many seconds without a connection
    #[arg(long, value_name = "SECONDS", env = "CARO_RELAY_IDLE_EXIT", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_exit: Option<u32>,

    /// Where to serve `/metrics`, a status page, `/health` and `/ready` for those who watch it; may be given several times
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "CARO_RELAY_METRICS_LISTEN",
        value_delimiter = ',',
        hide_env_values = true
    )]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics_listen: Vec<ListenAddress>,

    /// The form of the log: text for people, or json for programs
    #[arg(
        long,
        value_name = "FORMAT",
        env = "CARO_RELAY_LOG_FORMAT",
        hide_env_values = true,
        hide_possible_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<Format>,

    /// Log who came and who was not taken in, by names for addresses that change every day
    #[arg(long, env = "CARO_RELAY_LOG_ADDRESSES", hide_env_values = true)]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log_addresses: bool,
}

/// The address of a relay, which may have a token in it. Looked at only when it is used: whoever names a wrong one would be
/// shown it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct UpstreamUrl(String);

impl From<String> for UpstreamUrl {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for UpstreamUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UpstreamUrl(..)")
    }
}

/// As [`relay::Durability`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Durability {
    Disk,
    Process,
}

/// Who may use a relay, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Access {
    /// Everybody who reaches it
    Open,
    /// Who has a token of the file
    Token,
    /// Who was invited, each with an account of his own
    Accounts,
}

impl Settings {
    /// What is usual.
    fn usual(home: &Home) -> Self {
        Self {
            listen: vec![ListenAddress::Tcp(([127, 0, 0, 1], 4200).into())],
            data_dir: Some(home.data_dir.join("relay")),
            path: Some("/".into()),
            engines: Some(1),
            max_connections: Some(10_000),
            max_connections_per_address: Some(256),
            max_connections_per_account: Some(64),
            frame_memory_mib: Some(FRAME_MEMORY_MIB),
            content_memory_mib: Some(CONTENT_MEMORY_MIB),
            max_value_mib: Some(MAX_VALUE_MIB),
            frame_timeout: Some(FRAME_TIMEOUT),
            client_timeout: Some(CLIENT_TIMEOUT),
            drain: Some(0),
            durability: Some(Durability::Disk),
            log_format: Some(Format::default()),
            ..Self::default()
        }
    }

    /// These, and where they say nothing what a file says, and where that says nothing what is usual.
    ///
    /// A relay that has inherited sockets listens at those, unless it is told of others too.
    pub(super) fn complete(self, file: Option<&Path>, home: &Home, inherited: &[Inherited]) -> Result<Self, CliError> {
        let mut usual = Self::usual(home);
        if !inherited.is_empty() {
            usual.listen.clear();
        }
        let mut settings = table(&usual)?;
        if let Some(file) = file {
            settings.extend(file::read(file)?);
        }
        if self.data_dir.is_some() {
            // A folder that is named counts before a file that wants none.
            settings.remove("in_memory");
        }
        settings.extend(table(&self)?);
        settings.try_into().map_err(|error| CliError::failed("the settings cannot be put together").caused_by(error))
    }

    /// As a TOML file that says what each of them means; what is usual or not set is there as a remark.
    pub(super) fn to_file(&self, home: &Home) -> Result<String, CliError> {
        let (set, usual) = (table(self)?, table(&Self::usual(home))?);
        let mut text = String::from(
            "# What `caro relay serve` is told. A flag counts before its variable, that before this file.\n",
        );
        for arg in file::arguments().get_arguments() {
            let key = arg.get_id().as_str();
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let value = match set.get(key) {
                Some(value) if usual.get(key) == Some(value) => format!("# {key} = {value}"),
                Some(value) => format!("{key} = {value}"),
                None => format!("# {key} = {}", file::kind(arg).unset()),
            };
            text.push_str(&format!("\n# {help}\n{value}\n"));
        }
        Ok(text)
    }

    /// What the relay is told by them.
    pub(super) fn options(self) -> Result<RelayOptions, CliError> {
        check::check(&self)?;
        let certificate = certificate(self.tls_certificate, self.tls_key)?;
        let access = match (self.access, self.token_file) {
            (Some(Access::Open) | None, None) => AccessRule::Open,
            (Some(Access::Token) | None, Some(file)) => AccessRule::Tokens(file),
            (Some(Access::Accounts), None) => AccessRule::Accounts,
            (Some(Access::Token), None) => {
                return Err(CliError::usage("there is no file with the tokens").hinted("Name it: --token-file FILE"));
            }
            (Some(Access::Open | Access::Accounts), Some(_)) => {
                return Err(CliError::usage("a file with tokens is for a relay with --access token")
                    .hinted("Leave out either of both."));
            }
        };
        let engines = self.engines.map_or(1, |engines| engines as usize);
        if self.in_memory && engines > 1 {
            return Err(CliError::usage("engines share what is in a store, not what is in memory")
                .hinted("Leave out --in-memory or --engines."));
        }
        if self.upstream.is_some() && (self.database.is_some() || engines > 1) {
            return Err(CliError::usage("a relay with an upstream has one engine, and a store of its own")
                .hinted("Leave out --upstream, or --database and --engines."));
        }
        let upstream = self.upstream.map(|UpstreamUrl(text)| dialled_from_here(&text, self.upstream_ca)).transpose();
        let upstream = upstream.map_err(|error| {
            CliError::usage(format!("the upstream is no relay: {error}"))
                .hinted("Give the address that devices would use: --upstream wss://relay.example")
        })?;
        let path = self.path.unwrap_or_default();
        let seconds = |seconds: u32| std::time::Duration::from_secs(seconds.into());
        let many = |number: Option<u32>| number.map_or(usize::MAX, |number| number as usize);
        Ok(RelayOptions {
            listen: self.listen,
            inherited: Vec::new(),
            data_dir: if self.in_memory { None } else { self.data_dir },
            durability: match self.durability {
                Some(Durability::Process) => relay::Durability::Process,
                Some(Durability::Disk) | None => relay::Durability::Disk,
            },
            database: self.database.map(|address| (address, self.database_ca)),
            engines,
            upstream,
            certificate,
            path: match path.trim_matches('/') {
                "" => String::new(),
                path => format!("/{path}"),
            },
            access,
            forget_after: self.forget_accounts_after,
            rates: Rates { messages: self.max_messages_per_second, bytes: self.max_bytes_per_second },
            frames: FrameLimits {
                memory_mib: self.frame_memory_mib.unwrap_or(FRAME_MEMORY_MIB),
                time: seconds(self.frame_timeout.unwrap_or(FRAME_TIMEOUT)),
            },
            client_time: seconds(self.client_timeout.unwrap_or(CLIENT_TIMEOUT)),
            storage: Serve {
                bytes_per_account: self.max_stored_mib_per_account.map(|mib| u64::from(mib) << 20),
                values_per_account: self.max_covalues_per_account.map(u64::from),
                content_in_memory: Some(u64::from(self.content_memory_mib.unwrap_or(CONTENT_MEMORY_MIB)) << 20),
                largest_value: Some(u64::from(self.max_value_mib.unwrap_or(MAX_VALUE_MIB)) << 20),
                ..Serve::default()
            },
            origins: self.origin.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect(),
            trusted_proxies: self.trusted_proxy,
            connections: ConnectionLimits {
                total: many(self.max_connections),
                per_address: many(self.max_connections_per_address),
                per_account: many(self.max_connections_per_account),
            },
            drain: self.drain.map_or_else(Default::default, seconds),
            idle_exit: self.idle_exit.map(seconds),
            metrics_listen: self.metrics_listen,
            log_addresses: self.log_addresses,
            mishaps: Mishaps::default(),
        })
    }
}

impl Settings {
    /// Where clients reach the relay, without a slash at the end; none where nobody said so.
    pub(super) fn reached_at(&self) -> Result<Option<String>, CliError> {
        let path = self.path.as_deref().unwrap_or_default().trim_matches('/');
        let url = match (&self.relay_url, self.listen.first()) {
            (Some(url), _) => {
                // A token is put behind it.
                let is_plain = !url.contains(['?', '#']) && !url.starts_with("ssh:");
                return match dialled_from_here(url, None) {
                    Ok(_) if is_plain => Ok(Some(url.trim_end_matches('/').to_owned())),
                    _ => Err(CliError::usage("the address of the relay is none that clients could use")
                        .hinted("It looks like wss://relay.example, with a path if need be: --relay-url, or relay_url in the file.")),
                };
            }
            (None, Some(ListenAddress::Tcp(address))) if !address.ip().is_unspecified() && address.port() != 0 => {
                let scheme = if self.tls_certificate.is_some() { "wss" } else { "ws" };
                format!("{scheme}://{address}/{path}")
            }
            _ => return Ok(None),
        };
        Ok(Some(url.trim_end_matches('/').to_owned()))
    }
}

fn table(settings: &Settings) -> Result<Table, CliError> {
    Table::try_from(settings).map_err(|error| CliError::failed("a setting cannot be written").caused_by(error))
}
