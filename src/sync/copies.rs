//! Records that lie in several segments: since two devices rewrote one at once, or something was sent twice.
//!
//! Of such copies the one in the segment with the smallest id stays. A segment half or more of whose records lie in segments
//! with smaller ids too is written anew without these, by its writer alone (or by whoever acts for one that is gone): so what
//! lies in segments is always less than twice what there is, and no two devices do the same. Whatever is rewritten for another reason
//! leaves such records out as well.
//!
//! Whoever leaves out a record in favour of a smaller segment cannot lose it, even if that is being rewritten at this
//! moment: its record is carried on, or left out for one that is smaller still. And no segment retires before all those do
//! that share a record with it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use uuid::Uuid;

use super::SyncError;
use super::alive::Alive;
use super::engine::Engine;
use super::index::Segment;
use super::rewrite::{Whole, read_whole};
use crate::history::{COPIES, Record};
use crate::runtime::protocol::Release;

/// Which records lie where, of those that lie in several segments.
#[derive(Default)]
pub(super) struct Copies {
    /// By record: the segments, smallest id first.
    places: BTreeMap<Uuid, Vec<String>>,
}

/// What stays of segments that are being rewritten: by record, its newest state and the smallest of them that has it.
pub(super) type Staying = BTreeMap<Uuid, (Record, String)>;

impl Copies {
    /// As this device knows them.
    pub(super) fn load(engine: &Engine) -> Result<Self, SyncError> {
        if engine.history.meta_get(COPIES)?.is_none() {
            return Ok(Self::default());
        }
        Ok(Self { places: engine.history.copies()? })
    }

    /// The segments that this device should write anew for the copies in them. Where nothing has changed since that was
    /// looked at, there are none.
    pub(super) fn due(engine: &Engine, alive: &Alive) -> Result<BTreeSet<String>, SyncError> {
        let Some(noted) = engine.history.meta_get(COPIES)? else { return Ok(BTreeSet::new()) };
        if noted == seen(engine, alive) {
            return Ok(BTreeSet::new());
        }
        let live: HashSet<&str> = engine.index.live().map(|segment| segment.id.as_str()).collect();
        let mut copies: HashMap<String, u64> = HashMap::new();
        for segments in Self::load(engine)?.places.into_values() {
            for id in segments.into_iter().filter(|id| live.contains(id.as_str())).skip(1) {
                *copies.entry(id).or_default() += 1;
            }
        }
        let mut due = BTreeSet::new();
        for segment in engine.index.live().filter(|segment| alive.acts_for(segment.device)) {
            if let Some(copies) = copies.get(&segment.id)
                && copies * 2 >= engine.history.count_in(&segment.id)?
            {
                due.insert(segment.id.clone());
            }
        }
        if due.is_empty() && copies.is_empty() {
            engine.history.meta_set(COPIES, None)?;
        } else if due.is_empty() {
            Self::looked(engine, alive)?;
        }
        Ok(due)
    }

    /// Notes that nothing can be done about the copies that there are, until other segments come.
    pub(super) fn looked(engine: &Engine, alive: &Alive) -> Result<(), SyncError> {
        if engine.history.meta_get(COPIES)?.is_some() {
            engine.history.meta_set(COPIES, Some(&seen(engine, alive)))?;
        }
        Ok(())
    }

    /// Takes out of segments that are to go those with a record that lies in one that stays: how that ended may be known there
    /// alone, and not to everybody yet.
    pub(super) fn keep_together(&self, engine: &Engine, going: &mut Vec<Segment>) {
        let live: HashSet<&str> = engine.index.live().map(|segment| segment.id.as_str()).collect();
        loop {
            let go: HashSet<&str> = going.iter().map(|segment| segment.id.as_str()).collect();
            let stays = |id: &String| live.contains(id.as_str()) && !go.contains(id.as_str());
            let kept: HashSet<String> =
                self.places.values().filter(|segments| segments.iter().any(stays)).flatten().cloned().collect();
            let before = going.len();
            going.retain(|segment| !kept.contains(&segment.id));
            if going.len() == before {
                return;
            }
        }
    }

    /// Takes out of what stays of segments `from` the records that another live segment with a smaller id holds in
    /// the same state or a newer one, as the relay has it.
    pub(super) fn leave_out(&self, engine: &Engine, from: &[String], stay: &mut Staying) -> Result<(), SyncError> {
        let mut keepers: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
        for (id, (_, source)) in stay.iter() {
            let segments = self.places.get(id).into_iter().flatten();
            let is_live = |id: &String| engine.index.get(id).is_some_and(|s| !s.description.is_abandoned());
            if let Some(keeper) = segments.take_while(|id| *id < source).find(|id| !from.contains(id) && is_live(id)) {
                keepers.entry(keeper).or_default().push(*id);
            }
        }
        for (keeper, ids) in keepers {
            let Some(segment) = engine.index.get(keeper) else { continue };
            let Some(Whole { records: kept, .. }) = read_whole(engine, segment)? else { continue };
            let kept: HashMap<Uuid, Record> = kept.into_iter().map(|record| (record.id, record)).collect();
            for id in ids {
                let is_kept =
                    |(record, _): &(Record, String)| kept.get(&id).is_some_and(|kept| record.compare(kept).is_le());
                if stay.get(&id).is_some_and(is_kept) {
                    stay.remove(&id);
                }
            }
            if segment.description.full {
                engine.ask(&Release { ids: vec![keeper.to_owned()] })?;
            }
        }
        Ok(())
    }
}

/// The segments that there are, and whose this device writes anew.
fn seen(engine: &Engine, alive: &Alive) -> String {
    let mut hasher = DefaultHasher::new();
    for segment in engine.index.live() {
        (&segment.id, alive.acts_for(segment.device)).hash(&mut hasher);
    }
    hasher.finish().to_string()
}
