//! `caro history dedup`.

use uuid::Uuid;

use super::super::{CliError, Home, Ui};
use super::removing::{How, commands, one_line};
use super::select::{moment, open};
use crate::history::UnixNanos;

/// Deletes commands that are there more than once, and keeps the newest
///
/// Two commands are the same where the command line, the directory, the machine and what the generator was asked for are the
/// same; one of which the directory is not known is the same as one of which it is. As with `caro history delete`, it goes for
/// all your devices. Statistics keep counting every run.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caro history dedup --dry-run
  caro history dedup --keep 3 --before '1 year ago'
  caro history dedup --recorded-twice       after `caro history import auto`
")]
pub struct Args {
    /// How many of each stay
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    keep: u64,
    /// Delete only what began before this moment
    #[arg(long, value_name = "TIME", value_parser = moment)]
    before: Option<UnixNanos>,
    /// Delete only what a shell's history file had of a run that another program recorded too, and knows more about
    #[arg(long, conflicts_with = "keep")]
    recorded_twice: bool,
    #[command(flatten)]
    how: How,
}

/// Runs `caro history dedup`.
pub(super) fn run(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let history = open(home)?;
    let ids: Vec<Uuid> = if args.recorded_twice {
        history.recorded_twice(args.before)?
    } else {
        history.duplicates(args.keep, args.before)?
    };
    let show = ids.iter().rev().take(11).rev().filter_map(|id| history.get(*id).transpose());
    let mut show = show.map(|record| record.map(|record| one_line(&record))).collect::<Result<Vec<_>, _>>()?;
    // Only their number counts beyond those that are shown.
    let more = ids.len().saturating_sub(show.len());
    show.splice(0..0, std::iter::repeat_n(String::new(), more));
    args.how.delete(ui, home, &history, &ids, &show)?;
    if args.how.say_deleted(ui, &ids)? {
        return Ok(());
    }
    for id in &ids {
        if let Some(record) = history.get(*id)? {
            ui.line(format_args!("{id}  {}", one_line(&record)))?;
        }
    }
    ui.status(format_args!("Would delete {} of {}.", ids.len(), commands(count(history.count()?))));
    Ok(())
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
