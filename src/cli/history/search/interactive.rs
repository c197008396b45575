//! The search on the screen: the terminal, the history's thread and the state brought together.
//!
//! Three threads send to this one: keys, the history, and signals. It handles all that has come before it draws, so that
//! an answer and a key are drawn at once. A key is read when the one before it has been handled, so that what is typed
//! after the choice reaches the shell. It ends with what was chosen; a signal that ends programs ends it like Escape, with the
//! terminal as it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crossterm::event::{self, Event};

use super::super::super::{CliError, Kind, time};
use super::inspector;
use super::screen::Screen;
use super::state::{Choice, Effect, Start, State};
use super::view::{self, Look, Parts};
use super::worker::{Deletion, News, Request, Worker};
use crate::history::ranking::Here;
use crate::history::recall::Question;
use crate::history::{Filter, History};

/// What the threads tell.
enum Message {
    Event(Event),
    News(News),
    /// The keys are at an end, or a signal came.
    Ended,
}

impl From<News> for Message {
    fn from(news: News) -> Self {
        Self::News(news)
    }
}

/// How the search came to its end.
pub(super) struct Ended {
    pub(super) choice: Choice,
    /// Whether something was deleted.
    pub(super) deleted: bool,
}

/// Searches until something is chosen.
///
/// # Errors
/// Where there is no terminal, or the history fails.
pub(super) fn run(
    history: History,
    filter: Filter,
    start: Start,
    here: Here,
    inline: Option<u16>,
    look: Look,
) -> Result<Ended, CliError> {
    let (sender, messages) = channel();
    let (requests, asked) = channel();
    let latest = Arc::new(AtomicU64::new(0));
    let mut search = Search { state: State::new(start), here, requests, latest: latest.clone(), deleted: false, look };
    // Asked before the terminal is made ready: the history is read meanwhile.
    search.ask();
    let worker = Worker { history, filter, requests: asked, news: sender.clone(), latest };
    let ended = sender.clone();
    thread::spawn(move || {
        worker.run();
        drop(ended.send(Message::Ended));
    });
    let mut screen = Screen::open(inline).map_err(|error| {
        CliError::usage("this needs a terminal, and there is none")
            .hinted("Leave out --interactive where nobody can type.")
            .caused_by(error)
    })?;
    watch_signals(sender.clone());
    let (next, turns) = channel();
    thread::spawn(move || read_keys(&sender, &turns));
    let choice = search.until_chosen(&mut screen, &messages, &next)?;
    Ok(Ended { choice, deleted: search.deleted })
}

/// Reads one event at each turn.
fn read_keys(messages: &Sender<Message>, turns: &Receiver<()>) {
    while let Ok(event) = event::read() {
        if messages.send(Message::Event(event)).is_err() || turns.recv().is_err() {
            return;
        }
    }
    drop(messages.send(Message::Ended));
}

/// Programs are told to end by signals; without this the terminal would stay as it is.
#[cfg(unix)]
fn watch_signals(messages: Sender<Message>) {
    use tokio::signal::unix::{SignalKind, signal};
    thread::spawn(move || {
        let Ok(queue) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        queue.block_on(async {
            let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit()];
            let mut signals: Vec<_> = kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect();
            let any = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
            futures::future::select_all(any).await;
        });
        drop(messages.send(Message::Ended));
    });
}

#[cfg(not(unix))]
fn watch_signals(_messages: Sender<Message>) {}

struct Search {
    state: State,
    here: Here,
    requests: Sender<Request>,
    latest: Arc<AtomicU64>,
    deleted: bool,
    look: Look,
}

impl Search {
    fn until_chosen(
        &mut self,
        screen: &mut Screen,
        messages: &Receiver<Message>,
        next: &Sender<()>,
    ) -> Result<Choice, CliError> {
        self.draw(screen)?;
        loop {
            // One is waited for, and all that have come meanwhile are handled before drawing.
            let Ok(first) = messages.recv() else { return Ok(Choice::Nothing) };
            for message in std::iter::once(first).chain(messages.try_iter()) {
                match message {
                    Message::Event(event) => {
                        if let Some(choice) = self.handle(event, screen)? {
                            return Ok(choice);
                        }
                        // Where the keys are at an end, that has been told.
                        let _ = next.send(());
                    }
                    Message::News(News::Failed(error)) => return Err(error.into()),
                    Message::News(news) => self.take(news),
                    Message::Ended => return Ok(Choice::Nothing),
                }
            }
            self.draw(screen)?;
        }
    }

    fn draw(&mut self, screen: &mut Screen) -> Result<(), CliError> {
        let area = screen.area();
        let list = Parts::of(&self.state, &self.look, area).list;
        let lines = inspector::lines(&self.state, &self.look, list.width).len();
        self.state.show(list.height.into(), lines);
        self.look.now = time::now();
        let (buffer, cursor) = view::draw(&self.state, &self.look, area);
        screen.draw(buffer, cursor).map_err(unusable)
    }

    fn handle(&mut self, event: Event, screen: &mut Screen) -> Result<Option<Choice>, CliError> {
        let parts = Parts::of(&self.state, &self.look, screen.area());
        let (lowest, whole) = (self.state.lowest, screen.is_whole());
        let hits = self.state.answer.hits.len();
        let row_of = move |row| {
            let number = lowest + parts.above_lowest(row)?;
            (whole && number < hits).then_some(number)
        };
        match self.state.handle(event, row_of) {
            None | Some(Effect::Draw) => {}
            Some(Effect::Redraw) => screen.reset().map_err(unusable)?,
            Some(Effect::Ask) => self.ask(),
            Some(Effect::Inspect) => self.inspect(),
            Some(Effect::Delete { number, id, all }) => {
                let ids = if all { Deletion::All(number) } else { Deletion::Run(id) };
                self.request(Request::Delete { ids, scope: self.state.scope().scope });
            }
            Some(Effect::Copy(text)) => {
                screen.copy(&text).map_err(unusable)?;
                self.state.notice = Some("Copied.".into());
            }
            Some(Effect::Close(choice)) => return Ok(Some(choice)),
        }
        Ok(None)
    }

    fn take(&mut self, news: News) {
        match news {
            News::Answer { number, answer, read } => {
                let (taken, changed) = self.state.take(number, answer);
                if taken {
                    self.state.read = read;
                }
                if changed && self.state.inspecting {
                    self.inspect();
                }
            }
            News::Details(details) => self.state.take_details(details),
            News::Deleted(Ok(count)) => {
                self.deleted |= count > 0;
                let what = super::super::removing::commands(count);
                self.state.notice = Some(format!("Deleted {what}. `caro history undo` takes it back, for a minute."));
                self.ask();
            }
            News::Deleted(Err(problem)) => self.state.notice = Some(format!("Not deleted: {problem}.")),
            News::Failed(_) => {}
        }
    }

    fn ask(&mut self) {
        let number = self.state.ask();
        self.latest.store(number, Ordering::Relaxed);
        let question = Question {
            text: self.state.line.text().to_owned(),
            mode: self.state.mode,
            scope: self.state.scope().scope,
            here: Here { now: time::now(), ..self.here.clone() },
        };
        self.request(Request::Ask { number, question });
    }

    fn inspect(&mut self) {
        if let Some(hit) = self.state.hit() {
            let (number, id) = (hit.number, hit.id);
            self.request(Request::Inspect { number, id });
        }
    }

    fn request(&self, request: Request) {
        // Where the thread has ended, its last message ends the search.
        drop(self.requests.send(request));
    }
}

fn unusable(error: std::io::Error) -> CliError {
    CliError::new(Kind::Failed, "the terminal cannot be used").caused_by(error)
}
