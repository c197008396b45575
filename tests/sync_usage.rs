//! Usage counters: the sum over all devices, right whatever the order of exchanges and however often they happen.

use serde_json::Value;

use crate::common::random::Random;
use crate::common::sync::{Relay, SyncHome};
use crate::sync_forks::copy_home;
use crate::sync_session_guard::copy_folder;

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
        clock += 22_000;
        later(&homes[usize::try_from(random.below(3)).unwrap()], clock);
    }
    // A deletion takes nothing back.
    let gone = homes[1].add_one("to be deleted");
    commands += 1;
    homes[1].ok(["history", "delete", &gone, "--yes"]);
    for _ in 0..2 {
        clock += 22_000;
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

/// What was deleted since the backup comes back to nobody, and was counted all the same.
#[test]
fn a_device_from_an_old_backup_counts_on_from_what_it_had_said() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add(&(0..5).map(|i| format!("before {i}")).collect::<Vec<_>>());
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    later(&a, 22_000);
    let backup = tempfile::tempdir().unwrap();
    copy_home(&a, backup.path());
    a.add_one("after");
    let gone = a.add_one("to be deleted");
    later(&a, 44_000);
    a.ok(["history", "delete", &gone, "--yes"]);
    later(&a, 66_000);
    for folder in ["config", "data"] {
        std::fs::remove_dir_all(a.home.path().join(folder)).unwrap();
        copy_folder(&backup.path().join(folder), &a.home.path().join(folder));
    }
    later(&a, 88_000);
    assert_eq!(stats(&a).0, 7);
    a.add_one("one more");
    later(&a, 110_000);
    later(&b, 110_000);
    let late = SyncHome::new("late");
    late.restored(&relay.url(), &phrase);
    for home in [&a, &b, &late] {
        assert_eq!(stats(home).0, 8, "on {}", home.name);
    }
}
