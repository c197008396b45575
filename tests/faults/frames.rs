//! Messages that arrive twice, late, or in another order.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use super::{Scene, clear};
use crate::common::random::Random;
use crate::common::wire::{Fate, Tamper, Way, Wire};

/// Exchanges with this between the first device and the relay, then without.
#[track_caller]
fn under(fault: &str, codes: &[i32], mut tamper: impl FnMut(u64) -> Tamper) {
    let mut scene = Scene::new();
    for round in 0..4 {
        let wire = Wire::tampering(&scene.relay.url(), tamper(round));
        scene.a.ok(["sync", "relay", "set", &wire.url(), "--yes"]);
        scene.write(&format!("round {round}"));
        // What has to go well may take its time.
        let patience = if codes == [0] { "30" } else { "3" };
        let run = scene.a.run(["sync", "now", "--timeout", patience]);
        clear(&run, codes, fault);
        wire.tamper(Box::new(|_, _| Fate::Pass));
        scene.converges(fault);
    }
}

#[test]
fn everything_twice_is_harmless() {
    under("everything twice", &[0], |_| Box::new(|_, message| Fate::Instead(vec![message.clone(), message.clone()])));
}

#[test]
fn everything_again_much_later_is_harmless() {
    under("a replay", &[0], |_| {
        let mut earlier: VecDeque<(Way, Value)> = VecDeque::new();
        Box::new(move |way, message| {
            earlier.push_back((way, message.clone()));
            if earlier.len() < 12 {
                return Fate::Pass;
            }
            let (its_way, replayed) = earlier.pop_front().expect("it is not empty");
            if its_way == way { Fate::Instead(vec![message.clone(), replayed]) } else { Fate::Pass }
        })
    });
}

#[test]
fn everything_late_is_only_slow() {
    under("a slow line", &[0], |round| {
        let mut random = Random::new(round);
        Box::new(move |_, _| Fate::Late(Duration::from_millis(random.below(25))))
    });
}

/// The order on one connection is the line's to keep; who breaks it lies, and gets no further than that.
#[test]
fn another_order_corrupts_nothing() {
    under("another order", &[0, 5, 6], |round| {
        let mut random = Random::new(round);
        let mut held: Option<(Way, Value)> = None;
        Box::new(move |way, message| match held.take() {
            Some((its_way, earlier)) if its_way == way => Fate::Instead(vec![message.clone(), earlier]),
            None if random.below(3) == 0 => {
                held = Some((way, message.clone()));
                Fate::Drop
            }
            other => {
                held = other;
                Fate::Pass
            }
        })
    });
}

#[test]
fn what_gets_lost_on_the_way_is_told_or_sent_again() {
    under("lost messages", &[0, 5], |round| {
        let mut random = Random::new(round);
        Box::new(move |_, _| if random.below(8) == 0 { Fate::Drop } else { Fate::Pass })
    });
}

#[test]
fn an_author_who_was_garbled_on_the_way_keeps_nobody_waiting() {
    under("a garbled author", &[0, 5, 6], |round| {
        let garbled = if round % 2 == 0 { Way::Up } else { Way::Down };
        Box::new(move |way, message| {
            if way != garbled || message["action"] != "content" {
                return Fate::Pass;
            }
            let text = message.to_string().replace("_session_", "x_session_");
            Fate::Instead(vec![serde_json::from_str(&text).expect("it is still JSON")])
        })
    });
}
