//! Commands with and without a secret, of `tests/vectors/secrets`, built anew the same way each time.
//!
//! Secrets are not in the files but are drawn while they are read, from a stream that depends on nothing but the text
//! of the line: so there is nothing for a scanner to find, and a failure can be repeated.

/// Commands that hold a secret, and those that do not.
pub struct SecretSet {
    /// Each holds one.
    pub positives: Vec<String>,
    /// None holds one.
    pub negatives: Vec<String>,
}

/// Reads both.
pub fn secret_set() -> SecretSet {
    SecretSet {
        positives: commands(include_str!("../vectors/secrets/positives.txt")),
        negatives: commands(include_str!("../vectors/secrets/negatives.txt")),
    }
}

fn commands(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.starts_with("# ") && !line.is_empty()).map(command).collect()
}

fn command(line: &str) -> String {
    let mut letters = Letters(blake3::Hasher::new().update(line.as_bytes()).finalize_xof());
    let mut built = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('⟨') {
        let (place, after) = after.split_once('⟩').expect("a place is closed");
        built.push_str(before);
        built.push_str(&letters.of(place));
        rest = after;
    }
    built.push_str(rest);
    built.replace('⏎', "\n")
}

struct Letters(blake3::OutputReader);

impl Letters {
    /// What stands at a place such as `hex:40`.
    fn of(&mut self, place: &str) -> String {
        const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
        const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        if place == "uuid" {
            return [8, 4, 4, 4, 12].map(|length| self.draw("0123456789abcdef", length)).join("-");
        }
        let (kind, length) = place.split_once(':').expect("a kind and a length");
        let length = length.parse().expect("a length");
        let letters = match kind {
            "hex" => "0123456789abcdef".to_owned(),
            "hexup" => "0123456789ABCDEF".to_owned(),
            "digits" => "0123456789".to_owned(),
            "word" => LOWER.to_owned(),
            "alpha" => format!("{LOWER}{UPPER}"),
            "lower" => format!("{LOWER}0123456789"),
            "upper" => format!("{UPPER}234567"),
            "alnum" => format!("{LOWER}{UPPER}0123456789"),
            "url" => format!("{LOWER}{UPPER}0123456789{LOWER}{UPPER}0123456789-_"),
            "base64" => format!("{LOWER}{UPPER}0123456789{LOWER}{UPPER}0123456789+/"),
            other => panic!("there is no kind {other}"),
        };
        self.draw(&letters, length)
    }

    /// The first and the last letter are never a sign, so that the whole of it is one word.
    fn draw(&mut self, letters: &str, length: usize) -> String {
        let letters = letters.as_bytes();
        let mut byte = [0];
        (0..length)
            .map(|at| {
                loop {
                    self.0.fill(&mut byte);
                    let letter = char::from(letters[usize::from(byte[0]) % letters.len()]);
                    if letter.is_ascii_alphanumeric() || at > 0 && at + 1 < length {
                        break letter;
                    }
                }
            })
            .collect()
    }
}
