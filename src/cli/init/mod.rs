//! `caro init SHELL`: prints what a shell evaluates to record its commands and to search them by key.
//!
//! Each script is a file of its own language beside this one; all call `caro history start` and `end`, and `caro history
//! search --interactive`. What belongs to one key stands between marks, and is left out where that key is not wanted.

use clap::ValueEnum;

use super::{CliError, Ui};

/// Print the shell integration: what records your commands as you run them, and Ctrl-R and Up to search them
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Add the line for your shell to the file it reads when it starts:
  bash        ~/.bashrc                    eval \"$(caro init bash)\"
  zsh         ~/.zshrc                     eval \"$(caro init zsh)\"
  fish        ~/.config/fish/config.fish   caro init fish | source
  nu          config.nu                    source ~/.config/nushell/caro.nu
              (after: caro init nu | save -f ~/.config/nushell/caro.nu)
  powershell  $PROFILE                     caro init powershell | Out-String | Invoke-Expression

A command that begins with a space is not recorded, nor is anything after `caro history pause`.

Ctrl-R opens the search of `caro history search --interactive` with what is typed, and so does Up where the line is a
single one. Enter there runs the command, Tab puts it into the line.
")]
pub struct Args {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
    /// Leave Ctrl-R as it is
    #[arg(long)]
    disable_ctrl_r: bool,
    /// Leave the Up key as it is
    #[arg(long)]
    disable_up_arrow: bool,
}

/// The shells that can be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// 4.4 or newer, with and without bash-preexec
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
    /// Nushell
    #[value(alias = "nushell")]
    Nu,
    /// PowerShell with PSReadLine
    #[value(alias = "pwsh")]
    Powershell,
}

impl Shell {
    const fn script(self) -> &'static str {
        match self {
            Self::Bash => include_str!("caro.bash"),
            Self::Zsh => include_str!("caro.zsh"),
            Self::Fish => include_str!("caro.fish"),
            Self::Nu => include_str!("caro.nu"),
            Self::Powershell => include_str!("caro.ps1"),
        }
    }
}

/// The marks between which a script has what belongs to a key.
const CTRL_R: [&str; 2] = ["# [ctrl-r", "# ctrl-r]"];
const UP_ARROW: [&str; 2] = ["# [up-arrow", "# up-arrow]"];

/// Runs `caro init`.
pub(super) fn run(args: &Args, ui: &mut Ui) -> Result<(), CliError> {
    let mut script = args.shell.script().to_owned();
    for (marks, leave_out) in [(CTRL_R, args.disable_ctrl_r), (UP_ARROW, args.disable_up_arrow)] {
        script = without(&script, marks, leave_out);
    }
    ui.line(script.trim_end())
}

/// The script without the lines with the marks and, if that is wanted, without what is between them.
fn without(script: &str, [begin, end]: [&str; 2], inner: bool) -> String {
    let mut inside = false;
    let mut kept = String::with_capacity(script.len());
    for line in script.lines() {
        match line.trim() {
            mark if mark == begin => inside = true,
            mark if mark == end => inside = false,
            _ if inside && inner => {}
            _ => {
                kept.push_str(line);
                kept.push('\n');
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_can_be_left_as_it_is() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Nu, Shell::Powershell] {
            let script = shell.script();
            for marks in [CTRL_R, UP_ARROW] {
                let with = without(script, marks, false);
                let less = without(script, marks, true);
                assert!(less.len() < with.len() && with.len() < script.len(), "{shell:?} {marks:?}");
                assert!(!with.contains(marks[0]) && !with.contains(marks[1]));
            }
        }
    }
}
