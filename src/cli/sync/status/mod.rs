//! `caro sync status`: whether all is well, without starting the sync engine.

mod view;

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{KeyArgs, address, paths, standing};
use crate::cli::{CliError, Home, Ui, config as preferences, time};
use crate::identity::Protection;
use crate::net::{Connection, Network, RelayAddress};
use crate::prefs::Settings;
use crate::sync::daemon::rfc3339;
use crate::sync::daemon::socket::{self, Ask, Doing, Status as DaemonStatus};
use crate::sync::{LastExchange, Reason, SyncConfig, SyncError, SyncState, known_devices, oneshot, withheld_devices};

/// How long to try the relay.
const PROBE: Duration = Duration::from_secs(3);

/// Whether sync is on, what waits, and how the last exchange went.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync status
  caro sync status --watch
  caro sync status --offline --json | jq .pending
")]
pub(in crate::cli) struct StatusArgs {
    /// Do not try whether the relay can be reached
    #[arg(long)]
    offline: bool,

    /// Go on and show every change, until interrupted
    #[arg(long)]
    watch: bool,

    /// Print as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keys: KeyArgs,
}

/// The status as JSON, version 1.
#[derive(Clone, PartialEq, Serialize)]
struct StatusJson {
    schema_version: u32,
    set_up: bool,
    /// `not_set_up`, `on`, `paused`, `disabled`, `removed` or `closed`.
    state: &'static str,
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
    /// Parts of the history that are known of and have not come down yet.
    pending_down: u64,
    commands: u64,
    devices: Vec<DeviceJson>,
    keys: Option<&'static str>,
    last_exchange: Option<LastJson>,
    next_exchange: Option<NextJson>,
    /// None where no daemon answers.
    daemon: Option<DaemonStatus>,
    /// Why the account was closed, for words.
    #[serde(skip)]
    closed: Option<Reason>,
    /// Whether nothing can open the keys without somebody who types.
    #[serde(skip)]
    locked: bool,
}

/// When the next exchange happens by itself, and what starts it.
#[derive(Clone, PartialEq, Serialize)]
struct NextJson {
    /// None: when the trigger happens.
    at: Option<String>,
    trigger: String,
}

#[derive(Clone, PartialEq, Serialize)]
struct DeviceJson {
    device_id: String,
    /// None for devices that were never told of.
    name: Option<String>,
    commands: u64,
    this_device: bool,
    /// Whether the relay held back something of it at the last exchange.
    withheld: bool,
}

#[derive(Clone, PartialEq, Serialize)]
struct LastJson {
    at: String,
    trigger: String,
    sent: u64,
    received: u64,
    error: Option<String>,
    /// What to do about the error.
    remedy: Option<String>,
}

impl From<LastExchange> for LastJson {
    fn from(last: LastExchange) -> Self {
        let LastExchange { at, trigger, sent, received, error, remedy, missing: _ } = last;
        Self { at, trigger, sent, received, error, remedy }
    }
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: &StatusArgs) -> Result<(), CliError> {
    standing::tell(ui, home)?;
    preferences::announce(ui, home, &preferences::store(home)?, false)?;
    if args.watch {
        return view::watch(ui, home, args);
    }
    let status = gather(home, args, None)?;
    if args.json { ui.json(&status) } else { view::print(ui, &status) }
}

/// Everything there is to say. `known` is what an earlier look at the relay gave, so that watching does not dial it
/// all the time.
fn gather(home: &Home, args: &StatusArgs, known: Option<&Probe>) -> Result<StatusJson, CliError> {
    let paths = paths(home);
    let state = SyncState::load(&paths.state)?;
    let config = SyncConfig::load(&paths.config)?;
    let history = home.open_history()?;
    let device = history.device_id()?;
    let set_up = state.is_some();
    let relay = address(&config)?.filter(|_| set_up);
    let daemon = socket::ask(&paths.socket, Ask::Status).and_then(|daemon| daemon.answer.status);
    let connected = daemon.as_ref().is_some_and(|daemon| daemon.doing == Doing::Listening);
    let may_dial = !args.offline && state.as_ref().is_some_and(SyncState::is_enabled);
    let tried = match (&relay, known) {
        (Some(_), _) if connected => Some(Ok(())),
        (Some(_), Some(known)) if may_dial => Some(known.clone()),
        (Some(relay), None) if may_dial => Some(probe(relay)?),
        _ => None,
    };
    let keys = match set_up {
        true => Some(args.keys.store(home, &history)?.protection().map_err(SyncError::from)?),
        false => None,
    };
    // What is known of the others may be damaged; their ids are there all the same.
    let names = known_devices(&paths.devices).unwrap_or_default();
    let name = |id| {
        let known = names.iter().find(|known| known.id == id).map(|known| known.name.clone());
        // What is edited by hand may lack it.
        let own = (set_up && id == device).then(|| config.device_name.clone());
        [known, own].into_iter().flatten().find(|name| !name.is_empty())
    };
    let withheld = withheld_devices(&history)?;
    let mut counted = history.count_per_device()?;
    for id in &withheld {
        if !counted.iter().any(|(known, _)| known == id) {
            counted.push((*id, 0));
        }
    }
    let devices = counted.into_iter().map(|(id, commands)| DeviceJson {
        device_id: id.to_string(),
        name: name(id),
        commands,
        this_device: id == device,
        withheld: withheld.contains(&id),
    });
    let locked = daemon.is_none() && set_up && args.keys.keep_it_from_happening(home, &history);
    let next_exchange = match (&state, &daemon) {
        (_, Some(daemon)) => daemon
            .next_trigger
            .as_ref()
            .map(|trigger| NextJson { at: daemon.next_at.clone(), trigger: trigger.clone() }),
        (Some(state), None) => next_without_daemon(home, state)?.filter(|_| relay.is_some() && !locked),
        (None, None) => None,
    };
    Ok(StatusJson {
        schema_version: 1,
        set_up,
        state: state.as_ref().map_or("not_set_up", state_in_word),
        account: state.as_ref().map(|state| state.account.clone()),
        device_id: device.to_string(),
        device_name: name(device).filter(|_| set_up),
        relay: relay.as_ref().map(RelayAddress::shown),
        relay_reachable: tried.as_ref().map(Result::is_ok),
        relay_problem: tried.and_then(Result::err),
        pending: if set_up { history.pending_count()? + history.unconfirmed_count()? } else { 0 },
        held: if set_up { history.held_count()? } else { 0 },
        pending_down: state.as_ref().and_then(|state| state.last_exchange.as_ref()).map_or(0, |last| last.missing),
        commands: history.count()?,
        devices: devices.collect(),
        keys: keys.map(in_word),
        closed: state.as_ref().and_then(|state| state.closed.as_ref()).map(|closed| closed.reason),
        last_exchange: state.and_then(|state| state.last_exchange).map(Into::into),
        next_exchange,
        daemon,
        locked,
    })
}

fn state_in_word(state: &SyncState) -> &'static str {
    if state.removed {
        "removed"
    } else if state.is_over() {
        "closed"
    } else if !state.is_enabled() {
        "disabled"
    } else if state.paused {
        "paused"
    } else {
        "on"
    }
}

/// What comes next where no daemon runs: an exchange after a command, if one is due then.
fn next_without_daemon(home: &Home, state: &SyncState) -> Result<Option<NextJson>, CliError> {
    if state_in_word(state) != "on" {
        return Ok(None);
    }
    let frequency = Settings::load(&home.prefs().sync)?.frequency;
    let next = oneshot::next_by_itself(state, frequency, time::now());
    Ok(next.map(|(at, trigger)| NextJson { at: at.map(rfc3339), trigger: trigger.into() }))
}

fn in_word(protection: Protection) -> &'static str {
    match protection {
        Protection::Os => "os",
        Protection::Sealed => "sealed_file",
        Protection::Plain => "plain_file",
    }
}

/// Whether the relay can be reached, or why not.
type Probe = Result<(), String>;

/// Tries whether the relay takes a connection.
fn probe(relay: &RelayAddress) -> Result<Probe, CliError> {
    let network = Network::start().map_err(SyncError::from)?;
    let (_dialer, dialled) = Connection::begin(relay.clone(), network.handle(), Default::default()).split();
    let tried = network.block_on(async { tokio::time::timeout(PROBE, dialled).await });
    Ok(match tried {
        Ok(dialled) => dialled.map_err(|failure| failure.to_string()),
        Err(_) => Err("it did not answer in time".to_owned()),
    })
}
