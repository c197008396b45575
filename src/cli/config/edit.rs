//! `caro config edit`: a preferences file in the user's editor, checked before it counts.
//!
//! The editor works on a copy. So a slip never stands in the file, other programs never read half an edit, and the
//! answer to a wrong value is another try instead of a repair.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use super::super::{CliError, Home, Kind, Ui};
use super::{announce, store};
use crate::prefs;
use crate::private_file;

/// What is tried where the user has named no editor.
const FALLBACKS: [&str; 2] = ["vi", "nano"];

/// Edit a file with preferences in $VISUAL, $EDITOR, vi or nano; what is wrong in it is not taken over
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro config edit
  EDITOR='code --wait' caro config edit --sync
")]
pub(in crate::cli) struct EditArgs {
    /// Edit sync.toml instead of Caro's config.toml
    #[arg(long)]
    sync: bool,
}

pub(super) fn run(ui: &Ui, home: &Home, args: &EditArgs) -> Result<(), CliError> {
    let paths = home.prefs();
    let file = if args.sync { &paths.sync } else { &paths.config };
    let before = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(unusable(file, "read", error)),
    };
    let copy = beside(file);
    let written = private_file::make_folder(private_file::folder_of(&copy))
        .and_then(|()| private_file::write_new(&copy, &before));
    written.map_err(|error| unusable(&copy, "written", error))?;
    let result = edit(file, &copy, &before, args.sync);
    let is_work = || std::fs::read(&copy).is_ok_and(|text| text != before);
    if matches!(&result, Err(error) if error.kind == Kind::Usage) && is_work() {
        // The text is the user's work, so it is kept.
        ui.status(format_args!("What you wrote is kept in {}", copy.display()));
    } else {
        drop(std::fs::remove_file(&copy));
    }
    match result? {
        true => announce(ui, home, &store(home)?, false),
        false => {
            ui.status("Nothing was changed.");
            Ok(())
        }
    }
}

/// Lets the user edit the copy; says whether the file was replaced by it.
fn edit(file: &Path, copy: &Path, before: &[u8], sync: bool) -> Result<bool, CliError> {
    open_editor(copy)?;
    let after = std::fs::read(copy).map_err(|error| unusable(copy, "read", error))?;
    if after == before {
        return Ok(false);
    }
    prefs::check(copy, if sync { prefs::File::Sync } else { prefs::File::Caro })?;
    if std::fs::read(file).unwrap_or_default() != before {
        return Err(CliError::usage(format!("{} was changed while you edited it", file.display()))
            .hinted("Put what you wrote into the file by hand, or edit it again."));
    }
    private_file::replace_keeping_mode(file, &after).map_err(|error| unusable(file, "written", error))?;
    Ok(true)
}

fn open_editor(file: &Path) -> Result<(), CliError> {
    let chosen =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|set| !set.trim().is_empty()));
    let editor = chosen.or_else(|| FALLBACKS.into_iter().find(|name| is_in_path(name)).map(str::to_owned));
    let editor = editor.ok_or_else(|| {
        CliError::usage("neither VISUAL nor EDITOR is set, and there is neither vi nor nano")
            .hinted("Set one of them, or edit the file yourself: `caro config path` names it.")
    })?;
    // By the shell, as git does: an editor may be given with flags, in quotes too.
    let script = format!("{editor} \"$@\"");
    let status = Command::new("sh").args(["-c", &script, &editor]).arg(file).stdin(Stdio::inherit()).status();
    let unusable = || {
        CliError::usage(format!("the editor `{editor}` cannot be started"))
            .hinted("Set VISUAL or EDITOR to a program that exists.")
    };
    let status = status.map_err(|error| unusable().caused_by(error))?;
    if matches!(status.code(), Some(126 | 127)) {
        return Err(unusable());
    }
    if status.success() {
        Ok(())
    } else {
        Err(CliError::failed(format!("the editor `{editor}` reported a failure")).hinted("Nothing was changed."))
    }
}

fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The copy: in the same folder, with a name that says what it is, so that editors colour it right.
fn beside(file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{stem}.{}.edit.toml", std::process::id()))
}

fn unusable(file: &Path, action: &str, error: std::io::Error) -> CliError {
    CliError::failed(format!("{} cannot be {action}", file.display()))
        .hinted("Check that the disk has room and the folder is writable, then try again.")
        .caused_by(error)
}
