//! `caro community preview`: exactly what would be sent. Nothing is.

use std::io::Write;

use serde::Serialize;

use super::{Next, SCHEMA_VERSION, explain, habits, next, place};
use crate::cli::{CliError, Home, Ui, time};
use crate::community::answers::{Device, truths};
use crate::community::noise::{REPORTS_A_YEAR, epsilon, faces};

/// Show the anonymous report that would be sent, to the byte; sends nothing
///
/// The report is kept until tomorrow, so `caro community contribute` sends the one that was shown. Where one has not arrived at
/// the last collector as far as is known, that one is shown: it goes there again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caro community preview
  caro community preview --all            what is true of every question that may be drawn
  caro community preview --raw | wc -c    the bytes themselves
")]
pub(in crate::cli) struct Args {
    /// Show what is true of all questions too; none of that is sent
    #[arg(long)]
    all: bool,

    /// Print as JSON
    #[arg(long, conflicts_with = "all")]
    json: bool,

    /// Print the bytes that would be sent, and nothing else
    #[arg(long, conflicts_with_all = ["all", "json"])]
    raw: bool,
}

/// A preview, as JSON, version 1.
#[derive(Serialize)]
struct PreviewJson<'a> {
    schema_version: u32,
    /// What would be sent, with its padding.
    body: String,
    /// Whether it was sent before, and may not have arrived.
    again: bool,
    question: &'a str,
    words: &'a str,
    told: &'a str,
    /// Stays here, as all that follows; nobody knows it any more of one that was sent before.
    truth: Option<&'a str>,
    die_faces: u64,
    epsilon: f64,
    reports_a_year: usize,
    reports_left: usize,
    truths: Vec<TruthJson>,
}

#[derive(Serialize)]
struct TruthJson {
    question: &'static str,
    words: &'static str,
    truth: &'static str,
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, home: &Home, args: &Args) -> Result<(), CliError> {
    let (place, now) = (place(home), time::now());
    let _lock = place.lock()?;
    let mut journal = place.load()?.unwrap_or_default();
    let to = journal.collector.clone();
    let next = next(home, &place, &mut journal, to.as_ref(), now)?;
    let bytes = explain::bytes(next.body());
    if args.raw {
        return Ok(ui.out().write_all(&bytes)?);
    }
    let habits = habits(home, now)?;
    let truths = truths(&habits, Device::THIS).into_iter().map(|(question, at)| TruthJson {
        question: question.name,
        words: question.words,
        truth: question.answers.get(at).copied().unwrap_or_default(),
    });
    if args.json {
        let Some((question, told)) = explain::told(next.body()) else {
            return Err(CliError::failed("the draft of a report is damaged").hinted("Try again tomorrow."));
        };
        return ui.json(&PreviewJson {
            schema_version: SCHEMA_VERSION,
            body: String::from_utf8_lossy(&bytes).into_owned(),
            again: matches!(next, Next::Again(_)),
            question: question.name,
            words: question.words,
            told,
            truth: match &next {
                Next::Again(_) => None,
                Next::Drawn(draft) => Some(draft.truth.as_str()),
            },
            die_faces: faces(question.answers.len()),
            epsilon: epsilon(),
            reports_a_year: REPORTS_A_YEAR,
            reports_left: journal.left(now),
            truths: truths.collect(),
        });
    }
    ui.line(explain::preview(&next, &journal, now))?;
    if args.all {
        ui.line("\nWhat is true of each question; it stays here:")?;
        for truth in truths {
            ui.line(format_args!("  {:70} {}", truth.words, truth.truth))?;
        }
    }
    ui.flush()?;
    ui.status("Nothing was sent.");
    Ok(())
}
