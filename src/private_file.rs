//! Files and folders that only their owner can read, and that survive a power cut whole or not at all.
//!
//! Everything that belongs to a home or a relay is made through here, so that nothing is readable by
//! others even for a moment. What root makes in a folder of somebody else belongs to him: he could not use it otherwise.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Makes a folder, and those above it, unless they exist.
///
/// # Errors
///
/// What the file system says.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let above = path.parent().unwrap_or(Path::new(""));
    // One that is there and no folder is told of as such below.
    if !above.exists() {
        make_folder(above)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Ok(()) => {
            give_folder_to_owner_of(folder_of(path), path);
            Ok(())
        }
        // Somebody else was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Has what root has just made belong to whoever owns the folder that it is in. Where root may not do that, it stays root's.
#[cfg(unix)]
fn give_to_owner_of(folder: &Path, made: &File) {
    use std::os::unix::fs::{MetadataExt, fchown};
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let given = fs::metadata(folder).and_then(|owner| match owner.uid() {
        0 => Ok(()),
        uid => fchown(made, Some(uid), Some(owner.gid())),
    });
    if let Err(error) = given {
        tracing::debug!(%error, "what root has made stays root's");
    }
}

/// The same of a folder; of what its owner may have put in its place meanwhile nothing is given away.
#[cfg(unix)]
fn give_folder_to_owner_of(above: &Path, made: &Path) {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let flags = (OFlags::NOFOLLOW | OFlags::DIRECTORY).bits().cast_signed();
    if let Ok(made) = File::options().read(true).custom_flags(flags).open(made) {
        give_to_owner_of(above, &made);
    }
}

/// There is no such user.
#[cfg(not(unix))]
fn give_to_owner_of(_folder: &Path, _made: &File) {}

#[cfg(not(unix))]
fn give_folder_to_owner_of(_above: &Path, _made: &Path) {}

/// Makes a file that must not exist yet.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`]; otherwise what the file system says.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    new_or(path, File::options().write(true), false)
}

/// Opens a file to lock it, and makes it if there is none; its content stays.
///
/// # Errors
///
/// What the file system says.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    new_or(path, File::options().write(true), true)
}

/// Opens a file to add to it, and makes it if there is none.
///
/// # Errors
///
/// What the file system says.
pub(crate) fn open_append(path: &Path) -> io::Result<File> {
    new_or(path, File::options().append(true), true)
}

/// Replaces a file, or makes it, with the folder it is in. Readers see the old content or the new, also after
/// a power cut; after an error it is the old.
///
/// # Errors
///
/// What the file system says, or the system's random source.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, bytes, |_| Ok(()))
}

/// [`replace`] for a file that the user may have made: its mode stays as it is, and where it is a link, the file
/// behind the link is replaced.
///
/// # Errors
///
/// As [`replace`].
pub(crate) fn replace_keeping_mode(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return replace(path, bytes),
        Err(error) => return Err(error),
    };
    let permissions = fs::metadata(&real)?.permissions();
    replace_with(&real, bytes, |beside| fs::set_permissions(beside, permissions))
}

fn replace_with(path: &Path, bytes: &[u8], prepare: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(path);
    make_folder(folder)?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| io::Error::other("the system gives no random data"))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.new", u64::from_le_bytes(random)));
    let beside = folder.join(name);
    let written = write_new(&beside, bytes).and_then(|()| prepare(&beside)).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first error is the one to report; at worst an unused file stays behind.
        let _ = fs::remove_file(&beside);
    }
    written?;
    sync_folder(folder)
}

/// Brings the names in a folder to disk: a new file survives a power cut only after that.
///
/// # Errors
///
/// What the file system says.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Only Unix lets a folder be opened.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Waits for a folder's lock, making the folder if need be; let go of when the result is dropped. Only Unix lets
/// a folder be opened: elsewhere there is no lock, and of two edits at the same instant the later one stays.
///
/// # Errors
///
/// What the file system says.
pub(crate) fn lock_folder(folder: &Path) -> io::Result<Option<File>> {
    make_folder(folder)?;
    if !cfg!(unix) {
        return Ok(None);
    }
    let opened = File::open(folder)?;
    opened.lock()?;
    Ok(Some(opened))
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a file with this content, which is on disk when this returns.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a file, or, where it may be there already, opens it. One that is new here belongs to whom its folder belongs.
fn new_or(path: &Path, options: &fs::OpenOptions, may_exist: bool) -> io::Result<File> {
    loop {
        if may_exist {
            match options.open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => return opened,
            }
        }
        match private(options.clone().create_new(true)).open(path) {
            Ok(made) => {
                give_to_owner_of(folder_of(path), &made);
                return Ok(made);
            }
            // A link to a file that is to be made.
            Err(error) if may_exist && error.kind() == io::ErrorKind::AlreadyExists && path.is_symlink() => {
                return private(options.clone().create(true)).open(path);
            }
            // Somebody else was quicker.
            Err(error) if may_exist && error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg_attr(not(unix), expect(clippy::needless_pass_by_ref_mut, reason = "there are no modes elsewhere"))]
fn private(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_private_and_nothing_else_is_left() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("new/folder/file");
        replace(&file, b"one").unwrap();
        replace(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
        open_lock(&place.path().join("lock")).unwrap();
        assert_eq!(mode(&place.path().join("lock")), 0o600);
    }

    #[test]
    fn a_file_that_must_be_new_is_never_overwritten() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        write_new(&file, b"first").unwrap();
        assert_eq!(write_new(&file, b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file).unwrap(), b"first");
    }

    #[test]
    fn a_failed_replacement_keeps_the_old_content() {
        let place = tempfile::tempdir().unwrap();
        // A folder in the file's place cannot be renamed over.
        let target = place.path().join("target");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("inside"), b"kept").unwrap();
        assert!(replace(&target, b"new").is_err());
        assert_eq!(fs::read(target.join("inside")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
