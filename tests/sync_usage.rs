//! Usage counters: the sum over all devices, right whatever the order of exchanges and however often they happen.

use serde_json::Value;

use crate::common::random::Random;
use crate::common::sync::{Relay, SyncHome};

fn stats(home: &SyncHome) -> (u64, u64, u64) {
    let run = home.ok(["history", "stats", "--json"]);
    let value: Value = serde_json::from_str(&run.stdout).unwrap();
    let number = |name: &str| value[name].as_u64().unwrap();
    (number("commands"), number("succeeded"), number("failed"))
}

/// Exchanges as so many seconds later, so that counters are due again.
fn later(home: &SyncHome, seconds: u64) {
    let mut command = home.command(["sync", "now"]);
    command.env("CARO_TEST_CLOCK", home.home.file("clock", seconds.to_string()));
    let run = home.finish(command, b"");
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn all_devices_agree_on_sums_under_any_order_of_exchanges() {
    let relay = Relay::new();
    let homes = ["laptop", "desktop", "server"].map(SyncHome::new);
    let phrase = homes[0].init(&relay.url());
    for home in &homes[1..] {
        home.restored(&relay.url(), &phrase);
    }
    let mut random = Random::from_environment();
    let (mut commands, mut failed, mut clock) = (0, 0, 0);
    for _ in 0..12 {
        let home = &homes[usize::try_from(random.below(3)).unwrap()];
        for _ in 0..1 + random.below(3) {
            let exit = random.below(2);
            home.ok(["history", "add", "--command", "make", "--exit", &exit.to_string()]);
            commands += 1;
            failed += exit;
        }
        clock += 1000;
        later(&homes[usize::try_from(random.below(3)).unwrap()], clock);
    }
    // A deletion takes nothing back.
    let gone = homes[1].add_one("to be deleted");
    commands += 1;
    homes[1].ok(["history", "delete", &gone, "--yes"]);
    for _ in 0..2 {
        clock += 1000;
        for home in &homes {
            later(home, clock);
        }
    }
    for home in &homes {
        let (all, succeeded, not) = stats(home);
        assert_eq!((all, not), (commands, failed), "on {}", home.name);
        assert_eq!(succeeded, commands - failed - 1, "on {}", home.name);
    }

    // And with a new phrase too, also for a device that comes later and those that do not.
    let new = homes[0].home.path().join("new");
    homes[0].ok(["sync", "revoke", "--yes", "--phrase-out", new.to_str().unwrap()]);
    let late = SyncHome::new("late");
    late.restored(&relay.url(), &new);
    assert_eq!(stats(&late).0, commands);
}
