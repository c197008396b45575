//! HTTP on one connection, with an end to it: for who sends nothing, sends on and on, or never reads.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Extensions;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service as _;

/// How long a client may take to say what it wants.
const HEADERS: Duration = Duration::from_secs(10);
/// How long a client may ask and be answered, unless it has become a WebSocket by then.
const ASKING: Duration = Duration::from_secs(15);
/// The longest headers, in bytes.
const LONGEST_HEADERS: usize = 16 << 10;

/// Has a router answer what is asked on a connection, until it ends, has become a WebSocket, or takes too long. `mark` adds to each
/// request what is known of the connection.
pub(crate) async fn answer(
    router: Router,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    mark: impl Fn(&mut Extensions) + Send,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        mark(request.extensions_mut());
        router.clone().call(request.map(Body::new))
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(LONGEST_HEADERS)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // The time counts for those too that ask again and again, or never read.
    match tokio::time::timeout(ASKING, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a request came to nothing"),
        Err(_) => tracing::debug!("a client asked for too long"),
    }
}
