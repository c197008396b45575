//! Records as the Caro generator prints them (`caro -o json`), taken as they are.
//!
//! `executed` means there that the command passed the safety check; it ran only where there is an exit code. What the
//! command printed is skipped as it is read and never stored. Fields that are not known are left alone, since the
//! generator has more of them than a history needs.

use std::io::Read;

use serde::Deserialize;
use serde::de::IgnoredAny;
use uuid::Uuid;

use crate::history::{Generated, Record, UnixNanos, new_id};

const MILLISECOND: i64 = 1_000_000;

/// One answer of the generator.
#[derive(Debug, Deserialize)]
struct Answer {
    generated_command: String,
    explanation: Option<String>,
    blocked_reason: Option<String>,
    alternatives: Option<Vec<String>>,
    shell_used: Option<String>,
    timing_info: Option<Timing>,
    warnings: Option<Vec<String>>,
    detected_context: Option<String>,
    exit_code: Option<i32>,
    #[serde(rename = "stdout")]
    _stdout: Option<IgnoredAny>,
    #[serde(rename = "stderr")]
    _stderr: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Timing {
    generation_time_ms: Option<u64>,
    execution_time_ms: Option<u64>,
}

/// Reads answers, one after the other, however they are laid out. `now` is when the last of them ended.
///
/// An item that is an error says what is wrong, as the rest of a sentence, and is the last.
pub(super) fn read(input: impl Read, device: Uuid, now: UnixNanos) -> impl Iterator<Item = Result<Record, String>> {
    let answers = serde_json::Deserializer::from_reader(input).into_iter::<Answer>();
    let mut failed = false;
    answers.map_while(move |answer| {
        let record = match answer {
            _ if failed => return None,
            Ok(answer) => record(answer, device, now),
            Err(error) => Err(describe(&error)),
        };
        failed = record.is_err();
        Some(record)
    })
}

fn record(answer: Answer, device: Uuid, now: UnixNanos) -> Result<Record, String> {
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let nanos = |millis: Option<u64>| {
        millis.and_then(|millis| i64::try_from(millis).ok()).map(|millis| millis.saturating_mul(MILLISECOND))
    };
    if answer.generated_command.trim().is_empty() {
        return Err("generated_command is empty".to_owned());
    }
    let timing = answer.timing_info;
    let ran = answer.exit_code.is_some();
    let duration_ns = nanos(timing.as_ref().and_then(|timing| timing.execution_time_ms)).filter(|_| ran);
    let started_at = UnixNanos(now.0.saturating_sub(duration_ns.unwrap_or(0)));
    let mut record = Record::with_id(new_id(started_at), answer.generated_command, started_at, device);
    record.prompt = given(answer.detected_context);
    record.explanation = given(answer.explanation);
    record.exit = answer.exit_code;
    record.duration_ns = duration_ns;
    record.shell = given(answer.shell_used).map(|shell| shell.to_lowercase());
    record.executed = Some(ran);
    record.set_generated(Generated {
        blocked_reason: given(answer.blocked_reason),
        alternatives: answer.alternatives.unwrap_or_default(),
        warnings: answer.warnings.unwrap_or_default(),
        generation_ns: nanos(timing.and_then(|timing| timing.generation_time_ms)),
    });
    Ok(record)
}

fn describe(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => error.to_string(),
        serde_json::error::Category::Eof => "it ends too early".to_owned(),
        serde_json::error::Category::Io => format!("it cannot be read: {error}"),
        serde_json::error::Category::Syntax => format!("not valid JSON: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::DEVICE;

    const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

    fn all(text: &str) -> Vec<Result<Record, String>> {
        read(text.as_bytes(), DEVICE, NOW).collect()
    }

    #[test]
    fn what_passed_the_check_ran_only_where_there_is_an_exit_code() {
        let records = all(r#"{"generated_command": "ls", "executed": true, "exit_code": null,
                               "timing_info": {"generation_time_ms": 900, "execution_time_ms": 0, "total_time_ms": 900}}
                             {"generated_command": "ls", "executed": true, "exit_code": 1, "shell_used": "Bash",
                               "timing_info": {"generation_time_ms": 900, "execution_time_ms": 20}}"#);
        let [suggested, ran] = records.as_slice() else { panic!("{records:?}") };
        let (suggested, ran) = (suggested.as_ref().unwrap(), ran.as_ref().unwrap());
        assert_eq!((suggested.executed, suggested.exit, suggested.duration_ns), (Some(false), None, None));
        assert_eq!(suggested.generated().generation_ns, Some(900_000_000));
        assert_eq!((ran.executed, ran.exit, ran.duration_ns), (Some(true), Some(1), Some(20_000_000)));
        assert_eq!((ran.started_at, ran.shell.as_deref()), (UnixNanos(NOW.0 - 20_000_000), Some("bash")));
        assert!(ran.prompt.is_none() && ran.explanation.is_none());
    }

    #[test]
    fn what_a_command_printed_is_not_kept() {
        let printed = all(r#"{"generated_command": "cat f", "stdout": "kept nowhere", "stderr": ["kept nowhere"]}"#);
        assert!(!format!("{printed:?}").contains("kept nowhere"));
        assert!(printed[0].is_ok());
    }

    #[test]
    fn what_is_wrong_ends_it_and_is_named() {
        let wrong = |text| all(text).pop().unwrap().unwrap_err();
        assert!(wrong(r#"{"command": "ls"}"#).starts_with("missing field `generated_command`"));
        assert_eq!(wrong(r#"{"generated_command": " "}"#), "generated_command is empty");
        assert_eq!(wrong(r#"{"generated_command": "ls""#), "it ends too early");
        assert!(wrong("nonsense").starts_with("not valid JSON: "));
        assert_eq!(all(r#"{"generated_command": ""} {"generated_command": "ls"}"#).len(), 1);
        assert!(all(" ").is_empty());
    }
}
