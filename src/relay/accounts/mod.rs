//! Who was invited to a relay: personal tokens, and the account that each of them is for.
//!
//! One table, in a database of its own beside the relay's store, or in the one that several relays share as their store. Commands
//! and running relays use it at the same time; relays look whether it has changed. Only hashes of tokens are kept. An
//! invitation is for the first account that writes with it, at whichever relay, and stays in the table when it was taken
//! back, so that nobody gets its label by mistake.

mod file;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::access::{Hash, hash};
use super::postgres::{self, Database};
use crate::clock;

/// Random bytes of a token, and how long it is.
const TOKEN: usize = 32;
const LENGTH: usize = (TOKEN * 4).div_ceil(3);
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// An invitation, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// What the operator calls it.
    pub label: String,
    /// The account that it is for; none until one has used it.
    pub account: Option<String>,
    /// When it was made, in days since 1970.
    pub created_day: i64,
    /// When somebody last connected with it.
    pub seen_day: Option<i64>,
    /// Whether it was taken back.
    pub revoked: bool,
}

/// Why an invitation could not be made or taken back.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// Another one has the label.
    #[error("there is an invitation called {0} already")]
    LabelTaken(String),
    /// No invitation has such a label or account.
    #[error("no invitation is called {0}, and none is for such an account")]
    Unknown(String),
    /// The system gives no random data.
    #[error("the system gives no random data")]
    Random,
    /// Its file cannot be used.
    #[error("the relay's list of accounts cannot be used: {0}")]
    File(#[from] rusqlite::Error),
    /// Its folder cannot be used.
    #[error("the relay's folder cannot be used: {0}")]
    Folder(#[from] std::io::Error),
    /// The database of the relay cannot be used.
    #[error("the list of accounts in the database cannot be used: {0}")]
    Database(String),
}

/// The invitations of a relay, or of all relays on one database.
pub(super) enum Accounts {
    /// In a file beside the store.
    File(Arc<file::Invitations>),
    /// In the database.
    Database(postgres::Invitations),
}

impl Accounts {
    /// Opens the list in a relay's folder, and makes both if need be.
    pub(super) fn in_folder(folder: &Path) -> Result<Self, AccountsError> {
        file::Invitations::open(folder).map(|list| Self::File(Arc::new(list)))
    }

    /// The list in a database that has its tables.
    pub(super) fn in_database(database: Arc<Database>) -> Self {
        Self::Database(postgres::Invitations::of(database))
    }

    /// Makes an invitation, for this account where one is named and otherwise for the first that writes with it; its label and
    /// its token, which is told this once.
    pub(super) async fn invite(
        &self,
        label: Option<&str>,
        account: Option<&str>,
    ) -> Result<(String, String), AccountsError> {
        let mut random = zeroize::Zeroizing::new([0; TOKEN]);
        getrandom::fill(&mut *random).map_err(|_| AccountsError::Random)?;
        let token = BASE64_URL_SAFE_NO_PAD.encode(random.as_slice());
        let label = match self {
            Self::File(list) => list.invite(label, account, &hash(&token)),
            Self::Database(list) => list.invite(label, account, &hash(&token)).await,
        };
        label.map(|label| (label, token))
    }

    /// Whether a text could be a token: others need not be looked for.
    pub(super) fn is_token(text: &str) -> bool {
        text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    }

    /// All invitations, the oldest first.
    pub(super) async fn list(&self) -> Result<Vec<Invitation>, AccountsError> {
        match self {
            Self::File(list) => list.list(),
            Self::Database(list) => list.list().await,
        }
    }

    /// Takes back the invitation of this label, or all those of this account, and has what their accounts stored erased
    /// where `erase` says so. Those that were meant, as they are now.
    pub(super) async fn revoke(&self, who: &str, erase: bool) -> Result<Vec<Invitation>, AccountsError> {
        match self {
            Self::File(list) => list.revoke(who, erase),
            Self::Database(list) => list.revoke(who, erase).await,
        }
    }

    /// The accounts that are to be erased. Of several relays each has to do so once, since each has things in memory: to one
    /// that has followed the list until a version are told those too that another one has erased since.
    pub(super) async fn to_erase(&self, followed: Option<i64>) -> Result<Vec<String>, AccountsError> {
        match self {
            Self::File(list) => list.to_erase(),
            Self::Database(list) => list.to_erase(followed).await,
        }
    }

    /// Notes that an account was erased.
    pub(super) async fn erased(&self, account: &str) -> Result<(), AccountsError> {
        match self {
            Self::File(list) => list.erased(account),
            Self::Database(list) => list.erased(account).await,
        }
    }

    /// The invitation of a token that somebody has come with, while it counts. On which day that was is noted aside, where
    /// that can be done: the disk may be full, and what is stored is there to be read.
    pub(super) async fn come(&self, token: &Hash) -> Result<Option<Invitation>, AccountsError> {
        let found = match self {
            Self::File(list) => list.find(token)?,
            Self::Database(list) => list.find(token).await?,
        };
        if found.as_ref().is_some_and(|invitation| invitation.seen_day != Some(today())) {
            match self {
                Self::File(list) => list.seen(token),
                Self::Database(list) => list.seen(token),
            }
        }
        Ok(found)
    }

    /// Which of these tokens are of invitations that count.
    pub(super) async fn counting(&self, tokens: &HashSet<Hash>) -> Result<HashSet<Hash>, AccountsError> {
        match self {
            Self::File(list) => {
                let mut counting = HashSet::new();
                for token in tokens {
                    if list.find(token)?.is_some() {
                        counting.insert(*token);
                    }
                }
                Ok(counting)
            }
            Self::Database(list) => list.counting(tokens).await,
        }
    }

    /// Whether an account may write with a token: it is for that account, and from now on if it was for none yet. Waits for
    /// the answer, and so is not for the thread of the network.
    pub(super) fn claim(&self, token: &Hash, account: &str) -> Result<bool, AccountsError> {
        match self {
            Self::File(list) => list.claim(token, account),
            Self::Database(list) => list.claim(token, account),
        }
    }

    /// A number that is another one after somebody has changed what a running relay has to obey.
    pub(super) async fn version(&self) -> Result<i64, AccountsError> {
        match self {
            Self::File(list) => list.version(),
            Self::Database(list) => list.version().await,
        }
    }
}

/// Which day it is, in days since 1970.
pub(super) fn today() -> i64 {
    clock::now().0.div_euclid(NANOS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use futures::executor::block_on;

    use super::*;

    fn accounts() -> (tempfile::TempDir, Accounts) {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::in_folder(folder.path()).unwrap();
        (folder, accounts)
    }

    fn counts(accounts: &Accounts, token: &Hash) -> bool {
        block_on(accounts.counting(&HashSet::from([*token]))).unwrap().contains(token)
    }

    #[test]
    fn an_invitation_is_for_the_first_account_that_uses_it() {
        let (_folder, accounts) = accounts();
        let (label, token) = block_on(accounts.invite(None, None)).unwrap();
        assert_eq!((label.as_str(), token.len()), ("guest-1", 43));
        let token = hash(&token);
        assert_eq!(block_on(accounts.come(&token)).unwrap().unwrap().account, None);
        assert!(accounts.claim(&token, "co_zOne").unwrap());
        assert!(accounts.claim(&token, "co_zOne").unwrap(), "its other devices use the same");
        assert!(!accounts.claim(&token, "co_zTwo").unwrap());
        let came = Instant::now();
        let noted = || block_on(accounts.come(&token)).unwrap().unwrap();
        while noted().seen_day.is_none() && came.elapsed() < Duration::from_secs(30) {
            std::thread::yield_now();
        }
        assert_eq!((noted().account.as_deref(), noted().seen_day), (Some("co_zOne"), Some(today())));
        assert!(block_on(accounts.come(&hash("another"))).unwrap().is_none());
    }

    #[test]
    fn what_was_taken_back_counts_no_more_and_its_label_stays_taken() {
        let (folder, accounts) = accounts();
        let (_, token) = block_on(accounts.invite(Some("ann"), None)).unwrap();
        let token = hash(&token);
        assert!(accounts.claim(&token, "co_zAnn").unwrap() && counts(&accounts, &token));
        let elsewhere = Accounts::in_folder(folder.path()).unwrap();
        let before = block_on(accounts.version()).unwrap();
        let meant = block_on(elsewhere.revoke("co_zAnn", true)).unwrap();
        assert!(meant.len() == 1 && meant[0].revoked && meant[0].label == "ann", "{meant:?}");
        assert_ne!(block_on(accounts.version()).unwrap(), before, "who looks sees it");
        assert!(!counts(&accounts, &token) && !accounts.claim(&token, "co_zAnn").unwrap());
        assert_eq!(block_on(accounts.to_erase(None)).unwrap(), ["co_zAnn"]);
        block_on(accounts.erased("co_zAnn")).unwrap();
        assert!(block_on(accounts.to_erase(None)).unwrap().is_empty());
        assert!(matches!(block_on(accounts.invite(Some("ann"), None)), Err(AccountsError::LabelTaken(_))));
        assert!(matches!(block_on(accounts.revoke("bob", false)), Err(AccountsError::Unknown(_))));
    }

    #[test]
    fn an_invitation_that_names_an_account_is_for_nobody_else() {
        let (_folder, accounts) = accounts();
        let (_, token) = block_on(accounts.invite(Some("ann"), Some("co_zAnn"))).unwrap();
        assert!(Accounts::is_token(&token) && !Accounts::is_token(&token[1..]));
        let token = hash(&token);
        assert_eq!(block_on(accounts.come(&token)).unwrap().unwrap().account.as_deref(), Some("co_zAnn"));
        assert!(!accounts.claim(&token, "co_zBob").unwrap() && accounts.claim(&token, "co_zAnn").unwrap());
    }

    #[test]
    fn no_token_is_in_any_file() {
        let (folder, accounts) = accounts();
        let (_, token) = block_on(accounts.invite(Some("ann"), None)).unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
        }
    }
}
