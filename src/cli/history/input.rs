//! Records as `caro history add` takes them: one JSON object a line.
//!
//! The fields are those that `--json` prints, so that what one history prints another takes in;
//! `command` alone is required. A field that is not known is refused rather than dropped, because
//! it is more often a slip of the pen than a message from the future.

use serde::Deserialize;
use uuid::Uuid;

use super::super::time;
use super::output::SCHEMA_VERSION;
use crate::history::{Generated, Record, UnixNanos, check_size, new_id};

/// A record on its way in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    /// What an export calls its lines; see [`Line`].
    #[serde(rename = "type")]
    _type: Option<String>,
    command: String,
    schema_version: Option<u32>,
    id: Option<String>,
    prompt: Option<String>,
    explanation: Option<String>,
    exit: Option<i32>,
    #[serde(alias = "at")]
    started_at: Option<String>,
    duration_ns: Option<i64>,
    cwd: Option<String>,
    session: Option<String>,
    shell: Option<String>,
    host: Option<String>,
    device_id: Option<String>,
    safety: Option<String>,
    tags: Option<Vec<String>>,
    model: Option<String>,
    category: Option<String>,
    executed: Option<bool>,
    blocked_reason: Option<String>,
    alternatives: Option<Vec<String>>,
    warnings: Option<Vec<String>>,
    generation_ns: Option<i64>,
    imported_from: Option<String>,
    truncated: Option<bool>,
}

/// What an export calls the lines that are commands.
pub(in crate::cli) const COMMAND: &str = "command";

/// What a line holds.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// A record.
    Record(Box<Record>),
    /// Something else that an export has, of this type.
    Other(String),
}

/// The one field that every line of an export has.
#[derive(Deserialize)]
struct Typed {
    r#type: Option<String>,
}

/// Understands one line. `device_id` and `now` stand in for what it does not say.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence.
pub(super) fn parse(line: &str, device_id: Uuid, now: UnixNanos) -> Result<Line, String> {
    if line.trim() == "[" {
        return Err("a list over several lines; give one JSON object a line".to_owned());
    }
    if !line.trim_start().starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    if line.contains("\"type\"")
        && let Ok(Typed { r#type: Some(kind) }) = serde_json::from_str(line)
        && kind != COMMAND
    {
        return Ok(Line::Other(kind));
    }
    parse_record(line, device_id, now).map(|record| Line::Record(Box::new(record)))
}

/// Understands a record, as [`parse`] does.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence.
pub(super) fn parse_record(line: &str, device_id: Uuid, now: UnixNanos) -> Result<Record, String> {
    let input: Input = serde_json::from_str(line).map_err(|error| describe(&error))?;
    if let Some(version) = input.schema_version.filter(|version| *version > SCHEMA_VERSION) {
        return Err(format!("schema_version {version} is newer than this version of caro knows"));
    }
    if input.command.trim().is_empty() {
        return Err("the command is empty".to_owned());
    }
    if input.duration_ns.is_some_and(i64::is_negative) {
        return Err("duration_ns is negative".to_owned());
    }
    let started_at = match &input.started_at {
        Some(text) => time::parse_machine(text).map_err(|why| format!("started_at is {why}"))?,
        None => UnixNanos(now.0.saturating_sub(input.duration_ns.unwrap_or(0))),
    };
    let id = match input.id {
        Some(text) => Uuid::try_parse(&text).map_err(|_| "id is not a UUID")?,
        None => new_id(started_at),
    };
    let device_id = match input.device_id {
        Some(text) => Uuid::try_parse(&text).map_err(|_| "device_id is not a UUID")?,
        None => device_id,
    };
    let safety = input
        .safety
        .map(|text| text.parse())
        .transpose()
        .map_err(|error: crate::history::UnknownRiskLevel| error.to_string())?;
    let mut record = Record::with_id(id, input.command, started_at, device_id);
    record.prompt = input.prompt;
    record.explanation = input.explanation;
    record.exit = input.exit;
    record.duration_ns = input.duration_ns;
    record.cwd = input.cwd;
    record.session = input.session;
    record.shell = input.shell;
    record.host = input.host;
    record.safety = safety;
    record.tags = input.tags.unwrap_or_default();
    record.model = input.model;
    record.category = input.category;
    record.executed = input.executed;
    record.imported_from = input.imported_from;
    record.set_generated(Generated {
        blocked_reason: input.blocked_reason,
        alternatives: input.alternatives.unwrap_or_default(),
        warnings: input.warnings.unwrap_or_default(),
        generation_ns: input.generation_ns,
    });
    if input.truncated == Some(true) {
        record.mark_truncated();
    }
    check_size(&record).map_err(|error| error.to_string())?;
    Ok(record)
}

/// The parser's words in everyone's, without the line number, which counts from the start of this line only.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = text.strip_suffix(&place).unwrap_or(&text);
    if !error.is_data() {
        return format!("not valid JSON, from character {} on", error.column());
    }
    let Some(wrong) = what.strip_prefix("invalid type: ").or_else(|| what.strip_prefix("invalid value: ")) else {
        return what.to_owned();
    };
    let (found, wanted) = wrong.split_once(", expected ").unwrap_or((wrong, "another value"));
    let wanted = match wanted {
        "i32" => "a whole number that an exit status can be",
        "i64" | "u32" => "a whole number",
        "a boolean" => "true or false",
        "a string" => "text",
        "a sequence" => "a list",
        other => other,
    };
    format!("{found} stands where {wanted} should, up to character {}", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::{DEVICE, any_generated, any_record};
    use proptest::prelude::*;

    const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

    fn error(line: &str) -> String {
        parse(line, DEVICE, NOW).unwrap_err()
    }

    fn record(line: &str, device: Uuid) -> Record {
        match parse(line, device, NOW) {
            Ok(Line::Record(record)) => *record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_is_enough() {
        let record = record(r#"{"command": "ls", "duration_ns": 5}"#, DEVICE);
        assert_eq!(record.command, "ls");
        assert_eq!(record.device_id, DEVICE);
        assert_eq!(record.started_at, UnixNanos(NOW.0 - 5));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(error(r#"{"command""#).starts_with("not valid JSON, from character "));
        assert!(error("[").contains("several lines"));
        assert_eq!(record(r#"{"schema_version": 1, "command": "ls"}"#, DEVICE).command, "ls");
        let wrong = error(r#"{"command": 5}"#);
        assert_eq!(wrong, "integer `5` stands where text should, up to character 13");
        let wrong = error(r#"{"command": "ls", "exit": 99999999999}"#);
        assert!(wrong.starts_with("integer `99999999999` stands where a whole number"), "{wrong}");
        for year in ["0001", "9999"] {
            let wrong = error(&format!(r#"{{"command": "ls", "at": "{year}-01-01T00:00:00Z"}}"#));
            assert!(wrong.contains("out of range"), "{wrong}");
        }
        assert_eq!(error("[\"ls\"]"), "not a JSON object");
        assert!(error(r#"{"exit": 1}"#).starts_with("missing field `command`"));
        assert!(error(r#"{"command": "ls", "stdout": "x"}"#).starts_with("unknown field `stdout`"));
        assert_eq!(error(r#"{"command": " "}"#), "the command is empty");
        assert_eq!(error(r#"{"command": "ls", "id": "x"}"#), "id is not a UUID");
        assert!(error(r#"{"command": "ls", "at": "noon"}"#).contains("RFC 3339"));
        assert!(error(r#"{"command": "ls", "safety": "none"}"#).contains("safe, moderate"));
        assert!(error(r#"{"command": "ls", "schema_version": 2}"#).contains("newer"));
        assert!(error(r#"{"command": "ls", "duration_ns": -1}"#).contains("negative"));
    }

    #[test]
    fn lines_of_an_export_that_are_no_commands_are_told_apart() {
        assert_eq!(record(r#"{"type": "command", "command": "ls"}"#, DEVICE).command, "ls");
        assert_eq!(record(r#"{"command": "\"type\""}"#, DEVICE).command, "\"type\"");
        let preference = parse(r#"{"type": "preference", "name": "search.mode", "value": "regex"}"#, DEVICE, NOW);
        assert_eq!(preference, Ok(Line::Other("preference".into())));
    }

    proptest! {
        #[test]
        fn what_is_printed_can_be_taken_in(mut record in any_record(), generated in any_generated()) {
            record.unknown.clear();
            record.set_generated(generated);
            record.version = crate::history::RECORD_VERSION;
            prop_assume!(!record.command.trim().is_empty());
            record.duration_ns = record.duration_ns.map(|duration| duration.saturating_abs());
            let line = serde_json::to_string(&super::super::RecordJson::from(&record)).unwrap();
            prop_assert_eq!(parse(&line, Uuid::nil(), NOW), Ok(Line::Record(Box::new(record))));
        }
    }
}
