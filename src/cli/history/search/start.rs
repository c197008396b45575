//! How the search on the screen begins: what flags say, then preferences, and the scopes that there are where one is.

use std::path::Path;

use clap::ValueEnum;

use super::super::super::{CliError, Home};
use super::super::hidden;
use super::state::{NamedScope, Start};
use super::{Args, Mode};
use crate::history::History;
use crate::history::ranking::Here;
use crate::history::recall::Scope;
use crate::prefs;

/// Where commands are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Place {
    /// On all machines
    Everywhere,
    /// What was recorded on this one
    Machine,
    /// What ran in this shell session
    Session,
    /// What ran in this directory
    Directory,
    /// What ran in this git repository
    Workspace,
}

/// The beginning that flags and preferences ask for, and how many lines it takes (none: the whole screen).
pub(super) fn start(
    args: &Args,
    home: &Home,
    history: &History,
    here: &Here,
) -> Result<(Start, Option<u16>), CliError> {
    let preference = |name: &str| preference(home, name);
    let place = match args.scope {
        Some(place) => place,
        None => Place::from_str(&preference("search.scope")?, false).unwrap_or(Place::Everywhere),
    };
    let height = match args.inline {
        Some(height) => height,
        None => preference("search.inline_height")?.parse().unwrap_or(0),
    };
    let scopes = scopes(history, here)?;
    let wanted = scopes.iter().position(|(there, _)| *there == place);
    let start = Start {
        text: args.query.join(" "),
        mode: mode(args, home)?.into(),
        scope: wanted.unwrap_or(0),
        scopes: scopes.into_iter().map(|(_, scope)| scope).collect(),
        vim: preference("search.keymap")? == "vim",
        by_up: args.up,
    };
    Ok((start, Some(height).filter(|height| *height > 0)))
}

/// How the query is understood at first.
pub(super) fn mode(args: &Args, home: &Home) -> Result<Mode, CliError> {
    match args.mode {
        Some(mode) => Ok(mode),
        // Only what this understands can be set.
        None => Ok(Mode::from_str(&preference(home, "search.mode")?, false).unwrap_or(Mode::Fuzzy)),
    }
}

/// Whether Enter only puts the command into the line.
pub(super) fn enter_edits(home: &Home) -> Result<bool, CliError> {
    Ok(preference(home, "search.enter")? == "edit")
}

/// The value that holds.
fn preference(home: &Home, name: &str) -> Result<String, CliError> {
    let preference = prefs::find(name)?;
    let set = prefs::get(&home.prefs(), preference)?;
    Ok(set.unwrap_or_else(|| preference.default.unwrap_or_default().to_owned()))
}

/// The scopes that there are here, in the order in which a key goes through them.
fn scopes(history: &History, here: &Here) -> Result<Vec<(Place, NamedScope)>, CliError> {
    let named = |place, name, scope| (place, NamedScope { name, scope });
    let mut scopes = vec![
        named(Place::Everywhere, "everywhere", Scope::Everywhere),
        named(Place::Machine, "this machine", Scope::Device(history.device_id()?)),
    ];
    if let Some(session) = hidden::current_session() {
        scopes.push(named(Place::Session, "this session", Scope::Session(session)));
    }
    if let Some(cwd) = &here.cwd {
        scopes.push(named(Place::Directory, "this directory", Scope::Directory(cwd.clone())));
        if let Some(root) = Path::new(cwd).ancestors().find(|folder| folder.join(".git").exists()) {
            let root = root.to_string_lossy().into_owned();
            scopes.push(named(Place::Workspace, "this workspace", Scope::Below(root)));
        }
    }
    Ok(scopes)
}
