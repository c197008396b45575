//! What a collector answers over HTTP.
//!
//! | path | answer |
//! | --- | --- |
//! | `POST /v1/report` | takes a report |
//! | `POST /v1/revoke` | takes one back |
//! | `/v1/aggregates.json` | what is published, as JSON |
//! | `/` | the same as a page |
//! | `/health` | 200 while what is sent can be stored |

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Extension, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use ipnet::IpNet;

use super::intake::{Answer, Intake};
use super::limit::Purpose;
use super::page;
use super::publication::Publication;
use crate::community::{BODY_BYTES, Malformed, REPORT_PATH, REVOKE_PATH};
use crate::server::{Admission, Admitted, Client, Stream, Via, answer, behind, nearest};

/// Where what is published is as JSON.
const AGGREGATES_PATH: &str = "/v1/aggregates.json";

/// The type of what is sent, and of what is published.
const JSON: &str = "application/json";

/// What all answers share.
pub(super) struct Shared {
    pub(super) intake: Intake,
    pub(super) publication: Publication,
    pub(super) connections: Arc<Admission>,
    pub(super) trusted_proxies: Vec<IpNet>,
}

/// All answers.
pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route(REPORT_PATH, taking(Purpose::Report))
        .route(REVOKE_PATH, taking(Purpose::Revocation))
        .route(AGGREGATES_PATH, get(aggregates))
        .route("/", get(published))
        .route("/health", get(health))
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is nothing here\n") })
        .with_state(shared.clone())
}

/// A place for one more connection, if there is one.
pub(super) fn enter(shared: &Shared, via: Via) -> Option<Admitted> {
    shared.connections.admit(nearest(via, &shared.trusted_proxies)).ok()
}

/// Serves a connection, which has its place until it ends.
pub(super) async fn serve(router: Router, stream: Box<dyn Stream>, via: Via, place: Admitted) {
    let mark = move |extensions: &mut axum::http::Extensions| {
        extensions.insert(via);
    };
    answer(router, stream, mark).await;
    drop(place);
}

/// Takes what is sent for a purpose.
fn taking(purpose: Purpose) -> MethodRouter<Arc<Shared>> {
    let take = move |State(shared): State<Arc<Shared>>,
                     Extension(via): Extension<Via>,
                     headers: HeaderMap,
                     body: Body| async move {
        match read(&headers, body).await {
            Ok(bytes) => shared.intake.take(purpose, shared.client(via, &headers), bytes).await,
            Err(answer) => answer,
        }
    };
    post(take)
}

impl Shared {
    fn client(&self, via: Via, headers: &HeaderMap) -> Client {
        behind(via, headers, &self.trusted_proxies)
    }
}

/// The body of a request; one that is longer than any should be is not read to its end.
///
/// A browser asks before it sends JSON to another site than its page is from, and hears no: otherwise any page could have its
/// visitors send from their addresses what somebody else has made.
async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Answer> {
    let malformed = Answer::Malformed(Malformed::Format);
    if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != JSON) {
        return Err(malformed);
    }
    to_bytes(body, BODY_BYTES).await.map_err(|_| malformed)
}

async fn aggregates(State(shared): State<Arc<Shared>>) -> Response {
    let Some(published) = shared.publication.now().await else { return not_counted() };
    // It is for everybody, pages of others included.
    let headers = [(CONTENT_TYPE, JSON), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    match serde_json::to_string(&*published) {
        Ok(json) => (headers, json + "\n").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn published(State(shared): State<Arc<Shared>>) -> Response {
    match shared.publication.now().await {
        Some(published) => page::response(&published),
        None => not_counted(),
    }
}

/// What is answered who asks before the first count is done.
fn not_counted() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "nothing was counted yet; look again later\n").into_response()
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    if shared.intake.store.refuses() {
        (StatusCode::SERVICE_UNAVAILABLE, "its store takes nothing\n").into_response()
    } else {
        "ok\n".into_response()
    }
}
