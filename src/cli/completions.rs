//! `caro completions SHELL`, and the candidates that only this home knows: ids, devices, preferences.
//!
//! Where a shell can ask the program while one types, what is printed here makes it do so: it then calls `caro` with
//! [`ASKED_BY`] set, which [`answer`] notices before anything else happens. Nushell gets a list that is made once. A
//! completion never creates a home, waits for nobody and says nothing when it fails.

use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::StyledStr;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};
use clap_complete::{CompleteEnv, generate};
use clap_complete_nushell::Nushell;

use super::ui::visible;
use super::{CliError, Home, Ui, command_tree, sync};
use crate::history::Filter;
use crate::prefs;

/// The variable that names the shell which asks for completions.
const ASKED_BY: &str = "CARO_COMPLETE";
/// The program, as it is found in PATH.
const PROGRAM: &str = "caro";
/// How many of the latest commands are offered by id.
const IDS: u64 = 200;
/// How much of a command is shown beside its id, in characters.
const BESIDE: usize = 60;
/// How long to wait for another process that writes to the history.
const PATIENCE: Duration = Duration::from_millis(50);

/// Print the completions for a shell: commands, options, ids, devices, preferences
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Add the line for your shell to the file it reads when it starts:
  bash        ~/.bashrc                    source <(caro completions bash)
  zsh         ~/.zshrc, after compinit     source <(caro completions zsh)
  fish        ~/.config/fish/config.fish   caro completions fish | source
  nu          config.nu                    source ~/.config/nushell/caro-completions.nu
              (after: caro completions nu | save -f ~/.config/nushell/caro-completions.nu)
  powershell  $PROFILE                     caro completions powershell | Out-String | Invoke-Expression
  elvish      ~/.config/elvish/rc.elv      eval (caro completions elvish | slurp)
")]
pub struct Args {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// The shells that can complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// 4.4 or newer
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
    /// Nushell; without ids, devices and preferences
    #[value(alias = "nushell")]
    Nu,
    /// PowerShell
    #[value(alias = "pwsh")]
    Powershell,
    /// Elvish
    Elvish,
}

/// Runs `caro completions`.
pub(super) fn run(args: &Args, ui: &mut Ui) -> Result<(), CliError> {
    let completer: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Elvish => &Elvish,
        Shell::Nu => {
            let mut script = Vec::new();
            generate(Nushell, &mut command_tree(), PROGRAM, &mut script);
            return print(&script, ui);
        }
    };
    let mut script = Vec::new();
    completer
        .write_registration(ASKED_BY, PROGRAM, PROGRAM, PROGRAM, &mut script)
        .map_err(|error| CliError::failed("the completions could not be written").caused_by(error))?;
    print(without_noise(args.shell, &String::from_utf8_lossy(&script)).as_bytes(), ui)
}

/// The script so that it says nothing while one types, though the program may be gone.
fn without_noise(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => script.replace("\"${words[@]}\"", "\"${words[@]}\" 2>/dev/null"),
        // What it says of an unknown command cannot be turned away.
        Shell::Fish => script.replace("(CARO_COMPLETE=", "(type -q caro; and CARO_COMPLETE="),
        _ => script.to_owned(),
    }
}

fn print(script: &[u8], ui: &mut Ui) -> Result<(), CliError> {
    ui.line(String::from_utf8_lossy(script).trim_end())
}

/// Completes a command line, if that is what the program was called for; says whether it was.
pub(super) fn answer(args: &[OsString]) -> bool {
    if std::env::var_os(ASKED_BY).is_none_or(|shell| shell.is_empty()) {
        return false;
    }
    let folder = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(command_tree).var(ASKED_BY).bin(PROGRAM).completer(PROGRAM);
    match asked.try_complete(args, folder.as_deref()) {
        Ok(answered) => answered,
        Err(error) => {
            // Nobody but a script sees it.
            drop(writeln!(std::io::stderr(), "{error}"));
            true
        }
    }
}

/// Completes the name of a preference.
pub(super) fn preferences() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let all = prefs::ALL.iter();
        all.map(|preference| CompletionCandidate::new(preference.name).help(Some(preference.about.into()))).collect()
    })
}

/// Completes the value of the preference that the line names.
pub(super) fn values() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let named = std::env::args().find_map(|word| prefs::find(&word).ok());
        let values: &[&str] = match named.map(|preference| preference.kind) {
            Some(prefs::Kind::OneOf(words)) => words,
            Some(prefs::Kind::Switch) => &["true", "false"],
            Some(prefs::Kind::Limit(_)) => &["unlimited"],
            _ => &[],
        };
        values.iter().map(CompletionCandidate::new).collect()
    })
}

/// Completes the id of a command.
pub(super) fn records() -> ArgValueCandidates {
    ArgValueCandidates::new(|| latest().unwrap_or_default())
}

fn latest() -> Option<Vec<CompletionCandidate>> {
    let home = existing_home()?;
    let filter = Filter { limit: Some(IDS), reverse: true, ..Filter::default() };
    let records = home.open_history_within(PATIENCE).ok()?.list(&filter).ok()?;
    let candidates = records.into_iter().enumerate().map(|(order, record)| {
        let beside: String = visible(record.command.lines().next().unwrap_or_default()).chars().take(BESIDE).collect();
        CompletionCandidate::new(record.id.to_string()).help(Some(StyledStr::from(beside))).display_order(Some(order))
    });
    Some(candidates.collect())
}

/// Completes the name of a device of this account.
pub(super) fn devices() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let known = existing_home().and_then(|home| sync::device_names(&home));
        known.unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
    })
}

/// This user's home, if there is one.
fn existing_home() -> Option<Home> {
    Home::from_env().ok().filter(|home| home.history_path().exists())
}
