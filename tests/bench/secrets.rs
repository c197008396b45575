//! How well secrets are told from ordinary commands, beside Atuin's own filter on the same set.

use std::path::Path;
use std::time::Instant;

use caro::history::secrets;

use crate::atuin::Atuin;
use crate::secret_set::{SecretSet, secret_set};

/// Prints the table.
pub fn print(folder: &Path) {
    let set = secret_set();
    let SecretSet { positives, negatives } = &set;
    println!("\n{:<38}{:>12}{:>12}", "secrets", "caro", "atuin");
    // Patterns are compiled when they are first needed.
    let find = |command: &str| secrets::find(command).is_some();
    rates(&set, find);
    let begun = Instant::now();
    let ours = rates(&set, find);
    let each = begun.elapsed() / u32::try_from(positives.len() + negatives.len()).unwrap_or(u32::MAX);
    let theirs = Atuin::client().map(|atuin| {
        let machine = atuin.alone(&folder.join("atuin-secrets"));
        // It prints the id of what it records, and nothing for what its filter catches.
        rates(&set, |command| machine.run(&["history", "start", "--", command]).1.is_empty())
    });
    let shown = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
    for (name, ours, theirs) in [
        (format!("recall, % of {}", positives.len()), ours.0, theirs.map(|rates| rates.0)),
        (format!("precision, % ({} ordinary commands)", negatives.len()), ours.1, theirs.map(|rates| rates.1)),
    ] {
        println!("{name:<38}{ours:>12.1}{:>12}", shown(theirs));
    }
    println!("{:<38}{:>12.1}", "time a command, µs", each.as_secs_f64() * 1e6);
}

/// Recall and precision of a filter, in percent.
fn rates(set: &SecretSet, catches: impl Fn(&str) -> bool) -> (f64, f64) {
    let caught = |commands: &[String]| commands.iter().filter(|command| catches(command)).count() as f64;
    let (right, wrong) = (caught(&set.positives), caught(&set.negatives));
    (100.0 * right / set.positives.len() as f64, 100.0 * right / (right + wrong).max(1.0))
}
