//! `caro sync doctor`: looks at everything that sync depends on, and says what to do about what is wrong.

mod checks;

use clap::Args;
use serde::Serialize;

use super::KeyArgs;
use crate::cli::{CliError, Home, Ui};

/// Look for everything that could keep sync from working
///
/// Ends with exit code 0 if nothing is wrong, and 1 otherwise.
#[derive(Debug, Args)]
pub(in crate::cli) struct DoctorArgs {
    /// Do not try the relay
    #[arg(long)]
    offline: bool,

    /// Print as JSON, to paste into a report; it holds no command, key or token
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keys: KeyArgs,
}

/// How it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    /// It works, but could be better.
    Warning,
    /// It does not work.
    Problem,
}

/// What was found about one thing.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at.
    check: &'static str,
    verdict: Verdict,
    message: String,
    /// What to do about it.
    remedy: Option<String>,
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

pub(in crate::cli) fn run(ui: &mut Ui, home: &Home, args: &DoctorArgs) -> Result<(), CliError> {
    let findings = checks::all(ui, home, args);
    let problems = findings.iter().filter(|finding| finding.verdict == Verdict::Problem).count();
    if args.json {
        ui.json(&DoctorJson {
            schema_version: 1,
            version: env!("CARGO_PKG_VERSION"),
            platform: std::env::consts::OS,
            ok: problems == 0,
            findings: &findings,
        })?;
    } else {
        for Finding { check, verdict, message, remedy } in &findings {
            let verdict = match verdict {
                Verdict::Ok => "ok     ",
                Verdict::Warning => "warning",
                Verdict::Problem => "problem",
            };
            ui.line(format_args!("{verdict}  {check:<9} {message}"))?;
            if let Some(remedy) = remedy {
                ui.line(format_args!("{:18} {remedy}", ""))?;
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
