//! Commands of this program that nobody waits for.

use std::ffi::OsStr;
use std::fs::File;
use std::process::{Child, Command, Stdio};

use super::Home;

/// Starts one, and leaves it alone.
pub(super) fn start(home: &Home, args: &[&str]) -> std::io::Result<()> {
    start_telling(home, args, None).map(drop)
}

/// [`start`] for one whose errors go into a file.
pub(super) fn start_telling(home: &Home, args: &[impl AsRef<OsStr>], errors: Option<File>) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args);
    // Where it runs must not keep a file system from being unmounted.
    command.current_dir(&home.data_dir);
    for (variable, folder) in
        [("CARO_CONFIG_DIR", &home.config_dir), ("CARO_DATA_DIR", &home.data_dir), ("CARO_STATE_DIR", &home.state_dir)]
    {
        // Whatever this process was told may be relative to where it runs.
        command.env(variable, folder);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors.map_or_else(Stdio::null, Stdio::from));
    command.spawn()
}

/// In such a command: neither Ctrl-C nor the end of the terminal is meant for it.
pub(super) fn let_go() {
    // Fails only where there is no terminal anyway.
    let _ = rustix::process::setsid();
}
