//! `caro doctor`: looks at everything that caro depends on here, and says what to do about what is wrong.
//!
//! A finding is what was found about one thing; `caro sync doctor` has the same, and its findings are here too where sync is set
//! up. Nothing here uses the network unless it is asked to.

mod storage;
mod surroundings;

use clap::Args;
use serde::Serialize;

use super::sync::KeyArgs;
use super::sync::doctor::of_sync;
use super::ui::visible;
use super::{CliError, Home, Ui, rescue};

pub(super) use storage::{access, history, room};

/// Look for everything that could keep caro from working
///
/// Shell, history, files, settings, clock and terminal; where sync is set up, that too. Uses no network without --online.
/// Ends with exit code 0 if nothing is wrong, and 1 otherwise.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro doctor
  caro doctor --online              the relay too
  caro doctor --json > report.json  to paste into a report
")]
pub(super) struct DoctorArgs {
    /// Build a damaged history anew from what can be read of it, first
    #[arg(long)]
    repair: bool,

    /// Try the relay too
    #[arg(long)]
    online: bool,

    /// Print as JSON, to paste into a report; it holds no command, key or token
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keys: KeyArgs,
}

/// How it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Ok,
    /// It works, but could be better.
    Warning,
    /// It does not work.
    Problem,
}

/// What was found about one thing.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) check: &'static str,
    pub(super) verdict: Verdict,
    pub(super) message: String,
    /// What to do about it.
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, message: message.into(), remedy: None }
    }

    pub(super) fn warning(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, message: message.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn problem(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Problem, message: message.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn error(check: &'static str, error: CliError) -> Self {
        Self { check, verdict: Verdict::Problem, message: error.message, remedy: error.hint }
    }
}

/// The diagnosis as JSON, version 1.
#[derive(Serialize)]
struct DoctorJson<'a> {
    schema_version: u32,
    version: &'static str,
    platform: &'static str,
    ok: bool,
    findings: &'a [Finding],
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: &DoctorArgs) -> Result<(), CliError> {
    if args.repair && !rescue::rebuild(home)? {
        ui.status("The history is whole: there was nothing to repair.");
    }
    let mut findings = vec![version()];
    findings.extend(surroundings::shell(home));
    findings.extend(history(home));
    findings.extend(storage::left_over(home));
    findings.push(room(home));
    findings.extend(access(home));
    findings.extend(storage::writable(home));
    findings.extend(surroundings::settings(home));
    findings.push(surroundings::clock(home));
    findings.push(surroundings::terminal(ui));
    findings.extend(of_sync(ui, home, &args.keys, args.online));
    report(ui, &findings, args.json)
}

pub(super) fn version() -> Finding {
    Finding::ok("version", format!("caro {} on {}", env!("CARGO_PKG_VERSION"), std::env::consts::OS))
}

/// Prints what was found; an error where something does not work.
pub(super) fn report(ui: &mut Ui, findings: &[Finding], json: bool) -> Result<(), CliError> {
    let problems = findings.iter().filter(|finding| finding.verdict == Verdict::Problem).count();
    if json {
        ui.json(&DoctorJson {
            schema_version: 1,
            version: env!("CARGO_PKG_VERSION"),
            platform: std::env::consts::OS,
            ok: problems == 0,
            findings,
        })?;
    } else {
        for Finding { check, verdict, message, remedy } in findings {
            let verdict = match verdict {
                Verdict::Ok => "ok     ",
                Verdict::Warning => "warning",
                Verdict::Problem => "problem",
            };
            ui.line(format_args!("{verdict}  {check:<9} {}", visible(message)))?;
            if let Some(remedy) = remedy {
                ui.line(format_args!("{:18} {}", "", visible(remedy)))?;
            }
        }
    }
    ui.flush()?;
    match problems {
        0 => Ok(()),
        1 => Err(CliError::failed("one thing is wrong")),
        n => Err(CliError::failed(format!("{n} things are wrong"))),
    }
}
