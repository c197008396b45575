//! What is around caro: the shell it is called from, the settings, the clock, the terminal.

use std::env;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::cli::{CliError, Home, Ui, history, screen, time};
use crate::history::{Filter, Record};
use crate::prefs::{self, Recording, Settings};

/// A shell, what it calls the hooks, the files in which its integration is loaded (below the home folder), and the line that
/// loads it.
struct Shell {
    name: &'static str,
    hooks: &'static str,
    files: &'static [&'static str],
    line: &'static str,
}

const SHELLS: &[Shell] = &[
    Shell {
        name: "bash",
        hooks: "PS0 and PROMPT_COMMAND",
        files: &[".bashrc", ".bash_profile", ".profile"],
        line: "add `eval \"$(caro init bash)\"` to the end of ~/.bashrc",
    },
    Shell {
        name: "zsh",
        hooks: "preexec_functions and precmd_functions",
        files: &[".zshrc"],
        line: "add `eval \"$(caro init zsh)\"` to the end of ~/.zshrc",
    },
    Shell {
        name: "fish",
        hooks: "__caro_preexec and __caro_postexec",
        files: &["fish/config.fish", "fish/conf.d"],
        line: "add `caro init fish | source` to ~/.config/fish/config.fish",
    },
    Shell {
        name: "nu",
        hooks: "$env.config.hooks",
        files: &["nushell/config.nu", "nushell/env.nu"],
        line: "run `caro init nu | save -f ~/.config/nushell/caro.nu` and add `source ~/.config/nushell/caro.nu` to config.nu",
    },
    Shell {
        name: "pwsh",
        hooks: "PSConsoleHostReadLine and prompt",
        files: &["powershell/Microsoft.PowerShell_profile.ps1", "powershell/profile.ps1"],
        line: "add `caro init powershell | Out-String | Invoke-Expression` to $PROFILE",
    },
];

/// Clocks that say less have lost the time: 2024-01-01.
const EARLIEST: i64 = 1_704_067_200_000_000_000;
/// So many commands without an end are no coincidence.
const UNENDED: usize = 2;
const DAY: i64 = 86_400_000_000_000;
/// The narrowest terminal that everything fits in.
const NARROW: usize = 40;

fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether commands of this shell are recorded.
pub(super) fn shell(home: &Home) -> Vec<Finding> {
    let Some(session) = history::current_session() else { return vec![not_recorded()] };
    let mut findings = vec![session_is_recorded(home, &session)];
    if !is_in_path() {
        findings.push(Finding::problem(
            "path",
            "the shell does not find `caro`, so nothing is recorded",
            "Put the folder of the program into PATH, before the line that loads the integration.",
        ));
    }
    findings
}

fn session_is_recorded(home: &Home, session: &str) -> Finding {
    if history::is_hidden(home, session) {
        return Finding::warning(
            "shell",
            "this shell session is paused: its commands are not recorded",
            "`caro history resume` has them recorded again.",
        );
    }
    let newest = || -> Result<Vec<Record>, CliError> {
        let limit = Some(UNENDED as u64 + 1);
        let session = Some(session.to_owned());
        let filter = Filter { session, executed: Some(true), limit, reverse: true, ..Filter::default() };
        Ok(home.open_history()?.list(&filter)?)
    };
    let newest = match newest() {
        Ok(newest) => newest,
        Err(error) => return Finding::error("shell", error),
    };
    let [latest, before @ ..] = newest.as_slice() else {
        return Finding::warning(
            "shell",
            "the integration is loaded, but no command of this shell was recorded yet",
            format!(
                "Run any command and look again. One that begins with a space, or holds a secret, is not recorded. {}",
                where_replaced(login_shell())
            ),
        );
    };
    let shell = latest.shell.as_deref().unwrap_or("shell");
    // The latest is the one that runs.
    if before.len() == UNENDED && before.iter().all(|record| record.exit.is_none()) {
        return Finding::problem(
            "shell",
            format!("the commands of this {shell} are recorded, but not how they end"),
            where_replaced(named(shell)),
        );
    }
    Finding::ok("shell", format!("the commands of this {shell} are recorded"))
}

/// What to do where something took the place of the hooks.
fn where_replaced(shell: Option<&Shell>) -> String {
    let hooks = shell.map_or("the hooks", |shell| shell.hooks);
    format!(
        "If something replaced {hooks}, let the line that loads the integration come after it, and open a new shell."
    )
}

fn named(name: &str) -> Option<&'static Shell> {
    let name = if name == "powershell" { "pwsh" } else { name };
    SHELLS.iter().find(|shell| shell.name == name)
}

/// The shell of this user, if its commands can be recorded.
fn login_shell() -> Option<&'static Shell> {
    named(Path::new(&set("SHELL")?).file_name()?.to_str()?)
}

/// What to do where this shell records nothing, as far as its files and its name tell.
fn not_recorded() -> Finding {
    let shell = login_shell();
    let loaded = shell.and_then(loading_file);
    match (shell, loaded) {
        (Some(shell), Some(file)) => Finding::warning(
            "shell",
            format!("{} loads the integration, but not in this session", file.display()),
            format!(
                "Open a new {}. In scripts and over plain `ssh host command` nothing is recorded, which is right.",
                shell.name
            ),
        ),
        (Some(shell), None) => Finding::warning(
            "shell",
            format!("the commands of {} are not recorded: its integration is not loaded", shell.name),
            format!("To have them recorded, {}, and open a new shell.", shell.line),
        ),
        (None, _) => Finding::warning(
            "shell",
            "no integration is loaded in this shell, so its commands are not recorded",
            "`caro init --help` says how to load it.",
        ),
    }
}

/// The file of the user's that loads the integration of a shell.
fn loading_file(shell: &Shell) -> Option<PathBuf> {
    let home = PathBuf::from(set("HOME")?);
    let config = set("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
    let zsh = set("ZDOTDIR").map_or_else(|| home.clone(), PathBuf::from);
    let place = |file: &&str| match *file {
        ".zshrc" => zsh.join(file),
        file if file.starts_with('.') => home.join(file),
        file => config.join(file),
    };
    let loads = |file: &PathBuf| {
        std::fs::read_to_string(file).is_ok_and(|text| text.contains("caro init") || text.contains("caro.nu"))
    };
    let of_folder = |path: PathBuf| match std::fs::read_dir(&path) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => vec![path],
    };
    shell.files.iter().map(place).flat_map(of_folder).find(loads)
}

fn is_in_path() -> bool {
    let name = format!("caro{}", env::consts::EXE_SUFFIX);
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(&name).is_file()))
}

/// Whether the files that hold settings can be understood, and what follows where they cannot.
pub(super) fn settings(home: &Home) -> Vec<Finding> {
    let paths = home.prefs();
    let mut findings = Vec::new();
    if let Err(error) = Recording::load(&paths.sync).map(drop).and_then(|()| Settings::load(&paths.sync).map(drop)) {
        let error = CliError::from(error);
        findings.push(Finding::problem(
            "settings",
            format!(
                "{}; until it is corrected, the rules that it held before say what is recorded, and nothing is synced",
                error.message
            ),
            error.hint.unwrap_or_default(),
        ));
    }
    for preference in prefs::ALL {
        // Of a file that is no TOML at all one finding is enough.
        if let Err(error) = prefs::get(&paths, preference) {
            let error = CliError::from(error);
            if !findings.iter().any(|finding| finding.message.starts_with(&error.message)) {
                findings.push(Finding::error("settings", error));
            }
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("settings", "understood"));
    }
    findings
}

/// Whether the time can be right.
pub(super) fn clock(home: &Home) -> Finding {
    const REMEDY: &str = "Set the clock, or have it set by the network (Debian: apt-get install systemd-timesyncd).";
    let now = time::now();
    if now.0 < EARLIEST {
        return Finding::problem("clock", format!("the clock says {}", time::local_text(&time::rfc3339(now))), REMEDY);
    }
    let newest = home.open_history().and_then(|history| {
        Ok(history.list(&Filter { limit: Some(1), ..Filter::default() })?.pop().map(|record| record.started_at))
    });
    match newest {
        Ok(Some(newest)) if newest.0 > now.0.saturating_add(DAY) => Finding::warning(
            "clock",
            format!(
                "the newest command is of {}, and the clock says {}: it is behind, or was ahead",
                time::local_text(&time::rfc3339(newest)),
                time::local_text(&time::rfc3339(now))
            ),
            REMEDY,
        ),
        _ => Finding::ok("clock", time::local_text(&time::rfc3339(now))),
    }
}

/// What the terminal can show.
pub(super) fn terminal(ui: &Ui) -> Finding {
    if !ui.out_is_terminal() {
        return Finding::ok("terminal", "none: the output goes to a file or another program");
    }
    let kind = set("TERM").unwrap_or_else(|| "unknown".into());
    let width = screen::width();
    let colours = if ui.colors_the_terminal() { "colours" } else { "no colours" };
    let unicode = screen::knows_unicode();
    let letters = if unicode { "Unicode" } else { "no Unicode" };
    let inside = if set("TMUX").is_some() { ", in tmux" } else { "" };
    let said = format!("{kind}, {width} columns, {colours}, {letters}{inside}");
    if kind == "dumb" || kind == "unknown" {
        Finding::warning(
            "terminal",
            said,
            "The full-screen search needs to know the terminal: set TERM, for example to xterm-256color.",
        )
    } else if width < NARROW {
        Finding::warning(
            "terminal",
            said,
            format!("Charts and the full-screen search need {NARROW} columns: make it wider."),
        )
    } else if !unicode {
        Finding::warning(
            "terminal",
            said,
            "Charts are drawn in ASCII, and other alphabets may look wrong: set LANG, for example to C.UTF-8.",
        )
    } else {
        Finding::ok("terminal", said)
    }
}
