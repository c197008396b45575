//! What the user agrees to before the first byte leaves: one screen, in plain words.

use crate::cli::{CliError, Kind, Ui};
use crate::net::RelayAddress;

/// Says what will leave this machine, and asks, unless the user has said yes already.
pub(super) fn ask(ui: &Ui, relay: Option<&RelayAddress>, records: u64, yes: bool) -> Result<(), CliError> {
    ui.status(text(relay, records));
    if yes {
        return Ok(());
    }
    if ui.terminal("--yes")?.confirm("Set this up?")? {
        Ok(())
    } else {
        Err(CliError::new(Kind::Interrupted, "nothing was set up, and nothing has left this machine"))
    }
}

fn text(relay: Option<&RelayAddress>, records: u64) -> String {
    let Some(relay) = relay else {
        return "An identity will be made on this machine. No relay is named, so nothing leaves it;\n\
                name one later with `caro sync relay set`."
            .into();
    };
    format!(
        "Until now your commands have never left this machine. This is what changes:\n\
         \n\
         What leaves     your command history ({records} commands now, and those to come): commands,\n\
         \x20               directories, times, exit codes, and this device's name. It is encrypted here\n\
         \x20               with keys that only your recovery phrase gives.\n\
         To whom         {}\n\
         What it sees    random account and session ids, your network address, when you sync, and the\n\
         \x20               rounded size of encrypted blocks. Not your commands, not your devices' names.\n\
         Who can read    whoever has your recovery phrase. If you lose it and all your devices, nobody\n\
         \x20               can bring your history back.\n\
         To undo it      `caro sync relay set none` ends it; your local history stays yours in any case.\n",
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
        let text = text(Some(&relay), 12);
        for part in ["12 commands", "wss://relay.example", "What it sees", "To undo it"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(!text.contains("t0ken") && !text.contains("secret"));
        assert!(text.lines().count() <= 20 && text.lines().all(|line| line.chars().count() <= 100));
    }
}
