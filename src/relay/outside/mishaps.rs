//! The last things that went wrong, for whoever asks how a relay does.
//!
//! They are what the log says from warnings on, without the ids that may stand in it.

use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::rfc3339;
use crate::clock;

/// How many are kept.
const KEPT: usize = 10;
/// How much of each, in characters.
const LONGEST: usize = 300;
/// How the ids of the protocol begin.
const IDS: [&str; 5] = ["co_z", "signer_z", "sealer_z", "session_z", "key_z"];

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mishap {
    /// When, RFC 3339.
    pub at: String,
    /// What.
    pub what: String,
}

/// Remembers them; a layer of the log.
#[derive(Clone, Debug, Default)]
pub struct Mishaps(Arc<Mutex<VecDeque<Mishap>>>);

impl Mishaps {
    /// The last ones, the newest last.
    pub(super) fn last(&self) -> Vec<Mishap> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn note(&self, what: &str) {
        let what = without_ids(what).chars().take(LONGEST).collect();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Mishap { at: rfc3339(clock::now()), what });
    }
}

impl<S: Subscriber> Layer<S> for Mishaps {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() <= Level::WARN {
            let mut said = Said::default();
            event.record(&mut said);
            self.note(&format!("{}{}", said.message, said.rest));
        }
    }
}

/// The words of one line of the log.
#[derive(Default)]
struct Said {
    message: String,
    rest: String,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.rest, " ({name}: {value:?})"),
        };
    }
}

/// A text in which ids are cut after their kind.
fn without_ids(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_') {
        let cut = IDS.iter().filter_map(|id| word.find(id).map(|at| at + id.len())).min();
        match cut {
            Some(cut) => {
                words.push_str(&word[..cut]);
                words.push('…');
                words.extend(word.chars().next_back().filter(|c| !c.is_alphanumeric() && *c != '_'));
            }
            None => words.push_str(word),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_names_no_account_and_is_the_last() {
        let mishaps = Mishaps::default();
        for number in 0..20 {
            mishaps.note(&format!("{number}: co_z9AbC_session_z7 of sealer_zAA/signer_zBB (id=co_zX)"));
        }
        let last = mishaps.last();
        assert_eq!(last.len(), KEPT);
        assert_eq!(last[KEPT - 1].what, "19: co_z… of sealer_z…/signer_z… (id=co_z…)");
    }
}
