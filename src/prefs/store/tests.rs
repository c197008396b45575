//! The store under test: any order ends the same, nothing that lost is gone, nothing takes effect unseen.

use proptest::prelude::*;
use tempfile::TempDir;

use std::fs;

use super::*;
use crate::prefs::rules::rules;

struct Device {
    place: TempDir,
    store: PreferenceStore,
}

impl Device {
    fn new(number: u128) -> Self {
        let place = tempfile::tempdir().unwrap();
        let paths = PrefsPaths::new(&place.path().join("config"), &place.path().join("data"));
        fs::create_dir(place.path().join("config")).unwrap();
        Self { place, store: PreferenceStore::open(paths, Uuid::from_u128(number)) }
    }

    fn edit(&self, file: &str, text: &str) {
        fs::write(self.place.path().join("config").join(file), text).unwrap();
    }

    fn config(&self) -> String {
        fs::read_to_string(self.place.path().join("config/config.toml")).unwrap_or_default()
    }

    fn set(&self, name: &str, value: &str, at: i64) -> Register {
        self.store.set(find(name).unwrap(), Some(value), UnixNanos(at)).unwrap();
        self.known(name).unwrap()
    }

    fn known(&self, name: &str) -> Option<Register> {
        self.store.registers().unwrap().into_iter().find(|register| register.name == name)
    }

    fn value(&self, name: &str) -> Option<String> {
        get(&self.store.paths, find(name).unwrap()).unwrap()
    }

    /// Sets the rules of the filter.
    fn list(&self, rules: &[&str], at: i64) {
        let value = (!rules.is_empty()).then(|| rules.join("\n"));
        self.store.set(find("sync.filter").unwrap(), value.as_deref(), UnixNanos(at)).unwrap();
    }

    /// Hears all that another device knows.
    fn tell(&self, from: &Self, at: i64) {
        for register in from.store.registers().unwrap() {
            self.merge(&register, at);
        }
    }

    fn merge(&self, register: &Register, at: i64) -> Merged {
        self.store.merge(register, UnixNanos(at)).unwrap()
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn the_later_change_wins_and_the_earlier_can_be_taken_back() {
    let (one, two) = (Device::new(1), Device::new(2));
    let early = one.set("model_name", "small", 10);
    let late = two.set("model_name", "large", 20);
    assert_eq!(one.merge(&late, 30), Merged::Applied { old: some("small"), new: some("large") });
    assert_eq!(two.merge(&early, 30), Merged::LocalWins);
    assert_eq!((one.value("model_name"), two.value("model_name")), (some("large"), some("large")));
    assert_eq!(one.merge(&late, 40), Merged::Unchanged);

    let undone = two.store.undo(find("model_name").unwrap(), UnixNanos(50)).unwrap().unwrap();
    assert_eq!(undone.value, some("small"));
    assert_eq!(two.value("model_name"), some("small"));
    let again = two.known("model_name").unwrap();
    assert_eq!(again.changed_at, 50);
    assert_eq!(one.merge(&again, 60), Merged::Applied { old: some("large"), new: some("small") });
    two.store.undo(find("model_name").unwrap(), UnixNanos(70)).unwrap().unwrap();
    assert_eq!(two.value("model_name"), some("large"), "a second undo takes the first back");
}

#[test]
fn a_change_after_one_from_the_future_still_wins() {
    let (one, two) = (Device::new(1), Device::new(2));
    let future = one.set("sync.frequency", "daily", 1_000_000);
    two.merge(&future, 5);
    let mine = two.set("sync.frequency", "hourly", 6);
    assert_eq!(mine.changed_at, 1_000_001);
    assert!(matches!(one.merge(&mine, 7), Merged::Applied { .. }));
    assert_eq!(one.value("sync.frequency"), some("hourly"));
}

#[test]
fn what_is_edited_by_hand_is_noticed_once() {
    let device = Device::new(1);
    assert_eq!(device.store.local_changes(UnixNanos(5)).unwrap(), []);
    device.edit("config.toml", "safety_level = \"strict\" # mine\n");
    device.edit("sync.toml", "filter = ['exclude   tag x']\n");
    let changes = device.store.local_changes(UnixNanos(9)).unwrap();
    let told: Vec<_> = changes.iter().map(|r| (r.name.as_str(), r.value.as_deref(), r.changed_at)).collect();
    assert_eq!(told, [("safety_level", Some("strict"), 9), ("sync.filter/exclude tag \"x\"", Some("9"), 9)]);
    assert_eq!(device.store.local_changes(UnixNanos(10)).unwrap(), []);
    device.edit("config.toml", "");
    let changes = device.store.local_changes(UnixNanos(11)).unwrap();
    assert_eq!((changes.len(), changes[0].value.as_ref()), (1, None));
}

#[test]
fn what_stood_there_before_gives_way_to_what_others_chose() {
    let (old, new) = (Device::new(1), Device::new(2));
    let chosen = old.set("default_shell", "zsh", 100);
    new.edit("config.toml", "default_shell = \"bash\"\n");
    let first = new.store.local_changes(UnixNanos(900)).unwrap();
    assert_eq!(first[0].changed_at, 0);
    assert!(matches!(new.merge(&chosen, 901), Merged::Applied { .. }));
    assert_eq!(new.value("default_shell"), some("zsh"));
    assert_eq!(new.store.losers().unwrap()[0].value, some("bash"));
}

#[test]
fn a_value_that_matters_for_safety_waits_until_it_was_shown() {
    let (here, there) = (Device::new(1), Device::new(2));
    here.edit("config.toml", "# mine\nsafety_level = \"strict\"\n");
    let lax = there.set("safety_level", "permissive", 10);
    assert_eq!(here.merge(&lax, 11), Merged::Held { old: some("strict"), new: some("permissive") });
    // Background exchanges look and merge again, and change nothing.
    assert_eq!(here.store.local_changes(UnixNanos(12)).unwrap(), []);
    assert_eq!(here.merge(&lax, 13), Merged::Unchanged);
    assert_eq!(here.config(), "# mine\nsafety_level = \"strict\"\n");
    assert_eq!(here.known("safety_level").unwrap().value, some("permissive"), "the winner is what is told to others");

    let arrived = here.store.arrived().unwrap();
    assert_eq!(arrived.len(), 1);
    assert_eq!((arrived[0].old.as_deref(), arrived[0].new.as_deref()), (Some("strict"), Some("permissive")));
    assert_eq!(arrived[0].device, Uuid::from_u128(2));
    here.store.take_effect(&arrived[0], UnixNanos(14)).unwrap();
    assert_eq!(here.config(), "# mine\nsafety_level = \"permissive\"\n");
    assert_eq!(here.store.arrived().unwrap(), []);
    here.store.undo(find("safety_level").unwrap(), UnixNanos(15)).unwrap().unwrap();
    assert_eq!(here.value("safety_level"), some("strict"));
}

#[test]
fn what_makes_a_device_more_careful_need_not_wait() {
    let (here, there) = (Device::new(1), Device::new(2));
    assert!(matches!(here.merge(&there.set("safety_level", "strict", 10), 11), Merged::Applied { .. }));
    assert_eq!(here.value("safety_level"), some("strict"));
}

#[test]
fn only_what_was_shown_takes_effect() {
    let (here, there) = (Device::new(1), Device::new(2));
    here.set("safety_level", "strict", 9);
    here.merge(&there.set("safety_level", "moderate", 10), 11);
    let shown = here.store.arrived().unwrap();
    here.merge(&there.set("safety_level", "permissive", 12), 13);
    here.store.take_effect(&shown[0], UnixNanos(14)).unwrap();
    assert_eq!(here.value("safety_level"), some("strict"));
    assert_eq!(here.store.arrived().unwrap()[0].new, some("permissive"));
}

#[test]
fn what_has_the_same_effect_needs_no_showing_and_an_own_choice_ends_the_wait() {
    let (here, there) = (Device::new(1), Device::new(2));
    // Unset means moderate.
    assert!(matches!(here.merge(&there.set("safety_level", "moderate", 10), 11), Merged::Applied { .. }));
    here.merge(&there.set("safety_level", "permissive", 12), 13);
    assert_eq!(here.store.arrived().unwrap().len(), 1);
    here.set("safety_level", "strict", 14);
    assert_eq!(here.store.arrived().unwrap(), []);
    assert_eq!(here.value("safety_level"), some("strict"));
}

#[test]
fn what_only_a_newer_version_understands_is_kept_and_not_applied() {
    let here = Device::new(1);
    here.set("sync.frequency", "hourly", 5);
    let newer = Register {
        name: "sync.frequency".into(),
        value: some("weekly"),
        changed_at: 10,
        device: Uuid::from_u128(2),
        unknown: BTreeMap::from([("more".into(), 1.into())]),
    };
    assert_eq!(here.merge(&newer, 11), Merged::Unchanged);
    assert_eq!(here.value("sync.frequency"), some("hourly"));
    assert_eq!(here.store.local_changes(UnixNanos(12)).unwrap(), []);
    assert_eq!(here.known("sync.frequency"), Some(newer));
    for name in ["sync.relay", "log_level", "something"] {
        let foreign = Register { name: name.into(), value: some("debug"), ..here.known("sync.frequency").unwrap() };
        assert_eq!(here.merge(&foreign, 13), Merged::Unchanged, "{name} never comes from elsewhere");
        assert!(here.known(name).is_none());
    }
}

#[test]
fn an_interrupted_change_is_finished_at_the_next_look() {
    let here = Device::new(1);
    here.set("model_name", "small", 5);
    // Saved, but the file was not written.
    let path = here.store.paths.store.clone();
    let saved = fs::read_to_string(&path).unwrap();
    here.set("model_name", "large", 6);
    let later = fs::read_to_string(&path).unwrap().replace("\"model_name\": \"large\"", "\"model_name\": \"small\"");
    here.edit("config.toml", "model_name = \"small\"\n");
    fs::write(&path, later).unwrap();
    assert_eq!(here.store.local_changes(UnixNanos(7)).unwrap(), []);
    assert_eq!(here.value("model_name"), some("large"));
    // The file was written, but that was not noted.
    fs::write(&path, saved).unwrap();
    here.edit("config.toml", "model_name = \"small\"\n");
    assert_eq!(here.store.local_changes(UnixNanos(8)).unwrap(), []);
}

#[test]
fn a_damaged_file_is_set_aside_with_a_word() {
    let here = Device::new(1);
    here.set("model_name", "small", 5);
    fs::write(&here.store.paths.store, "{ broken").unwrap();
    let changes = here.store.local_changes(UnixNanos(6)).unwrap();
    assert_eq!(changes[0].changed_at, 0, "what others know is later");
    let notice = here.store.take_notice().unwrap().unwrap();
    assert!(notice.contains("preferences.json.damaged"), "{notice}");
    assert_eq!(here.store.take_notice().unwrap(), None);
    assert_eq!(fs::read_to_string(here.place.path().join("data/preferences.json.damaged")).unwrap(), "{ broken");
    assert_eq!(here.value("model_name"), some("small"));
}

#[test]
fn a_broken_file_of_the_user_stops_nothing_and_is_never_overwritten() {
    let here = Device::new(1);
    let broken = "safety_level = \"strict\nmodel_name = 1";
    here.edit("config.toml", broken);
    assert_eq!(here.store.local_changes(UnixNanos(1)).unwrap(), []);
    let there = Device::new(2);
    assert_eq!(here.merge(&there.set("model_name", "large", 5), 6), Merged::Unchanged);
    assert!(here.store.set(find("model_name").unwrap(), Some("small"), UnixNanos(7)).is_err());
    assert_eq!(here.config(), broken);
    here.edit("config.toml", "");
    here.store.local_changes(UnixNanos(8)).unwrap();
    assert_eq!(here.value("model_name"), some("large"), "it takes effect once the file is in order");
    // A value that cannot be is no choice either, and setting the preference repairs it.
    here.edit("config.toml", "safety_level = \"reckless\"\nmodel_name = \"large\"\n");
    assert_eq!(here.store.local_changes(UnixNanos(9)).unwrap(), []);
    here.set("safety_level", "strict", 10);
    assert_eq!(here.value("safety_level"), some("strict"));
}

#[test]
fn rules_that_let_go_what_is_kept_here_wait_until_they_were_shown() {
    let (here, there) = (Device::new(1), Device::new(2));
    let (x, y) = ("exclude tag \"x\"", "exclude tag \"y\"");
    here.list(&[x], 10);
    there.tell(&here, 11);
    there.list(&[y], 20);
    here.tell(&there, 21);
    // What was added counts at once, what was taken out waits.
    assert_eq!(here.value("sync.filter"), some(x));
    assert_eq!(here.store.arrived_rules().unwrap(), Some(rules(Some(y))));
    // A rule that is added here meanwhile does not bring the other's decision about.
    here.list(&[x, "exclude tag \"z\""], 30);
    assert_eq!(here.value("sync.filter"), Some(format!("{x}\nexclude tag \"z\"")));
    assert_eq!(here.store.arrived_rules().unwrap(), Some(rules(Some(&format!("{y}\nexclude tag \"z\"")))));
    // It can be taken back everywhere,
    here.store.undo(find("sync.filter").unwrap(), UnixNanos(35)).unwrap().unwrap();
    // and what is stricter than what holds here counts at once.
    there.list(&[y, x], 40);
    here.tell(&there, 41);
    assert_eq!(here.store.arrived_rules().unwrap(), None);
    there.tell(&here, 42);
    there.list(&[], 50);
    here.tell(&there, 51);
    assert!(here.store.arrived_rules().unwrap().is_some());
    here.store.take_effect(&here.store.arrived().unwrap()[0], UnixNanos(52)).unwrap();
    assert_eq!(here.value("sync.filter"), None);
}

#[test]
fn lists_that_were_changed_apart_unite_and_either_can_be_taken_back() {
    let (one, two) = (Device::new(1), Device::new(2));
    one.list(&["exclude tag \"x\""], 10);
    two.list(&["exclude tag \"y\""], 20);
    one.tell(&two, 30);
    two.tell(&one, 30);
    let both = some("exclude tag \"x\"\nexclude tag \"y\"");
    assert_eq!((one.value("sync.filter"), two.value("sync.filter")), (both.clone(), both));
    one.store.undo(find("sync.filter").unwrap(), UnixNanos(40)).unwrap().unwrap();
    assert_eq!(one.value("sync.filter"), some("exclude tag \"x\""));
}

#[test]
fn the_one_list_of_an_older_version_is_carried_over() {
    let here = Device::new(1);
    let (x, y) = ("exclude tag \"x\"", "exclude tag \"y\"");
    let folder = here.place.path().join("data");
    fs::create_dir(&folder).unwrap();
    let device = Uuid::from_u128(3);
    let kept = format!(
        "{{\"version\":1,\"values\":{{\"sync.filter\":{{\"value\":{x:?},\"changed_at\":7,\"device\":\"{device}\"}}}},\
         \"seen\":{{\"sync.filter\":{x:?}}}}}"
    );
    fs::write(&here.store.paths.store, kept).unwrap();
    here.edit("sync.toml", &format!("filter = ['{x}']\n"));
    assert_eq!(here.store.local_changes(UnixNanos(9)).unwrap(), []);
    here.list(&[x, y], 10);
    let names: Vec<String> = here.store.registers().unwrap().into_iter().map(|register| register.name).collect();
    assert_eq!(names, ["sync.filter".to_owned(), format!("sync.filter/{x}"), format!("sync.filter/{y}")]);
    let new = Device::new(2);
    new.tell(&here, 11);
    assert_eq!(new.value("sync.filter"), Some(format!("{x}\n{y}")));
}

#[test]
fn a_newer_file_is_refused_and_left() {
    let here = Device::new(1);
    fs::create_dir(here.place.path().join("data")).unwrap();
    fs::write(&here.store.paths.store, "{\"version\": 2}").unwrap();
    assert!(matches!(here.store.local_changes(UnixNanos(1)), Err(PrefsError::Newer { .. })));
    assert_eq!(fs::read_to_string(&here.store.paths.store).unwrap(), "{\"version\": 2}");
}

#[test]
fn preferences_that_stay_here_are_only_written() {
    let here = Device::new(1);
    here.set_local("log_level", "debug");
    assert_eq!(here.value("log_level"), some("debug"));
    assert!(here.store.registers().unwrap().is_empty());
}

impl Device {
    fn set_local(&self, name: &str, value: &str) {
        self.store.set(find(name).unwrap(), Some(value), UnixNanos(1)).unwrap();
    }
}

/// One step of a life with three devices.
#[derive(Clone, Debug)]
enum Step {
    Set { device: usize, name: usize, value: usize, at: i64 },
    Edit { device: usize, value: usize, at: i64 },
    Tell { from: usize, to: usize, name: usize },
    Undo { device: usize, name: usize, at: i64 },
}

const NAMES: [(&str, [&str; 3]); 3] = [
    ("model_name", ["a", "b", "c"]),
    ("safety_level", ["strict", "moderate", "permissive"]),
    ("sync.max_records", ["1", "2", "unlimited"]),
];

fn step() -> impl Strategy<Value = Step> {
    let (device, name, value, at) = (0usize..3, 0usize..3, 0usize..3, 1i64..50);
    prop_oneof![
        (device.clone(), name.clone(), value.clone(), at.clone()).prop_map(|(device, name, value, at)| Step::Set {
            device,
            name,
            value,
            at
        }),
        (device.clone(), value, at.clone()).prop_map(|(device, value, at)| Step::Edit { device, value, at }),
        (device.clone(), 0usize..3, name.clone()).prop_map(|(from, to, name)| Step::Tell { from, to, name }),
        (device, name, at).prop_map(|(device, name, at)| Step::Undo { device, name, at }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_life_ends_equal_everywhere_and_nothing_that_lost_is_gone(
        steps in proptest::collection::vec(step(), 1..24), order in any::<u64>(),
    ) {
        let devices = [Device::new(1), Device::new(2), Device::new(3)];
        let mut ever: Vec<Register> = Vec::new();
        for step in steps {
            match step {
                Step::Set { device, name, value, at } => {
                    devices[device].set(NAMES[name].0, NAMES[name].1[value], at);
                }
                Step::Edit { device, value, at } => {
                    devices[device].edit("config.toml", &format!("model_name = \"{}\"\n", NAMES[0].1[value]));
                    devices[device].store.local_changes(UnixNanos(at)).unwrap();
                }
                Step::Tell { from, to, name } => {
                    if let Some(register) = devices[from].known(NAMES[name].0) {
                        devices[to].merge(&register, 60);
                    }
                }
                Step::Undo { device, name, at } => {
                    devices[device].store.undo(find(NAMES[name].0).unwrap(), UnixNanos(at)).unwrap();
                }
            }
            for device in &devices {
                for register in device.store.registers().unwrap() {
                    if !ever.contains(&register) {
                        ever.push(register);
                    }
                }
            }
        }
        // All that was ever known reaches everybody, to each in another order.
        for (number, device) in devices.iter().enumerate() {
            let mut told = ever.clone();
            told.sort_by_key(|register| {
                blake3::hash(format!("{order} {number} {:?}", register.rank()).as_bytes()).to_hex().to_string()
            });
            for register in &told {
                device.merge(register, 70);
            }
            for arrived in device.store.arrived().unwrap() {
                device.store.take_effect(&arrived, UnixNanos(80)).unwrap();
            }
        }
        for (name, _) in NAMES {
            let winner = ever
                .iter()
                .filter(|register| register.name == name)
                .max_by(|one, other| one.rank().cmp(&other.rank()));
            for device in &devices {
                prop_assert_eq!(device.known(name), winner.cloned());
                prop_assert_eq!(device.value(name), winner.and_then(|winner| winner.value.clone()));
                let losers = device.store.losers().unwrap();
                for register in ever.iter().filter(|register| register.name == name && Some(*register) != winner) {
                    let there = losers.iter().any(|loser| {
                        loser.name == name && loser.changed_at == register.changed_at
                            && loser.value == register.value && loser.device == register.device
                    });
                    prop_assert!(there, "{:?} is not in the undo list", register);
                }
            }
        }
    }
}
