//! `caro sync verify`: whether history, sync store and relay hold the same.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use uuid::Uuid;

use super::{KeyArgs, PATIENCE, address, parts_are, paths, setting, show_progress, state};
use crate::cli::{CliError, Home, Kind, Ui};
use crate::sync::{Engine, SyncConfig, SyncError, Tally, Verification, known_devices};

/// Compare, by content, what your history, the sync store and the relay hold.
///
/// Ends with 0 if all agree, with 6 if something is damaged, with 1 if something is missing.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync verify
  caro sync verify --repair
")]
pub(in crate::cli) struct VerifyArgs {
    /// Bring together what is apart: fetch what is missing here, send what is missing there, write anew what is damaged
    #[arg(long)]
    repair: bool,

    /// Give up when the relay stays silent for so long
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: Option<u64>,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keys: KeyArgs,
}

/// What the state file calls it.
const TRIGGER: &str = "verify";

/// The result as JSON, version 1.
#[derive(Serialize)]
struct VerifiedJson {
    schema_version: u32,
    agree: bool,
    repair: bool,
    devices: Vec<DeviceJson>,
    parts: u64,
    parts_missing: u64,
    parts_damaged: u64,
    parts_unreadable: u64,
    forks: u64,
}

#[derive(Serialize)]
struct DeviceJson {
    device_id: String,
    device_name: Option<String>,
    history: u64,
    synced: u64,
    pending: u64,
    missing_here: u64,
    missing_there: u64,
    withheld: bool,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: &VerifyArgs) -> Result<(), CliError> {
    let state = state(home)?;
    let relay = address(&SyncConfig::load(&paths(home).config)?)?.ok_or(SyncError::NoRelay)?;
    let history = home.open_history()?;
    let credentials = args.keys.load(ui, home, &history)?;
    let patience = args.timeout.map_or(PATIENCE, Duration::from_secs);
    let mut engine =
        Engine::open(setting(home, history, Some(relay), patience)?, &state, credentials.master(), TRIGGER)?;
    let found = {
        let mut progress = show_progress(ui);
        if args.repair { engine.repair(&mut progress)? } else { engine.verify(&mut progress)? }
    };
    engine.close()?;
    let names: BTreeMap<Uuid, String> =
        known_devices(&paths(home).devices)?.into_iter().map(|device| (device.id, device.name)).collect();
    let json = in_json(&found, &names, args.repair);
    if args.json {
        ui.json(&json)?;
    } else {
        print(ui, &json)?;
    }
    verdict(&found, args.repair)
}

fn in_json(found: &Verification, names: &BTreeMap<Uuid, String>, repair: bool) -> VerifiedJson {
    let mut tallies = found.devices.clone();
    for device in &found.withheld {
        tallies.entry(*device).or_default();
    }
    let devices = tallies.into_iter().map(|(id, tally)| DeviceJson {
        device_id: id.to_string(),
        device_name: names.get(&id).cloned(),
        history: tally.history,
        synced: tally.synced,
        pending: tally.pending,
        missing_here: tally.missing_here,
        missing_there: tally.missing_there,
        withheld: found.withheld.contains(&id),
    });
    VerifiedJson {
        schema_version: 1,
        agree: found.agrees(),
        repair,
        devices: devices.collect(),
        parts: found.segments,
        parts_missing: found.absent,
        parts_damaged: found.damaged,
        parts_unreadable: found.unreadable,
        forks: found.forks,
    }
}

fn print(ui: &mut Ui, found: &VerifiedJson) -> Result<(), CliError> {
    for device in &found.devices {
        let DeviceJson { history, synced, pending, missing_here, missing_there, .. } = device;
        let name = device.device_name.as_deref().unwrap_or(&device.device_id);
        ui.line(format_args!(
            "{name}: {history} here, {synced} on the relay, {pending} pending, {missing_here} missing here, \
             {missing_there} missing there"
        ))?;
        if device.withheld {
            ui.warn(format_args!("the relay holds back commands that {name} says it has sent"));
        }
    }
    if found.parts_missing > 0 {
        ui.warn(format_args!("{} not on the relay", parts_are(found.parts_missing)));
    }
    if found.parts_unreadable > 0 {
        ui.warn(format_args!("{} parts need a newer caro, or a key that has not arrived yet", found.parts_unreadable));
    }
    if found.forks > 0 {
        ui.warn(format_args!("{} damaged parts are this device's own: was it copied, or set back?", found.forks));
    }
    if found.agree {
        ui.line("History, sync store and relay agree.")?;
    }
    Ok(())
}

fn verdict(found: &Verification, repaired: bool) -> Result<(), CliError> {
    if found.damaged > 0 {
        let error = CliError::new(Kind::Damaged, format!("{} damaged", parts_are(found.damaged)));
        return Err(if repaired {
            error.hinted(
                "The device that wrote them can write them anew: run `caro sync now` there, then here. If it is gone, run \
                 `caro sync verify --repair` on one that has the commands.",
            )
        } else {
            error.hinted("`caro sync verify --repair` writes anew what this device can; your local history is safe.")
        });
    }
    if !found.agrees() {
        let error = CliError::failed("history, sync store and relay do not agree");
        // What is here in another form than on the relay was changed; what is not here at all may only not have come.
        let lacks = |tally: &Tally| tally.missing_here <= tally.synced.saturating_sub(tally.history);
        let only_received_later = found.absent == 0
            && found.withheld.is_empty()
            && found.devices.values().all(|tally| tally.missing_there == 0 && lacks(tally));
        return Err(if only_received_later && !repaired {
            CliError::failed("not everything that is on the relay has been received here").hinted(
                "`caro sync now` receives it. What is still missing here after that was lost here: `caro sync verify \
                 --repair` fetches it.",
            )
        } else if repaired {
            error.hinted(
                "The relay may not have what is missing: run `caro sync verify --repair` on your other devices.",
            )
        } else {
            error.hinted("`caro sync verify --repair` brings them together.")
        });
    }
    Ok(())
}
