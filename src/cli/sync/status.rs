//! `caro sync status`: whether all is well, without starting the sync engine.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{KeyArgs, address, paths, standing};
use crate::cli::{CliError, Home, Ui, config as preferences};
use crate::identity::Protection;
use crate::net::{Connection, Network, RelayAddress};
use crate::sync::{LastExchange, SyncConfig, SyncError, SyncState};

/// How long to try the relay.
const PROBE: Duration = Duration::from_secs(3);

/// Whether sync is on, what waits, and how the last exchange went.
#[derive(Debug, Args)]
pub(in crate::cli) struct StatusArgs {
    /// Do not try whether the relay can be reached
    #[arg(long)]
    offline: bool,

    /// Print as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keys: KeyArgs,
}

/// The status as JSON, version 1.
#[derive(Serialize)]
struct StatusJson {
    schema_version: u32,
    set_up: bool,
    account: Option<String>,
    device_id: String,
    device_name: Option<String>,
    relay: Option<String>,
    /// None where it was not tried.
    relay_reachable: Option<bool>,
    relay_problem: Option<String>,
    pending: u64,
    /// Commands that a rule or a secret in them keeps here.
    held: u64,
    commands: u64,
    devices: Vec<DeviceJson>,
    keys: Option<&'static str>,
    last_exchange: Option<LastJson>,
}

#[derive(Serialize)]
struct DeviceJson {
    device_id: String,
    commands: u64,
    this_device: bool,
}

#[derive(Serialize)]
struct LastJson {
    at: String,
    trigger: String,
    sent: u64,
    received: u64,
    error: Option<String>,
}

impl From<LastExchange> for LastJson {
    fn from(last: LastExchange) -> Self {
        let LastExchange { at, trigger, sent, received, error, missing: _ } = last;
        Self { at, trigger, sent, received, error }
    }
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: &StatusArgs) -> Result<(), CliError> {
    standing::tell(ui, home)?;
    let state = SyncState::load(&paths(home).state)?;
    let config = SyncConfig::load(&paths(home).config)?;
    let history = home.open_history()?;
    let device = history.device_id()?;
    let set_up = state.is_some();
    let relay = address(&config)?.filter(|_| set_up);
    let tried = match &relay {
        Some(relay) if !args.offline => Some(probe(relay)?),
        _ => None,
    };
    let keys = match set_up {
        true => Some(args.keys.store(home, &history)?.protection().map_err(SyncError::from)?),
        false => None,
    };
    let devices = history.count_per_device()?.into_iter().map(|(id, commands)| DeviceJson {
        device_id: id.to_string(),
        commands,
        this_device: id == device,
    });
    let status = StatusJson {
        schema_version: 1,
        set_up,
        account: state.as_ref().map(|state| state.account.clone()),
        device_id: device.to_string(),
        device_name: set_up.then(|| config.device_name.clone()),
        relay: relay.as_ref().map(RelayAddress::shown),
        relay_reachable: tried.as_ref().map(Result::is_ok),
        relay_problem: tried.and_then(Result::err),
        pending: if set_up { history.pending_count()? } else { 0 },
        held: if set_up { history.held_count()? } else { 0 },
        commands: history.count()?,
        devices: devices.collect(),
        keys: keys.map(in_word),
        last_exchange: state.and_then(|state| state.last_exchange).map(Into::into),
    };
    if set_up && let Err(error) = preferences::store(home).and_then(|store| preferences::announce(ui, &store)) {
        ui.warn(error);
    }
    if args.json {
        return ui.json(&status);
    }
    print(ui, &status)
}

fn in_word(protection: Protection) -> &'static str {
    match protection {
        Protection::Os => "os",
        Protection::Sealed => "sealed_file",
        Protection::Plain => "plain_file",
    }
}

fn print(ui: &mut Ui, status: &StatusJson) -> Result<(), CliError> {
    if !status.set_up {
        ui.line("Sync is not set up; nothing leaves this machine.")?;
        ui.line(format_args!("Commands   {}", status.commands))?;
        ui.hint("Begin with `caro sync init`, or bring your history here with `caro sync restore`.");
        return Ok(());
    }
    ui.line(format_args!("Device     {}", status.device_name.as_deref().unwrap_or_default()))?;
    let reached = match (status.relay_reachable, &status.relay_problem) {
        (Some(true), _) => ", reachable".into(),
        (Some(false), Some(problem)) => format!(", not reachable: {problem}"),
        _ => String::new(),
    };
    ui.line(format_args!("Relay      {}{reached}", status.relay.as_deref().unwrap_or("none")))?;
    ui.line(format_args!("Pending    {} to send", status.pending))?;
    if status.held > 0 {
        ui.line(format_args!("Held       {} stay here (caro sync filter test says why)", status.held))?;
    }
    ui.line(format_args!("Commands   {} from {} devices", status.commands, status.devices.len()))?;
    for device in &status.devices {
        let mark = if device.this_device { " (this device)" } else { "" };
        ui.line(format_args!("           {}  {}{mark}", device.device_id, device.commands))?;
    }
    match &status.last_exchange {
        Some(last) => {
            let LastJson { at, trigger, sent, received, .. } = last;
            ui.line(format_args!("Last       {at} ({trigger}): sent {sent}, received {received}"))?;
            if let Some(error) = &last.error {
                ui.warn(format_args!("the last exchange failed: {error}"));
            }
        }
        None => ui.line("Last       never")?,
    }
    if status.keys == Some("plain_file") {
        ui.warn("the keys are in a file that is protected by its permissions alone");
    }
    ui.hint("`caro sync now` exchanges with the relay; nothing happens by itself.");
    Ok(())
}

/// Tries whether the relay takes a connection.
fn probe(relay: &RelayAddress) -> Result<Result<(), String>, CliError> {
    let network = Network::start().map_err(SyncError::from)?;
    let (_dialer, dialled) = Connection::begin(relay.clone(), network.handle(), Default::default()).split();
    let slow = || Err("it did not answer in time".to_owned());
    Ok(network.block_on(async { tokio::time::timeout(PROBE, dialled).await.unwrap_or_else(|_| slow()) }))
}
