//! `caro sync rotate-keys`: a new data key for what is written from now on.

use clap::Args;
use serde::Serialize;

use super::{KeyArgs, open_account};
use crate::cli::{CliError, Home, Ui};

/// Encrypt with a new key from now on.
///
/// Every device gets the new key by itself at its next exchange. What is there already stays readable with the
/// old one. Whoever has your phrase gets the new key too: to shut somebody out, use `caro sync revoke`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  caro sync rotate-keys
")]
pub(in crate::cli) struct RotateKeysArgs {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keys: KeyArgs,
}

/// The result as JSON, version 1.
#[derive(Serialize)]
struct RotatedJson {
    schema_version: u32,
    key_id: String,
    generation: u32,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: &RotateKeysArgs) -> Result<(), CliError> {
    let mut engine = open_account(ui, home, &args.keys, "rotate-keys")?;
    let key = engine.rotate_keys()?;
    engine.close()?;
    if args.json {
        return ui.json(&RotatedJson { schema_version: 1, key_id: key.id, generation: key.generation });
    }
    ui.status(format_args!(
        "What is written from now on is encrypted with a new key (number {}); your other devices get it at their \
         next exchange.",
        key.generation
    ));
    Ok(())
}
