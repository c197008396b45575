//! What follows when an invitation was taken back: its connections end, and what its account stored is erased if asked for.
//!
//! A running relay looks at its list of accounts instead of being told: whoever changes it, from wherever, need not find
//! the relay, and of several that share a list each one sees it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::accounts::{Accounts, AccountsError};
use super::engines::Engines;
use super::http::Shared;
use super::{MEMORY_LIMIT, PATIENCE, RelayError, store};
use crate::runtime::protocol::{Close, Forget, Serve};
use crate::runtime::{Isolate, IsolateOptions};

/// How often a relay looks whether the list has changed: one read of shared memory.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long erasing one account may take.
const ERASURE: Duration = Duration::from_secs(600);

/// Follows the list of accounts, where the relay has one.
pub(super) async fn follow(shared: Arc<Shared>) {
    let Some(accounts) = shared.access.accounts() else { return };
    let mut known = None;
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        look.tick().await;
        let version = match accounts.version() {
            Ok(version) => version,
            Err(error) => {
                tracing::error!("{error}");
                continue;
            }
        };
        if known == Some(version) {
            continue;
        }
        shared.members.review(|pass| shared.access.still_admits(pass));
        match erase(accounts, &shared.engines).await {
            Ok(()) => known = Some(version),
            // It is tried again.
            Err(reason) => tracing::error!("what an account stored could not be erased: {reason}"),
        }
    }
}

/// Erases the accounts that are to be. Each engine forgets what it has of them in memory, and erases what another one has
/// stored meanwhile.
async fn erase(accounts: &Accounts, engines: &Engines) -> Result<(), String> {
    for account in accounts.to_erase().map_err(|error| error.to_string())? {
        let forget = Forget { account };
        let mut values = 0;
        for isolate in engines.all() {
            let forgotten = isolate.call_async(&forget, ERASURE).await.map_err(|error| error.to_string())?;
            values += forgotten.values;
        }
        accounts.erased(&forget.account).map_err(|error| error.to_string())?;
        tracing::info!(values, "an account was erased");
    }
    Ok(())
}

/// Erases the accounts that are to be, in the store of a relay that is not running.
///
/// # Errors
///
/// [`RelayError::InUse`] where it is; otherwise what the store or the engine says.
pub fn erase_at_rest(data_dir: &Path) -> Result<(), RelayError> {
    let accounts = Accounts::open(data_dir)?;
    let _lock = store::lock(data_dir)?;
    let store = Box::new(store::open_at_rest(data_dir)?);
    let isolate = Isolate::start(IsolateOptions { store, dialer: None, memory_limit: MEMORY_LIMIT })?;
    isolate.call(&Serve::default(), PATIENCE)?;
    for account in accounts.to_erase()? {
        let forget = Forget { account };
        isolate.call(&forget, ERASURE)?;
        accounts.erased(&forget.account)?;
    }
    isolate.call(&Close {}, PATIENCE)?;
    Ok(())
}

impl From<AccountsError> for RelayError {
    fn from(error: AccountsError) -> Self {
        Self::Accounts(error)
    }
}
