//! `caro sync …`: set up, exchange, look.

mod background;
mod consent;
mod daemon;
mod delete;
mod devices;
pub(super) mod doctor;
mod errors;
mod filter;
#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod init;
mod logs;
mod note;
mod now;
mod phrase;
mod phrase_input;
mod relay;
mod relay_test;
mod restore;
mod revoke;
mod rotate_keys;
mod service;
mod setup;
mod standing;
mod status;
mod switch;
mod verify;

pub(super) use background::after_capture;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::{CliError, Home, Kind, Ui, time, ui};
use crate::history::History;
use crate::identity::{Credentials, FileKeyStore, KeyStore, KeyStoreKind, OsKeyStore, Passphrase, Protection};
use crate::net::{AddressError, Proxies, RelayAddress};
use crate::prefs::{Frequency, PreferenceStore, Settings};
use crate::sync::daemon::socket::{self, Ask};
use crate::sync::{self, Engine, LocalOnly, Progress, Setting, SyncConfig, SyncError, SyncPaths, SyncState};

/// How long the relay may take over one step, unless the user says otherwise.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Your history on all your machines, readable by nobody else.
#[derive(Debug, Subcommand)]
#[command(after_long_help = "\
Examples:
  caro sync init --relay wss://relay.example      set sync up, or join with your phrase
  caro sync restore --relay wss://relay.example   bring your history to a new machine
  caro sync now                                   exchange with the relay once
  caro sync status                                see whether all is well
")]
// What each command says of itself stands with its arguments.
pub(super) enum Command {
    Init(init::InitArgs),
    Restore(restore::RestoreArgs),
    Now(now::NowArgs),
    Status(status::StatusArgs),
    Verify(verify::VerifyArgs),
    Pause(switch::PauseArgs),
    Resume(switch::ResumeArgs),
    Enable(switch::EnableArgs),
    Disable(switch::DisableArgs),
    Daemon(daemon::DaemonArgs),
    Logs(logs::LogsArgs),
    Doctor(doctor::DoctorArgs),
    #[command(subcommand)]
    Service(service::ServiceCommand),
    #[command(subcommand)]
    Filter(filter::Command),
    #[command(subcommand)]
    Phrase(phrase::Command),
    #[command(subcommand)]
    Devices(devices::Command),
    RotateKeys(rotate_keys::RotateKeysArgs),
    Revoke(revoke::RevokeArgs),
    Delete(delete::DeleteArgs),
    #[command(subcommand)]
    Relay(relay::Command),
}

impl Command {
    pub(super) fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        match self {
            Self::Init(args) => init::run(ui, home, &args),
            Self::Restore(args) => restore::run(ui, home, &args),
            Self::Now(args) => now::run(ui, home, &args),
            Self::Status(args) => status::run(ui, home, &args),
            Self::Verify(args) => verify::run(ui, home, &args),
            Self::Pause(_) => switch::pause(ui, home),
            Self::Resume(_) => switch::resume(ui, home),
            Self::Enable(args) => switch::enable(ui, home, &args),
            Self::Disable(_) => switch::disable(ui, home),
            Self::Daemon(args) => daemon::run(ui, home, &args),
            Self::Logs(args) => logs::run(ui, home, &args),
            Self::Doctor(args) => doctor::run(ui, home, &args),
            Self::Service(command) => command.run(ui, home),
            Self::Filter(command) => command.run(ui, home),
            Self::Phrase(command) => command.run(ui, home),
            Self::Devices(command) => command.run(ui, home),
            Self::Revoke(args) => revoke::run(ui, home, &args),
            Self::Delete(args) => delete::run(ui, home, &args),
            Self::RotateKeys(args) => rotate_keys::run(ui, home, &args),
            Self::Relay(command) => command.run(ui, home),
        }
    }
}

/// How the keys of this home are opened.
#[derive(Debug, Args)]
pub(in crate::cli) struct KeyArgs {
    /// File with the passphrase that seals the key file (see CARO_KEYSTORE=file)
    #[arg(long, value_name = "FILE", env = "CARO_PASSPHRASE_FILE", hide_env_values = true)]
    passphrase_file: Option<PathBuf>,
}

impl KeyArgs {
    /// The key store of this home, with the passphrase if one was given.
    fn store(&self, home: &Home, history: &History) -> Result<KeyStore, CliError> {
        let passphrase = self.passphrase_file.as_deref().map(read_passphrase).transpose()?;
        key_store(home, history, passphrase)
    }

    /// The keys of this home; asks for the passphrase of a sealed file on the terminal.
    fn load(&self, ui: &Ui, home: &Home, history: &History) -> Result<Credentials, CliError> {
        let store = self.store(home, history)?;
        let sealed = match &store {
            KeyStore::File(file) if self.passphrase_file.is_none() => {
                file.exists() && file.needs_passphrase().map_err(SyncError::from)?
            }
            _ => false,
        };
        let store = if sealed {
            let mut terminal = ui.terminal("--passphrase-file FILE").map_err(nobody_types)?;
            let typed = terminal.ask_hidden("Passphrase of the key file: ")?;
            key_store(home, history, Passphrase::new(&typed))?
        } else {
            store
        };
        if let Some(kept) = store.load().map_err(SyncError::from)? {
            return Ok(kept);
        }
        // The system's key store tells homes apart by their device: a copy finds the keys under its original's.
        if let (KeyStore::Os(_), Some(original)) = (&store, history.copied_from()?)
            && let Some(kept) = os_store(original).load().map_err(SyncError::from)?
        {
            store.store(&kept).map_err(SyncError::from)?;
            return Ok(kept);
        }
        // Whoever closed the account has taken them away.
        SyncState::load(&paths(home).state)?.map_or(Ok(()), |state| state.may_take_part())?;
        Err(CliError::new(Kind::NotSetUp, "the keys of this identity are not in the key store")
            .hinted("Set this device up again with your recovery phrase: caro sync restore"))
    }

    /// Whether the keys lie in a sealed file and no passphrase for it is at hand: what happens by itself cannot open it then.
    fn are_locked(&self, home: &Home, history: &History) -> bool {
        self.passphrase_file.is_none()
            && key_store(home, history, None)
                .is_ok_and(|store| store.protection().is_ok_and(|protection| protection == Protection::Sealed))
    }

    /// Whether exchanges that should happen by themselves do not: nobody can open the keys for them.
    fn keep_it_from_happening(&self, home: &Home, history: &History) -> bool {
        let by_itself = |settings: Settings| settings.frequency != Frequency::Manual;
        self.are_locked(home, history)
            && Settings::load(&home.prefs().sync).is_ok_and(by_itself)
            && socket::ask(&paths(home).socket, Ask::Status).is_none()
    }

    /// The key store of this home and, of the same kind and with the same passphrase, one for the keys that replace
    /// those in it.
    fn stores_for_revocation(&self, ui: &Ui, home: &Home, history: &History) -> Result<(KeyStore, KeyStore), CliError> {
        let store = self.store(home, history)?;
        let KeyStore::File(file) = &store else {
            // Opens it, also where the keys are still an original's.
            self.load(ui, home, history)?;
            let next = OsKeyStore::new(&format!("{}.next", history.device_id()?.simple()));
            return Ok((store, KeyStore::Os(next)));
        };
        let (one, two) = match self.passphrase_file.as_deref() {
            Some(path) => (Some(read_passphrase(path)?), Some(read_passphrase(path)?)),
            None if file.exists() && file.needs_passphrase().map_err(SyncError::from)? => {
                let typed = ui.terminal("--passphrase-file FILE")?.ask_hidden("Passphrase of the key file: ")?;
                (Passphrase::new(&typed), Passphrase::new(&typed))
            }
            None => (None, None),
        };
        let open = |name: &str, typed| KeyStore::File(FileKeyStore::new(home.data_dir.join(name), typed));
        Ok((open("keys", one), open("keys.next", two)))
    }
}

/// What to do so that a sealed key file opens where nobody types a passphrase.
const OPENS_BY_ITSELF: &str = "Name a file with the passphrase: --passphrase-file FILE for one command, \
     CARO_PASSPHRASE_FILE in your shell's start-up file for what happens by itself, `caro sync service install \
     --passphrase-file FILE` for the daemon.";

fn nobody_types(error: CliError) -> CliError {
    CliError::usage("the keys are sealed with a passphrase, and nobody is there to type it")
        .hinted(OPENS_BY_ITSELF)
        .caused_by(error)
}

fn os_store(device: Uuid) -> OsKeyStore {
    OsKeyStore::new(&device.simple().to_string())
}

fn read_passphrase(path: &Path) -> Result<Passphrase, CliError> {
    let text = std::fs::read_to_string(path)
        .map(zeroize::Zeroizing::new)
        .map_err(|e| CliError::usage(format!("the passphrase file {} cannot be read", path.display())).caused_by(e))?;
    Passphrase::new(text.trim_end_matches(['\n', '\r']))
        .ok_or_else(|| CliError::usage(format!("the passphrase file {} is empty", path.display())))
}

/// The key store that `CARO_KEYSTORE` names, else the best there is.
fn key_store(home: &Home, history: &History, passphrase: Option<Passphrase>) -> Result<KeyStore, CliError> {
    let kind = match std::env::var("CARO_KEYSTORE").as_deref() {
        Ok("os") => Some(KeyStoreKind::Os),
        Ok("file") => Some(KeyStoreKind::File),
        Ok("") | Err(_) => None,
        Ok(other) => {
            return Err(CliError::usage(format!("CARO_KEYSTORE is `{other}`"))
                .hinted("Set it to `os` or `file`, or leave it unset."));
        }
    };
    let os = os_store(history.device_id()?);
    Ok(KeyStore::open(kind, os, FileKeyStore::new(home.data_dir.join("keys"), passphrase)))
}

/// Whether this home takes part in an account.
pub(in crate::cli) fn is_set_up(home: &Home) -> bool {
    paths(home).state.exists()
}

pub(in crate::cli) fn paths(home: &Home) -> SyncPaths {
    SyncPaths::new(&home.config_dir, &home.data_dir, &home.state_dir)
}

/// The names of the devices that take part, as far as they are known here.
pub(super) fn device_names(home: &Home) -> Option<Vec<String>> {
    let devices = crate::sync::known_devices(&paths(home).devices).ok()?;
    Some(devices.into_iter().filter(|device| !device.removed).map(|device| device.name).collect())
}

/// The state of a home where sync is set up.
fn state(home: &Home) -> Result<SyncState, CliError> {
    Ok(SyncState::load(&paths(home).state)?.ok_or(SyncError::NotSetUp)?)
}

/// The relay that the configuration names.
fn address(config: &SyncConfig) -> Result<Option<RelayAddress>, CliError> {
    let parse = |text: &String| parse_address(text, config.relay_certificate.clone());
    config.relay.as_ref().map(parse).transpose().map_err(|error| {
        CliError::usage(format!("sync.toml names a relay that is none: {error}"))
            .hinted("Name it anew: caro sync relay set wss://relay.example")
    })
}

/// Understands an address as the user gives it.
fn parse_address(text: &str, certificate: Option<PathBuf>) -> Result<RelayAddress, CliError> {
    dialled_from_here(text, certificate).map_err(|e| {
        CliError::usage(format!("that is no relay: {e}"))
            .hinted("Give an address such as wss://relay.example or ssh://me@host, or `none` to choose one later.")
    })
}

/// A relay as this process dials it: through the proxies and with the `ssh` that the environment names.
pub(in crate::cli) fn dialled_from_here(
    text: &str,
    certificate: Option<PathBuf>,
) -> Result<RelayAddress, AddressError> {
    let address = RelayAddress::parse(text, certificate, proxies())?;
    Ok(address.by_ssh(std::env::var("CARO_SSH").ok().as_deref()))
}

/// What the environment says about proxies.
pub(in crate::cli) fn proxies() -> Proxies {
    let var = |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    Proxies {
        https: var(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
        http: var(&["http_proxy", "all_proxy", "ALL_PROXY"]),
        none_for: var(&["no_proxy", "NO_PROXY"]),
    }
}

/// What an engine of this home works with.
fn setting(
    home: &Home,
    history: History,
    relay: Option<RelayAddress>,
    patience: Duration,
) -> Result<Setting, CliError> {
    let settings = Settings::load(&home.prefs().sync)?;
    let preferences = PreferenceStore::open(home.prefs(), history.device_id()?);
    Ok(Setting { paths: paths(home), history, relay, patience, now: time::now, settings, preferences })
}

/// Does something that exchanges. Where this home turns out to be one of two copies it goes on as another device: once more for
/// a store that is built anew, and once for the new device.
fn as_whoever_this_is<T>(mut work: impl FnMut() -> Result<T, CliError>) -> Result<T, CliError> {
    let mut result = work();
    for _ in 0..2 {
        let source = result.as_ref().err().and_then(|error| error.source.as_ref());
        if !source.and_then(|source| source.downcast_ref()).is_some_and(|error| matches!(error, SyncError::Twin)) {
            break;
        }
        result = work();
    }
    result
}

/// Opens the account with its relay, for a command that works on the account itself.
fn open_account(ui: &Ui, home: &Home, keys: &KeyArgs, trigger: &str) -> Result<Engine, CliError> {
    let state = state(home)?;
    let config = SyncConfig::load(&paths(home).config)?;
    let relay = address(&config)?.ok_or(SyncError::NoRelay)?;
    let history = home.open_history()?;
    let credentials = keys.load(ui, home, &history)?;
    Ok(Engine::open(setting(home, history, Some(relay), PATIENCE)?, &state, credentials.master(), trigger)?)
}

/// Makes settings for commands that take several connections to the account's relay.
fn account_settings(home: &Home) -> Result<impl Fn() -> Result<Setting, SyncError> + use<>, CliError> {
    let config = SyncConfig::load(&paths(home).config)?;
    let relay = Some(address(&config)?.ok_or(SyncError::NoRelay)?);
    let (paths, history) = (paths(home), home.history_path());
    let settings = Settings::load(&home.prefs().sync)?;
    let store = home.prefs();
    Ok(move || {
        let history = History::open(&history)?;
        Ok(Setting {
            paths: paths.clone(),
            preferences: PreferenceStore::open(store.clone(), history.device_id()?),
            history,
            relay: relay.clone(),
            patience: PATIENCE,
            now: time::now,
            settings: settings.clone(),
        })
    })
}

/// What sync leaves on this machine.
fn local_only(home: &Home, history: &History) -> Result<LocalOnly, CliError> {
    let settings = Settings::load(&home.prefs().sync)?;
    Ok(sync::local_only(history, &settings, time::now())?)
}

/// Says in one line how many commands stay on this machine, and why.
fn say_what_stays(ui: &Ui, local: LocalOnly) {
    if local.total() == 0 {
        return;
    }
    let reasons = [
        (local.too_old, "older than sync.retention_days"),
        (local.beyond_limit, "beyond sync.max_records"),
        (local.too_large, "too large"),
        (local.filtered, "by a rule or for a secret in them (`caro sync filter test` tells)"),
    ];
    let said: Vec<String> =
        reasons.iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
    let stay = if local.total() == 1 { "stays" } else { "stay" };
    ui.status(format_args!("{} {stay} on this machine only: {}.", commands(local.total()), said.join(", ")));
}

/// So many commands, in words.
fn commands(count: u64) -> String {
    ui::counted(count, "command")
}

/// So many parts of the history, as the beginning of a sentence about them.
fn parts_are(count: u64) -> String {
    if count == 1 { "1 part of the history is".to_owned() } else { format!("{count} parts of the history are") }
}

/// Shows the progress of an exchange on a terminal.
fn show_progress(ui: &Ui) -> impl FnMut(Progress) {
    // One bar for one step after the other: of several, some would stay on the screen.
    let mut bar = ui.progress(0, "Receiving");
    move |progress| match progress {
        Progress::Receiving { month, records, done, total } => {
            bar.say(format!("Receiving {}: {}", time::month(month), commands(records)));
            bar.set_of(done, total);
        }
        Progress::Comparing { done, total } => {
            bar.say("Comparing".into());
            bar.set_of(done, total);
        }
        Progress::Sending { done, total } => {
            bar.say("Sending".into());
            bar.set_of(done, total);
        }
        Progress::Confirming => {}
    }
}
