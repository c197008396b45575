//! Programs that nobody here wrote and that run by themselves: Nushell, bash-preexec, Atuin's client.
//!
//! `make setup` installs them beside the [SDK's](super::node), some for one platform only. Each panics if it is not there.

use std::path::PathBuf;

use super::node::interop_dir;

/// Whether this is the platform for which programs are locked; says that a test was skipped where it is not.
fn has_programs(what: &str) -> bool {
    let has = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    if !has {
        println!("skipped: no {what} is locked for this platform");
    }
    has
}

fn installed(file: &str) -> PathBuf {
    let path = interop_dir().join(file);
    assert!(path.exists(), "{} is not installed: run `make setup`", path.display());
    path
}

/// Nushell; none on platforms for which none is locked.
pub fn nushell() -> Option<PathBuf> {
    has_programs("Nushell").then(|| installed("nushell/node_modules/@nushell/linux-x64/bin/nu"))
}

/// Atuin's client; none on platforms for which none is locked.
pub fn atuin() -> Option<PathBuf> {
    has_programs("client of Atuin").then(|| installed("atuin/bin/atuin"))
}

/// The script of bash-preexec.
pub fn bash_preexec() -> PathBuf {
    installed("bash-preexec/node_modules/@microsoft/inshellisense/shell/bash-preexec.sh")
}
