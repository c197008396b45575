//! `caro history pause` and `resume`: a shell session that is not recorded for a while.
//!
//! A session is hidden while a file named after it lies in the state directory, so that the hook of every
//! prompt finds out by one look. Sessions end without notice; what is left of them goes after a month.

use std::time::{Duration, SystemTime};
use std::{env, fs, io, path::PathBuf};

use super::super::{CliError, Home, Ui};
use crate::private_file;

/// After this time a session is taken for ended.
const OLD: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Which session.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell session [default: the one this runs in]
    #[arg(long, value_name = "ID")]
    session: Option<String>,
}

impl Args {
    fn session(&self) -> Result<String, CliError> {
        let given = self.session.clone().filter(|session| !session.is_empty());
        given.or_else(current_session).ok_or_else(|| {
            CliError::usage("this shell is not recorded: its integration is not active")
                .hinted("`caro init --help` says how to activate it; --session ID names another session.")
        })
    }
}

/// Runs `caro history pause`.
pub(super) fn pause(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let session = args.session()?;
    forget_old(home);
    let folder = folder(home);
    private_file::make_folder(&folder)
        .and_then(|()| private_file::replace(&file(home, &session), b""))
        .map_err(|error| not_written(home, error))?;
    ui.status("Nothing is recorded in this session until `caro history resume`.");
    Ok(())
}

/// Runs `caro history resume`.
pub(super) fn resume(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    match fs::remove_file(file(home, &args.session()?)) {
        Ok(()) => ui.status("This session is recorded again."),
        Err(error) if error.kind() == io::ErrorKind::NotFound => ui.status("This session is being recorded already."),
        Err(error) => return Err(not_written(home, error)),
    }
    Ok(())
}

/// The shell session that this runs in, where the integration is active.
pub(in crate::cli) fn current_session() -> Option<String> {
    env::var("CARO_SESSION").ok().filter(|session| !session.is_empty())
}

/// Whether nothing is to be recorded in this session.
pub(in crate::cli) fn is_hidden(home: &Home, session: &str) -> bool {
    file(home, session).exists()
}

fn folder(home: &Home) -> PathBuf {
    home.state_dir.join("hidden-sessions")
}

/// Named by a hash, since a session may be called anything.
fn file(home: &Home, session: &str) -> PathBuf {
    folder(home).join(blake3::hash(session.as_bytes()).to_hex().as_str())
}

/// Best effort: a file too many hides nothing that exists.
fn forget_old(home: &Home) {
    let Ok(entries) = fs::read_dir(folder(home)) else { return };
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|meta| meta.modified()).map(|at| SystemTime::now().duration_since(at));
        if matches!(age, Ok(Ok(age)) if age > OLD) {
            drop(fs::remove_file(entry.path()));
        }
    }
}

fn not_written(home: &Home, error: io::Error) -> CliError {
    CliError::failed(format!("{} could not be changed", folder(home).display()))
        .hinted("See to it that the directory is yours and that there is room on the disk.")
        .caused_by(error)
}
