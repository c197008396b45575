//! The daemon's end of its socket ([`super::socket`] has the other, and the table of what is said).

use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};

use super::socket::{Answer, Ask, Status};
use super::wake::Wake;
use crate::local_socket;

/// Conversations at the same time; more have to wait, and count the daemon as absent.
const AT_ONCE: usize = 64;
/// How long a command may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest thing it can say, in bytes.
const LONGEST_LINE: u64 = 1024;

/// What the daemon does now, for those who ask.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Status>>);

impl Shared {
    pub(super) fn read(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn write(&self, status: Status) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

/// Makes the socket; the caller holds the daemon's lock.
pub(super) fn bind(path: &Path) -> std::io::Result<UnixListener> {
    UnixListener::from_std(local_socket::bind(path)?)
}

/// Serves until the runtime ends.
pub(super) async fn serve(listener: UnixListener, status: Shared, wakes: Sender<Wake>) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let ours = rustix::process::getuid().as_raw();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) if stream.peer_cred().is_ok_and(|peer| peer.uid() == ours) => {
                let (status, wakes) = (status.clone(), wakes.clone());
                tokio::spawn(async move {
                    // A command that goes away in the middle is nobody's loss.
                    drop(converse(stream, &status, &wakes).await);
                    drop(permit);
                });
            }
            Ok(_) => tracing::warn!("another user's process tried the daemon's socket"),
            Err(error) => {
                tracing::warn!(%error, "a conversation could not be begun");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, status: &Shared, wakes: &Sender<Wake>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    tokio::time::timeout(PATIENCE, (&mut stream).take(LONGEST_LINE).read_line(&mut line)).await??;
    let Ok(ask) = serde_json::from_str::<Ask>(&line) else { return Ok(()) };
    let tell = |wake| wakes.send(wake).map_err(|_| std::io::ErrorKind::BrokenPipe);
    match ask {
        Ask::Status => say(&mut stream, &Answer { status: Some(status.read()), ..Answer::default() }).await,
        Ask::Captured => {
            tell(Wake::Captured)?;
            say(&mut stream, &Answer::default()).await
        }
        Ask::Stop => {
            say(&mut stream, &Answer::default()).await?;
            Ok(tell(Wake::Stop)?)
        }
        Ask::Exchange => {
            let (sender, outcome) = oneshot::channel();
            tell(Wake::Exchange(sender))?;
            say(&mut stream, &Answer::default()).await?;
            match outcome.await {
                Ok(answer) => say(&mut stream, &answer).await,
                // The daemon ends; the command does its own work.
                Err(_) => Ok(()),
            }
        }
        Ask::Borrow => {
            tell(Wake::Borrowed)?;
            let told = say(&mut stream, &Answer::default()).await;
            if told.is_ok() {
                // Nothing more is said; what is waited for is its end.
                drop(stream.read_line(&mut String::new()).await);
            }
            Ok(tell(Wake::Returned)?)
        }
    }
}

async fn say(stream: &mut BufReader<UnixStream>, answer: &Answer) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(answer)?;
    text.push(b'\n');
    stream.get_mut().write_all(&text).await
}
