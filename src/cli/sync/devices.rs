//! `caro sync devices …`: who takes part in this account.

use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use super::{KeyArgs, open_account, paths, state};
use crate::cli::{CliError, Home, Ui, completions, time, ui::visible};
use crate::history::UnixNanos;
use crate::sync::{self, Device};

/// What the state file calls an exchange for this.
const TRIGGER: &str = "devices";
/// The longest name, in characters.
const LONGEST_NAME: usize = 64;

/// The devices that share your history
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    List(ListArgs),
    Rename(RenameArgs),
    Remove(RemoveArgs),
}

/// List your devices, as they were known at the last exchange
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync devices list
  caro sync devices list --json | jq -r '.devices[].name'
")]
pub(in crate::cli) struct ListArgs {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Give a device another name
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync devices rename laptop 'work laptop'
  caro sync devices rename 019a2b3c desktop       where two have one name: by how its id begins
")]
pub(in crate::cli) struct RenameArgs {
    /// The device: its name, or the beginning of its id
    #[arg(add = completions::devices())]
    device: String,

    /// The new name
    #[arg(value_parser = name)]
    name: String,

    #[command(flatten)]
    keys: KeyArgs,
}

/// Take a device out: it stops syncing at its next contact
///
/// What it wrote stays in everybody's history, and nothing on it is lost. It still holds your phrase and could
/// read on with other software; only `caro sync revoke` ends that.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync devices remove 'old laptop'
  caro sync devices remove 019a2b3c --yes
")]
pub(in crate::cli) struct RemoveArgs {
    /// The device: its name, or the beginning of its id
    #[arg(add = completions::devices())]
    device: String,

    /// Remove it without being asked
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    keys: KeyArgs,
}

#[derive(Serialize)]
struct DevicesJson {
    schema_version: u32,
    devices: Vec<DeviceJson>,
}

#[derive(Serialize)]
struct DeviceJson {
    device_id: String,
    name: String,
    this_device: bool,
    removed: bool,
    platform: String,
    app_version: String,
    schema: u32,
    joined_at: String,
    last_sync: Option<String>,
    commands: Option<u64>,
}

impl Command {
    pub(super) fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        match self {
            Self::List(args) => list(ui, home, &args),
            Self::Rename(args) => rename(ui, home, &args),
            Self::Remove(args) => remove(ui, home, &args),
        }
    }
}

fn list(ui: &mut Ui, home: &Home, args: &ListArgs) -> Result<(), CliError> {
    let state = state(home)?;
    let this = state.device;
    let mut devices = sync::known_devices(&paths(home).devices)?;
    // What a device says to the others of itself, it says seldom.
    let last = state.last_exchange.filter(|last| last.error.is_none()).and_then(|last| time::parse_rfc3339(&last.at));
    if let Some(own) = devices.iter_mut().find(|device| device.id == this) {
        own.last_sync = own.last_sync.max(last.map(|at| at.0));
    }
    if args.json {
        let devices = devices.into_iter().map(|device| in_json(device, this)).collect();
        return ui.json(&DevicesJson { schema_version: 1, devices });
    }
    let wide = devices.iter().map(|device| visible(&device.name).chars().count()).max().unwrap_or(0);
    let zone = time::local_zone();
    for device in &devices {
        let last = device.last_sync.map_or_else(|| "never said".into(), |at| time::local(UnixNanos(at), &zone));
        let mark = match (device.id == this, device.removed) {
            (_, true) => "  (removed)",
            (true, false) => "  (this device)",
            (false, false) => "",
        };
        ui.line(format_args!(
            "{}  {:wide$}  {:8}  caro {:8}  last sync {last}{mark}",
            &device.id.simple().to_string()[..8],
            visible(&device.name),
            visible(&device.platform),
            visible(&device.app_version),
        ))?;
    }
    if devices.is_empty() {
        ui.hint("`caro sync now` brings the list here.");
    }
    Ok(())
}

fn in_json(device: Device, this: Uuid) -> DeviceJson {
    let at = |nanos| time::rfc3339(UnixNanos(nanos));
    DeviceJson {
        device_id: device.id.to_string(),
        this_device: device.id == this,
        name: device.name,
        removed: device.removed,
        platform: device.platform,
        app_version: device.app_version,
        schema: device.schema,
        joined_at: at(device.joined_at),
        last_sync: device.last_sync.map(at),
        commands: device.records,
    }
}

/// Understands what a device is to be called: on one line, and short enough for a list.
pub(super) fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() {
        return Err("a device needs a name".into());
    }
    if visible(name) != name || name.contains(['\n', '\t']) {
        return Err("a name has no line ends and no control characters".into());
    }
    match name.chars().count() {
        ..=LONGEST_NAME => Ok(name.to_owned()),
        long => Err(format!("it has {long} characters, and a name at most {LONGEST_NAME}")),
    }
}

fn rename(ui: &Ui, home: &Home, args: &RenameArgs) -> Result<(), CliError> {
    let name = &args.name;
    let mut engine = open_account(ui, home, &args.keys, TRIGGER)?;
    let device = find(engine.devices()?, &args.device)?;
    engine.rename_device(device.id, name)?;
    engine.close()?;
    ui.status(format_args!("{} is now called {}.", visible(&device.name), visible(name)));
    Ok(())
}

fn remove(ui: &Ui, home: &Home, args: &RemoveArgs) -> Result<(), CliError> {
    // Where nobody can answer, that is said before anything is done.
    let mut terminal = if args.yes { None } else { Some(ui.terminal("--yes")?) };
    let mut engine = open_account(ui, home, &args.keys, TRIGGER)?;
    let device = find(engine.devices()?, &args.device)?;
    if device.id == state(home)?.device {
        return Err(CliError::usage("that is the device you are at")
            .hinted("Remove it from another device, or see `caro sync disable`."));
    }
    ui.status(format_args!(
        "{} will stop syncing when it next reaches the relay. What it wrote stays in your history, and nothing on it\n\
         is lost. It still holds your recovery phrase, so whoever has that machine could go on reading\n\
         your history; if that is not you, run `caro sync revoke` instead.",
        visible(&device.name)
    ));
    if let Some(terminal) = &mut terminal
        && !terminal.confirm("Remove it?")?
    {
        return Err(CliError::declined("no device was removed"));
    }
    engine.remove_device(device.id)?;
    engine.close()?;
    ui.status(format_args!("{} was removed.", visible(&device.name)));
    Ok(())
}

/// The one device of this name, or whose id begins so.
fn find(devices: Vec<Device>, wanted: &str) -> Result<Device, CliError> {
    let digits = wanted.replace('-', "").to_lowercase();
    let is_id = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (named, others): (Vec<_>, Vec<_>) = devices.into_iter().partition(|device| device.name == wanted);
    let by_id = others.into_iter().filter(|device| is_id && device.id.simple().to_string().starts_with(&digits));
    let mut found = if named.is_empty() { by_id.collect() } else { named };
    match (found.pop(), found.pop()) {
        (Some(device), None) => Ok(device),
        (None, _) => Err(CliError::usage(format!("none of your devices is called {wanted}"))
            .hinted("`caro sync devices list` shows them.")),
        (Some(_), Some(_)) => Err(CliError::usage(format!("more than one of your devices is called {wanted}"))
            .hinted("Name it by the beginning of its id: caro sync devices list")),
    }
}
