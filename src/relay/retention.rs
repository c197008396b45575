//! What accounts own that nobody has used for a while is erased, a little at a time, while everybody else is served.
//!
//! What counts as use is the script's business (`js/src/usage.ts`): it is told which day it is and says who was not used.
//!
//! Relays that share a database all note what was used, those too that erase nobody: who is used at one of them is used. Those
//! that erase do so one at a time.

use std::sync::Arc;
use std::time::Duration;

use super::accounts::today;
use super::http::Shared;
use super::postgres::Lease;
use crate::runtime::IsolateError;
use crate::runtime::protocol::{EraseSome, NoteUse, Release, Unused};

/// How often it is noted what was used.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// How long each of the steps may take.
const STEP: Duration = Duration::from_secs(60);
/// The same for finding out who was not used: all groups are looked at, a little at a time.
const FINDING: Duration = Duration::from_secs(3600);
/// For how long a relay alone erases, unless it says again that it does: more than an account takes.
const LEASE: Duration = Duration::from_secs(900);
/// How often it says so while it finds out.
const RENEW_EVERY: Duration = Duration::from_secs(300);

/// Notes what is used, and erases what accounts own that were not for so many days, where that is said. Does not end.
pub(super) async fn keep(shared: Arc<Shared>, days: Option<u32>) {
    tokio::join!(note_now_and_then(&shared), forget_daily(&shared, days));
}

async fn note_now_and_then(shared: &Shared) {
    let mut every = every_so_often();
    loop {
        every.tick().await;
        if shared.reaches_database()
            && let Err(error) = note(shared, today()).await
        {
            tracing::error!(%error, "what is used was not noted");
        }
    }
}

async fn forget_daily(shared: &Shared, days: Option<u32>) {
    let Some(days) = days else { return };
    let lease = shared.database.clone().map(|database| Lease::of(database, "forgetting", LEASE));
    let mut looked = None;
    let mut every = every_so_often();
    loop {
        every.tick().await;
        let today = today();
        if looked == Some(today) || !shared.reaches_database() {
            continue;
        }
        match look(shared, lease.as_ref(), today - i64::from(days)).await {
            Ok(true) => looked = Some(today),
            // Another relay is at it.
            Ok(false) => {}
            // It is tried again.
            Err(reason) => tracing::error!("what nobody uses any more could not be erased: {reason}"),
        }
    }
}

fn every_so_often() -> tokio::time::Interval {
    let mut every = tokio::time::interval(NOTE_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    every
}

/// Notes what was used since it was last noted.
async fn note(shared: &Shared, today: i64) -> Result<(), IsolateError> {
    for engine in shared.engines.all() {
        engine.call_async(&NoteUse { day: today }, STEP).await?;
    }
    Ok(())
}

/// Erases what was not used since a day; whether it was this relay's turn.
async fn look(shared: &Shared, lease: Option<&Lease>, before: i64) -> Result<bool, String> {
    let Some(first) = shared.engines.all().next() else { return Ok(true) };
    if !holds(lease).await? {
        return Ok(false);
    }
    // Days on which nothing ran do not count, and that is noted first.
    note(shared, today()).await.map_err(|error| error.to_string())?;
    let question = Unused { before };
    let finding = first.call_async(&question, FINDING);
    tokio::pin!(finding);
    let unused = loop {
        tokio::select! {
            found = &mut finding => break found.map_err(|error| error.to_string())?,
            () = tokio::time::sleep(RENEW_EVERY) => {
                if !holds(lease).await? {
                    return Ok(false);
                }
            }
        }
    };
    for account in unused.accounts {
        if !holds(lease).await? {
            return Ok(false);
        }
        // Its device may have come meanwhile, to any of the engines.
        note(shared, today()).await.map_err(|error| error.to_string())?;
        forget(shared, account, before).await.map_err(|error| error.to_string())?;
    }
    if let Some(lease) = lease {
        lease.end().await?;
    }
    Ok(true)
}

async fn holds(lease: Option<&Lease>) -> Result<bool, String> {
    match lease {
        Some(lease) => lease.take().await,
        None => Ok(true),
    }
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
        shared.outside.counts.erasures.add(1);
        // Who has it in memory would confirm it.
        shared.engines.tell_erased(erased.ids.clone());
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, channel};

    use rusqlite::Connection;
    use rusqlite::types::Value;

    use super::*;
    use crate::relay::{MEMORY_LIMIT, PATIENCE};
    use crate::runtime::protocol::Serve;
    use crate::runtime::{Isolate, IsolateOptions, Rows, Store, StoreError, open_database};

    /// A store that counts how often it was asked who was not used, and waits before it says so.
    struct Asked {
        database: Connection,
        times: Arc<AtomicUsize>,
        go_on: Receiver<()>,
    }

    impl Store for Asked {
        fn run(&self, sql: &str, params: &[Value]) -> Result<(), StoreError> {
            self.database.run(sql, params)
        }

        fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, StoreError> {
            if sql.starts_with("SELECT account FROM caro_used WHERE day <") {
                self.times.fetch_add(1, Ordering::SeqCst);
                let _ = self.go_on.recv();
            }
            self.database.query(sql, params)
        }
    }

    #[test]
    fn who_was_not_used_is_found_out_once_for_all_who_ask_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let (times, (both, go_on)) = (Arc::<AtomicUsize>::default(), channel());
        let store = Asked { database: open_database(Some(&path)).unwrap(), times: times.clone(), go_on };
        let isolate =
            Isolate::start(IsolateOptions { store: Box::new(store), dialer: None, memory_limit: MEMORY_LIMIT });
        let isolate = isolate.unwrap();
        isolate.call(&Serve { notes_use: true, ..Serve::default() }, PATIENCE).unwrap();
        open_database(Some(&path)).unwrap().execute("INSERT INTO caro_used VALUES ('co_zGone', 1)", []).unwrap();
        let question = Unused { before: 50 };
        let ask = || isolate.call_async(&question, PATIENCE);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (one, two, ()) = runtime.block_on(async { tokio::join!(ask(), ask(), async { drop(both) }) });
        assert_eq!((one.unwrap().accounts, two.unwrap().accounts), (vec!["co_zGone".into()], vec!["co_zGone".into()]));
        assert_eq!(times.load(Ordering::SeqCst), 1);
    }
}
