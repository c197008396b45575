//! `caro relay invite|accounts|revoke`: who may use a relay, and what they have stored there.

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::folder::{self, FolderArgs};
use super::settings::Access;
use crate::cli::{CliError, Home, Kind, Ui, time, ui::visible};
use crate::history::UnixNanos;
use crate::relay::{self, AccountsError, Administration, Held, Place, RelayError};

/// The longest label, in characters.
const LONGEST_LABEL: usize = 64;
/// Bytes of the hash in an account's id.
const ID_BYTES: usize = 19;
/// How long a running relay may take to erase an account.
const ERASURE: Duration = Duration::from_secs(600);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// Invite somebody to your relay: prints the address to give away
///
/// The address has a token in it that nobody else gets. The first account that syncs with it is the one that it is for, unless
/// one is named: all devices of that account use the same address. For a relay with `--access accounts`, running or not.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro relay invite --name ann --relay-url wss://relay.example
  caro relay invite                  where relay.toml has the address of the relay
  caro relay invite --name ann --account co_zUhoeV5ekSfDcyekmfHXVhZJBeU
  CARO_RELAY_DATABASE=postgres://relay:password@db.example/relay caro relay invite --relay-url wss://relay.example
")]
pub(in crate::cli) struct InviteArgs {
    /// What to call the invitation; a number unless given
    #[arg(long, value_name = "LABEL", value_parser = label)]
    name: Option<String>,

    /// The account that it is for, which nobody else can be; that of the first who writes with it unless given
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    account: Option<String>,

    /// The address by which clients reach the relay
    #[arg(long, value_name = "URL", env = "CARO_RELAY_URL", hide_env_values = true)]
    relay_url: Option<String>,

    #[command(flatten)]
    folder: FolderArgs,
}

/// List who may use your relay, and what they have stored
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro relay accounts
  caro relay accounts --json | jq -r '.accounts[] | select(.last_seen == null).label'
")]
pub(in crate::cli) struct AccountsArgs {
    /// Print as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    folder: FolderArgs,
}

/// Take an invitation back: its token counts no more, and its connections end
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro relay revoke ann
  caro relay revoke co_zUhoeV5ekSfDcyekmfHXVhZJBeU --erase
")]
pub(in crate::cli) struct RevokeArgs {
    /// The invitation's label, or the id of the account that it is for
    #[arg(value_name = "LABEL|ACCOUNT")]
    who: String,

    /// Erase what the account has stored, too
    #[arg(long)]
    erase: bool,

    #[command(flatten)]
    folder: FolderArgs,
}

#[derive(Serialize)]
struct AccountsJson {
    schema_version: u32,
    accounts: Vec<AccountJson>,
}

#[derive(Serialize)]
struct AccountJson {
    label: Option<String>,
    account: Option<String>,
    created: Option<String>,
    last_seen: Option<String>,
    last_used: Option<String>,
    last_full: Option<String>,
    revoked: bool,
    stored_bytes: u64,
    covalues: u64,
}

fn label(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() || text.starts_with("co_z") || text.chars().any(char::is_control) {
        return Err("a label is a name, and not the id of an account");
    }
    if text.chars().count() > LONGEST_LABEL { Err("a label has at most 64 characters") } else { Ok(text.to_owned()) }
}

fn account(text: &str) -> Result<String, &'static str> {
    let hash = text.trim().strip_prefix("co_z").and_then(|hash| bs58::decode(hash).into_vec().ok());
    match hash {
        Some(hash) if hash.len() == ID_BYTES => Ok(text.trim().to_owned()),
        _ => Err("the id of an account looks like co_zUhoeV5ekSfDcyekmfHXVhZJBeU"),
    }
}

pub(super) fn invite(ui: &mut Ui, home: &Home, args: InviteArgs) -> Result<(), CliError> {
    let settings = args.folder.settings(home, args.relay_url)?;
    let (reached_at, access) = (settings.reached_at()?, settings.access);
    let place = existing(folder::place(settings)?)?;
    // The one that runs knows what it is told; where none does, its file may say so.
    let running = match &place {
        Place::Folder(folder) => relay::ask(folder).ok().flatten(),
        Place::Database { .. } => None,
    };
    let rule = running.map(|status| status.access).filter(|rule| !rule.is_empty());
    if rule.as_ref().is_some_and(|rule| rule != "accounts") {
        return Err(CliError::usage("the relay that runs there invites nobody: an invitation would count for nothing")
            .hinted("Start it with --access accounts (access = \"accounts\" in its file), then invite."));
    }
    let (label, token) = Administration::at(place)?.invite(args.name.as_deref(), args.account.as_deref())?;
    match reached_at {
        Some(url) => ui.line(format_args!("{url}/{token}"))?,
        None => {
            ui.line(&token)?;
            ui.hint("Put it behind the address of the relay: wss://relay.example/TOKEN. --relay-url does so.");
        }
    }
    ui.status(format_args!("{label} is invited; the address is shown this once."));
    if rule.is_none() && access != Some(Access::Accounts) {
        ui.warn("invitations count only where the relay is started with --access accounts");
    }
    Ok(())
}

/// What it names, which has to be there where it is a folder: what is made by mistake is found by nobody.
fn existing(place: Place) -> Result<Place, CliError> {
    match place {
        Place::Folder(folder) if !folder.is_dir() => {
            Err(CliError::usage(format!("there is no folder {}", folder.display()))
                .hinted("Name that of the relay with --data-dir; `caro relay serve` makes it."))
        }
        place => Ok(place),
    }
}

/// What a relay has, which has to be there.
fn administration(folder: FolderArgs, home: &Home) -> Result<Administration, CliError> {
    Ok(Administration::at(existing(folder::place(folder.settings(home, None)?)?)?)?)
}

pub(super) fn list(ui: &mut Ui, home: &Home, args: AccountsArgs) -> Result<(), CliError> {
    let relay = administration(args.folder, home)?;
    let mut held = relay.holdings()?;
    let mut accounts = Vec::new();
    for invitation in relay.invitations()? {
        let stored = invitation.account.as_ref().and_then(|account| held.remove(account)).unwrap_or_default();
        accounts.push(AccountJson {
            label: Some(invitation.label),
            account: invitation.account,
            created: Some(day(invitation.created_day)),
            last_seen: invitation.seen_day.map(day),
            last_used: stored.used_day.map(day),
            last_full: stored.refused_day.map(day),
            revoked: invitation.revoked,
            stored_bytes: stored.bytes,
            covalues: stored.values,
        });
    }
    // Those who came when the relay was open, or with a shared token.
    accounts.extend(held.into_iter().map(|(account, Held { bytes, values, used_day, refused_day })| AccountJson {
        label: None,
        account: Some(account),
        created: None,
        last_seen: None,
        last_used: used_day.map(day),
        last_full: refused_day.map(day),
        revoked: false,
        stored_bytes: bytes,
        covalues: values,
    }));
    if args.json {
        return ui.json(&AccountsJson { schema_version: 1, accounts });
    }
    for account in accounts {
        let label = account.label.as_deref().map_or_else(|| "(not invited)".into(), visible);
        let who = account.account.as_deref().map_or_else(|| "not used yet".into(), visible);
        let seen = match (account.revoked, &account.last_seen, &account.last_used) {
            (true, ..) => "taken back".to_owned(),
            (false, _, Some(day)) => format!("last used {day}"),
            (false, Some(day), None) => format!("last seen {day}"),
            (false, None, None) => "never seen".to_owned(),
        };
        let created = account.created.map(|day| format!("invited {day}, ")).unwrap_or_default();
        let stored = format!("{} KiB in {} CoValues", account.stored_bytes.div_ceil(1024), account.covalues);
        let full = account.last_full.map(|day| format!("; full, something was not taken on {day}")).unwrap_or_default();
        ui.line(format_args!("{label}  {who}  {created}{seen}, {stored}{full}"))?;
    }
    Ok(())
}

pub(super) fn revoke(ui: &mut Ui, home: &Home, args: RevokeArgs) -> Result<(), CliError> {
    let relay = administration(args.folder, home)?;
    let meant = relay.revoke(&args.who, args.erase)?;
    for invitation in &meant {
        ui.status(format_args!("{} may not use this relay any more.", visible(&invitation.label)));
    }
    if !args.erase {
        return Ok(());
    }
    // A relay that runs on a folder does it by itself, since it has things in memory.
    let give_up = Instant::now() + ERASURE;
    while relay.has_to_erase()? {
        match relay.erase() {
            Ok(()) => {}
            Err(RelayError::InUse(_)) if Instant::now() < give_up => std::thread::sleep(LOOK_EVERY),
            Err(RelayError::InUse(_)) => {
                return Err(CliError::failed("the relay has not erased what the account stored")
                    .hinted("It tries again by itself; its log says why. Only relays with --access accounts do."));
            }
            Err(error) => return Err(error.into()),
        }
    }
    ui.status("What the account had stored is erased.");
    Ok(())
}

fn day(number: i64) -> String {
    let midnight = time::rfc3339(UnixNanos(number.saturating_mul(NANOS_PER_DAY)));
    midnight.split('T').next().unwrap_or_default().to_owned()
}

impl From<AccountsError> for CliError {
    fn from(error: AccountsError) -> Self {
        let (kind, hint) = match &error {
            AccountsError::LabelTaken(_) => (Kind::Usage, "Choose another with --name."),
            AccountsError::Unknown(_) => (Kind::Usage, "`caro relay accounts` lists them."),
            AccountsError::Database(_) => {
                (Kind::Failed, "Look whether it runs, and whether the address and its user are right.")
            }
            _ => (Kind::Failed, "Make the folder writable, or name another with --data-dir."),
        };
        Self::new(kind, error.to_string()).hinted(hint).caused_by(error)
    }
}
