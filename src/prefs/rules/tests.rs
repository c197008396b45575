//! Rules unite in any order of arrival, keep the order they were given, and lists of older versions are taken over.

use proptest::prelude::*;

use super::*;

fn lines(rules: &[&str]) -> Option<String> {
    (!rules.is_empty()).then(|| rules.iter().map(|tag| format!("exclude tag \"{tag}\"")).collect::<Vec<_>>().join("\n"))
}

fn listed(values: &Values) -> Vec<String> {
    rules(list(values).as_deref()).iter().map(|rule| rule.pattern().to_owned()).collect()
}

fn set(values: &mut Values, tags: &[&str], now: i64, device: u128) -> Vec<Register> {
    let before = list(values);
    change(values, before.as_deref(), lines(tags).as_deref(), now, Uuid::from_u128(device))
}

fn whole(tags: &[&str], at: i64) -> Register {
    let unknown = BTreeMap::new();
    Register { name: LIST.into(), value: lines(tags), changed_at: at, device: Uuid::from_u128(9), unknown }
}

#[test]
fn the_order_that_was_given_stays_and_only_what_moved_is_told() {
    let mut values = Values::new();
    set(&mut values, &["a", "b", "c"], 10, 1);
    assert_eq!(listed(&values), ["a", "b", "c"]);
    let told = set(&mut values, &["a", "b", "c", "d"], 20, 1);
    assert_eq!((listed(&values).len(), told.len()), (4, 1));
    let told = set(&mut values, &["a", "n", "b", "d"], 30, 1);
    assert_eq!(listed(&values), ["a", "n", "b", "d"]);
    assert_eq!(told.len(), 4, "c is gone, n is new, what stands behind it moves");
    set(&mut values, &["d", "a"], 5, 1);
    assert_eq!(listed(&values), ["d", "a"], "also by a clock that went back");
    set(&mut values, &[], 6, 1);
    assert_eq!((list(&values), are_known(&values)), (None, true));
}

#[test]
fn lists_that_were_changed_apart_unite() {
    let mut here = Values::new();
    set(&mut here, &["a"], 10, 1);
    let mut there = here.clone();
    let one = set(&mut here, &["a", "x"], 20, 1);
    let other = set(&mut there, &["a", "y"], 30, 2);
    for register in other {
        unite(&mut here, &register);
    }
    for register in one {
        unite(&mut there, &register);
    }
    assert_eq!((listed(&here), listed(&there)), (vec!["a".into(), "x".into(), "y".into()], listed(&here)));
}

#[test]
fn what_is_not_touched_stays_what_it_is() {
    let mut values = Values::new();
    set(&mut values, &["a", "b"], 10, 1);
    let file = list(&values);
    // Another device took b out, which is not in effect here yet.
    set(&mut values, &["a"], 20, 2);
    let after = lines(&["a", "b", "c"]);
    change(&mut values, file.as_deref(), after.as_deref(), 30, Uuid::from_u128(1));
    assert_eq!(listed(&values), ["a", "c"]);
}

#[test]
fn the_list_of_an_older_version_is_taken_over() {
    let mut values = Values::new();
    assert_eq!(unite(&mut values, &whole(&["b", "a"], 10)), Ordering::Greater);
    assert_eq!(listed(&values), ["b", "a"]);
    set(&mut values, &["b", "a", "new"], 20, 1);
    assert_eq!(unite(&mut values, &whole(&["b", "a"], 10)), Ordering::Equal);
    assert_eq!(unite(&mut values, &whole(&["z"], 5)), Ordering::Less);
    assert_eq!(listed(&values), ["b", "a", "new"]);
    // The older version changes its list, of which it knows alone: what was added before that by others goes.
    unite(&mut values, &whole(&["a", "old"], 30));
    assert_eq!(listed(&values), ["a", "old"]);
}

#[test]
fn a_rule_of_a_newer_version_is_kept_and_not_listed() {
    let mut values = Values::new();
    let name = format!("{RULE}exclude weekday \"sunday\"");
    let register = Register { name: name.clone(), value: Some("7".into()), ..whole(&[], 7) };
    unite(&mut values, &register);
    assert_eq!((list(&values), values[&name].register(&name)), (None, register));
}

proptest! {
    /// Three devices change their lists apart, from time to time with a list of an older version; whatever order everything
    /// arrives in, and however often, all have the same list in the end.
    #[test]
    fn any_order_of_merges_gives_the_same_list(
        lives in proptest::collection::vec((0usize..3, 0i64..40, proptest::collection::vec(0usize..6, 0..5), any::<bool>()), 1..14),
        shuffle in any::<u64>(),
    ) {
        const TAGS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
        let mut devices = [Values::new(), Values::new(), Values::new()];
        let mut ever: Vec<Register> = Vec::new();
        for (device, at, tags, is_old) in lives {
            let mut tags: Vec<&str> = tags.into_iter().map(|tag| TAGS[tag]).collect();
            let mut seen = Vec::new();
            tags.retain(|tag| !seen.contains(tag) && { seen.push(*tag); true });
            if is_old {
                unite(&mut devices[device], &whole(&tags, at));
            } else {
                ever.extend(set(&mut devices[device], &tags, at, device as u128));
            }
        }
        // Everybody's registers to everybody, twice: what one concludes from an older list is told to the others.
        for round in 0..2 {
            let mut told: Vec<Register> = devices.iter().flatten().map(|(name, kept)| kept.register(name)).collect();
            told.extend(ever.iter().cloned());
            for (number, device) in devices.iter_mut().enumerate() {
                told.sort_by_key(|register| {
                    blake3::hash(format!("{shuffle} {round} {number} {:?}", register.rank()).as_bytes()).to_hex().to_string()
                });
                for register in &told {
                    unite(device, register);
                }
            }
        }
        prop_assert_eq!(listed(&devices[0]), listed(&devices[1]));
        prop_assert_eq!(listed(&devices[0]), listed(&devices[2]));
    }
}
