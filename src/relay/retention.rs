//! What accounts own that nobody has used for a while is erased, a little at a time, while everybody else is served.
//!
//! What counts as use is the script's business (`js/src/usage.ts`): it is told which day it is and says who was not used.

use std::sync::Arc;
use std::time::Duration;

use super::accounts::today;
use super::http::Shared;
use crate::runtime::IsolateError;
use crate::runtime::protocol::{EraseSome, NoteUse, Release, Unused};

/// How often it is noted what was used.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// How long each of the steps may take.
const STEP: Duration = Duration::from_secs(60);

/// Erases what accounts own that were not used for so many days. Does not end.
pub(super) async fn keep(shared: Arc<Shared>, days: u32) {
    let mut looked = None;
    let mut every = tokio::time::interval(NOTE_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let today = today();
        match look(&shared, today, (looked != Some(today)).then_some(days)).await {
            Ok(()) => looked = Some(today),
            // It is tried again.
            Err(error) => tracing::error!(%error, "what nobody uses any more could not be erased"),
        }
    }
}

/// Notes what was used, and erases what was not for so many days, where that is to be looked for.
async fn look(shared: &Shared, today: i64, days: Option<u32>) -> Result<(), IsolateError> {
    for engine in shared.engines.all() {
        engine.call_async(&NoteUse { day: today }, STEP).await?;
    }
    let (Some(days), Some(first)) = (days, shared.engines.all().next()) else { return Ok(()) };
    let before = today - i64::from(days);
    for account in first.call_async(&Unused { before }, STEP).await?.accounts {
        forget(shared, account, before).await?;
    }
    Ok(())
}

/// Erases what an account owns, unless it was used after all.
async fn forget(shared: &Shared, account: String, before: i64) -> Result<(), IsolateError> {
    let mut all = shared.engines.all();
    let Some(first) = all.next() else { return Ok(()) };
    let others: Vec<_> = all.collect();
    let mut some = EraseSome { account, before: Some(before) };
    let mut values = 0;
    loop {
        let erased = first.call_async(&some, STEP).await?;
        values += erased.ids.len();
        for other in &others {
            other.call_async(&Release { ids: erased.ids.clone() }, STEP).await?;
        }
        if !erased.more {
            break;
        }
        // What was begun is brought to its end.
        some.before = None;
    }
    if values > 0 {
        shared.outside.counts.forgotten.add(1);
        tracing::info!(values, "an account that nobody used any more was erased");
    }
    Ok(())
}
