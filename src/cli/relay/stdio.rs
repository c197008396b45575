//! `caro relay serve --stdio`: one connection through standard input and output.
//!
//! The relay of that folder serves it, through the socket that only this user can open. Where none runs, one is started
//! that ends by itself some time after its last client has left; so several machines can be logged in at once, and share it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::cli::{CliError, Home, detached};
use crate::private_file;
use crate::relay::{ListenAddress, connect_privately, is_in_use, private_socket};

/// How long a relay may take to start.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked for meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often one may fail before it is given up, and what passes in between.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// How many seconds after its last client a relay that was started here ends.
const IDLE_EXIT: &str = "60";
/// Where it writes what goes wrong, in the state folder.
const LOG: &str = "relay.log";

/// Serves until either side ends. A relay that is started gets its settings from `config`, but listens nowhere else.
pub(super) fn run(home: &Home, folder: &Path, config: Option<&Path>) -> Result<(), CliError> {
    let folder = std::path::absolute(folder)
        .map_err(|error| CliError::usage(format!("{} is no path", folder.display())).caused_by(error))?;
    let relay = match connect_privately(&folder) {
        Some(relay) => relay,
        None => start(home, &folder, config)?,
    };
    let failed = |error: io::Error| CliError::failed("the connection could not be passed on").caused_by(error);
    let mut to_relay = relay.try_clone().map_err(failed)?;
    std::thread::spawn(move || {
        let input = io::stdin();
        if let Err(error) = pass_on(input.as_fd(), &mut to_relay) {
            tracing::debug!(%error, "the client left");
        }
        // The relay ends the connection, and with it the other direction.
        let _ = to_relay.shutdown(Shutdown::Write);
    });
    let output = File::from(io::stdout().as_fd().try_clone_to_owned().map_err(failed)?);
    if let Err(error) = pass_on(relay.as_fd(), output) {
        tracing::debug!(%error, "the connection ended");
    }
    Ok(())
}

/// Copies what comes, each piece at once.
fn pass_on(from: BorrowedFd<'_>, mut to: impl Write) -> io::Result<()> {
    let mut from = File::from(from.try_clone_to_owned()?);
    let mut bytes = vec![0; 64 << 10];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&bytes[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Starts a relay for this folder, and connects to it, or to one that was quicker.
fn start(home: &Home, folder: &Path, config: Option<&Path>) -> Result<UnixStream, CliError> {
    let failed = |error: io::Error| CliError::failed("the relay could not be started").caused_by(error);
    private_file::make_folder(&home.state_dir)
        .and_then(|()| private_file::make_folder(&home.data_dir))
        .map_err(failed)?;
    let log = home.state_dir.join(LOG);
    let give_up = Instant::now() + PATIENCE;
    let (mut reason, mut failures) = (None, 0);
    while failures < ATTEMPTS && Instant::now() < give_up {
        let errors = private_file::open_append(&log).map_err(failed)?;
        let before = errors.metadata().map_err(failed)?.len();
        let mut child = detached::start_telling(home, &arguments(folder, config), Some(errors)).map_err(failed)?;
        let mut until = give_up;
        while Instant::now() < until {
            if let Some(relay) = connect_privately(folder) {
                return Ok(relay);
            }
            if child.try_wait().map_err(failed)?.is_some() {
                until = until.min(Instant::now() + PAUSE);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        reason = said_since(&log, before).or(reason);
        // One that has met another that starts too, or has not quite ended, has not failed.
        failures += u32::from(!is_in_use(folder));
    }
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    Err(CliError::failed(format!("the relay in {} does not start{reason}", folder.display()))
        .hinted(format!("What it said is in {}.", log.display())))
}

/// What a relay is started with: it listens at nothing but its own socket.
fn arguments(folder: &Path, config: Option<&Path>) -> Vec<OsString> {
    let listen = ListenAddress::Unix(private_socket(folder)).to_string();
    let mut arguments: Vec<OsString> =
        ["relay", "serve", "--detached", "--idle-exit", IDLE_EXIT, "--listen", &listen, "--data-dir"]
            .map(OsString::from)
            .into();
    arguments.push(folder.into());
    arguments.extend(config.into_iter().flat_map(|file| ["--config".into(), file.into()]));
    arguments
}

/// The error that was written to a log after it was this long.
fn said_since(log: &Path, before: u64) -> Option<String> {
    let mut file = File::open(log).ok()?;
    file.seek(SeekFrom::Start(before)).ok()?;
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Error: ")).map(str::to_owned)
}
