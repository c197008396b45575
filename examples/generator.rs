//! What a program that generates commands does with the history: it hands over what it made and what came of it, and
//! finds it again by what it had been asked for.
//!
//! ```console
//! $ cargo run --example generator -- ~/.config/caro ~/.local/share/caro
//! ```
//!
//! The first directory is that of the preferences, whose rules say what is not to be recorded; in the second lies the
//! history. Nothing here starts a thread or touches a network, and any number of programs may do it at once.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use caro::history::{Filter, Generated, History, Record, RiskLevel, Search, UnixNanos};
use caro::prefs::Recording;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut directories = env::args_os().skip(1).map(PathBuf::from);
    let (Some(config), Some(data)) = (directories.next(), directories.next()) else {
        return Err("name the directory of the preferences, then that of the history".into());
    };
    for found in remember_and_find(&config, &data)? {
        println!("{}  # {}", found.command, found.prompt.unwrap_or_default());
    }
    Ok(())
}

/// Records a suggestion and a command that ran, then finds both by what had been asked for.
///
/// # Errors
/// Where preferences or history cannot be used.
pub fn remember_and_find(config: &Path, data: &Path) -> Result<Vec<Record>> {
    let history = History::open(data.join("history.db"))?;
    let intake = Recording::load(&config.join("sync.toml"))?.intake()?;

    let mut suggested = Record::new("find . -size +100M -delete", now()?, history.device_id()?);
    suggested.prompt = Some("remove large files".to_owned());
    suggested.safety = Some(RiskLevel::High);
    suggested.model = Some("some-model".to_owned());
    suggested.executed = Some(false);
    suggested.set_generated(Generated {
        blocked_reason: Some("it deletes files that cannot be restored".to_owned()),
        alternatives: vec!["find . -size +100M -ok rm {} ;".to_owned()],
        ..Generated::default()
    });

    let mut ran = Record::new("find . -size +100M", now()?, history.device_id()?);
    ran.prompt = Some("show me large files".to_owned());
    ran.explanation = Some("looks for files over 100 MB below this directory".to_owned());
    ran.category = Some("file_management".to_owned());
    ran.executed = Some(true);
    ran.exit = Some(0);
    ran.duration_ns = Some(12_000_000);

    for record in [&suggested, &ran] {
        // What holds a secret, or what the user's rules exclude, is not recorded.
        match intake.refuses(record) {
            None => drop(history.add(record)?),
            Some(why) => eprintln!("not recorded: {why:?}"),
        }
    }

    // The best match comes last; of those that were only suggested there is a filter of its own.
    let found = history.search(&Search { text: "large files".to_owned(), ..Search::default() })?;
    let only_suggested = history.list(&Filter { executed: Some(false), ..Filter::default() })?;
    assert!(found.len() >= only_suggested.len(), "the suggestion is among what was found");
    Ok(found)
}

fn now() -> Result<UnixNanos> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(UnixNanos(i64::try_from(since.as_nanos())?))
}
