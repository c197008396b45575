//! What of the outbox may leave: the user's rules and the secrets that never do, applied before anything is sealed.
//!
//! What may not leave stays in the outbox, held, and is looked at again when the rules change, however they did:
//! by a command, by hand, or on another device. Rules of another device that would let go what is kept here hold
//! beside those here until the user has seen them: what either keeps stays.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::engine::Engine;
use super::forks::COPY;
use super::{SyncConfig, SyncError, SyncState};
use crate::history::filter::{Filter, FilterRule};
use crate::history::{Record, UnixNanos};

/// How long a command may run before it goes up without its end, nanoseconds: a day.
const UNFINISHED: i64 = 86_400_000_000_000;
/// Part of what held records were held by: raised with the patterns of secrets, so that they are looked at again.
const SECRETS: u32 = 3;

/// The rules of one push.
pub(super) struct Selection {
    /// Every one of them has to let a record go, under every name its device goes by.
    filters: Vec<Filter>,
    /// What this device is called; a copy also goes by the name of its original until it is given another.
    own_names: Vec<String>,
    /// What this home was called as another device.
    earlier_names: BTreeMap<Uuid, String>,
}

impl Selection {
    /// The rules as they are now; what others held back is queued again.
    pub fn begin(engine: &Engine) -> Result<Self, SyncError> {
        let lists: Vec<Vec<FilterRule>> =
            [Some(engine.settings.filter.clone()), engine.preferences.arrived_rules()?].into_iter().flatten().collect();
        let device_name = SyncConfig::load(&engine.paths().config)?.device_name;
        let in_lines = |list: &Vec<FilterRule>| list.iter().map(|rule| format!("{rule}\n")).collect::<String>();
        let lines: Vec<String> = lists.iter().map(in_lines).collect();
        engine.history.hold_by(&format!("{SECRETS}\n{device_name}\n{}", lines.join("\n")))?;
        engine.history.release_unfinished(UnixNanos((engine.now)().0.saturating_sub(UNFINISHED)))?;
        let filters = lists.iter().map(|list| Filter::new(list)).collect::<Result<_, _>>();
        let filters = filters.map_err(|error| SyncError::Config {
            file: engine.paths().config.display().to_string(),
            reason: error.to_string(),
        })?;
        let original = device_name.strip_suffix(COPY).map(str::to_owned);
        let parked = SyncState::load(&engine.paths().state)?.map(|state| state.parked).unwrap_or_default();
        let earlier_names = parked.into_iter().map(|(id, parked)| (id, parked.name)).collect();
        Ok(Self { filters, own_names: original.into_iter().chain([device_name]).collect(), earlier_names })
    }

    /// What the device of a record is called, or was; one name that says nothing where nobody knows.
    fn names<'a>(&'a self, engine: &'a Engine, device: Uuid) -> Vec<&'a str> {
        if device == engine.device {
            return self.own_names.iter().map(String::as_str).collect();
        }
        let registered = engine.devices.name(device).map(|(name, _)| name);
        let earlier = self.earlier_names.get(&device).map(String::as_str);
        let known: Vec<&str> = registered.into_iter().chain(earlier).collect();
        if known.is_empty() { vec![""] } else { known }
    }

    /// Those of some pending records that may leave; the others are held.
    pub fn pass(&self, engine: &Engine, pending: Vec<(u64, Record)>) -> Result<Vec<(u64, Record)>, SyncError> {
        let may_leave = |(_, record): &(u64, Record)| {
            let names = self.names(engine, record.device_id);
            self.filters.iter().all(|filter| names.iter().all(|name| filter.decide(record, name).may_leave()))
        };
        let (pass, held): (Vec<_>, Vec<_>) = pending.into_iter().partition(may_leave);
        let numbers: Vec<u64> = held.iter().map(|(number, _)| *number).collect();
        if !numbers.is_empty() {
            engine.history.hold(&numbers)?;
        }
        Ok(pass)
    }
}
