//! What becomes of a report or a revocation that was sent: what costs least is looked at first, and what is taken is on disk
//! before that is said.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::limit::{Limit, Purpose};
use super::store::{Entry, Known, Month, Store, StoreError};
use crate::clock;
use crate::community::{BODY_BYTES, Malformed, Report, Revocation};
use crate::server::Client;

/// What somebody hears who sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is done, or was before.
    Done,
    /// It is not what it should be.
    Malformed(Malformed),
    /// There never was a report to revoke.
    NotHere,
    /// The key has another report.
    Another,
    /// The report was revoked.
    Revoked,
    /// Too many came from his address.
    TooMany,
    /// The store does not work.
    Later,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (status, said) = match self {
            Self::Done => return StatusCode::NO_CONTENT.into_response(),
            Self::Malformed(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
            Self::NotHere => (StatusCode::NOT_FOUND, "no report of this key was ever here\n"),
            Self::Another => (StatusCode::CONFLICT, "this key has another report\n"),
            Self::Revoked => (StatusCode::GONE, "this report was revoked\n"),
            Self::TooMany => {
                (StatusCode::TOO_MANY_REQUESTS, "there were many requests from your network; try again later\n")
            }
            Self::Later => (StatusCode::SERVICE_UNAVAILABLE, "nothing can be stored at the moment; try again later\n"),
        };
        (status, said).into_response()
    }
}

impl From<Malformed> for Answer {
    fn from(why: Malformed) -> Self {
        Self::Malformed(why)
    }
}

impl From<StoreError> for Answer {
    fn from(_: StoreError) -> Self {
        // The store has told it.
        Self::Later
    }
}

/// What takes them.
pub(super) struct Intake {
    pub(super) store: Store,
    pub(super) limit: Limit,
    /// So many are verified at the same time.
    verifying: Arc<Semaphore>,
}

impl Intake {
    /// One with this store, which takes so many of a kind from one address in an hour.
    pub(super) fn new(store: Store, an_hour: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { store, limit: Limit::new(an_hour), verifying: Arc::new(Semaphore::new(cores)) }
    }

    /// Takes what somebody sent for a purpose.
    pub(super) async fn take(&self, purpose: Purpose, client: Client, bytes: Bytes) -> Answer {
        if bytes.len() != BODY_BYTES {
            return Malformed::Format.into();
        }
        if !self.limit.admits(client, purpose, clock::now()) {
            return Answer::TooMany;
        }
        let taken = match purpose {
            Purpose::Report => self.report(bytes).await,
            Purpose::Revocation => self.revocation(bytes).await,
        };
        taken.unwrap_or_else(|refused| refused)
    }

    async fn report(&self, bytes: Bytes) -> Result<Answer, Answer> {
        let report = self.verify(move || Report::read_unproven(&bytes)).await?;
        let entry = Entry::from(&report);
        // What is known already need not be proven once more.
        let mut known = self.store.look(entry).await?;
        if known == Known::New {
            self.verify(move || if report.is_proven() { Ok(()) } else { Err(Malformed::Work) }).await?;
            known = self.store.add(entry, Month::of(clock::now())).await?;
        }
        Ok(match known {
            Known::New | Known::Same => Answer::Done,
            Known::Another => Answer::Another,
            Known::Revoked => Answer::Revoked,
        })
    }

    async fn revocation(&self, bytes: Bytes) -> Result<Answer, Answer> {
        let revocation = self.verify(move || Revocation::read(&bytes)).await?;
        Ok(if self.store.revoke(revocation.key).await? { Answer::Done } else { Answer::NotHere })
    }

    /// Verifies something on a thread of its own once there is one for it.
    async fn verify<T: Send + 'static>(
        &self,
        what: impl FnOnce() -> Result<T, Malformed> + Send + 'static,
    ) -> Result<T, Answer> {
        let turn = self.verifying.clone().acquire_owned().await.map_err(|_| Answer::Later)?;
        let verified = tokio::task::spawn_blocking(move || {
            // It ends with the work, also where nobody waits for that any more.
            let _turn = turn;
            what()
        });
        Ok(verified.await.map_err(|_| Answer::Later)??)
    }
}
