//! What a home keeps: whether it is whole, has room, and is its owner's alone.

use std::error::Error;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::cli::Home;
use crate::cli::ui::counted;
use crate::history::{examine, set_aside};
use crate::sync::health;

/// Less free room than this is too little to work with, in bytes.
const ROOM: u64 = 64 << 20;

/// The history: whether it opens and is whole.
pub(in crate::cli) fn history(home: &Home) -> Vec<Finding> {
    let path = home.history_path();
    let history = match home.open_history() {
        Ok(history) => history,
        Err(error) => return vec![Finding::error("history", error)],
    };
    let size = std::fs::metadata(&path).map(|file| file.len()).unwrap_or_default();
    vec![match (examine(&path), history.count()) {
        (Ok(()), Ok(count)) => {
            let count = counted(count, "command");
            Finding::ok("history", format!("{} is whole: {count}, {}", path.display(), megabytes(size)))
        }
        (Err(error), _) | (_, Err(error)) => {
            let reason = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            Finding::problem(
                "history",
                format!("{} cannot be read whole: {error}{reason}", path.display()),
                "`caro doctor --repair` sets it aside and builds it anew from what can be read.",
            )
        }
    }]
}

/// What earlier damage and busy moments left behind.
pub(super) fn left_over(home: &Home) -> Vec<Finding> {
    let mut findings: Vec<_> = set_aside(&home.history_path())
        .into_iter()
        .map(|file| {
            let size = std::fs::metadata(&file).map(|file| file.len()).unwrap_or_default();
            Finding::warning(
                "damaged",
                format!("{} ({}) is a damaged history that was set aside", file.display(), megabytes(size)),
                format!(
                    "Delete it when you miss nothing, for it holds your commands too: rm -f '{0}' '{0}-wal'",
                    file.display()
                ),
            )
        })
        .collect();
    match home.waiting().damaged_and_waiting() {
        Ok((damaged, 0)) if damaged.is_empty() => {}
        Ok((damaged, waiting)) => {
            if waiting > 0 {
                let wait = if waiting == 1 { "waits" } else { "wait" };
                findings.push(Finding::warning(
                    "waiting",
                    format!("{} {wait} to be stored: the history could not be opened, or another process keeps it to itself", counted(waiting as u64, "command")),
                    "Where the history is whole, look for a caro process that hangs; the next command that finds it free takes them in.",
                ));
            }
            findings.extend(damaged.iter().map(|file| {
                Finding::warning(
                    "waiting",
                    format!("{} was a command that waited to be stored, and cannot be read", file.display()),
                    format!("It is lost; delete the file: rm '{}'", file.display()),
                )
            }));
        }
        Err(error) => findings.push(Finding::error("waiting", error.into())),
    }
    findings
}

/// Room on the disk.
pub(in crate::cli) fn room(home: &Home) -> Finding {
    match health::free_room(&home.data_dir) {
        Ok(free) if free < ROOM => Finding::problem(
            "room",
            format!("only {} MiB are free where caro keeps its data", free >> 20),
            "Free some space: commands that run while there is none cannot be recorded, and nothing is synced.",
        ),
        Ok(free) => Finding::ok("room", format!("{} MiB free", free >> 20)),
        Err(error) => Finding::problem("room", format!("the data folder cannot be read: {error}"), WRITABLE),
    }
}

/// Who else can read what caro keeps.
pub(in crate::cli) fn access(home: &Home) -> Vec<Finding> {
    let open = health::open_to_others(&[&home.data_dir, &home.config_dir, &home.state_dir]);
    if open.is_empty() {
        return vec![Finding::ok("access", "only you can read what caro keeps")];
    }
    let finding = |file: &PathBuf| {
        let shown = file.display();
        Finding::warning("access", format!("others can read {shown}"), format!("chmod go-rwx '{shown}'"))
    };
    open.iter().map(finding).collect()
}

const WRITABLE: &str = "Make the folder readable and writable for you.";

/// Folders and files that this user cannot write; nothing where all is well.
pub(super) fn writable(home: &Home) -> Vec<Finding> {
    let mut folders = vec![&home.data_dir, &home.config_dir, &home.state_dir];
    folders.dedup();
    let mut findings = Vec::new();
    for folder in folders {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let foreign = files.chain([folder.clone()]).find(|path| is_of_another(path));
        if let Some(path) = foreign {
            findings.push(Finding::problem(
                "owner",
                format!("{} belongs to another user, as after `sudo caro …`", path.display()),
                format!("Take it back: sudo chown -R \"$(id -un)\" '{}'", folder.display()),
            ));
        } else if folder.exists() && rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_err() {
            findings.push(Finding::problem("owner", format!("{} cannot be written", folder.display()), WRITABLE));
        }
    }
    findings
}

fn is_of_another(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|file| file.uid() != rustix::process::geteuid().as_raw())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
