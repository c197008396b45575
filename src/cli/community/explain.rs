//! What a report is, in words: for the preview, and before anything is agreed to.

use std::fmt::Write;

use super::Next;
use crate::community::journal::{Draft, Journal};
use crate::community::noise::{REPORTS_A_YEAR, WEIGHT, faces};
use crate::community::questions::{DAYS, QUESTIONS, Question};
use crate::community::{BODY_BYTES, Report};
use crate::history::UnixNanos;

/// A body with the padding that it is sent with.
pub(super) fn bytes(body: &str) -> Vec<u8> {
    let mut bytes = body.as_bytes().to_vec();
    bytes.resize(BODY_BYTES, b' ');
    bytes
}

/// The question of a body, and what is told in answer to it.
pub(super) fn told(body: &str) -> Option<(&'static Question, &'static str)> {
    let report = Report::read(&bytes(body)).ok()?;
    Some((report.question, report.told()))
}

/// What would be sent, and what it means.
pub(super) fn preview(next: &Next, journal: &Journal, now: UnixNanos) -> String {
    match next {
        Next::Again(report) => format!(
            "A report that was agreed to has not arrived as far as is known. It is sent again, the same bytes, and spaces\n\
             behind them up to {BODY_BYTES}:\n\n{}",
            report.body
        ),
        Next::Drawn(draft) => drawn(draft, journal, now),
    }
}

fn drawn(draft: &Draft, journal: &Journal, now: UnixNanos) -> String {
    let mut text = format!("These bytes, and spaces behind them up to {BODY_BYTES}:\n\n{}\n\n", draft.body);
    if let Some((question, told)) = told(&draft.body) {
        let faces = faces(question.answers.len());
        let _ = write!(
            text,
            "What they say     {}\n\
             \x20                 {told}\n\
             What is true      {}, which stays here. A die with {faces} faces decided: on {WEIGHT} of them it tells\n\
             \x20                 what is true, on each of the others one of the other answers.\n",
            question.words, draft.truth,
        );
    }
    let _ = write!(
        text,
        "What is in it     one of {} questions, drawn by chance, about the last {DAYS} days on this device;\n\
         \x20                 what was told; a key made for this report alone, its signature, some work.\n\
         What is not       commands, arguments, directories, names, hosts, prompts, exact numbers, times,\n\
         \x20                 which device or account this is, your phrase.\n\
         What it gives away  whatever is told is at most {WEIGHT} times as likely for you as for anybody else.\n\
         This year         {} of {REPORTS_A_YEAR} reports are left; no question is answered twice in a year.",
        QUESTIONS.len(),
        journal.left(now),
    );
    text
}
