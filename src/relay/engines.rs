//! The engines of a relay, on threads of their own.
//!
//! Each has whole connections: those that begin with the same id, which for clients of an account is the account's, meet in the
//! same one. What one of them stores the others are told of, and so are other relays on the same database: they look it up
//! there, and pass on what their own clients wait for. What one of them erases the others drop.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::postgres::{Database, Happened, News};
use super::{MEMORY_LIMIT, PATIENCE, RelayError};
use crate::runtime::protocol::{Close, Event, Refresh, Release, Serve};
use crate::runtime::{Dialer, Isolate, IsolateError, IsolateOptions, Store, Work};

/// How long an engine may take to look up what others stored.
const REFRESHING: Duration = Duration::from_secs(60);
/// How often an engine looks at all that it holds, in case that it missed something.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The engines, at least one.
pub(super) struct Engines {
    engines: Vec<Engine>,
    /// What goes to other relays on the same database, where there may be any.
    news: Option<Arc<News>>,
}

struct Engine {
    isolate: Arc<Isolate>,
    unseen: Arc<Unseen>,
}

/// What others did since an engine last looked.
#[derive(Default)]
struct Unseen {
    what: Mutex<What>,
    is_some: Notify,
}

#[derive(Default)]
struct What {
    erased: BTreeSet<String>,
    stored: BTreeSet<String>,
    anything: bool,
}

impl Unseen {
    /// Adds what happened to CoValues, or that something may have happened to any.
    fn add(&self, news: Option<(Happened, &[String])>) {
        let mut what = self.what.lock().unwrap_or_else(PoisonError::into_inner);
        match news {
            Some((Happened::Stored, ids)) => what.stored.extend(ids.iter().cloned()),
            Some((Happened::Erased, ids)) => what.erased.extend(ids.iter().cloned()),
            None => what.anything = true,
        }
        drop(what);
        self.is_some.notify_one();
    }

    /// What the engine has to drop, and then to look up.
    fn take(&self) -> (Option<Release>, Option<Refresh>) {
        let what = std::mem::take(&mut *self.what.lock().unwrap_or_else(PoisonError::into_inner));
        let release = (!what.erased.is_empty()).then(|| Release { ids: what.erased.into_iter().collect() });
        let stored = (!what.stored.is_empty()).then(|| Refresh { ids: Some(what.stored.into_iter().collect()) });
        (release, if what.anything { Some(Refresh { ids: None }) } else { stored })
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
        let mut engines = Self { engines, news: None };
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

    /// Tells other relays what is not in the database any more.
    pub(super) fn tell_erased(&self, ids: Vec<String>) {
        if let Some(news) = &self.news {
            news.tell(Happened::Erased, ids);
        }
    }

    /// Has every engine hear of what the others store, here and at other relays.
    fn share_news(&mut self, database: Option<Arc<Database>>) -> Result<(), RelayError> {
        let all: Arc<[Arc<Unseen>]> = self.engines.iter().map(|engine| engine.unseen.clone()).collect();
        let news = database.map(|database| {
            let all = all.clone();
            let hear = move |news: Option<(Happened, Vec<String>)>| {
                let news = news.as_ref().map(|(happened, ids)| (*happened, ids.as_slice()));
                all.iter().for_each(|unseen| unseen.add(news));
            };
            Arc::new(News::listen(database, hear))
        });
        self.news.clone_from(&news);
        for engine in &self.engines {
            let (isolate, unseen) = (Arc::downgrade(&engine.isolate), engine.unseen.clone());
            tokio::spawn(async move {
                loop {
                    if tokio::time::timeout(LOOK_EVERY, unseen.is_some.notified()).await.is_err() {
                        unseen.add(None);
                    }
                    let Some(isolate) = isolate.upgrade() else { return };
                    let (release, refresh) = unseen.take();
                    if let Some(release) = release
                        && let Err(error) = isolate.call_async(&release, REFRESHING).await
                    {
                        tracing::warn!(%error, "an engine did not drop what others erased");
                    }
                    if let Some(refresh) = refresh
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
                        unseen.add(Some((Happened::Stored, &ids)));
                    }
                    if let Some(news) = &news {
                        news.tell(Happened::Stored, ids);
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
        let nothing = |unseen: &Unseen| matches!(unseen.take(), (None, None));
        assert!(nothing(&unseen));
        unseen.add(Some((Happened::Stored, &["co_zA".into(), "co_zB".into()])));
        unseen.add(Some((Happened::Stored, &["co_zA".into()])));
        assert_eq!(unseen.take().1.unwrap().ids.unwrap(), ["co_zA", "co_zB"]);
        unseen.add(Some((Happened::Erased, &["co_zA".into()])));
        unseen.add(Some((Happened::Stored, &["co_zA".into()])));
        unseen.add(None);
        let (release, refresh) = unseen.take();
        assert_eq!(release.unwrap().ids, ["co_zA"]);
        assert!(refresh.unwrap().ids.is_none(), "all of it");
        assert!(nothing(&unseen));
    }
}
