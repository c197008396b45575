//! How the search on the screen begins: what flags say, then preferences, and the scopes that there are where one is.

use std::path::Path;

use clap::ValueEnum;

use super::super::super::{CliError, Home, time};
use super::super::hidden;
use super::super::select::this_session;
use super::state::{NamedScope, Start};
use super::{Args, Mode};
use crate::history::ranking::Here;
use crate::history::{Filter, History, Scope};
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

impl Place {
    /// What it is called on the screen.
    fn name(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Machine => "this machine",
            Self::Session => "this session",
            Self::Directory => "this directory",
            Self::Workspace => "this workspace",
        }
    }

    /// The scope that it means; none where there is no such place here.
    fn scope(self, history: &History, here: &Here) -> Result<Option<Scope>, CliError> {
        Ok(match self {
            Self::Everywhere => Some(Scope::Everywhere),
            Self::Machine => Some(Scope::Device(history.device_id()?)),
            Self::Session => hidden::current_session().map(Scope::Session),
            Self::Directory => here.cwd.clone().map(Scope::Directory),
            Self::Workspace => {
                let cwd = here.cwd.as_deref().map(Path::new);
                let root = cwd.and_then(|cwd| cwd.ancestors().find(|folder| folder.join(".git").exists()));
                root.map(|root| Scope::Below(root.to_string_lossy().into_owned()))
            }
        })
    }
}

/// The scope of a search that prints what it finds.
///
/// # Errors
/// Where there is no such place here: what is found elsewhere must not pass for what is found in it.
pub(super) fn scope(args: &Args, home: &Home, history: &History, here: &Here) -> Result<Scope, CliError> {
    let Some(place) = args.scope else {
        // The screen's preference counts for the list that takes its place.
        let place = if args.interactive { preferred(home)? } else { Place::Everywhere };
        return Ok(place.scope(history, here)?.unwrap_or_default());
    };
    match (place.scope(history, here)?, place) {
        (Some(scope), _) => Ok(scope),
        (None, Place::Session) => this_session().map(Scope::Session),
        (None, Place::Workspace) => Err(CliError::usage("this directory is in no git repository, so in no workspace")
            .hinted("`--scope directory` looks for what ran in this directory alone.")),
        (None, _) => Err(CliError::usage("the working directory is unknown").hinted("Leave out --scope.")),
    }
}

/// Where the preference says to look.
fn preferred(home: &Home) -> Result<Place, CliError> {
    Ok(Place::from_str(&preference(home, "search.scope")?, false).unwrap_or(Place::Everywhere))
}

/// The beginning that flags and preferences ask for, and how many lines it takes (none: the whole screen).
pub(super) fn start(
    args: &Args,
    home: &Home,
    history: &History,
    here: &Here,
    filter: &Filter,
) -> Result<(Start, Option<u16>), CliError> {
    let preference = |name: &str| preference(home, name);
    let place = match args.scope {
        Some(place) => place,
        None => preferred(home)?,
    };
    let height = match args.inline {
        Some(height) => height,
        None => preference("search.inline_height")?.parse().unwrap_or(0),
    };
    // In the order in which a key goes through them.
    let (mut scopes, mut scope) = (Vec::new(), 0);
    for there in Place::value_variants() {
        if let Some(found) = there.scope(history, here)? {
            scope = if *there == place { scopes.len() } else { scope };
            scopes.push(NamedScope { name: there.name(), scope: found });
        }
    }
    let start = Start {
        text: args.query.join(" "),
        mode: mode(args, home)?.into(),
        scope,
        scopes,
        filters: args.selection.words(filter, &time::local_zone()).join(", "),
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
