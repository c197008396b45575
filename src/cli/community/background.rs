//! Reports that go by themselves: starting the process that sends one, and being it.
//!
//! There is no such process unless a schedule was agreed to and is due; a command at the prompt reads one small file to know. The
//! process waits up to an hour, so that when a report comes does not tell when its sender was at the keyboard, and shares
//! nothing with sync: no process, no connection, no file.

use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};

use super::{next, place, send};
use crate::cli::{CliError, Home, detached, time};
use crate::community::noise::{SystemRandom, below};
use crate::private_file;

/// The longest wait, in nanoseconds.
const LONGEST_WAIT: u64 = 3_600_000_000_000;
/// How often the clocks are looked at meanwhile: the one stands still while a machine is asleep, the other may be set back.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Called after something was recorded. No failure here is one of the command's.
pub(in crate::cli) fn after_capture(home: &Home) {
    let is_due = || -> Option<bool> {
        let journal = place(home).load().ok()??;
        Some(journal.plan?.is_due(time::now()) && journal.collector.is_some() && turn(home).ok()?.is_some())
    };
    if is_due() == Some(true)
        && let Err(error) = detached::start(home, &["community", "contribute", "--scheduled"])
    {
        tracing::debug!(%error, "a report that is due could not be sent");
    }
}

/// The lock of the one process that waits; none where another has it.
fn turn(home: &Home) -> std::io::Result<Option<File>> {
    let file = private_file::open_lock(&home.data_dir.join("community.waiting"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Is the process.
pub(super) fn run(home: &Home) -> Result<(), CliError> {
    detached::let_go();
    let failed = |error| CliError::failed("the data folder cannot be used").caused_by(error);
    let Some(_turn) = turn(home).map_err(failed)? else { return Ok(()) };
    let random = |error| CliError::failed("the system gives no random data").caused_by(error);
    let wait = below(LONGEST_WAIT, &mut SystemRandom).map_err(random)?;
    let (began, until) = (Instant::now(), time::now().0.saturating_add_unsigned(wait));
    while time::now().0 < until && began.elapsed() < Duration::from_nanos(wait) {
        std::thread::sleep(LOOK_EVERY);
    }
    send_what_is_due(home)
}

fn send_what_is_due(home: &Home) -> Result<(), CliError> {
    let (place, now) = (place(home), time::now());
    let _lock = place.lock()?;
    // Consent may have been withdrawn meanwhile, or a report sent by hand.
    let Some(mut journal) = place.load()? else { return Ok(()) };
    let (Some(plan), Some(collector)) = (journal.plan, journal.collector.clone()) else { return Ok(()) };
    if !plan.is_due(now) {
        return Ok(());
    }
    let random = |error| CliError::failed("the system gives no random data").caused_by(error);
    let following = plan.next(now, &mut SystemRandom).map_err(random)?;
    if journal.left(now) == 0 && journal.underway(&collector.address, now).is_none() {
        journal.plan = Some(following);
        return Ok(place.save(&journal)?);
    }
    next(home, &place, &mut journal, Some(&collector), now)?;
    let at = journal.count(&collector, now);
    place.save(&journal)?;
    let Some(report) = at.and_then(|at| journal.reports.get_mut(at)) else { return Ok(()) };
    let answer = send::report(report)?;
    journal.plan = Some(match answer {
        // The same bytes go again within the day.
        send::Answer::Later(_) => plan.again(now, &mut SystemRandom).map_err(random)?,
        send::Answer::Has | send::Answer::Refuses(_) => following,
    });
    Ok(place.save(&journal)?)
}
