//! The engines of a relay, on threads of their own.
//!
//! Each has whole connections: those that begin with the same id, which for clients of an account is the account's, meet in the
//! same one. What one of them stores the others are told of, and so are other relays on the same database: they look it up
//! there, and pass on what their own clients wait for.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::postgres::{Database, News};
use super::{MEMORY_LIMIT, PATIENCE, RelayError};
use crate::runtime::protocol::{Close, Event, Refresh, Serve};
use crate::runtime::{Dialer, Isolate, IsolateError, IsolateOptions, Store, Work};

/// How long an engine may take to look up what others stored.
const REFRESHING: Duration = Duration::from_secs(60);
/// How often an engine looks at all that it holds, in case that it missed something.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The engines, at least one.
pub(super) struct Engines {
    engines: Vec<Engine>,
}

struct Engine {
    isolate: Arc<Isolate>,
    unseen: Arc<Unseen>,
}

/// What others stored since an engine last looked.
#[derive(Default)]
struct Unseen {
    what: Mutex<What>,
    is_some: Notify,
}

#[derive(Default)]
struct What {
    ids: BTreeSet<String>,
    anything: bool,
}

impl Unseen {
    /// Adds ids, or everything.
    fn add(&self, ids: Option<&[String]>) {
        let mut what = self.what.lock().unwrap_or_else(PoisonError::into_inner);
        match ids {
            Some(ids) => what.ids.extend(ids.iter().cloned()),
            None => what.anything = true,
        }
        drop(what);
        self.is_some.notify_one();
    }

    fn take(&self) -> Option<Refresh> {
        let what = std::mem::take(&mut *self.what.lock().unwrap_or_else(PoisonError::into_inner));
        match what {
            What { anything: true, .. } => Some(Refresh { ids: None }),
            What { ids, .. } if ids.is_empty() => None,
            What { ids, .. } => Some(Refresh { ids: Some(ids.into_iter().collect()) }),
        }
    }
}

impl Engines {
    /// Starts one for each store. `database` is what other relays use too, `upstream` dials the relay above, which only a
    /// single engine can have; the rest is what `limits` says.
    pub(super) fn start(
        stores: Vec<Box<dyn Store>>,
        database: Option<Arc<Database>>,
        mut upstream: Option<Dialer>,
        limits: Serve,
    ) -> Result<Self, RelayError> {
        let tells = stores.len() > 1 || database.is_some();
        let serve = Serve { tells, is_shared: database.is_some(), has_upstream: upstream.is_some(), ..limits };
        let mut engines = Vec::new();
        for store in stores {
            let options = IsolateOptions { store, dialer: upstream.take(), memory_limit: MEMORY_LIMIT };
            engines.push(Engine { isolate: Arc::new(Isolate::start(options)?), unseen: Arc::default() });
        }
        for engine in &engines {
            engine.isolate.call(&serve, PATIENCE)?;
        }
        let engines = Self { engines };
        if tells {
            engines.share_news(database)?;
        }
        Ok(engines)
    }

    /// What the only engine tells of the relay above.
    pub(super) fn take_events(&self) -> Receiver<Event> {
        self.engines[0].isolate.take_events()
    }

    /// The engine for a connection that begins with this frame.
    pub(super) fn of(&self, first: &str) -> &Arc<Isolate> {
        let mut hasher = DefaultHasher::new();
        named_first(first).hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % self.engines.len() as u64).unwrap_or_default();
        &self.engines[at].isolate
    }

    /// Each of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Isolate>> {
        self.engines.iter().map(|engine| &engine.isolate)
    }

    /// Whether one of them has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.all().any(|isolate| isolate.has_ended())
    }

    /// What they have done so far.
    pub(super) fn work(&self) -> Work {
        self.all()
            .map(|isolate| isolate.work())
            .fold(Work::default(), |sum, work| Work { turns: sum.turns + work.turns, busy: sum.busy + work.busy })
    }

    /// For how long the longest turn has been running that is under way.
    pub(super) fn longest_turn(&self) -> Duration {
        self.all().filter_map(|isolate| isolate.turn()).max().unwrap_or_default()
    }

    /// Ends a script that hangs, and says so where one has ended.
    pub(super) fn look(&self) -> Result<(), RelayError> {
        for isolate in self.all() {
            isolate.stop_endless_turn();
            if isolate.has_ended() {
                return Err(isolate.stopped().into());
            }
        }
        Ok(())
    }

    /// Has each write what is outstanding and close its connections.
    pub(super) async fn close(&self) -> Result<(), IsolateError> {
        let closing = self.all().map(|isolate| isolate.call_async(&Close {}, PATIENCE));
        futures::future::try_join_all(closing).await.map(drop)
    }

    /// Ends them, whoever still has one of them at hand: their stores are closed then.
    pub(super) fn end(&self) {
        for isolate in self.all() {
            isolate.end();
        }
    }

    /// Has every engine hear of what the others store, here and at other relays.
    fn share_news(&self, database: Option<Arc<Database>>) -> Result<(), RelayError> {
        let all: Arc<[Arc<Unseen>]> = self.engines.iter().map(|engine| engine.unseen.clone()).collect();
        let news = database.map(|database| {
            let all = all.clone();
            Arc::new(News::listen(database, move |ids| all.iter().for_each(|unseen| unseen.add(ids.as_deref()))))
        });
        for engine in &self.engines {
            let (isolate, unseen) = (Arc::downgrade(&engine.isolate), engine.unseen.clone());
            tokio::spawn(async move {
                loop {
                    if tokio::time::timeout(LOOK_EVERY, unseen.is_some.notified()).await.is_err() {
                        unseen.add(None);
                    }
                    let Some(isolate) = isolate.upgrade() else { return };
                    if let Some(refresh) = unseen.take()
                        && let Err(error) = isolate.call_async(&refresh, REFRESHING).await
                    {
                        tracing::warn!(%error, "an engine did not look up what others stored");
                    }
                }
            });
            let (events, own, all, news) =
                (engine.isolate.take_events(), engine.unseen.clone(), all.clone(), news.clone());
            std::thread::Builder::new().name("caro-news".into()).spawn(move || {
                while let Ok(event) = events.recv() {
                    let ids: BTreeSet<String> =
                        std::iter::once(event).chain(events.try_iter()).filter_map(stored).collect();
                    let ids: Vec<String> = ids.into_iter().collect();
                    for unseen in all.iter().filter(|unseen| !Arc::ptr_eq(unseen, &own)) {
                        unseen.add(Some(&ids));
                    }
                    if let Some(news) = &news {
                        news.tell(ids);
                    }
                }
            })?;
        }
        Ok(())
    }
}

fn stored(event: Event) -> Option<String> {
    match event {
        Event::Stored { id } => Some(id),
        _ => None,
    }
}

/// The first id that a frame names.
fn named_first(frame: &str) -> &str {
    let id = frame.split_once(r#""id":""#).map(|(_, rest)| rest);
    id.and_then(|rest| rest.split_once('"')).map_or("", |(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_id_of_a_frame_is_found() {
        let frame = "{\"action\":\"load\",\"id\":\"co_zAccount\",\"header\":false}\n{\"id\":\"co_zOther\"}";
        assert_eq!(named_first(frame), "co_zAccount");
        assert_eq!(named_first("{}"), "");
    }

    #[test]
    fn what_is_unseen_is_looked_up_once() {
        let unseen = Unseen::default();
        assert!(unseen.take().is_none());
        unseen.add(Some(&["co_zA".into(), "co_zB".into()]));
        unseen.add(Some(&["co_zA".into()]));
        assert_eq!(unseen.take().unwrap().ids.unwrap(), ["co_zA", "co_zB"]);
        unseen.add(Some(&["co_zA".into()]));
        unseen.add(None);
        assert!(unseen.take().unwrap().ids.is_none(), "all of it");
    }
}
