//! The room in memory that frames have until the engine takes them: bounded for all connections together, and for one client.
//!
//! Whoever needs more waits until there is some. While somebody waits, those who keep room have to go on: a large frame that
//! comes slowly, or one that is there and not read on since its client takes no answers, would keep it from all others.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::pace::Owner;
use crate::runtime::{Ending, HangUp};

/// How much room is asked for at once, in KiB.
pub(super) const STEP: u32 = 256;
/// The least that a budget has, and one client of it, in MiB: the largest frame needs it.
const LEAST: u32 = 65;
/// The part of it that one client may have, and that has to come free where who keeps it does not go on.
const PART: usize = 4;
/// How many clients' shares are kept before those that nobody uses are looked for.
const SWEEP_AT: usize = 1024;

/// The room for frames; clones share it.
#[derive(Clone)]
pub(super) struct Budget(Arc<Inside>);

struct Inside {
    all: Arc<Semaphore>,
    /// In KiB.
    total: usize,
    /// Of one client, in KiB.
    share: usize,
    /// Within this time who keeps room has to go on, while others wait.
    time: Duration,
    hasher: RandomState,
    shares: Mutex<HashMap<u64, Arc<Semaphore>>>,
    keepers: Mutex<Keepers>,
}

#[derive(Default)]
struct Keepers {
    next: u64,
    all: HashMap<u64, Arc<Keeper>>,
    looked: Option<Instant>,
    /// Of whom somebody has waited for room since, or of all, and how many KiB are to come free.
    wanted: HashMap<Option<u64>, usize>,
}

/// Whose room it is.
#[derive(Clone)]
pub(super) struct Whose {
    /// The client, where one may have no more than his share.
    share: Option<u64>,
    hang_up: HangUp,
}

/// A connection that keeps room.
struct Keeper {
    share: Option<u64>,
    hang_up: HangUp,
    kib: AtomicUsize,
    /// Bytes that have come, or gone to the engine, since it was last looked.
    moved: AtomicUsize,
    /// Whether it was there then.
    is_known: AtomicBool,
}

/// Room to be added to that of a frame.
pub(super) struct More {
    own: Option<OwnedSemaphorePermit>,
    all: OwnedSemaphorePermit,
}

/// Room that a frame takes up until this is dropped.
pub(super) struct Room {
    taken: More,
    budget: Budget,
    number: u64,
    keeper: Arc<Keeper>,
    /// Bytes that have gone and are no whole KiB yet.
    gone: usize,
}

impl Budget {
    /// As much room as this; no less than the largest frame needs. While somebody waits, who keeps some has to go on in `time`.
    pub(super) fn new(mib: u32, time: Duration) -> Self {
        let total = mib.max(LEAST) as usize * 1024;
        Self::of(total, (total / PART).max(LEAST as usize * 1024), time)
    }

    fn of(total: usize, share: usize, time: Duration) -> Self {
        Self(Arc::new(Inside {
            all: Arc::new(Semaphore::new(total)),
            total,
            share,
            time,
            hasher: RandomState::new(),
            shares: Mutex::default(),
            keepers: Mutex::default(),
        }))
    }

    /// The room of a connection, which `hang_up` ends; where no owner is named it is not counted with that of others.
    pub(super) fn whose(&self, owner: Option<&Owner>, hang_up: HangUp) -> Whose {
        Whose { share: owner.map(|owner| self.0.hasher.hash_one(owner)), hang_up }
    }

    /// Waits for more; none where there is no budget any more.
    pub(super) async fn more(self, whose: Whose) -> Option<More> {
        let own = match whose.share {
            Some(client) => Some(self.wait_for(&self.share(client), whose.share).await?),
            None => None,
        };
        let all = self.wait_for(&self.0.all, None).await?;
        Some(More { own, all })
    }

    /// Waits for room of one client, or of all.
    async fn wait_for(&self, room: &Arc<Semaphore>, of: Option<u64>) -> Option<OwnedSemaphorePermit> {
        let taking = room.clone().acquire_many_owned(STEP);
        tokio::pin!(taking);
        loop {
            match timeout(self.0.time / 4, &mut taking).await {
                Ok(taken) => return taken.ok(),
                Err(_) => self.press(of),
            }
        }
    }

    fn share(&self, client: u64) -> Arc<Semaphore> {
        let mut shares = lock(&self.0.shares);
        if shares.len() >= SWEEP_AT && shares.len().is_power_of_two() {
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        shares.entry(client).or_insert_with(|| Arc::new(Semaphore::new(self.0.share))).clone()
    }

    /// Somebody waits for room of one client, or of all. Ends those that keep some and have not gone on by half of it since it
    /// was last looked, the largest first, until enough comes free.
    fn press(&self, of: Option<u64>) {
        let whole = if of.is_some() { self.0.share } else { self.0.total };
        let mut keepers = lock(&self.0.keepers);
        keepers.wanted.insert(of, whole / PART);
        let since = keepers.looked.map(|at| at.elapsed());
        if since.is_some_and(|since| since < self.0.time) {
            return;
        }
        keepers.looked = Some(Instant::now());
        let mut wanted = std::mem::take(&mut keepers.wanted);
        // Where nobody has waited for long it is not known how they have gone on.
        let is_lasting = since.is_some_and(|since| since < self.0.time * 2);
        let mut slow = Vec::new();
        for keeper in keepers.all.values() {
            let (moved, kib) = (keeper.moved.swap(0, Ordering::Relaxed), keeper.kib.load(Ordering::Relaxed));
            if keeper.is_known.swap(true, Ordering::Relaxed) && is_lasting && moved / 1024 * 2 < kib {
                slow.push((Reverse(kib), keeper));
            }
        }
        slow.sort_unstable_by_key(|(kib, _)| *kib);
        for (Reverse(kib), keeper) in slow {
            let mut is_wanted = false;
            for scope in [None, keeper.share] {
                if let Some(left) = wanted.get_mut(&scope) {
                    is_wanted |= *left > 0;
                    *left = left.saturating_sub(kib);
                }
            }
            if is_wanted {
                keeper.hang_up.end(Ending::TooSlow);
            }
        }
    }
}

impl Room {
    /// The first of a frame.
    pub(super) fn begin(budget: Budget, whose: &Whose, first: More) -> Self {
        let keeper = Arc::new(Keeper {
            share: whose.share,
            hang_up: whose.hang_up.clone(),
            kib: AtomicUsize::new(first.all.num_permits()),
            moved: AtomicUsize::new(0),
            is_known: AtomicBool::new(false),
        });
        let mut keepers = lock(&budget.0.keepers);
        let number = keepers.next;
        keepers.next += 1;
        keepers.all.insert(number, keeper.clone());
        drop(keepers);
        Self { taken: first, budget, number, keeper, gone: 0 }
    }

    /// Adds to it.
    pub(super) fn grow(&mut self, more: More) {
        self.taken.all.merge(more.all);
        match (&mut self.taken.own, more.own) {
            (Some(own), Some(more)) => own.merge(more),
            (own, more) => *own = own.take().or(more),
        }
        self.tell();
    }

    /// How many bytes have room.
    pub(super) fn bytes(&self) -> usize {
        self.taken.all.num_permits() * 1024
    }

    /// So many bytes of the frame have come.
    pub(super) fn came(&self, bytes: usize) {
        self.keeper.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes of it have gone, and their room is free.
    pub(super) fn left(&mut self, bytes: usize) {
        self.came(bytes);
        self.gone += bytes;
        let kib = self.gone / 1024;
        self.gone %= 1024;
        let split = |permit: &mut OwnedSemaphorePermit| drop(permit.split(kib.min(permit.num_permits())));
        self.taken.own.iter_mut().for_each(split);
        split(&mut self.taken.all);
        self.tell();
    }

    fn tell(&self) {
        self.keeper.kib.store(self.taken.all.num_permits(), Ordering::Relaxed);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        lock(&self.budget.0.keepers).all.remove(&self.number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
impl Budget {
    /// One with so many steps for all, and so many for one client.
    pub(super) fn of_steps(all: u32, share: u32, time: Duration) -> Self {
        Self::of((all * STEP) as usize, (share * STEP) as usize, time)
    }

    /// KiB that nobody has.
    pub(super) fn free(&self) -> usize {
        self.0.all.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::MissedTickBehavior;

    use super::*;
    use crate::server::Client;

    const TIME: Duration = Duration::from_millis(200);

    fn client(number: u8) -> Owner {
        Owner::Address(Client::at([198, 51, 100, number].into()))
    }

    fn take(budget: &Budget, whose: &Whose) -> Option<Room> {
        let more = budget.clone().more(whose.clone()).now_or_never()?;
        more.map(|more| Room::begin(budget.clone(), whose, more))
    }

    #[tokio::test]
    async fn one_client_has_its_share_and_what_has_gone_is_free_for_others() {
        let budget = Budget::of_steps(4, 2, TIME);
        let of = |number| budget.whose(Some(&client(number)), HangUp::new());
        let mut held = vec![take(&budget, &of(1)).unwrap(), take(&budget, &of(1)).unwrap()];
        assert!(take(&budget, &of(1)).is_none(), "whatever connection it is");
        held.push(take(&budget, &of(2)).unwrap());
        let step = STEP as usize * 1024;
        assert_eq!((held[0].bytes(), budget.free()), (step, STEP as usize));
        held[0].left(step / 2 + 512);
        held[0].left(512);
        assert_eq!((held[0].bytes(), budget.free()), (step / 2 - 1024, STEP as usize * 3 / 2 + 1));
        held[0].left(step);
        assert!(take(&budget, &of(1)).is_some());
        held.clear();
        assert_eq!(budget.free(), 4 * STEP as usize);
        assert!(lock(&budget.0.keepers).all.is_empty());
        assert!(take(&budget, &budget.whose(None, HangUp::new())).is_some());
    }

    /// Waits for room beside one who keeps all of it, and goes on by `moved` bytes each hundredth of a second; whether that one is
    /// ended within so many of them.
    async fn ends_beside_one_who_waits(moved: usize, ticks: u32) -> bool {
        let budget = Budget::of_steps(1, 1, TIME);
        let hang_up = HangUp::new();
        let mut kept = take(&budget, &budget.whose(Some(&client(1)), hang_up.clone()));
        let waiting = budget.clone().more(budget.whose(Some(&client(2)), HangUp::new()));
        tokio::pin!(waiting);
        let mut every = tokio::time::interval(Duration::from_millis(10));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..ticks {
            tokio::select! {
                biased;
                ending = hang_up.asked() => {
                    assert_eq!(ending, Ending::TooSlow);
                    drop(kept.take());
                    assert!(waiting.await.is_some());
                    return true;
                }
                _ = every.tick() => kept.as_ref().unwrap().came(moved),
                _ = &mut waiting => panic!("it is kept"),
            }
        }
        false
    }

    #[tokio::test]
    async fn who_keeps_room_that_others_wait_for_has_to_go_on() {
        assert!(ends_beside_one_who_waits(1, 3_000).await);
        assert!(!ends_beside_one_who_waits(STEP as usize * 1024, 100).await);
    }
}
