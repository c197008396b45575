//! Why a relay does not take somebody in: what he is told, and the name under which it is counted.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::net::REFUSAL_HEADER;
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
    /// It is being stopped, and serves those who are there.
    Stopping,
    /// He is a relay below which this one is.
    Circle,
}

impl Refusal {
    /// All of them; each is at the place that its number says.
    pub(super) const ALL: [Self; 10] = [
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
            Self::Stopping => "stopping",
            Self::Circle => "circle",
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
            Self::Unknown => (StatusCode::SERVICE_UNAVAILABLE, "who was invited cannot be found out at the moment\n"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "the relay is being stopped\n"),
            Self::Circle => (StatusCode::LOOP_DETECTED, "the relays are each other's upstream in a circle\n"),
        };
        (status, [(REFUSAL_HEADER, self.name())], said).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Refused;

    #[test]
    fn each_is_at_its_place() {
        assert!(Refusal::ALL.iter().enumerate().all(|(place, refusal)| *refusal as usize == place));
    }

    #[test]
    fn a_device_understands_each_of_them() {
        // Who asks when too many do hears nothing.
        for refusal in Refusal::ALL.into_iter().filter(|refusal| *refusal != Refusal::Asking) {
            let answer = refusal.into_response();
            let reason = answer.headers().get(REFUSAL_HEADER).and_then(|reason| reason.to_str().ok());
            assert_eq!(reason, Some(refusal.name()));
            let heard = Refused::of(answer.status().as_u16(), reason).map(|refused| format!("{refused:?}"));
            assert_eq!(heard, Some(format!("{refusal:?}")));
        }
    }
}
