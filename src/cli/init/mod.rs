//! `caro init SHELL`: prints what a shell evaluates to record its commands.
//!
//! Each script is a file of its own language beside this one; all call `caro history start` and `end`.

use clap::ValueEnum;

use super::{CliError, Ui};

/// Print the shell integration: what records your commands as you run them
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
")]
pub struct Args {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
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

/// Runs `caro init`.
pub(super) fn run(args: &Args, ui: &mut Ui) -> Result<(), CliError> {
    ui.line(args.shell.script().trim_end())
}
