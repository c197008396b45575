//! The background process that keeps a device in step: live while there is a connection, patient while there is
//! none.
//!
//! ```text
//! signals, socket, files, network, relay ──► wakes ──► one loop: plan, attempt, wait
//! ```
//!
//! One thread decides everything, in a loop: what may be done now (`plan`), whether there is a reason to do it,
//! and what to wait for. While it listens it holds an open [`Engine`]; whatever fails, the engine is
//! dropped and a new one is opened later, so that there is one way of recovering, and no state survives a failure
//! but what lies in the stores.
//!
//! It is found by its socket ([`socket`]). Nothing depends on it: every command does its own work where no
//! daemon answers, and borrows the lock from one that does.

mod backoff;
mod files;
mod network;
mod plan;
mod run;
mod server;
pub mod socket;
mod wake;

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

pub(crate) use backoff::{before_lasting, pause, random};
pub use plan::Choices;
pub(crate) use plan::{Period, next, period, rfc3339};

use self::run::Loop;
use self::socket::{Doing, Failed};
use self::wake::{Wake, Watched, listen};
use super::{Engine, Report, SyncError, SyncPaths, SyncState};
use crate::history::{History, UnixNanos};
use crate::net::Network;
use crate::private_file;

/// How long the end of an exchange is waited for when the daemon is to stop. Nothing is lost by not waiting.
const LAST_EXCHANGE: Duration = Duration::from_millis(1500);

/// Opens the account; its argument says what for.
pub type Open = dyn Fn(&str) -> Result<Engine, Failed> + Send;

/// What a daemon needs from its surroundings.
pub struct Options {
    /// Where the home keeps what belongs to sync.
    pub paths: SyncPaths,
    /// The account that it has the keys of.
    pub account: String,
    /// The history.
    pub history: PathBuf,
    /// The clock.
    pub now: fn() -> UnixNanos,
    /// Reads what the user has chosen.
    pub choices: Box<dyn Fn() -> Result<Choices, Failed> + Send>,
    /// Opens the account for what it is told, with the choices as they are now, and without asking a daemon for
    /// the lock.
    pub open: Box<Open>,
    /// Puts an error into the user's words.
    pub explain: fn(SyncError) -> Failed,
    /// Hears what the daemon does.
    pub tell: Box<dyn FnMut(Told<'_>) + Send>,
}

/// What a daemon tells while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// It listens on its socket.
    Started,
    /// An exchange moved something, or was asked for.
    Exchanged {
        /// What started it.
        trigger: &'a str,
        /// What it did.
        report: &'a Report,
        /// How long it took.
        took: Duration,
    },
    /// An attempt failed.
    Failed {
        /// What started it.
        trigger: &'a str,
        /// Why.
        error: &'a Failed,
        /// How long it waits before the next.
        pause: Duration,
    },
    /// It does something else from now on.
    Doing(Doing),
    /// The machine slept, or its clock was set.
    Jumped,
    /// It ends.
    Stopped,
}

/// Runs until it is told to stop.
///
/// # Errors
///
/// [`SyncError::Busy`] where a daemon of this home runs already, [`SyncError::NotSetUp`] where there is nothing to
/// do or there is nothing any more, [`SyncError::OtherKeys`] where this device has taken other keys meanwhile; what makes
/// any work impossible from the start.
pub fn run(options: Options) -> Result<(), SyncError> {
    if SyncState::load(&options.paths.state)?.is_none() {
        return Err(SyncError::NotSetUp);
    }
    let _lock = only_one(&options.paths)?;
    let history = History::open(&options.history)?;
    let (wakes, woken) = mpsc::channel();
    let status = server::Shared::default();
    let network = Network::start()?;
    let watched = Watched {
        data_dir: private_file::folder_of(&options.paths.state).to_owned(),
        config_dir: private_file::folder_of(&options.paths.config).to_owned(),
    };
    private_file::make_folder(&watched.config_dir)?;
    let socket = options.paths.socket.clone();
    listen(&network, &socket, watched, &status, &wakes)?;

    let (inward, inbox) = mpsc::channel();
    let looping = Loop::new(options, history, status, inward.clone());
    std::thread::Builder::new().name("caro-sync".into()).spawn(move || {
        let result = looping.run(&inbox);
        drop(wakes.send(Wake::Ended(result)));
    })?;
    let result = relay_wakes(&woken, &inward);
    drop(std::fs::remove_file(socket));
    result
}

/// Hands everything to the loop until it ends, or is to end: it may be in the middle of an exchange with a relay
/// that is silent, and is left behind then.
fn relay_wakes(woken: &Receiver<Wake>, inward: &Sender<Wake>) -> Result<(), SyncError> {
    let mut give_up = None;
    loop {
        let wake = match give_up {
            None => woken.recv().unwrap_or(Wake::Ended(Ok(()))),
            Some(at) => {
                let left = Instant::saturating_duration_since(&at, Instant::now());
                woken.recv_timeout(left).unwrap_or(Wake::Ended(Ok(())))
            }
        };
        match wake {
            Wake::Ended(result) => return result,
            Wake::Stop => {
                give_up = give_up.or(Some(Instant::now() + LAST_EXCHANGE));
                drop(inward.send(Wake::Stop));
            }
            wake => drop(inward.send(wake)),
        }
    }
}

/// Takes the lock of the one daemon of a home.
fn only_one(paths: &SyncPaths) -> Result<File, SyncError> {
    let failed = |source| SyncError::File { file: paths.daemon_lock.display().to_string(), action: "written", source };
    let lock = private_file::make_folder(private_file::folder_of(&paths.daemon_lock))
        .and_then(|()| private_file::open_lock(&paths.daemon_lock))
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(SyncError::Busy),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
