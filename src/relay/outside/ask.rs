//! Asks a running relay how it does, over the socket of its user.

use std::io;
use std::path::Path;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::status::Status;
use crate::relay::{RelayError, connect_to_ask, is_in_use};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest answer, in bytes.
const LONGEST: usize = 1 << 20;

/// How the relay with its store in this folder does; none where none runs.
///
/// # Errors
///
/// [`RelayError::Silent`] where one runs and does not answer, or is another user's.
pub fn ask(data_dir: &Path) -> Result<Option<Status>, RelayError> {
    let Some(stream) = connect_to_ask(data_dir) else {
        return if is_in_use(data_dir) { Err(RelayError::Silent(data_dir.to_owned())) } else { Ok(None) };
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = async {
        stream.set_nonblocking(true)?;
        tokio::time::timeout(PATIENCE, get(UnixStream::from_std(stream)?)).await?
    };
    match runtime.block_on(asked) {
        Ok(status) => Ok(Some(status)),
        Err(error) => {
            tracing::debug!(%error, "the relay did not say how it does");
            Err(RelayError::Silent(data_dir.to_owned()))
        }
    }
}

async fn get(stream: UnixStream) -> io::Result<Status> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let asking = async {
        let request = Request::get("/status").header(HOST, "relay").body(Body::empty()).map_err(io::Error::other)?;
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let body = to_bytes(Body::new(answer.into_body()), LONGEST).await.map_err(io::Error::other)?;
        Ok(serde_json::from_slice(&body)?)
    };
    tokio::select! {
        status = asking => status,
        // Comes first only where the relay has ended the connection.
        ended = connection => Err(ended.err().map_or(io::ErrorKind::UnexpectedEof.into(), io::Error::other)),
    }
}
