//! The loop that decides everything a daemon does.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::backoff::Backoff;
use super::plan::{Choices, Clocks, Plan, rfc3339, state};
use super::server::Shared;
use super::socket::{Answer, Doing, Failed, Status};
use super::wake::Wake;
use super::{Options, Told};
use crate::history::{History, UnixNanos};
use crate::runtime::protocol::Event;
use crate::sync::{Engine, Report, SyncError};

/// The longest pause after a relay could not be reached.
const UNREACHABLE: Duration = Duration::from_secs(60);
/// The exit code that says so.
const UNREACHABLE_EXIT: u8 = 5;
/// The longest pause after anything else went wrong: it will hardly mend itself.
const BROKEN: Duration = Duration::from_secs(15 * 60);
/// While it waits to try again, how often it looks whether the machine has slept meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// The same while it waits for an hour or a day to pass.
const LOOK_SELDOM: Duration = Duration::from_secs(10 * 60);
/// However quiet it is, an exchange is made so often: it does what needs doing with time alone.
const REGULARLY: Duration = Duration::from_secs(3600);
/// How soon to look again for what others have announced and not yet brought; later each time.
const ANNOUNCED: Duration = Duration::from_secs(5);

/// When to look for something to send after the history's log was written to: the write is seen before it counts,
/// and what makes it count cannot be seen.
const LOOKS: [Duration; 4] =
    [Duration::from_millis(25), Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600)];

/// How long an exchange that was asked for waits for the lock to come back from another command.
const LENT_FOR: Duration = Duration::from_secs(15);

/// How often an exchange begins anew where this home turns out to be one of two copies.
const AS_WHOEVER_THIS_IS: u8 = 2;

/// Moments that are closer together are the same.
const SAME_MOMENT: Duration = Duration::from_secs(1);

/// An exchange that the user asked for.
const ASKED: &str = "manual";

pub(super) struct Loop {
    options: Options,
    /// Says whether a write to the history left something to send; and keeps its log from going away.
    history: History,
    shared: Shared,
    inward: Sender<Wake>,
    engine: Option<Engine>,
    /// Number of the open engine, or of the last: what older ones told does not count any more.
    engines: u64,
    /// What the open engine was given, or the one that failed last.
    given: Option<Choices>,
    /// Why an exchange is to be made as soon as it may be.
    due: Option<&'static str>,
    /// When to exchange though nothing happens.
    regular: Instant,
    /// How often in a row something announced was not there.
    announced: u32,
    /// Who asked for an exchange, and how long they wait for a lock that is lent.
    asked: Vec<(Instant, oneshot::Sender<Answer>)>,
    /// The next of [`LOOKS`], and when it is due.
    look: Option<(usize, Instant)>,
    lent: u32,
    stopping: bool,
    backoff: Backoff,
    clocks: Clocks,
    error: Option<Failed>,
    told: Option<Doing>,
    /// When it said that it goes on by itself, nanoseconds since 1970.
    next_at: Option<i64>,
}

impl Loop {
    pub(super) fn new(options: Options, history: History, shared: Shared, inward: Sender<Wake>) -> Self {
        let clocks = Clocks::read(options.now);
        Self {
            options,
            history,
            shared,
            inward,
            engine: None,
            engines: 0,
            given: None,
            due: Some("start"),
            regular: Instant::now(),
            announced: 0,
            asked: Vec::new(),
            look: None,
            lent: 0,
            stopping: false,
            backoff: Backoff::default(),
            clocks,
            error: None,
            told: None,
            next_at: None,
        }
    }

    pub(super) fn run(mut self, inbox: &Receiver<Wake>) -> Result<(), SyncError> {
        (self.options.tell)(Told::Started);
        while !self.stopping {
            self.look();
            let mut wait = self.turn()?;
            if let Some((_, at)) = self.look {
                let until = at.saturating_duration_since(Instant::now());
                wait = Some(wait.map_or(until, |wait| wait.min(until)));
            }
            self.wait(inbox, wait);
        }
        self.close();
        (self.options.tell)(Told::Stopped);
        Ok(())
    }

    /// Looks whether a write to the history left something to send. Our own writes do not.
    fn look(&mut self) {
        let Some((number, at)) = self.look else { return };
        if Instant::now() < at {
            return;
        }
        if self.something_waits() {
            self.due = Some("capture");
            self.look = None;
        } else {
            self.look = LOOKS.get(number).map(|pause| (number + 1, at + *pause));
        }
    }

    fn something_waits(&self) -> bool {
        let waits = |count: crate::history::Result<u64>| count.is_ok_and(|count| count > 0);
        waits(self.history.pending_count()) || waits(self.history.pending_deletions_count())
    }

    /// Does what is to be done now, and says how long there will be nothing to do; none: until something happens.
    fn turn(&mut self) -> Result<Option<Duration>, SyncError> {
        if self.clocks.jumped(self.options.now) {
            (self.options.tell)(Told::Jumped);
            // Whatever the connection looks like, it may be long dead.
            self.lose("resume");
        }
        let state = state(&self.options.paths.state)?;
        if state.account != self.options.account {
            // The keys in memory are of no use any more. Whoever started this starts it again, with those of now.
            self.close();
            return Err(SyncError::OtherKeys);
        }
        let choices = match (self.options.choices)() {
            Ok(choices) => choices,
            Err(error) => {
                // Until the file is corrected, which will wake us.
                self.close();
                self.failed("settings", error.clone());
                self.answer_all(&Answer { error: Some(error), ..Answer::default() });
                self.publish(Doing::Retrying, None, None);
                return Ok(None);
            }
        };
        if self.given.as_ref().is_some_and(|given| *given != choices) {
            self.close();
            self.due = Some("settings");
            // What failed may go well with these.
            self.backoff.succeeded();
            self.given = None;
        }
        let now = (self.options.now)();
        match Plan::make(&state, &choices, self.lent > 0, now) {
            Plan::Nothing(Doing::Lent) => {
                self.close();
                self.due = Some("start");
                self.publish(Doing::Lent, None, None);
                Ok(self.wait_for_the_lock())
            }
            Plan::Nothing(reason) => {
                self.close();
                let error = match (reason, state.may_exchange()) {
                    (Doing::NoRelay, _) => SyncError::NoRelay,
                    (_, Err(error)) => error,
                    (_, Ok(())) => SyncError::Busy,
                };
                if !self.asked.is_empty() {
                    let answer = Answer { error: Some((self.options.explain)(error)), ..Answer::default() };
                    self.answer_all(&answer);
                }
                self.due = Some("start");
                self.publish(reason, None, None);
                Ok(None)
            }
            Plan::Asked(reason) => {
                if !self.asked.is_empty() {
                    self.attempt(ASKED, choices);
                }
                self.close();
                self.due = Some("start");
                self.publish(reason, None, None);
                Ok(None)
            }
            Plan::At(at, trigger) => {
                let left = Duration::from_nanos(u64::try_from(at.0.saturating_sub(now.0)).unwrap_or(0));
                let asked = !self.asked.is_empty();
                if asked || (left.is_zero() && self.backoff.left().is_none()) {
                    self.attempt(if asked { ASKED } else { trigger }, choices);
                    self.close();
                    return Ok(Some(Duration::ZERO));
                }
                self.close();
                let left = left.max(self.backoff.left().unwrap_or_default());
                self.publish(self.resting(Doing::Waiting), Some(left), Some(trigger));
                Ok(Some(left.min(LOOK_SELDOM)))
            }
            Plan::Live => Ok(Some(self.live(choices))),
        }
    }

    /// Stays connected; how long there is nothing to do unless something happens.
    fn live(&mut self, choices: Choices) -> Duration {
        let regular = self.regular.saturating_duration_since(Instant::now());
        if self.engine.is_some() && regular.is_zero() {
            self.due = self.due.or(Some("regular"));
        } else if self.engine.is_none() {
            self.due = self.due.or(Some("start"));
        }
        let trigger = if self.asked.is_empty() { self.due } else { Some(ASKED) };
        match (trigger, self.backoff.left()) {
            (None, _) => {
                self.publish(Doing::Listening, Some(regular), Some("regular"));
                regular
            }
            (Some(trigger), Some(pause)) if trigger != ASKED => {
                self.publish(Doing::Retrying, Some(pause), Some(trigger));
                pause.min(LOOK_AGAIN)
            }
            (Some(trigger), _) => {
                self.attempt(trigger, choices);
                // What happened meanwhile is looked at first.
                Duration::ZERO
            }
        }
    }

    /// What it does while it waits for a time to come.
    fn resting(&self, otherwise: Doing) -> Doing {
        if self.backoff.failures() > 0 { Doing::Retrying } else { otherwise }
    }

    /// One exchange, with the open engine or a new one.
    fn attempt(&mut self, trigger: &'static str, choices: Choices) {
        self.publish(Doing::Exchanging, None, None);
        let begun = Instant::now();
        let answer = match self.exchange(trigger, choices) {
            Ok(report) => {
                self.backoff.succeeded();
                self.error = None;
                self.due = None;
                self.regular = Instant::now() + self.next_regular(&report);
                if report.sent + report.received > 0 || trigger != "relay" && trigger != "capture" {
                    (self.options.tell)(Told::Exchanged { trigger, report: &report, took: begun.elapsed() });
                }
                Answer { report: Some(report), ..Answer::default() }
            }
            Err(error) => {
                // Its memory may be ahead of its store.
                self.engine = None;
                self.due = Some(if trigger == ASKED { "retry" } else { trigger });
                self.failed(trigger, error.clone());
                Answer { error: Some(error), ..Answer::default() }
            }
        };
        self.answer_all(&answer);
    }

    fn exchange(&mut self, trigger: &'static str, choices: Choices) -> Result<Report, Failed> {
        let explain = self.options.explain;
        self.given = Some(choices);
        let mut attempts = 0..AS_WHOEVER_THIS_IS;
        loop {
            if self.engine.is_none() {
                self.engine = Some(self.open(trigger)?);
            }
            let Some(engine) = &mut self.engine else { return Err(explain(SyncError::Busy)) };
            let report = engine.exchange(trigger, &mut |_| {});
            match report.and_then(|report| engine.listen().map(|()| report)) {
                // This home is another device from now on, or has to build its store anew.
                Err(SyncError::Twin) if attempts.next().is_some() => self.engine = None,
                result => return result.map_err(explain),
            }
        }
    }

    /// Opens a new engine, and listens to it.
    fn open(&mut self, trigger: &'static str) -> Result<Engine, Failed> {
        let explain = self.options.explain;
        let engine = (self.options.open)(trigger)?;
        self.engines += 1;
        let (number, events, inward) = (self.engines, engine.events(), self.inward.clone());
        let started = std::thread::Builder::new().name("caro-events".into()).spawn(move || {
            for event in events {
                if inward.send(Wake::Relay(number, event)).is_err() {
                    return;
                }
            }
        });
        started.map_err(|error| explain(error.into()))?;
        Ok(engine)
    }

    /// When to exchange next though nothing happens: soon, where something is announced that is not there yet.
    fn next_regular(&mut self, report: &Report) -> Duration {
        self.announced = if report.missing == 0 { 0 } else { self.announced.saturating_add(1) };
        match self.announced {
            0 => REGULARLY,
            times => ANNOUNCED.saturating_mul(2u32.saturating_pow(times - 1)).min(REGULARLY),
        }
    }

    fn failed(&mut self, trigger: &str, error: Failed) {
        match error.exit_code {
            _ if error.lasts => self.backoff.failed_for_good(BROKEN),
            UNREACHABLE_EXIT => self.backoff.failed(UNREACHABLE),
            _ => self.backoff.failed(BROKEN),
        }
        let pause = self.backoff.left().unwrap_or_default();
        (self.options.tell)(Told::Failed { trigger, error: &error, pause });
        self.error = Some(error);
    }

    /// Tells those who have waited long enough that the lock does not come back; how long the others go on waiting.
    fn wait_for_the_lock(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let (waiting, over): (Vec<_>, Vec<_>) = self.asked.drain(..).partition(|(until, _)| *until > now);
        self.asked = over;
        if !self.asked.is_empty() {
            self.answer_all(&Answer { error: Some((self.options.explain)(SyncError::Busy)), ..Answer::default() });
        }
        self.asked = waiting;
        self.asked.iter().map(|(until, _)| until.saturating_duration_since(now)).min()
    }

    fn answer_all(&mut self, answer: &Answer) {
        for (_, asked) in self.asked.drain(..) {
            // The command may have gone away.
            drop(asked.send(answer.clone()));
        }
    }

    /// Ends the connection in good order.
    fn close(&mut self) {
        if let Some(engine) = self.engine.take()
            && let Err(error) = engine.close()
        {
            tracing::debug!(%error, "the engine was not closed in good order");
        }
    }

    /// Gives the connection up, since it is lost or may be, and has another one made at once.
    fn lose(&mut self, trigger: &'static str) {
        self.engine = None;
        self.due = Some(trigger);
        self.backoff.hurry();
    }

    /// Waits for something to happen, and notes what.
    fn wait(&mut self, inbox: &Receiver<Wake>, longest: Option<Duration>) {
        let first = match longest {
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(longest) => inbox.recv_timeout(longest),
        };
        match first {
            Ok(wake) => self.woken(wake),
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => self.stopping = true,
        }
        while let Ok(wake) = inbox.try_recv() {
            self.woken(wake);
        }
    }

    fn woken(&mut self, wake: Wake) {
        match wake {
            Wake::Captured => self.due = Some("capture"),
            Wake::History => self.look = Some((0, Instant::now())),
            // They are read at every turn.
            Wake::Settings => {}
            Wake::Network => {
                if self.engine.is_none() {
                    self.backoff.hurry();
                }
            }
            Wake::Relay(number, _) if number != self.engines => {}
            Wake::Relay(_, Event::Changed { .. }) => self.due = self.due.or(Some("relay")),
            // The second is what a relay's engine tells.
            Wake::Relay(_, Event::Connected | Event::Stored { .. }) => {}
            Wake::Relay(_, Event::Disconnected) => {
                if self.engine.take().is_some() {
                    self.due = Some("reconnect");
                    // A relay that was restarted is not asked by everybody at the same time.
                    self.backoff.failed(UNREACHABLE);
                }
            }
            Wake::Exchange(asked) => {
                self.asked.push((Instant::now() + LENT_FOR, asked));
                self.backoff.hurry();
            }
            Wake::Borrowed => self.lent += 1,
            Wake::Returned => self.lent = self.lent.saturating_sub(1),
            Wake::Stop | Wake::Ended(_) => self.stopping = true,
        }
    }

    /// Says what it does now, to whoever asks.
    fn publish(&mut self, doing: Doing, next: Option<Duration>, trigger: Option<&str>) {
        let now = (self.options.now)();
        let before = self.shared.read();
        let since = if self.told == Some(doing) { before.since } else { rfc3339(now) };
        if self.told != Some(doing) && doing != Doing::Exchanging {
            (self.options.tell)(Told::Doing(doing));
        }
        self.told = Some(doing);
        let at = |left: Duration| now.0.saturating_add(i64::try_from(left.as_nanos()).unwrap_or(i64::MAX));
        // The same moment, reckoned from another one, differs by what the clocks are read apart.
        let next_at = next.map(at);
        if next_at.zip(self.next_at).is_none_or(|(new, told)| new.abs_diff(told) >= SAME_MOMENT.as_nanos() as u64) {
            self.next_at = next_at;
        }
        self.shared.write(Status {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            doing,
            since,
            next_at: self.next_at.map(|at| rfc3339(UnixNanos(at))),
            next_trigger: trigger.map(Into::into),
            failures: self.backoff.failures(),
            error: self.error.clone(),
        });
    }
}
