//! `caro sync service …`: the daemon as a service of the system, started when the user logs in.
//!
//! Linux: a systemd user unit; macOS: a launchd agent; Windows: a task at logon. Everything belongs to the user, and
//! nothing needs the administrator.

mod definition;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, Subcommand, ValueEnum};
use etcetera::BaseStrategy;
use serde::Serialize;

use self::definition::{Definition, LABEL, UNIT};
use super::{KeyArgs, OPENS_BY_ITSELF, state};
use crate::cli::{CliError, Home, Ui};
use crate::private_file;

/// The daemon as a service of the system
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ServiceCommand {
    Install(InstallArgs),
    Uninstall(UninstallArgs),
    Status(StatusArgs),
}

/// Have the system run the daemon whenever you are logged in, from now on
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync service install
  caro sync service install --passphrase-file ~/.config/caro/passphrase
  caro sync service install --print --platform macos
")]
pub(in crate::cli) struct InstallArgs {
    /// Print what would be installed, and change nothing
    #[arg(long)]
    print: bool,

    /// With --print: for which system
    #[arg(long, value_enum, value_name = "SYSTEM", requires = "print")]
    platform: Option<Platform>,

    /// Write the definition, and leave it to you to start it
    #[arg(long)]
    no_start: bool,

    #[command(flatten)]
    keys: KeyArgs,
}

/// Have the system run the daemon no more
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  caro sync service uninstall
")]
pub(in crate::cli) struct UninstallArgs {}

/// Whether the system runs the daemon
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync service status
  caro sync service status --json
")]
pub(in crate::cli) struct StatusArgs {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// A system with a manager of services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Platform {
    /// A systemd user unit
    Linux,
    /// A launchd agent
    Macos,
    /// A task at logon
    Windows,
}

impl Platform {
    fn here() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::Macos
        } else {
            Self::Linux
        }
    }
}

/// The service as JSON, version 1.
#[derive(Serialize)]
struct ServiceJson {
    schema_version: u32,
    installed: bool,
    file: Option<String>,
    /// None where the system does not say.
    running: Option<bool>,
}

impl ServiceCommand {
    pub(super) fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        match self {
            Self::Install(args) if args.print => {
                let text = definition(home, &args.keys)?.text(args.platform.unwrap_or(Platform::here()));
                ui.line(text.trim_end())
            }
            Self::Install(args) => install(ui, home, &args),
            Self::Uninstall(_) => uninstall(ui, home),
            Self::Status(args) => status(ui, home, &args),
        }
    }
}

/// What the service of this home is.
fn definition(home: &Home, keys: &KeyArgs) -> Result<Definition, CliError> {
    let program =
        std::env::current_exe().map_err(|e| CliError::failed("where this program lies is not known").caused_by(e))?;
    let folders =
        [("CARO_CONFIG_DIR", &home.config_dir), ("CARO_DATA_DIR", &home.data_dir), ("CARO_STATE_DIR", &home.state_dir)];
    let given = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    // The directories of this home as they are, also where they were given as relative ones.
    let mut variables: Vec<(&'static str, String)> = folders
        .into_iter()
        .filter(|(name, _)| given(name))
        .map(|(name, folder)| (name, folder.display().to_string()))
        .collect();
    for name in ["CARO_KEYSTORE", "CARO_SSH"] {
        if let Some(value) = std::env::var(name).ok().filter(|value| !value.is_empty()) {
            variables.push((name, value));
        }
    }
    let arguments = match &keys.passphrase_file {
        Some(path) => {
            let path = std::path::absolute(path)
                .map_err(|e| CliError::usage(format!("{} is not a path", path.display())).caused_by(e))?;
            vec!["--passphrase-file".to_owned(), path.display().to_string()]
        }
        None => Vec::new(),
    };
    Ok(Definition { program: program.display().to_string(), arguments, variables })
}

/// Where the system looks for the definition; none where it is told instead of finding it.
pub(super) fn file() -> Result<Option<PathBuf>, CliError> {
    let strategy = etcetera::choose_base_strategy()
        .map_err(|error| CliError::usage("the home directory is unknown").hinted("Set HOME.").caused_by(error))?;
    Ok(match Platform::here() {
        Platform::Linux => Some(strategy.config_dir().join("systemd/user").join(UNIT)),
        Platform::Macos => Some(strategy.home_dir().join("Library/LaunchAgents").join(format!("{LABEL}.plist"))),
        Platform::Windows => None,
    })
}

fn install(ui: &Ui, home: &Home, args: &InstallArgs) -> Result<(), CliError> {
    state(home)?;
    if args.keys.are_locked(home, &home.open_history()?) {
        return Err(CliError::usage("the keys are sealed with a passphrase, and nobody types it for a service")
            .hinted(OPENS_BY_ITSELF));
    }
    let text = definition(home, &args.keys)?.text(Platform::here());
    let written = match file()? {
        Some(file) => file,
        // The system reads it once.
        None => home.state_dir.join("task.xml"),
    };
    private_file::replace(&written, text.as_bytes()).map_err(|e| {
        CliError::failed(format!("{} cannot be written", written.display()))
            .hinted("Make the folder writable; nothing was installed.")
            .caused_by(e)
    })?;
    if args.no_start {
        ui.status(format_args!("Installed as {}; it runs when you log in the next time.", written.display()));
        return Ok(());
    }
    let shown = written.display().to_string();
    let user = rustix::process::getuid().as_raw();
    let domain = format!("gui/{user}");
    let steps: Vec<Vec<&str>> = match Platform::here() {
        Platform::Linux => {
            vec![vec!["systemctl", "--user", "daemon-reload"], vec!["systemctl", "--user", "enable", "--now", UNIT]]
        }
        Platform::Macos => vec![vec!["launchctl", "bootstrap", &domain, &shown]],
        Platform::Windows => {
            vec![
                vec!["schtasks", "/Create", "/F", "/TN", LABEL, "/XML", &shown],
                vec!["schtasks", "/Run", "/TN", LABEL],
            ]
        }
    };
    for step in steps {
        tell(&step).map_err(|reason| {
            CliError::failed(format!("installed as {shown}, but the system could not be told to run it: {reason}"))
                .hinted(format!("In a session of yours, run: {}", step.join(" ")))
        })?;
    }
    ui.status("The daemon runs, and will whenever you are logged in. `caro sync status` says what it does.");
    Ok(())
}

fn uninstall(ui: &Ui, home: &Home) -> Result<(), CliError> {
    let user = rustix::process::getuid().as_raw();
    let target = format!("gui/{user}/{LABEL}");
    let step = match Platform::here() {
        Platform::Linux => vec!["systemctl", "--user", "disable", "--now", UNIT],
        Platform::Macos => vec!["launchctl", "bootout", &target],
        Platform::Windows => vec!["schtasks", "/Delete", "/F", "/TN", LABEL],
    };
    let file = file()?;
    let installed = file.as_ref().is_none_or(|file| file.exists());
    if !installed {
        ui.status("The service is not installed.");
        return Ok(());
    }
    // Where the system cannot be told, what it was to run goes all the same.
    let told = tell(&step);
    if let Some(file) = &file {
        std::fs::remove_file(file).map_err(|e| {
            CliError::failed(format!("{} cannot be removed", file.display()))
                .hinted("Make its folder writable, and try again.")
                .caused_by(e)
        })?;
        if cfg!(target_os = "linux") {
            drop(tell(&["systemctl", "--user", "daemon-reload"]));
        }
    }
    if let Err(reason) = told {
        ui.warn(format_args!("the system could not be told: {reason}"));
        // A daemon that it runs nevertheless ends when it is asked.
        drop(crate::sync::daemon::socket::ask(&super::paths(home).socket, crate::sync::daemon::socket::Ask::Stop));
    }
    ui.status("The service is removed; `caro sync now` and commands that you run still exchange.");
    Ok(())
}

/// Whether the service is installed, and whether the system says that it runs.
pub(super) fn look() -> Result<(Option<PathBuf>, bool, Option<bool>), CliError> {
    let file = file()?;
    let user = rustix::process::getuid().as_raw();
    let target = format!("gui/{user}/{LABEL}");
    let running = match Platform::here() {
        Platform::Linux => tell(&["systemctl", "--user", "is-active", "--quiet", UNIT]),
        Platform::Macos => tell(&["launchctl", "print", &target]),
        Platform::Windows => tell(&["schtasks", "/Query", "/TN", LABEL]),
    };
    let installed = file.as_ref().map_or(running.is_ok(), |file| file.exists());
    Ok((file, installed, if installed { Some(running.is_ok()) } else { None }))
}

fn status(ui: &mut Ui, home: &Home, args: &StatusArgs) -> Result<(), CliError> {
    state(home)?;
    let (file, installed, running) = look()?;
    if args.json {
        let file = file.filter(|_| installed).map(|file| file.display().to_string());
        return ui.json(&ServiceJson { schema_version: 1, installed, file, running });
    }
    if !installed {
        ui.line("The service is not installed.")?;
        ui.hint("`caro sync service install` has the system run the daemon.");
        return Ok(());
    }
    if let Some(file) = file {
        ui.line(format_args!("Installed  {}", file.display()))?;
    }
    ui.line(format_args!("Running    {}", if running == Some(true) { "yes" } else { "no" }))
}

/// Runs a command of the system; what it complains about, in one line.
fn tell(step: &[&str]) -> Result<(), String> {
    let [program, arguments @ ..] = step else { return Ok(()) };
    let output = Command::new(Path::new(program))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|_| format!("there is no `{program}` here"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().next().unwrap_or("it does not say why").trim().to_owned())
}
