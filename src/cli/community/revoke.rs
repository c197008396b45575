//! `caro community revoke`: stops, and has everything deleted that was sent.

use std::collections::BTreeMap;

use serde::Serialize;

use super::send::Deleted;
use super::{SCHEMA_VERSION, place, send};
use crate::cli::{CliError, Home, Kind, Ui, ui::counted};
use crate::community::journal::Outcome;
use crate::community::noise::{SystemRandom, below};

/// Stop sending reports, and have those deleted that were sent
///
/// Each report is revoked by its own key, on a connection of its own, in a random order. Whoever watches your network address
/// at that moment sees them come one after the other. A key is kept until the collector says that it has deleted the report.
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
    /// Those that a collector may still have: it could not be asked, or does not know what it has taken.
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
    let (mut revoked, mut pending) = (0, 0);
    // Why not, for each address. One that cannot be asked is not asked for each of its reports.
    let (mut unreachable, mut unknown) = (BTreeMap::new(), BTreeMap::new());
    for at in &open {
        let Some(report) = journal.reports.get_mut(*at) else { continue };
        let address = report.to.address.clone();
        if unreachable.contains_key(&address) {
            pending += 1;
            continue;
        }
        match send::revocation(report) {
            Ok(Deleted::Yes) => revoked += 1,
            Ok(Deleted::NeverCame) => {}
            Ok(Deleted::Unknown) => {
                pending += 1;
                unknown.insert(address, "it does not know a report that it has taken".to_owned());
            }
            Err(reason) => {
                pending += 1;
                unreachable.insert(address, reason);
            }
        }
        place.save(&journal)?;
    }
    if args.json {
        ui.json(&RevokedJson { schema_version: SCHEMA_VERSION, revoked, pending })?;
    }
    unknown.extend(unreachable);
    let failed: Vec<String> = unknown.iter().map(|(address, reason)| format!("{address}: {reason}")).collect();
    if failed.is_empty() {
        let what = if revoked == 0 {
            "There is nothing to delete".into()
        } else {
            format!("Deleted: {}", counted(revoked, "report"))
        };
        ui.status(format_args!("{what}. Nothing is sent any more."));
        return Ok(());
    }
    let again = format!(
        "Nothing is sent any more, but {} could not be deleted yet: run `caro community revoke` again.",
        counted(pending, "report")
    );
    let message = format!("not all reports could be deleted; {}", failed.join("; "));
    Err(CliError::new(Kind::Unreachable, message).hinted(again))
}
