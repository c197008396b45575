//! How well secrets are told from ordinary commands, on a set of both.

use caro::history::secrets;

use crate::common::secret_set::{SecretSet, secret_set};

#[test]
fn secrets_are_found_and_ordinary_commands_pass() {
    let SecretSet { positives, negatives } = secret_set();
    assert!(positives.len() >= 500 && negatives.len() >= 600);
    let missed: Vec<&String> = positives.iter().filter(|command| secrets::find(command).is_none()).collect();
    let wrong: Vec<(&String, &str)> =
        negatives.iter().filter_map(|command| Some((command, secrets::find(command)?.name))).collect();
    let found = positives.len() - missed.len();
    let recall = found as f64 / positives.len() as f64;
    let precision = found as f64 / (found + wrong.len()) as f64;
    println!("secrets: recall {:.1} %, precision {:.1} %", recall * 100.0, precision * 100.0);
    assert!(recall >= 1.0, "missed: {missed:#?}");
    assert!(precision >= 0.99, "taken for secrets: {wrong:#?}");
    assert!(wrong.is_empty(), "taken for secrets: {wrong:#?}");
}

#[test]
fn what_is_masked_shows_nothing_that_was_drawn() {
    for command in secret_set().positives {
        let masked = secrets::mask(&command);
        assert!(masked.contains("*****"), "{command}");
        // Only a part of a command is a secret.
        assert!(!masked.starts_with("*****") && masked != command, "{command}");
    }
}
