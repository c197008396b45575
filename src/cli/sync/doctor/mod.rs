//! `caro sync doctor`: looks at everything that sync depends on, and says what to do about what is wrong.

mod checks;

use clap::Args;

use super::KeyArgs;
use crate::cli::{CliError, Home, Ui, doctor};

pub(in crate::cli) use checks::of_sync;

/// Look for everything that could keep sync from working
///
/// Ends with exit code 0 if nothing is wrong, and 1 otherwise.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync doctor
  caro sync doctor --json
")]
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

pub(in crate::cli) fn run(ui: &mut Ui, home: &Home, args: &DoctorArgs) -> Result<(), CliError> {
    let mut findings = vec![doctor::version()];
    findings.extend(doctor::history(home));
    findings.push(doctor::room(home));
    findings.extend(doctor::access(home));
    findings.extend(of_sync(ui, home, &args.keys, !args.offline));
    doctor::report(ui, &findings, args.json)
}
