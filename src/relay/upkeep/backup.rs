//! Copies of a relay's store, made while it runs, and put back.
//!
//! A copy is what the store held at one moment: it is written by the engine itself, in one transaction that only reads. What
//! was erased is not in it, not even as free pages.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::check::{Checked, examine};
use super::replace::{beside, discard, free_name, replace};
use super::{Trouble, database, failed, open_to_read};
use crate::relay::store::{self, DATABASE};
use crate::relay::{RelayError, Stored};
use crate::runtime::is_damage;
use crate::{clock, private_file};

/// What follows the name of a copy until it is whole.
const UNFINISHED: &str = ".new";
/// What the store that was there before is called.
const BEFORE: &str = "before-restore";

/// A copy that was made.
#[derive(Clone, Copy, Debug)]
pub struct Backup {
    /// CoValues in it.
    pub covalues: u64,
    /// Accounts among them.
    pub accounts: u64,
    /// Its length.
    pub bytes: u64,
}

/// Copies the store in a folder to a file, which is private and on disk afterwards. A relay may use the store.
///
/// # Errors
///
/// [`RelayError::Exists`] where the file exists and `force` is not given; otherwise what the store or the file system says.
/// Then there is no new file, and an old one is as it was.
pub fn backup(data_dir: &Path, file: &Path, force: bool) -> Result<Backup, RelayError> {
    let source = database(data_dir)?;
    if file.exists() && !force {
        return Err(RelayError::Exists(file.to_owned()));
    }
    let unfinished =
        beside(file, &unfinished_suffix().map_err(|source| RelayError::Copy { file: file.to_owned(), source })?);
    let copied = copy(&source, &unfinished);
    let read = match copied {
        Ok(()) => crate::relay::outside::stored_in(&unfinished).map_err(Trouble::from),
        Err(error) => Err(error),
    };
    let moved = read.and_then(|stored: Stored| {
        give_name(&unfinished, file, force)?;
        private_file::sync_folder(private_file::folder_of(file))?;
        Ok(Backup {
            covalues: stored.covalues,
            accounts: stored.accounts,
            bytes: stored.database_bytes.unwrap_or_default(),
        })
    });
    if moved.is_err() {
        discard(&unfinished);
    }
    moved.map_err(|trouble| match trouble {
        Trouble::Files(source) if source.kind() == ErrorKind::AlreadyExists => RelayError::Exists(file.to_owned()),
        Trouble::Files(source) => RelayError::Copy { file: file.to_owned(), source },
        // Nothing is written but the copy.
        Trouble::Database(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
            RelayError::Copy { file: file.to_owned(), source: ErrorKind::StorageFull.into() }
        }
        trouble @ Trouble::Database(_) => failed(data_dir)(trouble),
    })
}

/// What follows the name of a copy beside files of the user's: nothing of his is called so.
fn unfinished_suffix() -> std::io::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| std::io::Error::other("the system gives no random data"))?;
    Ok(format!(".{:016x}{UNFINISHED}", u64::from_le_bytes(random)))
}

/// Gives a copy its name, which another file may have only where that is to be replaced.
fn give_name(copy: &Path, file: &Path, force: bool) -> std::io::Result<()> {
    if !force {
        // Unlike a new name, a second one is never put in the place of a file that has come meanwhile.
        match std::fs::hard_link(copy, file) {
            Ok(()) => return std::fs::remove_file(copy),
            Err(error) if error.kind() == ErrorKind::AlreadyExists || file.exists() => {
                return Err(ErrorKind::AlreadyExists.into());
            }
            Err(error) => tracing::debug!(%error, "the file system knows no second names"),
        }
    }
    std::fs::rename(copy, file)
}

/// What was put back.
#[derive(Clone, Debug)]
pub struct Restored {
    /// CoValues in it.
    pub covalues: u64,
    /// Accounts among them.
    pub accounts: u64,
    /// What the store is called that was there before, where there was one.
    pub kept: Option<PathBuf>,
}

/// Puts a copy in the place of the store in a folder, which is kept beside it. No relay may use it.
///
/// # Errors
///
/// [`RelayError::InUse`]; [`RelayError::NoBackup`] where the file is no copy of a store, or not a sound one; otherwise what the
/// file system says. Then all is as it was.
pub fn restore(data_dir: &Path, file: &Path, looked: impl FnMut(u64, u64)) -> Result<Restored, RelayError> {
    let unusable = |reason: String| RelayError::NoBackup { file: file.to_owned(), reason };
    if let Err(error) = File::open(file) {
        return Err(unusable(error.to_string()));
    }
    let _lock = store::lock(data_dir)?;
    let path = data_dir.join(DATABASE);
    let new = beside(&path, UNFINISHED);
    let put = || -> Result<Restored, RelayError> {
        copy(file, &new).map_err(|trouble| match trouble {
            Trouble::Database(error) if is_damage(&error) => unusable(error.to_string()),
            trouble => failed(data_dir)(trouble),
        })?;
        let (checked, _) = examine(&new, looked).map_err(|trouble| unusable(trouble.to_string()))?;
        if let Some(reason) = what_is_wrong(&checked) {
            return Err(unusable(reason));
        }
        let kept = path.exists().then(|| free_name(&path, BEFORE, clock::now()));
        let moved = match &kept {
            Some(kept) => replace(&path, &new, kept),
            None => std::fs::rename(&new, &path).and_then(|()| private_file::sync_folder(data_dir)),
        };
        moved.map_err(|error| failed(data_dir)(error.into()))?;
        Ok(Restored { covalues: checked.covalues, accounts: checked.accounts, kept })
    };
    let restored = put();
    discard(&new);
    restored
}

fn what_is_wrong(checked: &Checked) -> Option<String> {
    match (&checked.structure[..], &checked.damaged[..]) {
        ([first, ..], _) => Some(first.clone()),
        (_, [first, ..]) => Some(format!("of {}, {}", first.id, first.what)),
        _ => None,
    }
}

/// Writes what a database holds to a new one, which is private from its first byte on, and on disk afterwards.
fn copy(from: &Path, to: &Path) -> Result<(), Trouble> {
    discard(to);
    let file = private_file::create_new(to)?;
    let name = to.to_str().ok_or_else(|| std::io::Error::other("the file's name is not UTF-8"))?;
    open_to_read(from)?.execute("VACUUM INTO ?1", [name])?;
    file.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_come_meanwhile_is_replaced_only_where_that_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let [copy, file] = ["copy", "file"].map(|name| folder.path().join(name));
        let read = || std::fs::read_to_string(&file).unwrap();
        std::fs::write(&copy, "new").unwrap();
        give_name(&copy, &file, false).unwrap();
        assert!(read() == "new" && !copy.exists());
        std::fs::write(&copy, "newer").unwrap();
        assert_eq!(give_name(&copy, &file, false).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(read(), "new");
        give_name(&copy, &file, true).unwrap();
        assert!(read() == "newer" && !copy.exists());
    }
}
