//! `caro community revoke`: stops, and has everything deleted that was sent.

use serde::Serialize;

use super::{SCHEMA_VERSION, place, send};
use crate::cli::{CliError, Home, Ui, ui::counted};
use crate::community::journal::Outcome;
use crate::community::noise::{SystemRandom, below};

/// Stop sending reports, and have those deleted that were sent
///
/// Each report is revoked by its own key, on a connection of its own, in a random order. Whoever watches your network address
/// at that moment sees them come one after the other.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  caro community revoke
")]
pub(in crate::cli) struct Args {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// What came of it, as JSON, version 1.
#[derive(Serialize)]
struct RevokedJson {
    schema_version: u32,
    revoked: u64,
    /// Those whose collector could not be asked.
    pending: u64,
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, home: &Home, args: &Args) -> Result<(), CliError> {
    let place = place(home);
    let _lock = place.lock()?;
    let Some(mut journal) = place.load()? else {
        ui.status("Nothing was ever sent from this device, and nothing is.");
        return if args.json {
            ui.json(&RevokedJson { schema_version: SCHEMA_VERSION, revoked: 0, pending: 0 })
        } else {
            Ok(())
        };
    };
    // Whatever becomes of the rest, nothing more is sent.
    journal.withdraw();
    place.save(&journal)?;
    let mut open: Vec<usize> = Vec::new();
    for (at, report) in journal.reports.iter().enumerate() {
        if report.outcome != Outcome::Revoked && report.key().is_some() {
            let random = |_| CliError::failed("the system gives no random data");
            let before = below(open.len() as u64 + 1, &mut SystemRandom).map_err(random)?;
            open.insert(usize::try_from(before).unwrap_or_default(), at);
        }
    }
    let (mut revoked, mut failed) = (0, None);
    for at in &open {
        let Some(report) = journal.reports.get_mut(*at) else { continue };
        match send::revocation(report) {
            Ok(()) => revoked += 1,
            Err(reason) => failed = Some(reason),
        }
        place.save(&journal)?;
    }
    let pending = open.len() as u64 - revoked;
    if args.json {
        ui.json(&RevokedJson { schema_version: SCHEMA_VERSION, revoked, pending })?;
    }
    match failed {
        None => {
            let what = if revoked == 0 {
                "There is nothing to delete".into()
            } else {
                format!("Deleted: {}", counted(revoked, "report"))
            };
            ui.status(format_args!("{what}. Nothing is sent any more."));
            Ok(())
        }
        Some(reason) => Err(send::unreachable(&reason).hinted(format!(
            "Nothing is sent any more, but {} could not be deleted yet: run `caro community revoke` again.",
            counted(pending, "report")
        ))),
    }
}
