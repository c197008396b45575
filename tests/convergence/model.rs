//! What every device must hold in the end, computed without any of the program's code.
//!
//! What users do becomes *facts*: a record has this content, a record is deleted. A place (a device or a relay) holds
//! facts; a successful exchange gives both sides what either had. Facts never contradict each other: of two contents
//! of a record the later one counts, and a deletion beats any content. So the model is a union, whatever the order.
//!
//! An exchange that was interrupted may have brought over any part, so what only one side had is afterwards a *maybe*
//! on the other. A maybe excuses nothing but itself: what is certain has to be there, what nobody can have must not.

use std::collections::{BTreeMap, BTreeSet};

/// A record, by the id that the program printed.
pub type Id = String;

/// Something that a user did and that no exchange undoes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// The account itself, which no device can bring to a relay that has none once its sync store is lost.
    Account,
    /// The record had this content, in this state: 0 when it was recorded, more each time it was completed.
    Content(Id, u32),
    /// The record was deleted.
    Deleted(Id),
    /// At this moment, as the device saw it, the preference got this value. The last one counts.
    Set(i128, String),
}

/// Whether a place holds a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// An interrupted exchange may have brought it.
    Maybe,
    /// It does.
    Sure,
}

use Certainty::{Maybe, Sure};

/// What one device or relay holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place(BTreeMap<Fact, Certainty>);

impl Place {
    /// Learns a fact, at least with this certainty.
    pub fn learn(&mut self, fact: Fact, certainty: Certainty) {
        let known = self.0.entry(fact).or_insert(certainty);
        *known = certainty.max(*known);
    }

    /// Loses a fact.
    pub fn forget(&mut self, fact: &Fact) {
        self.0.remove(fact);
    }

    fn learn_all(&mut self, other: &Self, at_most: Certainty) {
        for (fact, certainty) in &other.0 {
            self.learn(fact.clone(), at_most.min(*certainty));
        }
    }

    /// Whether it holds a fact.
    pub fn certainty(&self, fact: &Fact) -> Option<Certainty> {
        self.0.get(fact).copied()
    }

    /// When the preference was last set, as far as is certain, and as far as may be.
    pub fn last_set(&self) -> [i128; 2] {
        let at = |least: Certainty| {
            let known = self.0.iter().filter(|(_, certainty)| **certainty >= least);
            known.filter_map(|(fact, _)| if let Fact::Set(at, _) = fact { Some(*at) } else { None }).max()
        };
        [Sure, Maybe].map(|least| at(least).unwrap_or(i128::MIN))
    }

    /// The values that the preference may have; an empty one where it was never set.
    pub fn preference(&self) -> BTreeSet<String> {
        let [certain, _] = self.last_set();
        let may = |fact: &Fact| match fact {
            Fact::Set(at, value) if *at >= certain => Some(value.clone()),
            _ => None,
        };
        let mut values: BTreeSet<String> = self.0.keys().filter_map(may).collect();
        if certain == i128::MIN {
            values.insert(String::new());
        }
        values
    }

    /// What a user of this place has to see, and may see.
    pub fn expected(&self) -> Expected {
        let mut expected = Expected::default();
        for (fact, certainty) in &self.0 {
            let Fact::Content(id, state) = fact else { continue };
            let deleted = self.certainty(&Fact::Deleted(id.clone()));
            if deleted == Some(Sure) {
                continue;
            }
            let (surely, states) = expected.0.entry(id.clone()).or_default();
            *surely |= *certainty == Sure && deleted.is_none();
            // Facts are in the order of their states: a later one that is certain hides the earlier.
            if *certainty == Sure {
                states.clear();
            }
            states.insert(*state);
        }
        expected
    }
}

/// For each record that may be there: whether it has to, and the states it may be in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected(BTreeMap<Id, (bool, BTreeSet<u32>)>);

impl Expected {
    /// The records that have to be there.
    pub fn certain(&self) -> impl Iterator<Item = &Id> {
        self.0.iter().filter(|(_, (surely, _))| *surely).map(|(id, _)| id)
    }

    /// What is wrong with these records, each given with its state; none if nothing is.
    pub fn complaint(&self, there: &BTreeMap<Id, u32>) -> Option<String> {
        let missing: Vec<_> = self.certain().filter(|id| !there.contains_key(*id)).collect();
        let unexpected: Vec<_> = there.keys().filter(|id| !self.0.contains_key(*id)).collect();
        let stale: Vec<_> = there
            .iter()
            .filter_map(|(id, state)| Some((id, state, &self.0.get(id)?.1)))
            .filter(|(_, state, states)| !states.contains(state))
            .collect();
        if missing.is_empty() && unexpected.is_empty() && stale.is_empty() {
            return None;
        }
        Some(format!("missing: {missing:?}; there, but never or no more: {unexpected:?}; in a wrong state: {stale:?}"))
    }
}

/// All places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// The devices.
    pub homes: Vec<Place>,
    /// The relays.
    pub relays: Vec<Place>,
}

impl Model {
    /// Nothing is anywhere.
    pub fn new(homes: usize, relays: usize) -> Self {
        Self { homes: vec![Place::default(); homes], relays: vec![Place::default(); relays] }
    }

    /// A device and a relay have exchanged everything.
    pub fn exchanged(&mut self, home: usize, relay: usize) {
        self.relays[relay].learn_all(&self.homes[home], Sure);
        self.homes[home].learn_all(&self.relays[relay], Sure);
    }

    /// An exchange broke off: each side may have any of what the other had.
    pub fn interrupted(&mut self, home: usize, relay: usize) {
        let before = self.homes[home].clone();
        self.homes[home].learn_all(&self.relays[relay], Maybe);
        self.relays[relay].learn_all(&before, Maybe);
    }

    /// Exchanges at the same time: each device may or may not meet what the others bring.
    pub fn exchanged_together(&mut self, pairs: &[(usize, usize)]) {
        let before = self.clone();
        for &(home, relay) in pairs {
            self.relays[relay].learn_all(&before.homes[home], Sure);
        }
        for &(home, relay) in pairs {
            self.homes[home].learn_all(&before.relays[relay], Sure);
            self.homes[home].learn_all(&self.relays[relay], Maybe);
        }
    }

    /// What everybody has to hold after all have met on this relay.
    pub fn in_the_end(&self, relay: usize) -> Place {
        let mut all = self.relays[relay].clone();
        for home in &self.homes {
            all.learn_all(home, Sure);
        }
        all
    }
}

#[test]
fn what_was_interrupted_may_be_anywhere_and_what_was_not_is() {
    let content = |id: &str| Fact::Content(id.to_owned(), 0);
    let mut model = Model::new(2, 1);
    model.homes[0].learn(content("a"), Sure);
    model.exchanged(0, 0);
    model.homes[0].learn(content("b"), Sure);
    model.interrupted(0, 0);
    model.exchanged(1, 0);
    let there = |ids: &[&str]| ids.iter().map(|id| ((*id).to_owned(), 0)).collect();
    let other = model.homes[1].expected();
    assert_eq!(other.complaint(&there(&["a"])), None);
    assert_eq!(other.complaint(&there(&["a", "b"])), None);
    assert!(other.complaint(&there(&["b"])).is_some(), "a is certain");
    assert!(other.complaint(&there(&["a", "c"])).is_some(), "c is nobody's");
    assert!(model.homes[0].expected().complaint(&there(&["a"])).is_some(), "b is its own");
    model.homes[0] = Place::default();
    assert_eq!(model.in_the_end(0).expected().complaint(&there(&["a"])), None, "b was lost with its device");
}

#[test]
fn a_deletion_beats_every_content_and_a_later_state_the_earlier() {
    let mut place = Place::default();
    for state in [1, 0] {
        place.learn(Fact::Content("a".into(), state), Sure);
    }
    let there = |state| BTreeMap::from([("a".to_owned(), state)]);
    assert_eq!(place.expected().complaint(&there(1)), None);
    assert!(place.expected().complaint(&there(0)).is_some());
    place.learn(Fact::Deleted("a".into()), Maybe);
    assert_eq!(place.expected().complaint(&there(1)), None);
    assert_eq!(place.expected().complaint(&BTreeMap::new()), None);
    place.learn(Fact::Deleted("a".into()), Sure);
    assert_eq!(place.expected().complaint(&BTreeMap::new()), None);
    assert!(place.expected().complaint(&there(1)).is_some());
}

#[test]
fn the_last_value_counts_and_one_that_may_have_come_may_count() {
    let mut place = Place::default();
    assert_eq!(place.preference(), BTreeSet::from([String::new()]));
    place.learn(Fact::Set(7, "late".into()), Sure);
    place.learn(Fact::Set(3, "early".into()), Sure);
    place.learn(Fact::Set(9, "perhaps".into()), Maybe);
    place.learn(Fact::Set(2, "never".into()), Maybe);
    assert_eq!(place.preference(), BTreeSet::from(["late".to_owned(), "perhaps".to_owned()]));
    assert_eq!(place.last_set(), [7, 9]);
}
