//! Two copies of one home that nothing tells apart: a virtual machine copied with its machine id, paths and files.
//!
//! Both take themselves for the one device and write in its session. As long as they take turns, each catches up with
//! the other and no harm is done; when both write at once, the relay takes one and refuses the other for good. So a
//! device puts a random token into what it says of itself, anew each time it says something, and remembers the last
//! ones in the state file *before* it writes them: a token in its own record that it does not know was written by somebody
//! else.
//!
//! That may also be the device itself before it was set back to a snapshot. Such a token comes once: the device says who it is
//! anew, and goes on. When it finds another one within [`DOUBT`], there are two. Then this one becomes a device of its own,
//! like any copy (see [`forks`](super::forks)): new id, new session, and a store built anew from the relay, since what lies in
//! its own may be what the relay has refused. Everything it has and the account has not goes up from there.
//!
//! A session that begins in a store that is not the one it knew (a restored backup, another relay) takes over what stands there:
//! those are the device's own words, from a time it does not remember.

use super::SyncError;
use super::engine::Engine;
use super::state::{BoundSession, SyncState};

/// How many tokens are remembered: one stands in each place that has one, and a write may not have got through.
const KEPT: usize = 16;
/// How long one foreign token is remembered, nanoseconds: a week.
const DOUBT: i64 = 7 * 86_400_000_000_000;

/// What a home remembers of who it is, with its session.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens {
    /// The last ones that this home wrote.
    known: Vec<String>,
    /// When one was found that it had not written; 0: none was.
    doubted_at: i64,
    /// Whether this exchange found one.
    pub(super) in_doubt: bool,
}

impl Tokens {
    /// What goes with a session that is continued.
    pub(super) fn of(session: &BoundSession) -> Self {
        Self { known: session.tokens.clone(), doubted_at: session.doubted_at, in_doubt: false }
    }

    /// Puts it beside the session.
    pub(super) fn keep_in(&self, session: &mut BoundSession) {
        session.tokens.clone_from(&self.known);
        session.doubted_at = self.doubted_at;
    }

    /// Notes a token as the last one.
    fn remember(&mut self, token: &str) {
        self.known.retain(|known| known != token);
        self.known.push(token.to_owned());
        let surplus = self.known.len().saturating_sub(KEPT);
        self.known.drain(..surplus);
    }
}

/// A new token, which is on disk when this returns.
pub(super) fn token(engine: &mut Engine) -> Result<String, SyncError> {
    let token = uuid::Uuid::new_v4().simple().to_string();
    engine.tokens.remember(&token);
    save(engine)?;
    Ok(token)
}

/// Looks at the tokens that stand in the account where only this device writes.
///
/// # Errors
///
/// [`SyncError::Twin`] where another home writes as this device; this one is another device when it returns.
pub(super) fn check(engine: &mut Engine, standing: &[String]) -> Result<(), SyncError> {
    engine.tokens.in_doubt = false;
    let is_new = engine.tokens.known.is_empty();
    let foreign: Vec<&String> = standing.iter().filter(|token| !engine.tokens.known.contains(token)).collect();
    if foreign.is_empty() {
        // What stands there may be older than all that was written since, and must not be forgotten for it.
        standing.iter().for_each(|token| engine.tokens.remember(token));
        return Ok(());
    }
    if !is_new {
        let now = (engine.now)().0;
        let before = engine.tokens.doubted_at;
        if before > 0 && before.abs_diff(now) < DOUBT.unsigned_abs() {
            return Err(part(engine)?);
        }
        tracing::warn!("something else was written as this device; it says anew who it is");
        engine.tokens.doubted_at = now;
        engine.tokens.in_doubt = true;
    }
    standing.iter().for_each(|token| engine.tokens.remember(token));
    save(engine)
}

/// Makes this home a device of its own.
fn part(engine: &Engine) -> Result<SyncError, SyncError> {
    tracing::warn!(was = %engine.device, "another machine writes as this device; this one becomes another");
    SyncState::update(&engine.paths().state, |state| state.rebuild = true)?;
    engine.history.become_a_copy()?;
    Ok(SyncError::Twin)
}

/// What the relay has of this device's own session is not what is in its store: both copies wrote at once, or the relay
/// lies. The store is built anew from the relay, in a new session; who this is, the tokens will show.
/// None where that was just done, and has not helped.
pub(super) fn forked(engine: &Engine) -> Option<SyncError> {
    let now = (engine.now)().0;
    let mut rebuild = false;
    let noted = SyncState::update(&engine.paths().state, |state| {
        if state.account == engine.account || engine.account.is_empty() {
            rebuild = state.session.as_ref().is_some_and(|session| !session.unproven);
            if let (true, Some(session)) = (rebuild, &mut state.session) {
                state.rebuild = true;
                session.doubted_at = now;
            }
        }
    });
    match noted {
        Ok(_) if rebuild => {
            tracing::warn!("the relay holds something else of this device's session; its store is built anew");
            Some(SyncError::Twin)
        }
        Ok(_) => None,
        Err(error) => Some(error),
    }
}

fn save(engine: &Engine) -> Result<(), SyncError> {
    SyncState::update(&engine.paths().state, |state| {
        if let Some(session) = state.session.as_mut().filter(|session| session.id == engine.session) {
            engine.tokens.keep_in(session);
        }
    })?;
    Ok(())
}
