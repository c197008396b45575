//! `caro relay serve`: a relay until it is stopped.

use std::path::PathBuf;

use clap::Args;

use super::settings::{self, Settings};
use super::stdio;
use crate::cli::server::{inherited, tell};
use crate::cli::{CliError, Home, Ui, detached, log};
use crate::relay::serve;

/// What is logged where CARO_LOG says nothing: what went wrong anywhere, and what the relay does.
const LOGGED: &str = "warn,caro::relay=info";

/// Serve a relay until stopped.
///
/// Works with every client of the Jazz protocol, and can read nothing of what it stores. It listens at 127.0.0.1:4200
/// unless told otherwise. Where it is reached from outside, give it a certificate, or put a proxy before it that has one.
/// On SIGHUP it reads its certificate and its tokens again.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro relay serve
  caro relay serve --listen 0.0.0.0:4200 --data-dir /var/lib/caro-relay --token-file /etc/caro/tokens
  caro relay serve --listen '[::]:443' --tls-certificate fullchain.pem --tls-key privkey.pem
  caro relay serve --listen unix:/run/caro/relay.sock --path /caro      behind a proxy
  caro relay serve --print-config > relay.toml
")]
pub(in crate::cli) struct ServeArgs {
    #[command(flatten)]
    settings: Settings,

    /// TOML file with the settings; `relay.toml` beside caro's other settings where there is one
    #[arg(long, value_name = "FILE", env = "CARO_RELAY_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,

    /// Print the settings as such a file, with what each of them means, and serve nothing
    #[arg(long)]
    print_config: bool,

    /// Serve one connection through standard input and output: what ssh://… starts
    #[arg(long, conflicts_with_all = ["in_memory", "print_config"])]
    stdio: bool,

    /// Do not end with the terminal
    #[arg(long, hide = true)]
    detached: bool,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: ServeArgs) -> Result<(), CliError> {
    let file = settings::file(args.config, home)?;
    let inherited = inherited();
    let settings = args.settings.complete(file.as_deref(), home, &inherited)?;
    if args.print_config {
        return ui.line(settings.to_file(home)?.trim_end());
    }
    let format = settings.log_format.unwrap_or_default();
    let mut options = settings.options()?;
    log::start_remembering(LOGGED, format, options.mishaps.clone())?;
    if args.stdio {
        return match options.data_dir {
            Some(folder) => stdio::run(home, &folder, file.as_deref()),
            None => Err(CliError::usage("a relay in memory cannot serve one connection at a time")),
        };
    }
    if args.detached {
        detached::let_go();
        // The address in the file is that of one relay, and its user may have several.
        options.metrics_listen.clear();
    }
    options.inherited = inherited;
    let mut said = Ok(());
    serve(options, |what| {
        if let Err(error) = tell(ui, &what) {
            said = Err(error);
        }
    })?;
    said
}
