//! The history in memory, to be searched while somebody types.
//!
//! It is read from the newest command on in parts, so that the first screenful is there at once, and each question is
//! answered from what has been read by then. What a filter leaves out is not kept. Equal commands are one hit: its newest run
//! in the scope, with the number of its runs there. Without a text the newest comes first, with one the order is that of
//! [`ranking`](super::ranking).
//!
//! What makes it fast: each text is kept and looked at once however often it ran; a mask of its characters sorts out most
//! texts without looking at them; what did not match does not match a narrower question either; and a question that has
//! become stale is dropped half-way. One that takes long gives an early answer from the newest commands.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::error::Result;
use super::ranking::{Facts, Here, points};
use super::record::UnixNanos;
use super::rows;
use super::search::{self, Filter, Matcher, Scope, SearchMode, is_narrower};
use super::store::History;

/// After this time an early answer is given.
const EARLY: Duration = Duration::from_millis(6);
/// Runs between two looks at the time.
const AT_ONCE: usize = 2048;
/// Verdicts about a text: not looked at, no match; beyond them the quality of the match.
const UNKNOWN: u16 = 0;
const NO_MATCH: u16 = 1;
const MATCH: u16 = 2;
/// So many different prompts of a command are kept, the newest.
const PROMPTS: usize = 16;
/// No entry in a table.
const NONE: u32 = u32::MAX;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Question {
    /// The text, of which an empty one finds everything.
    pub text: String,
    /// How it is understood.
    pub mode: SearchMode,
    /// Where to look.
    pub scope: Scope,
    /// Where and when it is asked.
    pub here: Here,
}

/// A command that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its number in this [`Recall`].
    pub number: u32,
    /// The newest run of it in the scope.
    pub id: Uuid,
    /// The command.
    pub command: String,
    /// What one had asked for to get it: of several prompts the one that matches best, else the newest.
    pub prompt: Option<String>,
    /// When it ran last.
    pub started_at: UnixNanos,
    /// With what exit status.
    pub exit: Option<i32>,
    /// How long.
    pub duration: Option<Duration>,
    /// Where.
    pub cwd: Option<String>,
    /// How often it ran in the scope.
    pub runs: u32,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The best, from the best on.
    pub hits: Vec<Hit>,
    /// How many different commands match.
    pub found: usize,
}

/// What is known of all runs of a command.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// How often it ran, succeeded and failed.
    pub facts: Facts,
    /// When it ran first.
    pub first: UnixNanos,
    /// How long it takes, where that is known: the mean.
    pub mean: Option<Duration>,
    /// Where it runs most, with how often.
    pub directories: Vec<(String, u32)>,
}

/// The history in memory.
#[derive(Debug, Default)]
pub struct Recall {
    filter: Filter,
    texts: Texts,
    places: Names,
    sessions: Names,
    devices: Vec<Uuid>,
    /// The newest first.
    runs: Vec<Run>,
    /// What was looked at last, which the filter may have left out.
    reached: Option<(i64, Uuid)>,
    looked_at: usize,
    read_whole: bool,
    /// What the verdicts are about.
    asked: Option<(String, SearchMode)>,
    verdicts: Vec<u16>,
    slots: Vec<Slot>,
    slot_of: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    started_at: i64,
    id: Uuid,
    text: u32,
    place: u32,
    session: u32,
    device: u32,
    exit: Option<i32>,
    /// In nanoseconds; negative where it is not known.
    duration: i64,
}

impl Run {
    fn duration(&self) -> Option<Duration> {
        u64::try_from(self.duration).ok().map(Duration::from_nanos)
    }
}

/// A command that matches, while an answer is made.
#[derive(Debug, Clone, Copy)]
struct Slot {
    newest: u32,
    facts: Facts,
}

/// A scope as the numbers of what it wants.
enum Wanted {
    All,
    Nothing,
    Device(u32),
    Session(u32),
    Place(u32),
    Places(HashSet<u32>),
}

impl Wanted {
    fn holds(&self, run: &Run) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Device(device) => run.device == *device,
            Self::Session(session) => run.session == *session,
            Self::Place(place) => run.place == *place,
            Self::Places(places) => places.contains(&run.place),
        }
    }
}

impl Recall {
    /// Of the commands that the filter wants; how many and in which order it wants them does not count.
    #[must_use]
    pub fn of(filter: Filter) -> Self {
        Self { filter, ..Self::default() }
    }

    /// Looks at no more than `most` more commands; says whether that was all.
    ///
    /// # Errors
    /// What the database says.
    pub fn read(&mut self, history: &History, most: usize) -> Result<bool> {
        if self.read_whole {
            return Ok(true);
        }
        let (before, id) = self.reached.unwrap_or(match self.filter.before {
            Some(before) => (before.0, Uuid::nil()),
            None => (i64::MAX, Uuid::max()),
        });
        // As a column, not a condition: however few the filter wants, a part is read in the same time.
        let (terms, mut values) = search::terms(&self.filter);
        let wanted = if terms.is_empty() { "1".to_owned() } else { terms.join(" AND ") };
        values.push(before.into());
        values.push(id.as_bytes().to_vec().into());
        values.push(self.filter.after.map_or(i64::MIN, |after| after.0).into());
        values.push(i64::try_from(most).unwrap_or(i64::MAX).into());
        let mut statement = history.db.prepare_cached(&format!(
            "SELECT id, started_at, command, prompt, exit, duration_ns, cwd, session, device_id, {wanted} FROM records \
             WHERE (started_at, id) < (?, ?) AND started_at >= ? ORDER BY started_at DESC, id DESC LIMIT ?"
        ))?;
        let mut found = statement.query(rusqlite::params_from_iter(values))?;
        let begun = self.looked_at;
        while let Some(row) = found.next()? {
            let (started_at, id) = (row.get(1)?, rows::id_column(row, 0)?);
            self.reached = Some((started_at, id));
            self.looked_at += 1;
            if row.get::<_, Option<bool>>(9)? != Some(true) {
                continue;
            }
            let text = |index: usize| row.get_ref(index)?.as_str_or_null().map_err(rusqlite::Error::from);
            let device = rows::id_column(row, 8)?;
            self.runs.push(Run {
                started_at,
                id,
                text: self.texts.number(text(2)?.unwrap_or_default(), text(3)?),
                place: self.places.number(text(6)?),
                session: self.sessions.number(text(7)?),
                device: device_number(&mut self.devices, device),
                exit: row.get(4)?,
                duration: row.get::<_, Option<i64>>(5)?.unwrap_or(-1),
            });
        }
        self.read_whole = self.looked_at - begun < most;
        Ok(self.read_whole)
    }

    /// How many commands have been looked at, also those that the filter left out.
    #[must_use]
    pub fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// How many commands are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether none are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The `most` best commands for a question; none where `is_stale` says that nobody waits for them any more. Where it
    /// takes long, `early` is given what was found among the newest.
    ///
    /// # Errors
    /// [`HistoryError::InvalidPattern`](super::HistoryError::InvalidPattern).
    pub fn ask(
        &mut self,
        question: &Question,
        most: usize,
        is_stale: impl Fn() -> bool,
        mut early: impl FnMut(Answer),
    ) -> Result<Option<Answer>> {
        let matcher = Matcher::new(&question.text, question.mode)?;
        self.keep_verdicts(question);
        let wanted = self.wanted(&question.scope);
        let here = question.here.cwd.as_deref().map_or(NONE, |cwd| self.places.find(cwd).unwrap_or(NONE));
        self.slots.clear();
        self.slot_of.clear();
        self.slot_of.resize(self.texts.spans.len(), NONE);
        let begun = Instant::now();
        let mut was_early = false;
        for at in 0..self.runs.len() {
            if at % AT_ONCE == 0 && at > 0 {
                if is_stale() {
                    return Ok(None);
                }
                if !was_early && begun.elapsed() > EARLY && !self.slots.is_empty() {
                    was_early = true;
                    early(self.answer(question, &matcher, most));
                }
            }
            self.look_at(at, &wanted, &matcher, here);
        }
        Ok(Some(self.answer(question, &matcher, most)))
    }

    /// Makes ready for a question what is known from the one before it.
    fn keep_verdicts(&mut self, question: &Question) {
        let narrower = self
            .asked
            .take()
            .is_some_and(|(text, mode)| mode == question.mode && is_narrower(&question.text, &text, mode));
        for verdict in &mut self.verdicts {
            if !(narrower && *verdict == NO_MATCH) {
                *verdict = UNKNOWN;
            }
        }
        self.verdicts.resize(self.texts.spans.len(), UNKNOWN);
        self.asked = Some((question.text.clone(), question.mode));
    }

    fn look_at(&mut self, at: usize, wanted: &Wanted, matcher: &Matcher, here: u32) {
        let run = self.runs[at];
        if !wanted.holds(&run) {
            return;
        }
        let text = run.text as usize;
        if self.verdicts[text] == UNKNOWN {
            self.verdicts[text] = match self.texts.quality(run.text, matcher) {
                None => NO_MATCH,
                Some(quality) => MATCH.saturating_add(u16::try_from(quality).unwrap_or(u16::MAX)),
            };
        }
        let verdict = self.verdicts[text];
        if verdict == NO_MATCH {
            return;
        }
        if self.slot_of[text] == NONE {
            self.slot_of[text] = u32::try_from(self.slots.len()).unwrap_or(NONE);
            let facts = Facts { text: u32::from(verdict - MATCH), ..Facts::default() };
            self.slots.push(Slot { newest: u32::try_from(at).unwrap_or(NONE), facts });
        }
        if let Some(slot) = self.slots.get_mut(self.slot_of[text] as usize) {
            slot.facts.count(run.exit);
            slot.facts.here |= here != NONE && run.place == here;
        }
    }

    fn wanted(&self, scope: &Scope) -> Wanted {
        match scope {
            Scope::Everywhere => Wanted::All,
            Scope::Device(id) => match self.devices.iter().position(|device| device == id) {
                Some(device) => Wanted::Device(u32::try_from(device).unwrap_or(NONE)),
                None => Wanted::Nothing,
            },
            Scope::Session(session) => self.sessions.find(session).map_or(Wanted::Nothing, Wanted::Session),
            Scope::Directory(cwd) => self.places.find(cwd).map_or(Wanted::Nothing, Wanted::Place),
            Scope::Below(root) => Wanted::Places(self.places.below(root)),
        }
    }

    fn answer(&self, question: &Question, matcher: &Matcher, most: usize) -> Answer {
        let found = self.slots.len();
        let hits = if question.text.trim().is_empty() {
            self.slots.iter().take(most).map(|slot| self.hit(slot, matcher)).collect()
        } else {
            let mut ranked: Vec<(std::cmp::Reverse<u32>, u32)> = (0u32..)
                .zip(&self.slots)
                .map(|(number, slot)| {
                    let age = question.here.now.0.saturating_sub(self.runs[slot.newest as usize].started_at);
                    (std::cmp::Reverse(points(&Facts { age, ..slot.facts })), number)
                })
                .collect();
            if ranked.len() > most && most > 0 {
                ranked.select_nth_unstable(most - 1);
                ranked.truncate(most);
            }
            ranked.sort_unstable();
            ranked.iter().take(most).map(|(_, number)| self.hit(&self.slots[*number as usize], matcher)).collect()
        };
        Answer { hits, found }
    }

    fn hit(&self, slot: &Slot, matcher: &Matcher) -> Hit {
        let run = self.runs[slot.newest as usize];
        Hit {
            number: run.text,
            id: run.id,
            command: self.texts.get(run.text).to_owned(),
            prompt: self.texts.best_prompt(run.text, matcher).map(str::to_owned),
            started_at: UnixNanos(run.started_at),
            exit: run.exit,
            duration: run.duration(),
            cwd: self.places.get(run.place).map(str::to_owned),
            runs: slot.facts.runs,
        }
    }

    /// The ids of all runs of a command in a scope.
    #[must_use]
    pub fn runs_of(&self, number: u32, scope: &Scope) -> Vec<Uuid> {
        let wanted = self.wanted(scope);
        self.runs.iter().filter(|run| run.text == number && wanted.holds(run)).map(|run| run.id).collect()
    }

    /// What is known of all runs of a command.
    #[must_use]
    pub fn summary(&self, number: u32) -> Summary {
        let mut summary = Summary::default();
        let mut places: HashMap<u32, u32> = HashMap::new();
        let (mut total, mut timed) = (Duration::ZERO, 0u32);
        for run in self.runs.iter().filter(|run| run.text == number) {
            summary.facts.count(run.exit);
            summary.first = UnixNanos(run.started_at);
            *places.entry(run.place).or_default() += 1;
            if let Some(duration) = run.duration() {
                total += duration;
                timed += 1;
            }
        }
        summary.mean = total.checked_div(timed);
        let named = places.into_iter().filter_map(|(place, runs)| Some((self.places.get(place)?.to_owned(), runs)));
        summary.directories = named.collect();
        summary.directories.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        summary
    }

    /// Drops runs that were deleted.
    pub fn forget(&mut self, ids: &[Uuid]) {
        let ids: HashSet<&Uuid> = ids.iter().collect();
        self.runs.retain(|run| !ids.contains(&run.id));
    }
}

/// The number of a device, of which there are few.
fn device_number(devices: &mut Vec<Uuid>, id: Uuid) -> u32 {
    let known = devices.iter().position(|device| *device == id).unwrap_or_else(|| {
        devices.push(id);
        devices.len() - 1
    });
    u32::try_from(known).unwrap_or(NONE)
}

/// Texts, each kept once, one after the other.
#[derive(Debug, Default)]
struct Texts {
    all: String,
    spans: Vec<Span>,
    /// By hash; where two texts have the same the second is kept as often as it ran.
    numbers: HashMap<u64, u32>,
    hasher: RandomState,
    /// Those of a text, the newest first.
    prompts: HashMap<u32, Vec<String>>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    length: u32,
    mask: u64,
}

impl Texts {
    fn number(&mut self, text: &str, prompt: Option<&str>) -> u32 {
        let hash = self.hasher.hash_one(text);
        let number = match self.numbers.get(&hash) {
            Some(number) if self.get(*number) == text => *number,
            _ => {
                let number = u32::try_from(self.spans.len()).unwrap_or(NONE);
                let length = u32::try_from(text.len()).unwrap_or(NONE);
                self.spans.push(Span { start: self.all.len(), length, mask: super::search::mask(text) });
                self.all.push_str(text);
                self.numbers.insert(hash, number);
                number
            }
        };
        if let Some(prompt) = prompt {
            let known = self.prompts.entry(number).or_default();
            if known.len() < PROMPTS && known.iter().all(|other| other != prompt) {
                known.push(prompt.to_owned());
                if let Some(span) = self.spans.get_mut(number as usize) {
                    span.mask |= super::search::mask(prompt);
                }
            }
        }
        number
    }

    fn get(&self, number: u32) -> &str {
        self.spans
            .get(number as usize)
            .and_then(|span| self.all.get(span.start..span.start + span.length as usize))
            .unwrap_or_default()
    }

    fn quality(&self, number: u32, matcher: &Matcher) -> Option<u32> {
        let span = self.spans.get(number as usize)?;
        if span.mask & matcher.mask() != matcher.mask() {
            return None;
        }
        matcher.quality(self.get(number), None).or_else(|| {
            let prompts = self.prompts.get(&number).into_iter().flatten();
            prompts.filter_map(|prompt| matcher.quality_of_prompt(prompt)).max()
        })
    }

    /// The prompt that matches best; where none does, the newest.
    fn best_prompt(&self, number: u32, matcher: &Matcher) -> Option<&str> {
        // Of equals the last is the greatest.
        let oldest_first = self.prompts.get(&number).into_iter().flatten().rev();
        oldest_first.max_by_key(|prompt| matcher.quality_of_prompt(prompt)).map(String::as_str)
    }
}

/// Names, each kept once; number 0 is no name.
#[derive(Debug, Default)]
struct Names {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Names {
    fn number(&mut self, name: Option<&str>) -> u32 {
        let Some(name) = name else { return 0 };
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.names.push(name.to_owned());
        let number = u32::try_from(self.names.len()).unwrap_or(NONE);
        self.numbers.insert(name.to_owned(), number);
        number
    }

    fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    fn get(&self, number: u32) -> Option<&str> {
        self.names.get((number as usize).checked_sub(1)?).map(String::as_str)
    }

    /// The directory and those below it.
    fn below(&self, root: &str) -> HashSet<u32> {
        let root = root.trim_end_matches('/');
        let holds = |name: &str| name.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.numbers.iter().filter(|(name, _)| holds(name)).map(|(_, number)| *number).collect()
    }
}

#[cfg(test)]
mod tests;
