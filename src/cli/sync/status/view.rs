//! The status for people: once, or again with every change.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use super::super::OPENS_BY_ITSELF;
use super::super::daemon::doing_in_words;
use super::{LastJson, NextJson, Probe, StatusArgs, StatusJson, gather};
use crate::cli::{CliError, Home, Ui, time, ui};
use crate::sync::Reason;

/// How often to look for changes.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How often to try the relay where no daemon is connected.
const PROBE_EVERY: Duration = Duration::from_secs(30);
/// Clears the terminal.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// Prints the status once.
pub(super) fn print(ui: &mut Ui, status: &StatusJson) -> Result<(), CliError> {
    let text = in_words(status);
    ui.line(text.trim_end())?;
    ui.flush()?;
    advise(ui, status);
    Ok(())
}

/// Shows every change: in place on a terminal, one after the other in a pipe.
pub(super) fn watch(ui: &mut Ui, home: &Home, args: &StatusArgs) -> Result<(), CliError> {
    let mut probed: Option<(Instant, Probe)> = None;
    let mut shown: Option<StatusJson> = None;
    loop {
        let fresh = probed.as_ref().filter(|(at, _)| at.elapsed() < PROBE_EVERY).map(|(_, probe)| probe);
        let status = gather(home, args, fresh)?;
        if fresh.is_none()
            && let Some(reachable) = status.relay_reachable
        {
            let why = status.relay_problem.clone().unwrap_or_default();
            probed = Some((Instant::now(), if reachable { Ok(()) } else { Err(why) }));
        }
        if shown.as_ref() != Some(&status) {
            if args.json {
                ui.json(&status)?;
            } else {
                if ui.out_is_terminal() {
                    ui.out().write_all(CLEAR.as_bytes())?;
                } else if shown.is_some() {
                    ui.line("")?;
                }
                ui.line(in_words(&status).trim_end())?;
            }
            ui.flush()?;
            shown = Some(status);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn in_words(status: &StatusJson) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let mut line = |label: &str, what: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{label:<10} {what}");
    };
    if !status.set_up {
        line("Sync", &"not set up; nothing is synced.");
        line("Commands", &status.commands);
        return text;
    }
    line("Sync", &state_in_words(status.state));
    line("Device", &ui::visible(status.device_name.as_deref().unwrap_or(&status.device_id)));
    let reached = match (status.relay_reachable, &status.relay_problem) {
        (Some(true), _) => ", reachable".into(),
        (Some(false), Some(problem)) => format!(", not reachable: {problem}"),
        _ => String::new(),
    };
    line("Relay", &format_args!("{}{reached}", status.relay.as_deref().unwrap_or("none")));
    match &status.daemon {
        Some(daemon) => {
            line("Daemon", &format_args!("{} since {}", doing_in_words(daemon.doing), time::local_text(&daemon.since)));
        }
        None => line("Daemon", &"not running"),
    }
    line("Pending", &format_args!("{} to send, {} parts to receive", status.pending, status.pending_down));
    if status.held > 0 {
        line("Held", &format_args!("{} stay here (`caro sync filter test` says why)", status.held));
    }
    let devices = status.devices.len();
    let plural = if devices == 1 { "" } else { "s" };
    line("Commands", &format_args!("{} from {devices} device{plural}", status.commands));
    for device in &status.devices {
        let mark = match (device.this_device, device.withheld) {
            (true, _) => " (this device)",
            (_, true) => " (the relay holds back some of it)",
            _ => "",
        };
        let name = device.name.as_deref().unwrap_or(&device.device_id);
        line("", &format_args!("{:>8}  {}{mark}", device.commands, ui::visible(name)));
    }
    match &status.last_exchange {
        Some(LastJson { at, trigger, sent, received, error: None, .. }) => {
            line("Last", &format_args!("{} ({trigger}): sent {sent}, received {received}", time::local_text(at)));
        }
        Some(LastJson { at, trigger, error: Some(error), .. }) => {
            line("Last", &format_args!("{} ({trigger}): failed: {error}", time::local_text(at)));
        }
        None => line("Last", &"never"),
    }
    match &status.next_exchange {
        Some(NextJson { at: Some(at), trigger }) => line("Next", &format_args!("{} ({trigger})", time::local_text(at))),
        Some(NextJson { at: None, trigger }) if trigger == "capture" => line("Next", &"after the next command"),
        Some(NextJson { at: None, trigger }) => line("Next", trigger),
        None if ["removed", "closed"].contains(&status.state) => {}
        None if status.state == "disabled" => line("Next", &"not before `caro sync enable`"),
        None => line("Next", &"when you run `caro sync now`"),
    }
    text
}

fn state_in_words(state: &str) -> &str {
    match state {
        "disabled" => "disabled: nothing is synced",
        "removed" => "this device was removed",
        "closed" => "the account was closed",
        state => state,
    }
}

/// Says on standard error what to do.
fn advise(ui: &Ui, status: &StatusJson) {
    if status.keys == Some("plain_file") && status.state != "closed" {
        ui.warn("the keys are in a file that is protected by its permissions alone");
    }
    if status.locked {
        ui.warn("the keys are sealed with a passphrase that is not at hand, so nothing is exchanged by itself");
        ui.hint(OPENS_BY_ITSELF);
    } else if let Some(LastJson { error: Some(error), remedy, .. }) = &status.last_exchange {
        ui.warn(format_args!("the last exchange failed: {error}"));
        if let Some(remedy) = remedy {
            ui.hint(remedy);
        }
    }
    match status.state {
        "not_set_up" => {
            ui.hint("Begin with `caro sync init`, or bring your history here with `caro sync restore`.");
        }
        "paused" => ui.hint("`caro sync resume` goes on; `caro sync now` exchanges once."),
        "disabled" => ui.hint("`caro sync enable` shows what would leave this machine, and asks."),
        "removed" => ui.hint("`caro sync restore` joins again with your phrase."),
        "closed" => ui.hint(match status.closed {
            Some(Reason::Revoked) => "`caro sync restore` joins with your new phrase.",
            Some(Reason::Newer) => "Upgrade caro on this device.",
            // The phrase opens nothing any more.
            Some(Reason::Deleted) | None => "`caro sync init` begins anew, with a new phrase.",
        }),
        _ if status.relay.is_none() => ui.hint("Name a relay with `caro sync relay set`."),
        _ if status.daemon.is_none() => {
            ui.hint("`caro sync service install` keeps this device in step all the time.");
        }
        _ => {}
    }
}
