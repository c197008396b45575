//! What follows when an invitation was taken back: its connections end, and what its account stored is erased if asked for.
//!
//! A running relay looks at its list of accounts instead of being told: whoever changes it, from wherever, need not find
//! the relay, and of several that share a list each one sees it. Each erases the account for itself: it may have it in memory,
//! and may have stored more of it until it has sent its clients away.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::accounts::{Accounts, AccountsError};
use super::http::Shared;
use super::{MEMORY_LIMIT, PATIENCE, RelayError};
use crate::runtime::protocol::{Close, Forget, Serve};
use crate::runtime::{Isolate, IsolateOptions, Store};

/// How often a relay looks whether its list has changed: one read of shared memory.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The same for a list in a database: one row that is found by its key.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long erasing one account may take.
const ERASURE: Duration = Duration::from_secs(600);
/// After how long it is tried again what the disk did not take, and said again that the list cannot be read.
const REST: Duration = Duration::from_secs(60);

/// Follows the list of accounts, where the relay has one.
pub(super) async fn follow(shared: Arc<Shared>) {
    let Some(accounts) = shared.access.accounts() else { return };
    let (mut reviewed, mut followed) = (None, None);
    let mut forgotten = Forgotten::new();
    let (mut erases_at, mut complains_at) = (Instant::now(), Instant::now());
    let mut look = tokio::time::interval(if shared.database.is_some() { ASK_EVERY } else { LOOK_EVERY });
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if !shared.reaches_database() {
            // It is said elsewhere, and nobody is served meanwhile.
            continue;
        }
        let version = match accounts.version().await {
            Ok(version) => version,
            Err(error) => {
                if Instant::now() >= complains_at {
                    complains_at = Instant::now() + REST;
                    tracing::error!("{error}");
                }
                continue;
            }
        };
        if reviewed != Some(version) {
            if !shared.review().await {
                continue;
            }
            reviewed = Some(version);
        }
        if followed == Some(version) || Instant::now() < erases_at {
            continue;
        }
        match erase(&shared, accounts, followed, &mut forgotten).await {
            Ok(()) => {
                followed = Some(version);
                forgotten.clear();
            }
            // It is tried again.
            Err(reason) => {
                erases_at = Instant::now() + REST;
                tracing::error!("what an account stored could not be erased: {reason}");
            }
        }
    }
}

/// Which engines have forgotten accounts that are still on the list of those that are to be erased.
type Forgotten = HashSet<(String, usize)>;

/// Erases the accounts that are to be. Each engine forgets what it has of them in memory, and erases what another one has
/// stored meanwhile. All of its clients come again then, and so it does so once.
async fn erase(
    shared: &Shared,
    accounts: &Accounts,
    followed: Option<i64>,
    forgotten: &mut Forgotten,
) -> Result<(), String> {
    for account in accounts.to_erase(followed).await.map_err(|error| error.to_string())? {
        let forget = Forget { account };
        let mut values = 0;
        for (engine, isolate) in shared.engines.all().enumerate() {
            let has_forgotten = (forget.account.clone(), engine);
            if !forgotten.contains(&has_forgotten) {
                let answer = isolate.call_async(&forget, ERASURE).await;
                // Some of it may be gone where not all is.
                shared.outside.counts.erasures.add(1);
                values += answer.map_err(|error| error.to_string())?.values;
                forgotten.insert(has_forgotten);
            }
        }
        accounts.erased(&forget.account).await.map_err(|error| error.to_string())?;
        tracing::info!(values, "an account was erased");
    }
    Ok(())
}

/// Erases accounts in a store by an engine of its own.
pub(super) fn erase_in(store: Box<dyn Store>, is_shared: bool, accounts: Vec<String>) -> Result<(), RelayError> {
    let isolate = Isolate::start(IsolateOptions { store, dialer: None, memory_limit: MEMORY_LIMIT })?;
    isolate.call(&Serve { is_shared, ..Serve::default() }, PATIENCE)?;
    for account in accounts {
        isolate.call(&Forget { account }, ERASURE)?;
    }
    isolate.call(&Close {}, PATIENCE)?;
    Ok(())
}

impl From<AccountsError> for RelayError {
    fn from(error: AccountsError) -> Self {
        Self::Accounts(error)
    }
}
