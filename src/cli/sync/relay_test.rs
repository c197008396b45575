//! `caro sync relay test`: whether a relay works, step by step.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::setup::parse_relay;
use super::{address, paths, state};
use crate::cli::{CliError, Home, Kind, Ui, time};
use crate::net::{Examination, Failure, Network, RelayAddress, examine as examine_relay};
use crate::sync::{SyncConfig, SyncError, SyncState};

/// Try the relay in use, or another one, step by step
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync relay test
  caro sync relay test wss://relay.example
")]
pub(in crate::cli) struct TestArgs {
    /// Another relay than the one in use
    #[arg(value_name = "URL")]
    url: Option<String>,

    /// PEM file with the root certificate of a relay of your own
    #[arg(long, value_name = "FILE", requires = "url")]
    relay_certificate: Option<std::path::PathBuf>,

    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// The examination as JSON, version 1.
#[derive(Serialize)]
struct TestJson {
    schema_version: u32,
    relay: String,
    ok: bool,
    steps: Vec<StepJson>,
    clock_ahead_ms: Option<i64>,
}

#[derive(Serialize)]
struct StepJson {
    /// `name`, `host`, `relay` or `greeting`.
    step: &'static str,
    ok: bool,
    duration_ns: Option<u64>,
    problem: Option<String>,
    remedy: Option<&'static str>,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: &TestArgs) -> Result<(), CliError> {
    // Disabled means that no command dials anybody.
    if SyncState::load(&paths(home).state)?.is_some_and(|state| !state.is_enabled()) {
        return Err(SyncError::Disabled.into());
    }
    let relay = match &args.url {
        Some(url) => parse_relay(url, args.relay_certificate.as_deref())?,
        None => {
            state(home)?;
            address(&SyncConfig::load(&paths(home).config)?)?
        }
    };
    let relay = relay.ok_or(SyncError::NoRelay)?;
    let found = examine(ui, &relay)?;
    print(ui, args, &relay, &found)?;
    ui.flush()?;
    match found.steps.iter().find_map(|step| Some((step.name, step.result.as_ref().err()?))) {
        None => Ok(()),
        Some((name, reason)) => {
            Err(CliError::new(Kind::Unreachable, format!("{} cannot be used: {reason}", relay.shown()))
                .hinted(remedy(name, reason)))
        }
    }
}

/// Tries a relay; takes some seconds where it is silent.
pub(super) fn examine(_ui: &Ui, relay: &RelayAddress) -> Result<Examination, CliError> {
    let network = Network::start().map_err(SyncError::from)?;
    Ok(network.block_on(examine_relay(relay, || time::now().0 / 1_000_000)))
}

fn print(ui: &mut Ui, args: &TestArgs, relay: &RelayAddress, found: &Examination) -> Result<(), CliError> {
    if args.json {
        let steps = found.steps.iter().map(|step| StepJson {
            step: step.name,
            ok: step.result.is_ok(),
            duration_ns: step.result.as_ref().ok().map(|took| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)),
            problem: step.result.as_ref().err().map(ToString::to_string),
            remedy: step.result.as_ref().err().map(|failure| remedy(step.name, failure)),
        });
        return ui.json(&TestJson {
            schema_version: 1,
            relay: relay.shown(),
            ok: found.is_well(),
            steps: steps.collect(),
            clock_ahead_ms: found.clock_ahead_ms,
        });
    }
    for step in &found.steps {
        match &step.result {
            Ok(took) => ui.line(format_args!("ok       {}", well(step.name, *took)))?,
            Err(reason) => ui.line(format_args!("problem  {}: {reason}", relay.shown()))?,
        }
    }
    if let Some(ahead) = found.clock_ahead_ms {
        ui.line(format_args!(
            "         its clock is {:.1} s {}",
            seconds(ahead),
            if ahead < 0 { "behind" } else { "ahead" }
        ))?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn seconds(ms: i64) -> f64 {
    ms.unsigned_abs() as f64 / 1000.0
}

/// A step that went well, in words.
pub(super) fn well(step: &str, took: Duration) -> String {
    let what = match step {
        "name" => "its name is known",
        "host" => "its host answers",
        "relay" => "it takes connections",
        _ => "it speaks as a relay does",
    };
    format!("{what} ({} ms)", took.as_millis())
}

/// What to do about a step that failed.
pub(super) fn remedy(step: &str, failure: &Failure) -> &'static str {
    if let Failure::Refused(refused) = failure {
        return refused.remedy();
    }
    match step {
        "name" => "Check the address for a typing mistake, and that this machine can look names up.",
        "host" => "Check that the relay runs and that no firewall stands between; try another network.",
        "relay" => {
            "Check the address, its path and its token; for a certificate of your own, name it with \
                    --relay-certificate."
        }
        _ => "Something else than a relay listens there: check port and path with its operator.",
    }
}
