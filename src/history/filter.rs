//! Which records may leave this device: the user's rules, pure and without a database.
//!
//! Records that hold a secret stay here whatever the rules say (see [`secrets`]).
//!
//! A rule is one line of text: `exclude command "aws *"`. The last rule that matches decides; a record that no rule
//! matches may leave. Patterns are globs: in a command `*` stands for anything; in a directory it ends at a `/`,
//! `**` does not, a leading `~` is anybody's home (rules follow the user to machines with other homes), and what lies
//! below a directory that matches, matches too. A command pattern between slashes is a regular expression that is
//! looked for anywhere: `exclude command /^kubectl .*--token/`.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use regex::{Regex, RegexBuilder};

use super::record::Record;
use super::secrets;

/// What anybody's home may be; `~` in the pattern of a directory.
const HOMES: &str = "{/root,/home/*,/var/home/*,/Users/*,[A-Za-z]:/Users/*}";
/// Room that the automaton of one pattern may take, bytes.
const PATTERN_SIZE: usize = 1 << 20;

/// What a rule does with the records it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// They may leave.
    Include,
    /// They stay here.
    Exclude,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The command line.
    Command,
    /// The directory it ran in.
    Directory,
    /// The name or id of the device that recorded it.
    Device,
    /// Its tags.
    Tag,
}

impl Action {
    const ALL: [Self; 2] = [Self::Include, Self::Exclude];

    /// The action of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }

    /// The word in a rule.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Exclude => "exclude",
        }
    }
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 4] = [Self::Command, Self::Directory, Self::Device, Self::Tag];

    /// The field of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }

    /// The word in a rule.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Directory => "directory",
            Self::Device => "device",
            Self::Tag => "tag",
        }
    }
}

/// One rule; its pattern is known to be sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterRule {
    action: Action,
    field: Field,
    pattern: String,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// It begins with another word.
    #[error("a rule begins with include or exclude")]
    Action,
    /// It names no field.
    #[error("after include or exclude a rule says command, directory, device or tag")]
    Field,
    /// There is no pattern, or its quotes do not match.
    #[error("a rule ends with a pattern, such as \"aws *\" in quotes")]
    Pattern,
    /// The pattern is no glob.
    #[error("the pattern is not valid: {0}")]
    Glob(String),
    /// The pattern is no regular expression.
    #[error("the pattern is not a valid regular expression: {0}")]
    Regex(String),
}

impl FilterRule {
    /// A rule.
    ///
    /// # Errors
    /// [`RuleError`] where the pattern is empty or malformed.
    pub fn new(action: Action, field: Field, pattern: impl Into<String>) -> Result<Self, RuleError> {
        let pattern = pattern.into();
        if pattern.trim().is_empty() {
            return Err(RuleError::Pattern);
        }
        Matcher::new(field, &pattern)?;
        Ok(Self { action, field, pattern })
    }

    /// What it does.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// What it looks at.
    #[must_use]
    pub fn field(&self) -> Field {
        self.field
    }

    /// What it looks for.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

impl fmt::Display for FilterRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.action.as_str(), self.field.as_str())?;
        let bare = expression(self.field, &self.pattern).is_some();
        if bare && !self.pattern.contains(char::is_control) {
            return f.write_str(&self.pattern);
        }
        f.write_str("\"")?;
        for c in self.pattern.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

impl FromStr for FilterRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let text = text.trim();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let action = Action::from_name(word).ok_or(RuleError::Action)?;
        let rest = rest.trim_start();
        let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let field = Field::from_name(word).ok_or(RuleError::Field)?;
        let pattern = rest.trim_start();
        let pattern = match pattern.strip_prefix('"') {
            Some(quoted) => unquote(quoted).ok_or(RuleError::Pattern)?,
            // As a shell would have it: what stands between is meant, and not the quotes.
            None => match pattern.strip_prefix('\'') {
                Some(quoted) => {
                    quoted.strip_suffix('\'').filter(|text| !text.contains('\'')).ok_or(RuleError::Pattern)?.to_owned()
                }
                None => pattern.to_owned(),
            },
        };
        Self::new(action, field, pattern)
    }
}

/// The text up to the closing quote, which must be the last character.
fn unquote(quoted: &str) -> Option<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut letters = quoted.chars();
    loop {
        match letters.next()? {
            '"' => return letters.next().is_none().then_some(text),
            '\\' => text.push(match letters.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                c @ ('"' | '\\') => c,
                _ => return None,
            }),
            c => text.push(c),
        }
    }
}

/// The regular expression between slashes, if the pattern is one.
fn expression(field: Field, pattern: &str) -> Option<&str> {
    if field != Field::Command {
        return None;
    }
    pattern.strip_prefix('/')?.strip_suffix('/').filter(|inner| !inner.is_empty())
}

/// A pattern, ready to be applied.
#[derive(Clone, Debug)]
enum Matcher {
    Glob(GlobMatcher),
    Regex(Regex),
}

impl Matcher {
    fn new(field: Field, pattern: &str) -> Result<Self, RuleError> {
        if let Some(expression) = expression(field, pattern) {
            let built = RegexBuilder::new(expression).size_limit(PATTERN_SIZE).build();
            return built.map(Self::Regex).map_err(|error| RuleError::Regex(last_line(&error.to_string())));
        }
        let directory = field == Field::Directory;
        let pattern = match pattern.strip_prefix('~').filter(|_| directory) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{HOMES}{rest}"),
            _ => pattern.to_owned(),
        };
        // Where a directory is written as `/a/b/`, the directory itself is meant.
        let pattern = if directory && pattern.len() > 1 { pattern.trim_end_matches('/') } else { &pattern };
        let glob = GlobBuilder::new(pattern).literal_separator(directory).backslash_escape(true).build();
        glob.map(|glob| Self::Glob(glob.compile_matcher())).map_err(|error| RuleError::Glob(error.kind().to_string()))
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Glob(glob) => glob.is_match(text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }

    /// Whether a directory, or one that it lies in, matches.
    fn covers(&self, directory: &str) -> bool {
        if directory.is_empty() {
            return false;
        }
        let directory = directory.replace('\\', "/");
        let mut rest = directory.trim_end_matches('/');
        loop {
            if self.matches(if rest.is_empty() { "/" } else { rest }) {
                return true;
            }
            match rest.rsplit_once('/') {
                Some((above, _)) => rest = above,
                None => return false,
            }
        }
    }
}

/// The engine draws a picture over several lines; its last one says what is wrong.
fn last_line(message: &str) -> String {
    let line = message.lines().next_back().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Why a record stays on this device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// A rule of the user says so.
    Rule(FilterRule),
    /// It holds a secret of this kind.
    Secret(&'static str),
}

/// Whether a record may leave this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may. The rule that says so, if it was one.
    Sync(Option<FilterRule>),
    /// It stays here.
    Held {
        /// Why.
        why: Why,
    },
}

impl Decision {
    /// Whether it may leave.
    #[must_use]
    pub fn may_leave(&self) -> bool {
        matches!(self, Self::Sync(_))
    }
}

/// The user's rules, ready to be applied to many records.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    rules: Vec<(FilterRule, Matcher)>,
}

impl Filter {
    /// A filter of these rules, in their order.
    ///
    /// # Errors
    /// Never, for rules that [`FilterRule::new`] made.
    pub fn new(rules: &[FilterRule]) -> Result<Self, RuleError> {
        let rules = rules.iter().map(|rule| Ok((rule.clone(), Matcher::new(rule.field, &rule.pattern)?)));
        Ok(Self { rules: rules.collect::<Result<_, _>>()? })
    }

    /// Whether a record may leave; `device_name` is that of the device that recorded it. What holds a secret never
    /// does.
    #[must_use]
    pub fn decide(&self, record: &Record, device_name: &str) -> Decision {
        if let Some(why) = secret_in(record) {
            return Decision::Held { why };
        }
        match self.rule(record, device_name) {
            Some(rule) if rule.action == Action::Exclude => Decision::Held { why: Why::Rule(rule.clone()) },
            rule => Decision::Sync(rule.cloned()),
        }
    }

    /// The rule that decides about a record, if one does.
    #[must_use]
    pub fn rule(&self, record: &Record, device_name: &str) -> Option<&FilterRule> {
        let matched = self.rules.iter().rev().find(|(rule, matcher)| match rule.field {
            Field::Command => matcher.matches(&record.command),
            Field::Directory => record.cwd.as_deref().is_some_and(|cwd| matcher.covers(cwd)),
            Field::Device => matcher.matches(device_name) || matcher.matches(&record.device_id.to_string()),
            Field::Tag => record.tags.iter().any(|tag| matcher.matches(tag)),
        });
        matched.map(|(rule, _)| rule)
    }
}

/// The secret that one of a record's texts holds, if one was found.
#[must_use]
pub fn secret_in(record: &Record) -> Option<Why> {
    let texts = [Some(&record.command), record.prompt.as_ref(), record.explanation.as_ref()];
    let found = texts.into_iter().flatten().find_map(|text| secrets::find(text));
    let secret = found.or_else(|| record.generated().texts().find_map(|text| secrets::find(text)))?;
    Some(Why::Secret(secret.name))
}

/// Whether some record that the rules `old` keep here might leave by the rules `new`. In doubt, yes.
///
/// An exclusion keeps what it kept as long as it is still there and nothing is included behind it that was not
/// included behind it before.
#[must_use]
pub fn loosens(old: &[FilterRule], new: &[FilterRule]) -> bool {
    let behind = |rules: &[FilterRule], exclusion: &FilterRule| {
        let last = rules.iter().rposition(|rule| rule == exclusion)?;
        Some(rules[last..].iter().filter(|rule| rule.action == Action::Include).cloned().collect::<Vec<_>>())
    };
    old.iter().filter(|rule| rule.action == Action::Exclude).any(|exclusion| {
        let Some(now) = behind(new, exclusion) else { return true };
        let before = behind(old, exclusion).unwrap_or_default();
        now.iter().any(|include| !before.contains(include))
    })
}

#[cfg(test)]
mod tests;
