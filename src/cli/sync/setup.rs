//! What `init` and `restore` have in common.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use subtle::ConstantTimeEq;

use super::KeyArgs;
use crate::cli::terminal::Terminal;
use crate::cli::{CliError, Home, Kind, Ui, host};
use crate::history::History;
use crate::identity::{Credentials, KeyStore, Passphrase, Phrase};
use crate::net::RelayAddress;
use crate::private_file;
use crate::sync::{self, Reason, SyncConfig, SyncError, SyncState};

/// Flags of every setup.
#[derive(Debug, Args)]
pub(in crate::cli) struct SetupArgs {
    /// The relay: wss://…, ws://… or ssh://…, or `none` to choose one later
    #[arg(long, value_name = "URL")]
    pub relay: Option<String>,

    /// PEM file with the root certificate of a relay of your own
    #[arg(long, value_name = "FILE")]
    pub relay_certificate: Option<PathBuf>,

    /// What your other devices call this one; the host name unless given
    #[arg(long, value_name = "NAME", value_parser = super::devices::name)]
    pub device_name: Option<String>,

    /// Leave the account that this device takes part in now; the history stays and goes to the other one
    #[arg(long)]
    pub leave: bool,

    /// Keep only derived keys: this device can then not show the phrase
    #[arg(long)]
    pub forget_phrase: bool,

    /// Agree to what is shown without being asked
    #[arg(long, short)]
    pub yes: bool,

    #[command(flatten)]
    pub keys: KeyArgs,
}

impl SetupArgs {
    /// The relay that was named, asking for it where it was not; the one in use until now is offered.
    pub(super) fn relay(&self, ui: &Ui, home: &Home) -> Result<Option<RelayAddress>, CliError> {
        let parse = |text: &str| parse_relay(text, self.relay_certificate.as_deref());
        if let Some(given) = &self.relay {
            return parse(given);
        }
        let mut terminal = ui.terminal("--relay URL")?;
        // One that cannot be read is no offer.
        let known = SyncConfig::load(&super::paths(home).config).map_err(CliError::from);
        let known = known.and_then(|config| super::address(&config)).ok().flatten();
        let question = match &known {
            Some(known) => format!("Relay (Enter for {}, or another: wss://… or ssh://…): ", known.shown()),
            None => "Relay (wss://…, ssh://me@host, or `none` to choose one later): ".into(),
        };
        loop {
            let typed = terminal.ask(&question)?;
            if typed.trim().is_empty() && known.is_some() {
                return Ok(known);
            }
            match parse(&typed) {
                Ok(relay) => return Ok(relay),
                Err(error) => terminal.show(&format!("{error}\n"))?,
            }
        }
    }

    /// The configuration that a setup with this relay leaves; what else is in the file stays.
    pub(super) fn config(&self, home: &Home, relay: Option<&RelayAddress>) -> Result<SyncConfig, CliError> {
        let mut config = SyncConfig::load(&super::paths(home).config)?;
        config.relay = relay.map(|relay| relay.url().to_owned());
        config.relay_certificate = relay.and_then(|relay| relay.root_certificate().map(Path::to_owned));
        config.device_name = self.device_name.clone().or_else(host::name).unwrap_or_else(|| "unnamed".into());
        Ok(config)
    }

    /// Derives the keys of a phrase.
    pub(super) fn credentials(&self, phrase: Phrase) -> Result<Credentials, CliError> {
        let now = crate::cli::time::now().0 / 1_000_000;
        let made = Credentials::from_phrase(phrase, u64::try_from(now).unwrap_or(0)).map_err(SyncError::from)?;
        Ok(made)
    }

    /// The key store. Where it is a file that no passphrase seals, asks for one, unless nobody is to be asked; warns where
    /// none is given.
    pub(super) fn key_store(&self, ui: &Ui, home: &Home, history: &History) -> Result<KeyStore, CliError> {
        let store = self.keys.store(home, history)?;
        // Whatever a file that is there is sealed with, it is replaced.
        if matches!(store, KeyStore::File(_)) && self.keys.passphrase_file.is_none() {
            if !self.yes
                && let Ok(mut terminal) = ui.terminal("--passphrase-file FILE")
                && let Some(passphrase) = new_passphrase(&mut terminal)?
            {
                return super::key_store(home, history, Some(passphrase));
            }
            ui.warn("the keys go into a file that is protected by its permissions alone; --passphrase-file seals it");
        }
        Ok(store)
    }
}

/// Asks for a passphrase twice, until both are the same; none for an empty one.
fn new_passphrase(terminal: &mut Terminal) -> Result<Option<Passphrase>, CliError> {
    terminal.show(
        "The keys go into a file. A passphrase seals it, but then somebody has to give it whenever this device syncs.\n",
    )?;
    loop {
        let typed = terminal.ask_hidden("Passphrase of the key file (Enter for none): ")?;
        let passphrase = Passphrase::new(&typed);
        if passphrase.is_none() || *terminal.ask_hidden("Once more: ")? == *typed {
            return Ok(passphrase);
        }
        terminal.show("These were not the same.\n")?;
    }
}

/// Understands the relay that a user names, with a certificate file that may be named relative to here.
pub(super) fn parse_relay(text: &str, certificate: Option<&Path>) -> Result<Option<RelayAddress>, CliError> {
    if text.trim() == "none" {
        return Ok(None);
    }
    let certificate = match certificate {
        Some(path) => Some(
            std::path::absolute(path)
                .map_err(|e| CliError::usage(format!("{} is not a path", path.display())).caused_by(e))?,
        ),
        None => None,
    };
    super::parse_address(text.trim(), certificate).map(Some)
}

/// How long a relay may stay silent that is asked whether this home still takes part.
const ASK_WITHIN: Duration = Duration::from_secs(10);

/// An account that this home takes part in and leaves for another.
pub(super) struct Left {
    credentials: Option<Credentials>,
}

impl Left {
    /// Refuses to join the account that is left: it is the same.
    pub(super) fn refuse_same(&self, joined: &Credentials) -> Result<(), CliError> {
        match &self.credentials {
            Some(left) if bool::from(left.master().ct_eq(joined.master())) => Err(SyncError::AlreadySetUp.into()),
            _ => Ok(()),
        }
    }
}

/// Where there is an identity already that this home can use: whether it is to be left. What happened to it on another device
/// may not be known here yet, so the relay is asked first.
///
/// # Errors
///
/// [`SyncError::AlreadySetUp`] where it is not to be left.
pub(super) fn leave_first(ui: &Ui, home: &Home, args: &SetupArgs) -> Result<Option<Left>, CliError> {
    let Some((state, credentials)) = in_use(home, &args.keys)? else { return Ok(None) };
    if is_over_elsewhere(home, &state, credentials.as_ref())? {
        return Ok(None);
    }
    if !args.leave {
        let terminal = if args.yes { None } else { ui.terminal("--leave").ok() };
        let mut terminal = terminal.ok_or_else(|| CliError::from(SyncError::AlreadySetUp))?;
        terminal.show(
            "This device takes part in an account already. It can leave that one for another: your history stays here, and\n\
             goes to the other one. What a relay holds of the account that it leaves stays there, encrypted, for your other\n\
             devices and whoever has its phrase. (`caro sync delete --everywhere` erases it, and here what was synced.)\n",
        )?;
        if !terminal.confirm("Leave it?")? {
            return Err(CliError::declined("nothing was changed"));
        }
    }
    Ok(Some(Left { credentials }))
}

/// Whether the relay says that this home takes part no more.
fn is_over_elsewhere(home: &Home, state: &SyncState, credentials: Option<&Credentials>) -> Result<bool, CliError> {
    if let (Some(credentials), Ok(())) = (credentials, state.may_exchange()) {
        let relay = super::address(&SyncConfig::load(&super::paths(home).config)?)?;
        if relay.is_some() {
            let setting = super::setting(home, home.open_history()?, relay, ASK_WITHIN)?;
            match sync::still_takes_part(setting, state, credentials.master()) {
                Err(SyncError::Removed | SyncError::Closed { reason: Reason::Revoked | Reason::Deleted, .. }) => {
                    return Ok(true);
                }
                Err(error) => tracing::debug!(%error, "the relay could not be asked about what is set up"),
                Ok(()) => {}
            }
        }
    }
    Ok(false)
}

/// Whether there is an identity already that this home can use.
pub(super) fn is_in_use(home: &Home, keys: &KeyArgs) -> bool {
    in_use(home, keys).map_or(true, |found| found.is_some())
}

/// The identity that this home has, with its keys if they can be read as they are.
fn in_use(home: &Home, keys: &KeyArgs) -> Result<Option<(SyncState, Option<Credentials>)>, CliError> {
    let Some(state) = SyncState::load(&super::paths(home).state)?.filter(|state| !state.is_over()) else {
        return Ok(None);
    };
    // Without its keys a home can only join again.
    Ok(match keys.store(home, &home.open_history()?)?.load() {
        Ok(None) => None,
        Ok(Some(credentials)) => Some((state, Some(credentials))),
        Err(_) => Some((state, None)),
    })
}

/// Writes a phrase to a new private file.
pub(super) fn write_phrase(path: &Path, phrase: &Phrase) -> Result<(), CliError> {
    let words = zeroize::Zeroizing::new(format!("{}\n", phrase.expose_words()));
    private_file::write_new(path, words.as_bytes()).map_err(|e| {
        let what = if e.kind() == std::io::ErrorKind::AlreadyExists {
            format!("{} exists already, and is not overwritten", path.display())
        } else {
            format!("the phrase cannot be written to {}", path.display())
        };
        CliError::new(Kind::Usage, what)
            .hinted("Name a new file in a folder that is yours. One that an interrupted setup left opens nothing.")
            .caused_by(e)
    })
}

/// The phrase as it is shown: numbered, four words a line.
pub(super) fn laid_out(phrase: &Phrase) -> zeroize::Zeroizing<String> {
    let mut text = zeroize::Zeroizing::new(String::with_capacity(1024));
    for (index, word) in phrase.expose_words().split(' ').enumerate() {
        text.push_str(&format!("{:>4}. ", index + 1));
        text.push_str(word);
        let end_of_line = index % 4 == 3;
        let pad = if end_of_line { 0 } else { 10usize.saturating_sub(word.len()) };
        text.extend(std::iter::repeat_n(' ', pad));
        if end_of_line {
            text.push('\n');
        }
    }
    text
}
