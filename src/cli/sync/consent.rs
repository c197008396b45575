//! What the user agrees to before the first byte leaves: one screen, in plain words.

use super::commands;
use crate::cli::{CliError, Ui};
use crate::net::RelayAddress;

/// What the user is about to agree to.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// Setting sync up, for the first time or again.
    SetUp,
    /// Naming a relay where sync is set up; whether one was in use until now.
    Relay { another: bool },
    /// Giving consent again.
    Enable,
}

/// Says what will leave this machine, and asks, unless the user has said yes already.
pub(super) fn ask(ui: &Ui, step: Step, relay: Option<&RelayAddress>, records: u64, yes: bool) -> Result<(), CliError> {
    ui.status(text(step, relay, records));
    if yes {
        return Ok(());
    }
    let (question, no) = match step {
        Step::SetUp => ("Set this up?", "nothing was set up, and nothing was sent"),
        Step::Relay { .. } => ("Use this relay?", "the relay was not changed"),
        Step::Enable => ("Enable sync?", "sync stays disabled, and nothing is synced"),
    };
    if ui.terminal("--yes")?.confirm(question)? { Ok(()) } else { Err(CliError::declined(no)) }
}

fn text(step: Step, relay: Option<&RelayAddress>, records: u64) -> String {
    let Some(relay) = relay else {
        return match step {
            Step::SetUp | Step::Relay { .. } => {
                "An identity will be made on this machine. No relay is named, so nothing leaves it;\n\
                            name one later with `caro sync relay set`."
            }
            Step::Enable => "No relay is named, so nothing leaves this machine; name one with `caro sync relay set`.",
        }
        .into();
    };
    let begin = match step {
        Step::SetUp | Step::Relay { another: false } => {
            "Your commands stay on this machine until you agree. This is what changes:"
        }
        Step::Relay { another: true } => "From now on your history goes to this relay. This is what that means:",
        Step::Enable => "Nothing is synced at present. This is what changes:",
    };
    format!(
        "{begin}\n\
         \n\
         What leaves     your command history ({} now, and those to come): commands, prompts,\n\
         \x20               explanations, directories, times, exit codes, tags, names of host, shell and\n\
         \x20               model; your preferences, how much you use caro, this device's name and system.\n\
         \x20               Commands with passwords or tokens in them stay here. Everything is encrypted\n\
         \x20               on this machine; your recovery phrase alone opens it.\n\
         To whom         {}, and from there to your own devices\n\
         What it sees    random account and session ids (so how many devices you have), your network\n\
         \x20               address, when you are online, when things were written (your commands to the\n\
         \x20               hour), and the rounded sizes of encrypted blocks. Not your commands, not names.\n\
         Who can read    whoever has your recovery phrase. If you lose it and all your devices, nobody\n\
         \x20               can bring your history back.\n\
         When            by itself, after your commands; `caro sync pause` stops that for a while.\n\
         To undo it      `caro sync disable` ends it at once. `caro sync delete --everywhere`, in its place,\n\
         \x20               also erases what the relay and your devices hold of what was synced.\n",
        commands(records),
        relay.shown()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Proxies;

    #[test]
    fn the_screen_says_what_to_whom_and_how_to_undo_and_hides_the_token() {
        let relay = RelayAddress::parse("wss://relay.example/t0ken?key=secret", None, Proxies::default()).unwrap();
        let text = text(Step::SetUp, Some(&relay), 12);
        let parts = [
            "12 commands",
            "wss://relay.example",
            "account and session ids",
            "network",
            "to the\n",
            "rounded sizes",
            "caro sync disable",
            "caro sync delete --everywhere",
        ];
        for part in parts {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(!text.contains("t0ken") && !text.contains("secret"));
        assert!(text.starts_with("Your commands stay on this machine until you agree."));
        assert!(text.lines().count() <= 20 && text.lines().all(|line| line.chars().count() <= 100));
    }
}
