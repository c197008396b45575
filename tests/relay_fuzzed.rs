//! What a client says, changed at random, against a running relay: it goes on serving an honest one, whose history stays whole, and
//! its memory stays where it was. For three seconds and always the same, or FUZZ_SECONDS and always others (`make fuzz`).

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::common::random::Random;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::common::wire::{Way, Wire};
use crate::relay_hostile::{client, goes_on, memory, serves};

/// Messages on one connection.
const ON_ONE: usize = 40;

/// What two devices have said to a relay.
fn seeds(relay: &Relay, device: &SyncHome) -> Vec<Value> {
    let wire = Wire::recording(&relay.url());
    let mut said = Vec::new();
    for name in ["first", "second"] {
        let other = SyncHome::new(name);
        other.add_one("echo seed");
        if name == "first" {
            other.init(&wire.url());
        } else {
            other.restored(&wire.url(), &device.home.path().join("phrase"));
        }
    }
    said.extend(wire.seen().into_iter().filter(|(way, _)| *way == Way::Up).map(|(_, message)| message));
    said
}

/// A message with a few things in it that nobody expects.
fn changed(random: &mut Random, seeds: &[Value]) -> String {
    let mut message = seeds[random.index(seeds.len())].clone();
    for _ in 0..1 + random.index(3) {
        change(random, &mut message, seeds);
    }
    let mut text = message.to_string();
    if random.below(4) == 0 {
        let cut = (random.index(text.len())..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        match random.below(3) {
            0 => text.truncate(cut),
            1 => text.insert(cut, ['"', '\\', '{', '[', ',', '\u{0}', '\u{2028}', '9'][random.index(8)]),
            _ => text.insert_str(cut, &seeds[random.index(seeds.len())].to_string()),
        }
    }
    text
}

fn change(random: &mut Random, value: &mut Value, seeds: &[Value]) {
    match value {
        Value::Object(fields) if !fields.is_empty() && random.below(8) > 0 => in_fields(random, fields, seeds),
        Value::Array(items) if !items.is_empty() && random.below(8) > 0 => {
            let index = random.index(items.len());
            match random.below(8) {
                0 => drop(items.remove(index)),
                1 => items.insert(index, items[index].clone()),
                _ => change(random, &mut items[index], seeds),
            }
        }
        _ => *value = odd(random, value, seeds),
    }
}

fn in_fields(random: &mut Random, fields: &mut Map<String, Value>, seeds: &[Value]) {
    let key = fields.keys().nth(random.index(fields.len())).expect("there is one").clone();
    match random.below(8) {
        0 => drop(fields.remove(&key)),
        1 => {
            let value = fields.remove(&key).expect("it is there");
            let other = ["__proto__", "constructor", "", "co_z1_session_z1", "a$", "length"][random.index(6)];
            fields.insert(other.to_owned(), value);
        }
        _ => change(random, fields.get_mut(&key).expect("it is there"), seeds),
    }
}

fn odd(random: &mut Random, instead_of: &Value, seeds: &[Value]) -> Value {
    match random.below(12) {
        0 => Value::Null,
        1 => json!(-1),
        2 => json!(1e300),
        3 => json!(9_007_199_254_740_993_u64),
        4 => json!(true),
        5 => json!([]),
        6 => json!({}),
        7 => json!("x".repeat(random.index(3000))),
        8 => json!({ "then": {}, "toString": null, "__proto__": { "id": 1 } }),
        9 => seeds[random.index(seeds.len())].clone(),
        _ => match instead_of {
            Value::String(text) if text.len() > 2 => {
                let letter = random.index(text.len());
                let changed = text.chars().enumerate().map(|(at, c)| if at == letter { 'z' } else { c });
                changed.collect::<String>().into()
            }
            Value::Number(number) => json!(number.as_f64().unwrap_or(0.0) + 1.5),
            other => json!([other]),
        },
    }
}

#[test]
fn what_is_changed_at_random_harms_nobody() {
    let asked: Option<u64> = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let length = asked.unwrap_or(3);
    let relay = Relay::new();
    let device = crate::relay_hostile::device(&relay);
    let seeds = seeds(&relay, &device);
    assert!(seeds.len() > 20, "{} messages", seeds.len());
    let mut random = asked.map_or_else(|| Random::new(1), |_| Random::from_environment());
    let before = memory(&relay);
    let begun = Instant::now();
    let (mut sent, mut ended) = (0, 0);
    while begun.elapsed() < Duration::from_secs(length) {
        let mut client = client(&relay);
        for _ in 0..ON_ONE {
            client.send(&changed(&mut random, &seeds));
            sent += 1;
        }
        ended += u32::from(!goes_on(&mut client));
    }
    println!("{sent} messages; {ended} connections of {} were ended", sent / ON_ONE);
    let grown = memory(&relay).saturating_sub(before);
    assert!(grown < 100 + length, "{grown} MiB after {sent} messages");
    serves(&device);
    let third = SyncHome::new("third");
    third.restored(&relay.url(), &device.home.path().join("phrase"));
    assert_equal_histories(&[&device, &third]);
    assert!(!relay.log().contains("panicked") && !relay.log().contains("a promise was rejected"), "{}", relay.log());
}
