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

/// Why a relay does not take somebody in. Both sides have this list: a relay sends the status and the name, a client of ours
/// knows the name and says in its own words what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// He has no token that counts.
    Token,
    /// He comes from a page of another site.
    Origin,
    /// The relay has as many connections as it takes.
    Full,
    /// There are too many from his address.
    Address,
    /// There are too many of his account.
    Account,
    /// Whether he was invited cannot be found out now.
    Unknown,
    /// Too many are asking at the same time; he hears nothing.
    Asking,
    /// The relay's database is away.
    Database,
    /// It is being stopped, and serves those who are there.
    Stopping,
    /// He is a relay below which this one is.
    Circle,
}

impl Refusal {
    /// All of them; each is at the place that its number says.
    pub const ALL: [Self; 10] = [
        Self::Token,
        Self::Origin,
        Self::Full,
        Self::Address,
        Self::Account,
        Self::Unknown,
        Self::Asking,
        Self::Database,
        Self::Stopping,
        Self::Circle,
    ];

    /// One word, by which a client knows it, and under which it is counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Origin => "origin",
            Self::Full => "full",
            Self::Address => "address",
            Self::Account => "account",
            Self::Unknown => "unknown",
            Self::Asking => "asking",
            Self::Database => "database",
            Self::Stopping => "stopping",
            Self::Circle => "circle",
        }
    }

    /// The refusal of a name; none of other words.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.name() == name)
    }

    /// The status of HTTP.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Token | Self::Origin => 403,
            Self::Address | Self::Account => 429,
            Self::Full | Self::Unknown | Self::Asking | Self::Database | Self::Stopping => 503,
            Self::Circle => 508,
        }
    }

    /// What a relay says with it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Token => "this relay is for those who know its token",
            Self::Origin => "this relay is not for pages of this site",
            Self::Full | Self::Asking => "too many connections",
            Self::Address => "too many connections from your address",
            Self::Account => "too many connections of your account",
            Self::Unknown => "who was invited cannot be found out at the moment",
            Self::Database => "the relay's database does not answer",
            Self::Stopping => "the relay is being stopped",
            Self::Circle => "the relays are each other's upstream in a circle",
        }
    }

    /// What a client tells its user: what happened.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Token => "the relay wants a token in the address, and one that still counts",
            Self::Origin => "the relay is not for pages of this site",
            Self::Full => "the relay has as many connections as it takes",
            Self::Address => "the relay has as many connections from your address as it takes",
            Self::Account => "the relay has as many connections of your account as it takes",
            Self::Unknown => "the relay cannot tell at the moment who was invited",
            Self::Asking => "more than the relay takes are asking it at the same time",
            Self::Database => "the relay's database does not answer",
            Self::Stopping => "the relay is being stopped, or started again",
            Self::Circle => "the relays are each other's upstream in a circle",
        }
    }

    /// And what he may do.
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
            Self::Asking | Self::Stopping => Refused::IN_A_MOMENT,
            Self::Circle => "One of them has to be above the others, without an upstream.",
        }
    }

    /// Whether the same would happen again until somebody does something about it.
    #[must_use]
    pub const fn lasts(self) -> bool {
        matches!(self, Self::Token | Self::Origin | Self::Circle)
    }
}

/// What a relay says that does not take somebody in, or sends him away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It does not take him in.
    AtTheDoor(Refusal),
    /// It, or a proxy before it, takes nobody in, and does not say why.
    Busy,
    /// It has ended the connection.
    Ended(Ending),
}

impl Refused {
    const IN_A_MOMENT: &str = "Try again in a moment; nothing is lost meanwhile.";

    /// What a status of HTTP says, and the reason that a relay names with it; none where it is no refusal.
    pub(crate) fn of(status: u16, reason: Option<&str>) -> Option<Self> {
        match (reason.and_then(Refusal::of), status) {
            (Some(refusal), _) => Some(Self::AtTheDoor(refusal)),
            (None, 401 | 403) => Some(Self::AtTheDoor(Refusal::Token)),
            (None, 429) => Some(Self::AtTheDoor(Refusal::Address)),
            (None, 503) => Some(Self::Busy),
            (None, _) => None,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::AtTheDoor(refusal) => refusal.remedy(),
            Self::Busy => Self::IN_A_MOMENT,
            Self::Ended(ending) => ending.remedy(),
        }
    }

    /// Whether the same would happen again until somebody does something about it.
    #[must_use]
    pub const fn lasts(self) -> bool {
        match self {
            Self::AtTheDoor(refusal) => refusal.lasts(),
            Self::Busy => false,
            Self::Ended(ending) => ending.lasts(),
        }
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AtTheDoor(refusal) => refusal.in_words(),
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
    fn each_is_at_its_place_and_known_by_its_name() {
        for (place, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, place);
            assert_eq!(Refusal::of(refusal.name()), Some(refusal));
        }
        assert_eq!(Refusal::of("nonsense"), None);
    }

    #[test]
    fn a_relay_of_others_is_understood_by_its_status() {
        assert_eq!(Refused::of(403, Some("origin")), Some(Refused::AtTheDoor(Refusal::Origin)));
        assert_eq!(Refused::of(401, None), Some(Refused::AtTheDoor(Refusal::Token)));
        assert_eq!(Refused::of(429, Some("nonsense")), Some(Refused::AtTheDoor(Refusal::Address)));
        assert_eq!(Refused::of(503, None), Some(Refused::Busy));
        assert_eq!(Refused::of(404, None), None);
    }
}
