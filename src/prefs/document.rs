//! TOML files edited in place: comments, order and keys that nobody here knows stay as they are.
//!
//! A file is replaced whole or not at all and keeps its mode; a link to it, as dotfile managers make them, stays a
//! link. Processes that edit at once take turns by a lock on the folder, so no edit is lost and no lock file lies
//! among the user's configuration.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use toml_edit::{DocumentMut, Item, Table, Value};

use super::{Preference, PrefsError, Result};
use crate::private_file;

/// The first line of a new `sync.toml`.
pub(crate) const SYNC_HEADER: &str = "# Written by `caro`; may be edited.\n";

/// The document in a file; an empty one where there is none.
pub(crate) fn read(path: &Path) -> Result<DocumentMut> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(source) => return Err(PrefsError::File { file: path.to_owned(), action: "read", source }),
    };
    // The parser's full message quotes the line, which may hold a token.
    text.parse().map_err(|error: toml_edit::TomlError| {
        let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let place = line.map(|line| format!(" (line {line})")).unwrap_or_default();
        PrefsError::Syntax { file: path.to_owned(), reason: format!("{}{place}", error.message()) }
    })
}

/// Changes the document in a file, which is made if there is none. `header` is the first line of a new one.
pub(crate) fn edit(path: &Path, header: &str, change: impl FnOnce(&mut DocumentMut)) -> Result<()> {
    let failed = |source: io::Error| PrefsError::File { file: path.to_owned(), action: "written", source };
    let _turn = private_file::lock_folder(private_file::folder_of(path)).map_err(failed)?;
    let mut document = read(path)?;
    let before = document.to_string();
    change(&mut document);
    let after = document.to_string();
    if after == before {
        return Ok(());
    }
    let exists = path.exists();
    let text = if exists { after } else { format!("{header}{after}") };
    private_file::replace_keeping_mode(path, text.as_bytes()).map_err(failed)
}

/// The value of a preference in a document.
pub(super) fn get(document: &DocumentMut, preference: &Preference, path: &Path) -> Result<Option<String>> {
    let mut item = document.as_item();
    for key in preference.path {
        match item.get(key) {
            Some(inner) => item = inner,
            None => return Ok(None),
        }
    }
    preference.read(item).map(Some).map_err(|allowed| PrefsError::InvalidInFile {
        file: path.to_owned(),
        name: preference.name,
        allowed,
    })
}

/// Sets a preference, or removes it.
pub(super) fn set(document: &mut DocumentMut, preference: &Preference, value: Option<&str>) {
    let Some((key, tables)) = preference.path.split_last() else { return };
    let mut table: &mut dyn toml_edit::TableLike = document.as_table_mut();
    for name in tables {
        if table.get(name).is_none_or(|item| !item.is_table_like()) {
            if value.is_none() {
                return;
            }
            table.insert(name, Item::Table(Table::new()));
        }
        match table.get_mut(name).and_then(Item::as_table_like_mut) {
            Some(inner) => table = inner,
            None => return,
        }
    }
    put(table, key, value.map(|value| preference.to_value(value)));
}

/// Sets a key, or removes it; what stands around the old value, such as a comment behind it, stays.
pub(crate) fn put(table: &mut dyn toml_edit::TableLike, key: &str, value: Option<Value>) {
    let Some(mut value) = value else {
        table.remove(key);
        return;
    };
    match table.get_mut(key) {
        Some(item) => {
            if let Some(old) = item.as_value() {
                *value.decor_mut() = old.decor().clone();
            }
            *item = Item::Value(value);
        }
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    const WRITTEN: &str = "\
# my Caro
default_model = \"embedded\" # works offline

safety_level = 'moderate'   # careful
future_key = [1, 2]

[ai]
api_token = \"hush\"
";

    fn set_in(path: &Path, name: &str, value: Option<&str>) {
        edit(path, "# new\n", |document| set(document, find(name).unwrap(), value)).unwrap();
    }

    #[test]
    fn an_edit_changes_its_value_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("config.toml");
        fs::write(&path, WRITTEN).unwrap();
        set_in(&path, "safety_level", Some("strict"));
        assert_eq!(fs::read_to_string(&path).unwrap(), WRITTEN.replace("'moderate'", "\"strict\""));
        set_in(&path, "telemetry.enabled", Some("false"));
        set_in(&path, "default_model", None);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("[telemetry]\nenabled = false") && text.contains("api_token = \"hush\""), "{text}");
        assert!(!text.contains("embedded"));
    }

    #[test]
    fn a_new_file_begins_with_its_header_and_holds_readable_rules() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("config/sync.toml");
        set_in(&path, "sync.filter", Some("exclude command \"aws *\"\nexclude tag \"work\""));
        set_in(&path, "sync.retention_days", Some("30"));
        let text = fs::read_to_string(&path).unwrap();
        insta::assert_snapshot!(text, @r###"
        # new
        filter = [
            'exclude command "aws *"',
            'exclude tag "work"',
        ]
        retention_days = 30
        "###);
        let document = read(&path).unwrap();
        let rules = get(&document, find("sync.filter").unwrap(), &path).unwrap().unwrap();
        assert_eq!(rules, "exclude command \"aws *\"\nexclude tag \"work\"");
    }

    #[test]
    fn a_value_of_the_wrong_kind_names_file_key_and_what_is_right() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("sync.toml");
        fs::write(&path, "frequency = [\"x\"]\n").unwrap();
        let error = get(&read(&path).unwrap(), find("sync.frequency").unwrap(), &path).unwrap_err().to_string();
        assert!(error.contains("sync.toml") && error.contains("sync.frequency") && error.contains("hourly"), "{error}");
    }

    #[test]
    fn a_syntax_error_names_the_line_and_quotes_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("config.toml");
        fs::write(&path, "a = 1\napi_token = hush-hush\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains("hush"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn mode_and_link_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let place = tempfile::tempdir().unwrap();
        let (real, link) = (place.path().join("dotfiles.toml"), place.path().join("config.toml"));
        fs::write(&real, "safety_level = \"strict\"\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&real, &link).unwrap();
        set_in(&link, "safety_level", Some("moderate"));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_to_string(&real).unwrap(), "safety_level = \"moderate\"\n");
    }

    #[test]
    fn edits_at_the_same_time_are_all_kept() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("sync.toml");
        std::thread::scope(|scope| {
            for name in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for step in 0..5i64 {
                        let key = format!("key_{name}_{step}");
                        edit(path, "", |document| put(document.as_table_mut(), &key, Some(step.into()))).unwrap();
                    }
                });
            }
        });
        assert_eq!(read(&path).unwrap().as_table().len(), 40);
    }
}
