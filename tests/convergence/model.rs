//! What every device must hold in the end, computed without any of the program's code.
//!
//! What users do becomes *facts*: a record has this content, a record is deleted. A place (a device or a relay) holds
//! facts; a successful exchange gives both sides what either had. Facts never contradict each other: of two contents
//! of a record the later one counts, and a deletion beats any content. So the model is a union, whatever the order.
//!
//! What a window or a rule may have kept out of sync is *doubtful*: it is certain where it is, and a maybe wherever an
//! exchange would have brought it, until the limits are lifted.
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
    Set(Preference, i128, String),
}

impl Fact {
    /// The preference that it sets.
    fn sets(&self) -> Option<Preference> {
        if let Self::Set(preference, ..) = self { Some(*preference) } else { None }
    }
}

/// A preference that plans set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preference {
    /// One that means nothing to sync.
    Model,
    /// How many days are kept in sync.
    Window,
    /// What is kept out of sync.
    Rules,
}

impl Preference {
    /// The program's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "default_model",
            Self::Window => "sync.retention_days",
            Self::Rules => "sync.filter",
        }
    }

    /// What devices have before anybody set it.
    pub fn initial(self) -> &'static str {
        if self == Self::Window { "unlimited" } else { "" }
    }
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

    /// Learns what another place holds, of each fact at most with a certainty.
    fn learn_all(&mut self, other: &Self, at_most: impl Fn(&Fact) -> Certainty) {
        for (fact, certainty) in &other.0 {
            self.learn(fact.clone(), at_most(fact).min(*certainty));
        }
    }

    /// Whether it holds a fact.
    pub fn certainty(&self, fact: &Fact) -> Option<Certainty> {
        self.0.get(fact).copied()
    }

    /// When a preference was last set, as far as is certain, and as far as may be.
    pub fn last_set(&self, of: Preference) -> [i128; 2] {
        let at = |least: Certainty| {
            let known = self.0.iter().filter(|(_, certainty)| **certainty >= least);
            let known = known.filter_map(|(fact, _)| match fact {
                Fact::Set(preference, at, _) if *preference == of => Some(*at),
                _ => None,
            });
            known.max()
        };
        [Sure, Maybe].map(|least| at(least).unwrap_or(i128::MIN))
    }

    /// The values that a preference may have.
    pub fn preference(&self, of: Preference) -> BTreeSet<String> {
        let [certain, _] = self.last_set(of);
        let may = |fact: &Fact| match fact {
            Fact::Set(preference, at, value) if *preference == of && *at >= certain => Some(value.clone()),
            _ => None,
        };
        let mut values: BTreeSet<String> = self.0.keys().filter_map(may).collect();
        if certain == i128::MIN {
            values.insert(of.initial().to_owned());
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
    /// Records that something may have kept out of sync.
    pub doubtful: BTreeSet<Id>,
    /// Whether devices may ever have written a preference without having met: of two such values a relay may show the
    /// earlier one until whoever knows better comes again.
    pub apart: bool,
}

impl Model {
    /// Nothing is anywhere.
    pub fn new(homes: usize, relays: usize) -> Self {
        Self { homes: vec![Place::default(); homes], relays: vec![Place::default(); relays], ..Self::default() }
    }

    /// A device and a relay have exchanged everything.
    pub fn exchanged(&mut self, home: usize, relay: usize) {
        let there = self.shown(relay, &self.homes[home]);
        self.relays[relay].learn_all(&self.homes[home], passing(&self.doubtful));
        self.homes[home].learn_all(&there, |_| Sure);
    }

    /// An exchange broke off: each side may have any of what the other had.
    pub fn interrupted(&mut self, home: usize, relay: usize) {
        let before = self.homes[home].clone();
        self.homes[home].learn_all(&self.relays[relay], |_| Maybe);
        self.relays[relay].learn_all(&before, |_| Maybe);
    }

    /// Exchanges at the same time: each device may or may not meet what the others bring. A segment that one of them
    /// rewrites may be erased with what another has just added to it, who adds it once more when he exchanges again.
    pub fn exchanged_together(&mut self, pairs: &[(usize, usize)]) {
        let before = self.clone();
        for &(home, relay) in pairs {
            let passes = passing(&before.doubtful);
            let brings = |fact: &Fact| if matches!(fact, Fact::Content(..)) { Maybe } else { passes(fact) };
            self.relays[relay].learn_all(&before.homes[home], brings);
        }
        for &(home, relay) in pairs {
            self.homes[home].learn_all(&before.shown(relay, &before.homes[home]), |_| Sure);
            self.homes[home].learn_all(&self.relays[relay], |_| Maybe);
        }
    }

    /// What an exchange brings from a relay to a place, and how certain that is.
    fn shown(&self, relay: usize, to: &Place) -> Place {
        let (mut shown, there) = (Place::default(), &self.relays[relay]);
        let values = |of| to.0.keys().chain(there.0.keys()).filter(move |fact| fact.sets() == Some(of));
        let hidden = |fact: &Fact| self.apart && fact.sets().is_some_and(|of| values(of).any(|other| other != fact));
        let passes = passing(&self.doubtful);
        shown.learn_all(there, |fact| if hidden(fact) { Maybe } else { passes(fact) });
        shown
    }

    /// What everybody has to hold after all have met on this relay, and nothing is kept out of sync.
    pub fn in_the_end(&self, relay: usize) -> Place {
        let mut all = Place::default();
        all.learn_all(&self.shown(relay, &Place::default()), |_| Sure);
        for home in &self.homes {
            all.learn_all(home, |_| Sure);
        }
        all
    }
}

/// How certain it is that an exchange brings a fact over.
fn passing(doubtful: &BTreeSet<Id>) -> impl Fn(&Fact) -> Certainty {
    move |fact| if matches!(fact, Fact::Content(id, _) if doubtful.contains(id)) { Maybe } else { Sure }
}

#[test]
fn what_is_doubtful_stays_where_it_is_and_may_be_elsewhere() {
    let mut model = Model::new(2, 1);
    model.homes[0].learn(Fact::Content("a".into(), 0), Sure);
    model.doubtful.insert("a".into());
    model.exchanged(0, 0);
    model.exchanged(1, 0);
    let (here, nowhere) = (BTreeMap::from([("a".to_owned(), 0)]), BTreeMap::new());
    assert!(model.homes[0].expected().complaint(&nowhere).is_some());
    assert_eq!([&here, &nowhere].map(|there| model.homes[1].expected().complaint(there)), [None, None]);
    assert!(model.in_the_end(0).expected().complaint(&nowhere).is_some());
    model.homes[0] = Place::default();
    assert_eq!(model.in_the_end(0).expected().complaint(&nowhere), None, "it may have gone from the relay");
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
    let set = |at, value: &str| Fact::Set(Preference::Model, at, value.to_owned());
    assert_eq!(place.preference(Preference::Model), BTreeSet::from([String::new()]));
    place.learn(set(7, "late"), Sure);
    place.learn(set(3, "early"), Sure);
    place.learn(set(9, "perhaps"), Maybe);
    place.learn(set(2, "never"), Maybe);
    place.learn(Fact::Set(Preference::Window, 10, "another".into()), Sure);
    assert_eq!(place.preference(Preference::Model), BTreeSet::from(["late".to_owned(), "perhaps".to_owned()]));
    assert_eq!(place.last_set(Preference::Model), [7, 9]);
    assert_eq!(place.preference(Preference::Rules), BTreeSet::from([String::new()]));
}
