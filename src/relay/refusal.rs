//! Why a relay does not take somebody in: what he is told, and the name under which it is counted.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::server::Full;

/// A reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// He has no token that is known.
    Token,
    /// He comes from a page of another site.
    Origin,
    /// The relay holds as many connections as it may.
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
}

impl Refusal {
    /// All of them; each is at the place that its number says.
    pub(super) const ALL: [Self; 8] = [
        Self::Token,
        Self::Origin,
        Self::Full,
        Self::Address,
        Self::Account,
        Self::Unknown,
        Self::Asking,
        Self::Database,
    ];

    /// One word.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Origin => "origin",
            Self::Full => "full",
            Self::Address => "address",
            Self::Account => "account",
            Self::Unknown => "unknown",
            Self::Asking => "asking",
            Self::Database => "database",
        }
    }
}

impl From<Full> for Refusal {
    fn from(full: Full) -> Self {
        match full {
            Full::Server => Self::Full,
            Full::Address => Self::Address,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, said) = match self {
            Self::Token => (StatusCode::FORBIDDEN, "this relay is for those who know its token\n"),
            Self::Origin => (StatusCode::FORBIDDEN, "this relay is not for pages of this site\n"),
            Self::Full | Self::Asking => (StatusCode::SERVICE_UNAVAILABLE, "too many connections\n"),
            Self::Database => (StatusCode::SERVICE_UNAVAILABLE, "the relay's database does not answer\n"),
            Self::Address => (StatusCode::TOO_MANY_REQUESTS, "too many connections from your address\n"),
            Self::Account => (StatusCode::TOO_MANY_REQUESTS, "too many connections of your account\n"),
            Self::Unknown => (StatusCode::SERVICE_UNAVAILABLE, "try again later\n"),
        };
        (status, said).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_at_its_place() {
        assert!(Refusal::ALL.iter().enumerate().all(|(place, refusal)| *refusal as usize == place));
    }
}
