//! How a relay says why it does not take somebody in.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::net::REFUSAL_HEADER;
pub(super) use crate::net::Refusal;
use crate::server::Full;

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
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        (status, [(REFUSAL_HEADER, self.name())], format!("{}\n", self.reason())).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Refused;

    #[test]
    fn a_device_understands_each_of_them() {
        for refusal in Refusal::ALL {
            let answer = refusal.into_response();
            let reason = answer.headers().get(REFUSAL_HEADER).and_then(|reason| reason.to_str().ok());
            assert_eq!(Refused::of(answer.status().as_u16(), reason), Some(Refused::AtTheDoor(refusal)));
            assert_eq!(answer.status().as_u16(), refusal.status());
        }
    }
}
