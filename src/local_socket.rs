//! Unix sockets between processes of one user: where they lie, and who may be at the other end.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::process::Uid;

use crate::private_file;

/// The longest path that every system takes for a socket, in bytes.
const LONGEST_PATH: usize = 100;

/// Where the socket of this name in a folder lies: in it, unless that makes a path too long for a socket.
pub(crate) fn path(folder: &Path, name: &str) -> PathBuf {
    let beside = folder.join(name);
    if beside.as_os_str().len() <= LONGEST_PATH {
        return beside;
    }
    let hash = blake3::hash(beside.as_os_str().as_encoded_bytes()).to_hex();
    short_folder().join(format!("{}.sock", &hash[..24]))
}

/// A folder of this user's with a short name.
fn short_folder() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    let run = PathBuf::from(format!("/run/user/{user}"));
    if run.is_dir() { run.join("caro") } else { PathBuf::from(format!("/tmp/caro-{user}")) }
}

/// Makes the folder of a socket, and makes sure that nobody else can put anything into it.
///
/// # Errors
///
/// Where others can; otherwise what the file system says.
pub(crate) fn make_folder(socket: &Path) -> io::Result<()> {
    let folder = private_file::folder_of(socket);
    private_file::make_folder(folder)?;
    if !is_only_of(folder, rustix::process::getuid()) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder belongs to others too"));
    }
    Ok(())
}

/// Listens at a path where only this user can connect. The caller holds a lock that says whose it is, so a socket that
/// is there was left by a process that has gone.
///
/// # Errors
///
/// As [`make_folder`].
pub(crate) fn bind(socket: &Path) -> io::Result<UnixListener> {
    make_folder(socket)?;
    remove_left(socket)?;
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Removes a socket that its process has left; a file of another kind stays.
///
/// # Errors
///
/// What the file system says.
pub(crate) fn remove_left(socket: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(socket) {
        Ok(metadata) if metadata.file_type().is_socket() => std::fs::remove_file(socket),
        _ => Ok(()),
    }
}

/// Whether nobody but this user can put anything into a folder.
fn is_only_of(folder: &Path, user: Uid) -> bool {
    std::fs::symlink_metadata(folder)
        .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == user.as_raw() && metadata.mode() & 0o022 == 0)
}

/// Connects to a process of this user. A process of another user is none.
pub(crate) fn connect(socket: &Path) -> Option<UnixStream> {
    connect_to(socket, rustix::process::getuid())
}

/// As [`connect`]; root may also ask a process of the user whose folder the socket is in.
pub(crate) fn connect_as_owner(socket: &Path) -> Option<UnixStream> {
    let user = rustix::process::getuid();
    let owner = std::fs::metadata(private_file::folder_of(socket)).map(|folder| Uid::from_raw(folder.uid()));
    connect_to(socket, if user.is_root() { owner.unwrap_or(user) } else { user })
}

/// Connects without waiting where the system can: the queue of a process that hangs may be full.
#[cfg(target_os = "linux")]
pub(crate) fn connect_to(socket: &Path, user: Uid) -> Option<UnixStream> {
    use rustix::net::sockopt::socket_peercred;
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let descriptor = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
    connect(&descriptor, &SocketAddrUnix::new(socket).ok()?).ok()?;
    if socket_peercred(&descriptor).ok()?.uid != user {
        return None;
    }
    let stream = UnixStream::from(descriptor);
    stream.set_nonblocking(false).ok()?;
    Some(stream)
}

/// Connects to a socket in a folder of this user.
#[cfg(not(target_os = "linux"))]
pub(crate) fn connect_to(socket: &Path, user: Uid) -> Option<UnixStream> {
    is_only_of(private_file::folder_of(socket), user).then(|| UnixStream::connect(socket).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_too_long_for_a_socket_gets_a_short_name() {
        let path = |folder: &Path| path(folder, "daemon.sock");
        let short = path(Path::new("/home/me/.local/state/caro"));
        assert_eq!(short, Path::new("/home/me/.local/state/caro/daemon.sock"));
        let deep = PathBuf::from(format!("/home/{}", "x".repeat(120)));
        assert!(path(&deep).as_os_str().len() <= LONGEST_PATH);
        assert_ne!(path(&deep), path(&deep.join("y")));
    }
}
