//! Why a relay ends a connection, as the other side hears it, and how that is done from wherever it is found out.
//!
//! Both sides have this list: a relay sends the code and the reason, a client of ours knows the code and says in its own
//! words what to do. Codes from 4000 on are for whoever uses WebSockets.

use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

/// What is wrong with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// What it says is not the protocol, or nested deeper than anything of it.
    Malformed,
    /// What it was let in with counts no more.
    Revoked,
    /// A frame did not arrive in its time.
    TooSlow,
    /// It writes as another account than its invitation is for.
    OtherAccount,
    /// A message or a transaction is larger than those that are taken.
    TooLarge,
    /// It asks for more CoValues that are not there than are kept in mind for one.
    TooManyNames,
    /// The account has stored as many bytes as it may.
    NoRoom,
    /// The account has stored as many CoValues as it may.
    TooManyValues,
    /// The relay's disk did not take what it sent.
    NoDisk,
    /// A CoValue is as large as one may be.
    ValueTooLarge,
}

impl Ending {
    /// All of them; each is at the place that its number says.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Revoked,
        Self::TooSlow,
        Self::OtherAccount,
        Self::TooLarge,
        Self::TooManyNames,
        Self::NoRoom,
        Self::TooManyValues,
        Self::NoDisk,
        Self::ValueTooLarge,
    ];

    /// The code of the WebSocket's end.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Malformed => 4400,
            Self::Revoked => 4403,
            Self::TooSlow => 4408,
            Self::OtherAccount => 4409,
            Self::TooLarge => 4413,
            Self::TooManyNames => 4429,
            Self::NoRoom => 4507,
            Self::TooManyValues => 4508,
            Self::NoDisk => 4509,
            Self::ValueTooLarge => 4510,
        }
    }

    /// The ending of a code; none of codes that mean something else.
    #[must_use]
    pub fn of(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.code() == code)
    }

    /// What a relay says with the code.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "this is not the Jazz protocol",
            Self::Revoked => "your token or invitation counts no more",
            Self::TooSlow => "a frame took too long to arrive",
            Self::OtherAccount => "this invitation is for another account",
            Self::TooLarge => "a message or transaction is too large",
            Self::TooManyNames => "you ask for too many CoValues that are not here",
            Self::NoRoom => "your account has stored as many bytes as it may",
            Self::TooManyValues => "your account has stored as many CoValues as it may",
            Self::NoDisk => "this relay's disk takes no changes",
            Self::ValueTooLarge => "a CoValue would be larger than this relay takes",
        }
    }

    /// One word, under which it is counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Revoked => "revoked",
            Self::TooSlow => "slow",
            Self::OtherAccount => "account",
            Self::TooLarge => "large",
            Self::TooManyNames => "names",
            Self::NoRoom => "full",
            Self::TooManyValues => "covalues",
            Self::NoDisk => "disk",
            Self::ValueTooLarge => "value",
        }
    }

    /// What a client tells its user: what happened.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Malformed => "the relay did not understand this version of caro",
            Self::Revoked => "the relay's operator has taken the token in the address back",
            Self::TooSlow => "the connection is too slow for the relay",
            Self::OtherAccount => "the address of the relay was given to another account",
            Self::TooLarge => "the relay takes nothing as large as what was sent",
            Self::TooManyNames => "the relay has lost too much of your history to be asked for all of it at once",
            Self::NoRoom => "your account is full at the relay",
            Self::TooManyValues => "your account has as many parts at the relay as it may",
            Self::NoDisk => "the relay's disk is full, or takes no changes",
            Self::ValueTooLarge => "one part of your account has become larger than the relay takes",
        }
    }

    /// And what he may do.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Malformed => "Try a newer caro, here or at the relay.",
            Self::Revoked => "Ask for a new address, then: caro sync relay set ADDRESS",
            Self::TooSlow => "Try a better connection; nothing is lost meanwhile.",
            Self::OtherAccount => "Ask its operator for one of your own, then: caro sync relay set ADDRESS",
            Self::TooLarge => "Try a newer caro, or another relay; nothing is lost meanwhile.",
            Self::TooManyNames => "Run it again: each time more of it is there.",
            Self::NoRoom => {
                "Ask its operator for more room (max_stored_mib_per_account), or name another relay; what was not taken \
                 stays here."
            }
            Self::TooManyValues => {
                "Ask its operator to allow more (max_covalues_per_account), or name another relay; what was not taken \
                 stays here."
            }
            Self::NoDisk => "Its operator has to make room; what was not taken stays here, and goes up then.",
            Self::ValueTooLarge => {
                "Ask its operator to allow more (max_value_mib), or name another relay; what was not taken stays here."
            }
        }
    }

    /// Whether the same would happen again until somebody does something about it.
    #[must_use]
    pub const fn lasts(self) -> bool {
        !matches!(self, Self::TooSlow | Self::TooManyNames)
    }
}

/// Ends one connection from anywhere, with the reason; the first one counts.
#[derive(Clone, Debug)]
pub struct HangUp(Arc<Line>);

#[derive(Debug, Default)]
struct Line {
    ending: OnceLock<Ending>,
    is_told: Notify,
}

impl HangUp {
    /// One for a connection that goes on until somebody says otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Ends the connection.
    pub fn end(&self, ending: Ending) {
        if self.0.ending.set(ending).is_ok() {
            self.0.is_told.notify_waiters();
        }
    }

    /// Resolves once the connection is to end.
    pub async fn asked(&self) -> Ending {
        loop {
            // Listens before it looks, so that nothing is missed in between.
            let told = self.0.is_told.notified();
            if let Some(ending) = self.0.ending.get() {
                return *ending;
            }
            told.await;
        }
    }
}

impl Default for HangUp {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_what_it_is_and_others_say_nothing() {
        for (place, ending) in Ending::ALL.into_iter().enumerate() {
            assert_eq!(ending as usize, place);
            assert_eq!(Ending::of(ending.code()), Some(ending));
            assert!(ending.reason().len() <= 123, "a WebSocket carries no longer reason");
        }
        assert_eq!(Ending::of(1000), None);
    }

    #[test]
    fn the_first_reason_counts() {
        let hang_up = HangUp::new();
        hang_up.end(Ending::Revoked);
        hang_up.clone().end(Ending::NoRoom);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(hang_up.asked()), Ending::Revoked);
    }
}
