//! The thread that has the history: it reads it, answers questions, deletes. Keys never wait for it.
//!
//! It reads on while nobody asks, and answers the last question again each time it has read much more. A question that is
//! not the last one any more is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

use uuid::Uuid;

use super::super::super::time;
use super::super::show::describe;
use super::state::Details;
use crate::history::recall::{Answer, Question, Recall};
use crate::history::{Filter, History, Scope};

/// Commands that are read before the first answer: more than any screen has lines.
const FIRST: usize = 400;
/// Commands that are read at once; a key pressed meanwhile is answered that much later.
const PART: usize = 4_000;
/// The most commands of an answer.
const MOST: usize = 2_000;
/// The last question is answered again when so many times more has been read.
const MUCH_MORE: usize = 4;

/// What the thread is asked for.
#[derive(Debug)]
pub(super) enum Request {
    Ask { number: u64, question: Question },
    Inspect { number: u32, id: Uuid },
    Delete { ids: Deletion, scope: Scope },
}

/// What is to be deleted.
#[derive(Debug)]
pub(super) enum Deletion {
    /// This run.
    Run(Uuid),
    /// All runs of a command in the scope.
    All(u32),
}

/// What the thread tells.
#[derive(Debug)]
pub(super) enum News {
    Answer {
        number: u64,
        answer: Result<Answer, String>,
        read: (usize, bool),
    },
    Details(Details),
    Deleted(Result<usize, String>),
    /// The history cannot be read any more.
    Failed(crate::history::HistoryError),
}

/// The thread's side of the search.
pub(super) struct Worker<T: From<News> + Send> {
    pub(super) history: History,
    /// What is shown at all.
    pub(super) filter: Filter,
    pub(super) requests: Receiver<Request>,
    pub(super) news: Sender<T>,
    /// The number of the last question.
    pub(super) latest: Arc<AtomicU64>,
}

impl<T: From<News> + Send> Worker<T> {
    /// Works until nobody asks any more.
    pub(super) fn run(self) {
        let mut recall = Recall::of(self.filter.clone());
        if let Err(error) = self.work(&mut recall) {
            self.tell(News::Failed(error));
        }
    }

    fn tell(&self, news: News) {
        // Where nobody listens any more the next request will not come.
        drop(self.news.send(news.into()));
    }

    fn work(&self, recall: &mut Recall) -> crate::history::Result<()> {
        let mut whole = recall.read(&self.history, FIRST)?;
        let mut asked: Option<(u64, Question)> = None;
        let mut next_answer = FIRST * MUCH_MORE;
        loop {
            let request = if whole {
                self.requests.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                self.requests.try_recv()
            };
            match request {
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => {
                    whole = recall.read(&self.history, PART)?;
                    if whole || recall.looked_at() >= next_answer {
                        next_answer = recall.looked_at() * MUCH_MORE;
                        if let Some((number, question)) = &asked {
                            self.answer(recall, *number, question, whole);
                        }
                    }
                }
                Ok(Request::Ask { number, question }) => {
                    self.answer(recall, number, &question, whole);
                    asked = Some((number, question));
                }
                Ok(Request::Inspect { number, id }) => {
                    // Another process may have deleted it.
                    if let Some(record) = self.history.get(id)? {
                        let lines = describe(&record, &time::local_zone());
                        self.tell(News::Details(Details { id, lines, summary: recall.summary(number) }));
                    }
                }
                Ok(Request::Delete { ids, scope }) => {
                    while !whole {
                        whole = recall.read(&self.history, PART)?;
                    }
                    let ids = match ids {
                        Deletion::Run(id) => vec![id],
                        Deletion::All(number) => recall.runs_of(number, &scope),
                    };
                    let deleted = self.history.remove(&ids, time::now()).map_err(|error| error.to_string());
                    if deleted.is_ok() {
                        recall.forget(&ids);
                    }
                    self.tell(News::Deleted(deleted.map(|_| ids.len())));
                }
            }
        }
    }

    fn answer(&self, recall: &mut Recall, number: u64, question: &Question, whole: bool) {
        let is_stale = || self.latest.load(Ordering::Relaxed) != number;
        if is_stale() {
            return;
        }
        let read = (recall.len(), whole);
        let early = |answer| self.tell(News::Answer { number, answer: Ok(answer), read: (read.0, false) });
        match recall.ask(question, MOST, is_stale, early) {
            Ok(None) => {}
            Ok(Some(answer)) => self.tell(News::Answer { number, answer: Ok(answer), read }),
            Err(error) => self.tell(News::Answer { number, answer: Err(error.to_string()), read }),
        }
    }
}
