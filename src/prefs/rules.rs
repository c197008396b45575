//! The rules of the sync filter as they follow the user: each is a register of its own, so that lists which were changed apart
//! unite.
//!
//! The register of a rule is named after it, `sync.filter/exclude command "aws *"`. Its value is the rule's place in the list, a
//! number that grows with time; none: it was removed. The list is every rule that has a place, by place and then by text: the
//! same everywhere, in whatever order registers arrive. A rule that only a newer version understands is kept and not listed.
//!
//! Older versions know one register for the whole list, `sync.filter`. When such a list arrives it counts as what its
//! writer did at that time: each of its rules was set then, and those that are known here from before and are not in it were
//! removed. The versions that write it do not read the others.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use uuid::Uuid;

use super::Register;
use super::register::Kept;
use crate::history::filter::FilterRule;

/// The preference whose value is the list.
pub(super) const LIST: &str = "sync.filter";
/// Begins the names of the rules' registers.
const RULE: &str = "sync.filter/";

/// The registers by name.
type Values = BTreeMap<String, Kept>;

/// The rules of a value, in order.
pub(super) fn rules(value: Option<&str>) -> Vec<FilterRule> {
    value.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect()
}

/// Whether a register is of the filter.
pub(super) fn concerns(name: &str) -> bool {
    name == LIST || name.starts_with(RULE)
}

/// Whether anything is known of single rules.
pub(super) fn are_known(values: &Values) -> bool {
    of_rules(values).next().is_some()
}

/// The list as the value of its preference.
pub(super) fn list(values: &Values) -> Option<String> {
    let mut placed: Vec<(i64, &str)> = of_rules(values).filter_map(|(name, kept)| place(name, kept)).collect();
    placed.sort_unstable();
    let lines: Vec<&str> = placed.into_iter().map(|(_, rule)| rule).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// When the list was changed last, and by which device.
pub(super) fn changed(values: &Values) -> Option<(i64, Uuid)> {
    of_rules(values).map(|(_, kept)| (kept.changed_at, kept.device)).max()
}

/// Unites a register with what is known; how it compares with that: what is greater was taken over.
pub(super) fn unite(values: &mut Values, register: &Register) -> Ordering {
    let known = values.get(&register.name).map(|kept| kept.register(&register.name));
    let order = known.as_ref().map_or(Ordering::Greater, |known| register.rank().cmp(&known.rank()));
    if order == Ordering::Greater {
        values.insert(register.name.clone(), Kept::from_register(register));
        if register.name == LIST {
            spread(values, register);
        }
    }
    order
}

/// What a list says of each rule.
pub(super) fn spread(values: &mut Values, list: &Register) {
    let said: Vec<String> = rules(list.value.as_deref()).iter().map(|rule| format!("{RULE}{rule}")).collect();
    let earlier = |(name, kept): (&String, &Kept)| {
        (kept.value.is_some() && kept.changed_at < list.changed_at && !said.contains(name)).then(|| name.clone())
    };
    let gone: Vec<String> = of_rules(values).filter_map(earlier).collect();
    let place = |number: usize| list.changed_at.saturating_add(i64::try_from(number).unwrap_or(i64::MAX));
    let placed = said.into_iter().enumerate().map(|(number, name)| (name, Some(place(number).to_string())));
    for (name, value) in placed.collect::<Vec<_>>().into_iter().chain(gone.into_iter().map(|name| (name, None))) {
        let unknown = BTreeMap::new();
        unite(values, &Register { name, value, changed_at: list.changed_at, device: list.device, unknown });
    }
}

/// Changes the list as somebody did who had one before them and made another of it. Rules that they did not touch stay what
/// they are, also where more is known of them than stood in that list.
pub(super) fn change(
    values: &mut Values,
    before: Option<&str>,
    after: Option<&str>,
    now: i64,
    device: Uuid,
) -> Vec<Register> {
    let texts = |value| rules(value).iter().map(ToString::to_string).collect::<Vec<_>>();
    let (before, after) = (texts(before), texts(after));
    let mut changes: Vec<Register> = Vec::new();
    let mut put = |values: &mut Values, rule: &str, value: Option<String>| {
        let name = format!("{RULE}{rule}");
        let known = values.get(&name).map(|kept| kept.register(&name));
        let after_known = known.as_ref().map_or(i64::MIN, |known| known.changed_at.saturating_add(1));
        let unknown = known.map(|known| known.unknown).unwrap_or_default();
        let register = Register { name: name.clone(), value, changed_at: now.max(after_known), device, unknown };
        values.insert(name, Kept::from_register(&register));
        changes.push(register);
    };
    for rule in before.iter().filter(|rule| !after.contains(rule)) {
        put(values, rule, None);
    }
    let mut last: Option<(i64, &str)> = None;
    // As long as they stand in the order of their places they keep them; from the first other one on they get new ones.
    let mut moved = false;
    for rule in &after {
        let name = format!("{RULE}{rule}");
        let known = values.get(&name).and_then(|kept| place(&name, kept)).map(|(place, _)| (place, rule.as_str()));
        match known {
            None if before.contains(rule) => {}
            Some(known) if !moved && last.is_none_or(|last| last < known) => last = Some(known),
            _ => {
                moved = true;
                let place = now.max(last.map_or(now, |(place, _)| place.saturating_add(1)));
                put(values, rule, Some(place.to_string()));
                last = Some((place, rule));
            }
        }
    }
    changes
}

fn of_rules(values: &Values) -> impl Iterator<Item = (&String, &Kept)> {
    values.range(RULE.to_owned()..).take_while(|(name, _)| name.starts_with(RULE))
}

/// Where a rule stands, with its text; none where it was removed, or is none that this version understands.
fn place<'a>(name: &'a str, kept: &Kept) -> Option<(i64, &'a str)> {
    let text = name.strip_prefix(RULE)?;
    let is_rule = text.parse::<FilterRule>().is_ok_and(|rule| rule.to_string() == text);
    let place = kept.value.as_ref()?.parse().unwrap_or(i64::MAX);
    is_rule.then_some((place, text))
}

#[cfg(test)]
mod tests;
