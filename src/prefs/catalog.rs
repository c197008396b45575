//! Every preference by name: what it may be, where it is kept, and whether it follows the user.
//!
//! A value is handled as text everywhere, in the one form that [`Preference::parse`] gives: that is what is compared,
//! synced and printed. Only what is marked `synced` ever leaves the machine: never tokens, addresses, consent or
//! paths.

use std::str::FromStr;

use toml_edit::{Array, Item, Value};

use super::{PrefsError, Result};
use crate::history::filter::FilterRule;
use crate::nearest::{edits, nearest};

/// The file that a preference is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// Caro's own `config.toml`.
    Caro,
    /// `sync.toml`.
    Sync,
}

/// What a preference may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A name without line breaks.
    Text,
    /// `true` or `false`.
    Switch,
    /// A number from the first to the second.
    Number(u64, u64),
    /// A number from 1 to this one, or `unlimited`.
    Limit(u64),
    /// Rules such as those of the sync filter, one a line.
    Rules,
}

/// One preference.
#[derive(Debug, PartialEq, Eq)]
pub struct Preference {
    /// What the user calls it.
    pub name: &'static str,
    /// Where it is kept.
    pub file: File,
    /// Where in the file: tables, then the key.
    pub path: &'static [&'static str],
    /// What it may be.
    pub kind: Kind,
    /// What holds while it is not set; none: it has no value then.
    pub default: Option<&'static str>,
    /// Whether it follows the user to all devices.
    pub synced: bool,
    /// Whether it changes what may be executed here: a value from elsewhere is shown before it takes effect.
    pub safety: bool,
    /// What it is for.
    pub about: &'static str,
}

/// The longest text a preference may have, in characters.
const MAX_TEXT: usize = 200;

const PLAIN: Preference = Preference {
    name: "",
    file: File::Caro,
    path: &[],
    kind: Kind::Text,
    default: None,
    synced: false,
    safety: false,
    about: "",
};

/// All preferences, in the order they are shown.
pub static ALL: &[Preference] = &[
    Preference {
        name: "safety_level",
        path: &["safety_level"],
        kind: Kind::OneOf(&["strict", "moderate", "permissive"]),
        default: Some("moderate"),
        synced: true,
        safety: true,
        about: "how much danger a generated command may have",
        ..PLAIN
    },
    Preference {
        name: "default_shell",
        path: &["default_shell"],
        kind: Kind::OneOf(&["bash", "zsh", "fish", "sh", "powershell", "cmd", "unknown"]),
        synced: true,
        about: "the shell that commands are generated for",
        ..PLAIN
    },
    Preference {
        name: "default_model",
        path: &["default_model"],
        synced: true,
        about: "what generates commands",
        ..PLAIN
    },
    Preference { name: "model_name", path: &["model_name"], synced: true, about: "the model it uses", ..PLAIN },
    Preference {
        name: "generation_profile",
        path: &["generation_profile"],
        kind: Kind::OneOf(&["generator", "explainer"]),
        default: Some("generator"),
        synced: true,
        about: "whether commands are only made, or explained too",
        ..PLAIN
    },
    Preference {
        name: "approval_mode",
        path: &["approval_mode"],
        kind: Kind::OneOf(&["prompt", "auto", "smart"]),
        safety: true,
        about: "whether you are asked before a command runs",
        ..PLAIN
    },
    Preference {
        name: "log_level",
        path: &["log_level"],
        kind: Kind::OneOf(&["debug", "info", "warn", "error"]),
        default: Some("info"),
        about: "how much Caro logs",
        ..PLAIN
    },
    Preference {
        name: "log_rotation_days",
        path: &["log_rotation_days"],
        kind: Kind::Number(1, 365),
        default: Some("7"),
        about: "days that a log is kept",
        ..PLAIN
    },
    Preference {
        name: "cache_max_size_gb",
        path: &["cache_max_size_gb"],
        kind: Kind::Number(1, 1000),
        default: Some("10"),
        about: "room for models, in GB",
        ..PLAIN
    },
    Preference {
        name: "telemetry.enabled",
        path: &["telemetry", "enabled"],
        kind: Kind::Switch,
        about: "whether Caro's generator may report how it is used",
        ..PLAIN
    },
    Preference {
        name: "telemetry.air_gapped",
        path: &["telemetry", "air_gapped"],
        kind: Kind::Switch,
        about: "whether Caro's generator keeps such reports on this machine",
        ..PLAIN
    },
    Preference {
        name: "history.secrets",
        file: File::Sync,
        path: &["history", "secrets"],
        kind: Kind::OneOf(&["skip", "keep"]),
        default: Some("skip"),
        about: "whether commands that hold a secret are recorded; they never leave this machine",
        ..PLAIN
    },
    Preference {
        name: "history.filter",
        file: File::Sync,
        path: &["history", "filter"],
        kind: Kind::Rules,
        default: Some(""),
        about: "which commands are recorded on this machine, in rules like those of `caro sync filter`",
        ..PLAIN
    },
    Preference {
        name: "sync.frequency",
        file: File::Sync,
        path: &["frequency"],
        kind: Kind::OneOf(&["realtime", "hourly", "daily", "manual"]),
        default: Some("realtime"),
        synced: true,
        about: "when sync happens by itself",
        ..PLAIN
    },
    Preference {
        name: "sync.retention_days",
        file: File::Sync,
        path: &["retention_days"],
        kind: Kind::Limit(36_500),
        default: Some("90"),
        synced: true,
        about: "days that commands stay on the relay; your devices keep what they have",
        ..PLAIN
    },
    Preference {
        name: "sync.max_records",
        file: File::Sync,
        path: &["max_records"],
        kind: Kind::Limit(100_000_000),
        default: Some("10000"),
        synced: true,
        about: "commands that stay on the relay, the newest",
        ..PLAIN
    },
    Preference {
        name: "sync.large_records",
        file: File::Sync,
        path: &["large_records"],
        kind: Kind::OneOf(&["truncate", "exclude"]),
        default: Some("truncate"),
        synced: true,
        about: "what happens to commands over 10 KB: shortened with a mark, or left out",
        ..PLAIN
    },
    Preference {
        name: "sync.filter",
        file: File::Sync,
        path: &["filter"],
        kind: Kind::Rules,
        default: Some(""),
        synced: true,
        about: "which commands leave this machine (see `caro sync filter`)",
        ..PLAIN
    },
    Preference {
        name: "search.keymap",
        file: File::Sync,
        path: &["search", "keymap"],
        kind: Kind::OneOf(&["emacs", "vim"]),
        default: Some("emacs"),
        about: "whose keys the search on the screen has",
        ..PLAIN
    },
    Preference {
        name: "search.mode",
        file: File::Sync,
        path: &["search", "mode"],
        kind: Kind::OneOf(&["fuzzy", "prefix", "fulltext", "regex"]),
        default: Some("fuzzy"),
        about: "how it understands what is typed, at first",
        ..PLAIN
    },
    Preference {
        name: "search.scope",
        file: File::Sync,
        path: &["search", "scope"],
        kind: Kind::OneOf(&["everywhere", "machine", "session", "directory", "workspace"]),
        default: Some("everywhere"),
        about: "where it looks, at first",
        ..PLAIN
    },
    Preference {
        name: "search.inline_height",
        file: File::Sync,
        path: &["search", "inline_height"],
        kind: Kind::Number(0, 1000),
        default: Some("0"),
        about: "lines it takes under the cursor; 0: the whole screen",
        ..PLAIN
    },
    Preference {
        name: "search.enter",
        file: File::Sync,
        path: &["search", "enter"],
        kind: Kind::OneOf(&["run", "edit"]),
        default: Some("run"),
        about: "whether Enter in it runs the command or puts it into the line",
        ..PLAIN
    },
];

/// The preference of this name.
///
/// # Errors
///
/// [`PrefsError::Unknown`].
pub fn find(name: &str) -> Result<&'static Preference> {
    ALL.iter().find(|preference| preference.name == name).ok_or_else(|| PrefsError::Unknown { name: name.to_owned() })
}

/// The name that was most likely meant, if one is near.
#[must_use]
pub fn suggestion(name: &str) -> Option<&'static str> {
    let wanted = name.to_lowercase().replace('-', "_");
    let distance = |known: &str| {
        let short = known.rsplit('.').next().unwrap_or(known);
        edits(&wanted, known).min(edits(&wanted, short))
    };
    nearest(&wanted, ALL.iter().map(|preference| preference.name), distance)
}

impl Preference {
    /// What it may be, as the end of a sentence.
    #[must_use]
    pub fn allowed(&self) -> String {
        match self.kind {
            Kind::OneOf(words) => format!("it is one of {}", words.join(", ")),
            Kind::Text => format!("it is a name of 1 to {MAX_TEXT} characters on one line"),
            Kind::Switch => "it is true or false".to_owned(),
            Kind::Number(from, to) => format!("it is a number from {from} to {to}"),
            Kind::Limit(to) => format!("it is a number from 1 to {to}, or unlimited"),
            Kind::Rules => "each line is a rule such as: exclude command \"aws *\"".to_owned(),
        }
    }

    /// Understands a value and brings it into its one form.
    ///
    /// # Errors
    ///
    /// [`PrefsError::Invalid`], with what it may be.
    pub fn parse(&self, value: &str) -> Result<String> {
        let given = value.trim();
        let number = |from: u64, to: u64| given.parse().ok().filter(|number| (from..=to).contains(number));
        let parsed = match self.kind {
            Kind::OneOf(words) => words.iter().find(|word| **word == given).map(ToString::to_string),
            Kind::Text => {
                let fits = !given.is_empty() && given.chars().count() <= MAX_TEXT;
                (fits && !given.contains(char::is_control)).then(|| given.to_owned())
            }
            Kind::Switch => given.parse::<bool>().ok().map(|on| on.to_string()),
            Kind::Number(from, to) => number(from, to).map(|number: u64| number.to_string()),
            Kind::Limit(_) if given == "unlimited" => Some(given.to_owned()),
            Kind::Limit(to) => number(1, to).map(|number: u64| number.to_string()),
            Kind::Rules => return self.parse_rules(value),
        };
        parsed.ok_or_else(|| self.invalid(value, self.allowed()))
    }

    fn parse_rules(&self, value: &str) -> Result<String> {
        let lines = value.lines().filter(|line| !line.trim().is_empty());
        let rules = lines.map(|line| match FilterRule::from_str(line) {
            Ok(rule) => Ok(rule.to_string()),
            Err(error) => Err(self.invalid(line, error.to_string())),
        });
        Ok(rules.collect::<Result<Vec<_>>>()?.join("\n"))
    }

    fn invalid(&self, value: &str, allowed: String) -> PrefsError {
        PrefsError::Invalid { name: self.name, value: value.to_owned(), allowed, meant: self.meant(value) }
    }

    /// The value that was most likely meant by one that it cannot be, if one is near.
    fn meant(&self, value: &str) -> Option<&'static str> {
        let value = value.trim().to_lowercase();
        match self.kind {
            Kind::OneOf(words) => nearest(&value, words.iter().copied(), |word| edits(&value, word)),
            Kind::Limit(_) => nearest(&value, ["unlimited"].into_iter(), |word| edits(&value, word)),
            Kind::Switch if ["yes", "on", "1"].contains(&value.as_str()) => Some("true"),
            Kind::Switch if ["no", "off", "0"].contains(&value.as_str()) => Some("false"),
            Kind::Switch => nearest(&value, ["true", "false"].into_iter(), |word| edits(&value, word)),
            Kind::Text | Kind::Number(..) | Kind::Rules => None,
        }
    }

    /// Reads a value as it stands in a file.
    ///
    /// # Errors
    ///
    /// What it may be, where it is something else.
    pub(super) fn read(&self, item: &Item) -> std::result::Result<String, String> {
        let text = match item.as_value() {
            Some(Value::String(text)) => text.value().clone(),
            Some(Value::Integer(number)) => number.value().to_string(),
            Some(Value::Boolean(on)) => on.value().to_string(),
            Some(Value::Array(lines)) if self.kind == Kind::Rules => lines
                .iter()
                .map(|line| line.as_str().ok_or_else(|| self.allowed()))
                .collect::<std::result::Result<Vec<_>, _>>()?
                .join("\n"),
            _ => return Err(self.allowed()),
        };
        self.parse(&text).map_err(|error| match error {
            PrefsError::Invalid { allowed, .. } => allowed,
            other => other.to_string(),
        })
    }

    /// A value, in its one form, as it is to stand in a file.
    pub(super) fn to_value(&self, value: &str) -> Value {
        let number = value.parse::<i64>().ok();
        match (self.kind, number) {
            (Kind::Number(..) | Kind::Limit(_), Some(number)) => number.into(),
            (Kind::Switch, _) => (value == "true").into(),
            (Kind::Rules, _) => rules_value(value),
            _ => value.into(),
        }
    }
}

/// Rules as an array of strings, one a line.
fn rules_value(lines: &str) -> Value {
    let mut array = Array::new();
    for line in lines.lines() {
        let mut rule = Value::from(line);
        rule.decor_mut().set_prefix("\n    ");
        array.push_formatted(rule);
    }
    if !array.is_empty() {
        array.set_trailing_comma(true);
        array.set_trailing("\n");
    }
    array.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_defaults_are_valid() {
        for (index, preference) in ALL.iter().enumerate() {
            assert!(ALL[..index].iter().all(|other| other.name != preference.name), "{}", preference.name);
            assert!(!preference.about.is_empty() && !preference.path.is_empty());
            if let Some(default) = preference.default {
                assert_eq!(preference.parse(default).unwrap(), default);
            }
        }
    }

    #[test]
    fn only_the_allow_list_follows_the_user() {
        let synced: Vec<_> = ALL.iter().filter(|p| p.synced).map(|p| p.name).collect();
        assert_eq!(
            synced,
            [
                "safety_level",
                "default_shell",
                "default_model",
                "model_name",
                "generation_profile",
                "sync.frequency",
                "sync.retention_days",
                "sync.max_records",
                "sync.large_records",
                "sync.filter"
            ]
        );
    }

    #[test]
    fn wrong_values_are_refused_with_what_is_right() {
        for (name, wrong, said) in [
            ("safety_level", "reckless", "strict, moderate, permissive"),
            ("safety_level", "Strict", "strict, moderate, permissive"),
            ("sync.retention_days", "0", "1 to 36500, or unlimited"),
            ("sync.retention_days", "forever", "1 to 36500, or unlimited"),
            ("log_rotation_days", "366", "1 to 365"),
            ("telemetry.enabled", "yes", "true or false"),
            ("default_model", "", "on one line"),
            ("default_model", "a\nb", "on one line"),
            ("sync.filter", "forbid command x", "include or exclude"),
        ] {
            let error = find(name).unwrap().parse(wrong).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_in_a_value_is_recognised() {
        for (name, wrong, right) in [
            ("safety_level", "Strict", Some("strict")),
            ("safety_level", "permisive", Some("permissive")),
            ("safety_level", "reckless", None),
            ("sync.frequency", "houry", Some("hourly")),
            ("sync.retention_days", "unlimitted", Some("unlimited")),
            ("sync.retention_days", "0", None),
            ("telemetry.enabled", "off", Some("false")),
            ("telemetry.enabled", "True", Some("true")),
            ("model_name", "", None),
        ] {
            let Err(PrefsError::Invalid { meant, .. }) = find(name).unwrap().parse(wrong) else { panic!("{wrong}") };
            assert_eq!(meant, right, "{name} {wrong}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        assert_eq!(suggestion("safty_level"), Some("safety_level"));
        assert_eq!(suggestion("frequency"), Some("sync.frequency"));
        assert_eq!(suggestion("retention-days"), Some("sync.retention_days"));
        assert_eq!(suggestion("colour"), None);
    }
}
