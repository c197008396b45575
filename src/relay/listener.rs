//! Accepts WebSocket connections at any path, and answers `/health`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use super::RelayError;
use crate::net::{Frame, MAX_FRAME_BYTES, frames_for};
use crate::runtime::Isolate;
use crate::runtime::protocol::Accept;

/// How long the isolate may take to greet a connection.
const GREETING: Duration = Duration::from_secs(30);

/// A bound address.
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// Binds an address.
pub(super) async fn bind(address: SocketAddr) -> Result<Listener, RelayError> {
    let failed = |source| RelayError::Listen { address, source };
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    Ok(Listener { socket, address })
}

impl Listener {
    /// The address that was really bound.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until dropped.
    pub(super) async fn run(self, isolate: Arc<Isolate>) -> std::io::Result<()> {
        let router = Router::new().route("/health", get(health)).fallback(upgrade).with_state(isolate);
        // Small frames go out at once: waiting to merge them would cost each answer 40 ms.
        let socket = self.socket.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection stays slow");
            }
        });
        axum::serve(socket, router).await
    }
}

async fn health(State(isolate): State<Arc<Isolate>>) -> Response {
    if isolate.has_ended() {
        (StatusCode::SERVICE_UNAVAILABLE, "the sync engine has stopped\n").into_response()
    } else {
        "ok\n".into_response()
    }
}

async fn upgrade(
    State(isolate): State<Arc<Isolate>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match upgrade {
        Ok(upgrade) => upgrade
            .max_message_size(MAX_FRAME_BYTES)
            .max_frame_size(MAX_FRAME_BYTES)
            .on_upgrade(move |socket| connected(isolate, socket)),
        Err(_) => (StatusCode::UPGRADE_REQUIRED, "this is a relay: connect with a WebSocket\n").into_response(),
    }
}

async fn connected(isolate: Arc<Isolate>, socket: WebSocket) {
    let runtime = tokio::runtime::Handle::current();
    let frames = frames_for(
        socket,
        |text| Message::Text(text.into()),
        to_frame,
        &runtime,
        || {
            tracing::debug!("a client left");
        },
    );
    let greeted = async {
        let socket = isolate.add_connection(frames).await?;
        isolate.call_async(&Accept { socket }, GREETING).await
    };
    match greeted.await {
        Ok(_) => tracing::debug!("a client came"),
        Err(error) => tracing::warn!(%error, "a client could not be served"),
    }
}

fn to_frame(message: Message) -> Frame {
    match message {
        Message::Text(text) => Frame::Text(text.as_str().to_owned()),
        Message::Close(_) => Frame::Close,
        _ => Frame::Other,
    }
}
