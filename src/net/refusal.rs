//! Why a relay cannot be used, in plain words: it was not reached, or it said no, and what to do then.
//!
//! A relay of ours names its reason in a header beside the status of HTTP, or with the code that ends a WebSocket
//! ([`Ending`]); of others there is only the status.

use std::fmt::{Display, Formatter};

use crate::runtime::Ending;

/// The header in which a relay names why it does not take somebody in.
pub(crate) const HEADER: &str = "caro-refusal";
/// The header in which a relay names itself and those below it to the one above.
pub(crate) const BELOW: &str = "caro-below";

/// Why a relay cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was not reached, or is no relay; why, in plain words.
    Unreachable(String),
    /// It was reached, and said no.
    Refused(Refused),
}

/// What a relay says that does not take somebody in, or sends him away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It wants a token that counts.
    Token,
    /// It is not for pages of some web site.
    Origin,
    /// It has as many connections as it takes.
    Full,
    /// There are too many from this address.
    Address,
    /// There are too many of this account.
    Account,
    /// It does not know now who was invited.
    Unknown,
    /// Its database is away.
    Database,
    /// It is being stopped.
    Stopping,
    /// The relay that asks is above it too.
    Circle,
    /// It, or a proxy before it, takes nobody in, and does not say why.
    Busy,
    /// It has ended the connection.
    Ended(Ending),
}

impl Refused {
    /// What a status of HTTP says, and the reason that a relay names with it; none where it is no refusal.
    pub(crate) fn of(status: u16, reason: Option<&str>) -> Option<Self> {
        match (status, reason) {
            (_, Some("token")) => Some(Self::Token),
            (_, Some("origin")) => Some(Self::Origin),
            (_, Some("full")) => Some(Self::Full),
            (_, Some("address")) => Some(Self::Address),
            (_, Some("account")) => Some(Self::Account),
            (_, Some("unknown")) => Some(Self::Unknown),
            (_, Some("database")) => Some(Self::Database),
            (_, Some("stopping")) => Some(Self::Stopping),
            (_, Some("circle")) => Some(Self::Circle),
            (401 | 403, _) => Some(Self::Token),
            (429, _) => Some(Self::Address),
            (503, _) => Some(Self::Busy),
            _ => None,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Token => "Ask its operator for the whole address, then: caro sync relay set ADDRESS",
            Self::Origin => "Ask its operator.",
            Self::Full => "Try again later, or ask its operator to allow more (max_connections).",
            Self::Address => {
                "Try again later, or ask its operator to allow more (max_connections_per_address; a proxy before the \
                 relay has to be named with trusted_proxy)."
            }
            Self::Account => "Try again later, or ask its operator to allow more (max_connections_per_account).",
            Self::Unknown | Self::Database => {
                "Its operator has to look after it; nothing is lost meanwhile, and what waits goes up then."
            }
            Self::Circle => "One of them has to be above the others, without an upstream.",
            Self::Stopping | Self::Busy => "Try again in a moment; nothing is lost meanwhile.",
            Self::Ended(ending) => ending.remedy(),
        }
    }

    /// Whether the same would happen again until somebody does something about it.
    #[must_use]
    pub const fn lasts(self) -> bool {
        match self {
            Self::Token | Self::Origin | Self::Circle => true,
            Self::Ended(ending) => ending.lasts(),
            _ => false,
        }
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token => "the relay wants a token in the address, and one that still counts",
            Self::Origin => "the relay is not for pages of this site",
            Self::Full => "the relay has as many connections as it takes",
            Self::Address => "the relay has as many connections from your address as it takes",
            Self::Account => "the relay has as many connections of your account as it takes",
            Self::Unknown => "the relay cannot tell at the moment who was invited",
            Self::Database => "the relay's database does not answer",
            Self::Circle => "the relays are each other's upstream in a circle",
            Self::Stopping => "the relay is being stopped, or started again",
            Self::Busy => "the relay, or what stands before it, takes nobody in at the moment",
            Self::Ended(ending) => ending.in_words(),
        })
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(reason) => f.write_str(reason),
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Unreachable(reason)
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Self::Unreachable(reason.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relays_own_reason_counts_before_the_status() {
        assert_eq!(Refused::of(503, Some("database")), Some(Refused::Database));
        assert_eq!(Refused::of(503, Some("full")), Some(Refused::Full));
        assert_eq!(Refused::of(503, Some("a newer reason")), Some(Refused::Busy));
        assert_eq!(Refused::of(403, None), Some(Refused::Token));
        assert_eq!((Refused::of(404, None), Refused::of(500, None)), (None, None));
    }
}
