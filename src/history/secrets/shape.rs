//! What a secret looks like, where its place alone does not say.

/// Least length of a run of letters and digits that may have been drawn by lot.
const RUN: usize = 16;
/// How often such a run goes from one kind of letter to another at least; words hardly do.
const CHANGES: usize = 5;
/// Bits a letter that it says at least.
const ENTROPY: f64 = 3.0;

/// Whether what stands where a secret is expected is one. `literal`: it is in quotes that keep variables as text.
pub(super) fn is_secret(value: &str, literal: bool) -> bool {
    // Between single quotes a sign is part of a password, unless it begins what is a placeholder anywhere.
    const PLACEHOLDERS: &[&str] = &["${", "$(", "<", "{", ".*", "[", "\\"];
    // A variable, another command's output, a placeholder, a pattern, a file, a comment, the next flag.
    const OTHERS: &[&str] = &[
        "$", "`", "<", ">", "{", "(", ")", "[", "*", "%", "/", "~", ".", "?", "\\", "&", "|", ";", "-", "@", "#", ":",
        "=", ",", "!=", "+$",
    ];
    let other = if literal { PLACEHOLDERS } else { OTHERS };
    if literal && value == "$" {
        return false;
    }
    let short_number = value.len() < 4 && value.bytes().all(|byte| byte.is_ascii_digit());
    !(other.iter().any(|start| value.starts_with(start)) || short_number || says_nothing(value) || is_elsewhere(value))
}

/// Whether it is a word that stands for a choice, or for a secret that is yet to come.
fn says_nothing(value: &str) -> bool {
    const SWITCHES: [&str; 18] = [
        "true",
        "false",
        "yes",
        "no",
        "y",
        "n",
        "on",
        "off",
        "none",
        "null",
        "nil",
        "undefined",
        "stdin",
        "prompt",
        "ask",
        "env",
        "auto",
        "disabled",
    ];
    const PLACEHOLDERS: [&str; 7] = ["your", "my-token", "my_token", "placeholder", "redacted", "replace", "insert"];
    let lower = value.to_lowercase();
    let lower = lower.trim_end_matches([';', ',', ')', '&', '|']);
    SWITCHES.contains(&lower)
        || PLACEHOLDERS.iter().filter_map(|word| lower.strip_prefix(word)).any(names_nothing)
        || value.len() > 2 && value.chars().all(|c| matches!(c, 'x' | 'X' | '*' | '.' | '…'))
}

/// Whether what follows the first word of a placeholder still is of one, such as `_api_key_1`: words, without digits among them.
fn names_nothing(rest: &str) -> bool {
    let words = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    let numbered = words.len() < rest.len();
    !words.contains(|c: char| c.is_ascii_digit()) && (!numbered || words.is_empty() || words.ends_with(['-', '_', ' ']))
}

/// Whether it says where the secret is: a file, a variable, an expression, a part of a description.
fn is_elsewhere(value: &str) -> bool {
    const FILES: [&str; 16] = [
        ".json", ".txt", ".pem", ".key", ".yaml", ".yml", ".toml", ".env", ".crt", ".pub", ".gpg", ".age", ".ini",
        ".cfg", ".conf", ".p12",
    ];
    const EXPRESSIONS: [&str; 14] = [
        "os.environ",
        "process.env",
        "env.",
        "env:",
        "file:",
        "fd:",
        "vault:",
        "op://",
        "id=",
        "type=",
        "src=",
        "arn:aws",
        "username=",
        "role=",
    ];
    let variable = value.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASS", "PWD"].iter().any(|end| value.ends_with(end));
    let call = value.find('(').is_some_and(|at| at > 0 && value[at..].contains(')'));
    let named = value.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b == b'_')
        && ["password", "credentials", "token", "secret", "key"]
            .iter()
            .any(|end| value.strip_suffix(end).is_some_and(|before| before.ends_with(['-', '_'])));
    variable
        || named
        || call
        || FILES.iter().any(|end| value.ends_with(end))
        || EXPRESSIONS.iter().any(|start| value.starts_with(start))
}

/// Whether a text looks drawn by lot, as keys are, and not like words, a path, a version, a hash that is no secret's.
pub(super) fn is_random(value: &str, literal: bool) -> bool {
    if value.contains("://") {
        return false;
    }
    let runs = value.split(|c: char| !c.is_ascii_alphanumeric());
    let Some(run) = runs.max_by_key(|run| run.len()).filter(|run| run.len() >= RUN) else { return false };
    let kind = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
    let changes = run.as_bytes().windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    digits >= 2 && changes >= CHANGES && entropy(run.as_bytes()) >= ENTROPY && is_secret(value, literal)
}

/// Bits that a letter says on average, by how often each occurs.
fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    text.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let total = text.len() as f64;
    counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / total).map(|p| -p * p.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_drawn_by_lot_looks_so() {
        for random in ["9f86d081884c7d659a2feaa0c55ad015", "Zx8Kq2Lm9Pw4Rt7Yb1Nc", "a1b2c3d4e5f60718293a"] {
            assert!(is_random(random, false), "{random}");
        }
        for plain in [
            "node-modules-linux-x64-v2",
            "feature/api-key-rotation-2024",
            "getUserByIdFromDatabase",
            "aaaaaaaaaaaaaaaa1111",
            "2026-11-24T17:33:17Z",
            "550e8400-e29b-41d4-a716-446655440000",
            "$HOME9f86d081884c7d659a2feaa0c55ad015",
            "short1A2b3C",
        ] {
            assert!(!is_random(plain, false), "{plain}");
        }
    }

    #[test]
    fn what_only_says_where_a_secret_is_is_none() {
        for plain in
            ["your_api_key", "GITHUB_TOKEN", "creds.json", "getpass.getpass()", "id=npm,src=.npmrc", "***", "None"]
        {
            assert!(!is_secret(plain, false), "{plain}");
        }
        for secret in ["hunter2", "p(w", "toor", "S3cr3t!", "P_W"] {
            assert!(is_secret(secret, false), "{secret}");
        }
    }
}
