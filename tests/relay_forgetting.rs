//! What relays on one PostgreSQL database know of each other's erasing, and of who is used where.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use crate::common::home::wait_until;
use crate::common::postgres::Postgres;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::relay_hostile::{client, goes_on, load};
use crate::relay_shared::{account, number, on};
use crate::sync_session_guard::noise;

const AFTER_30_DAYS: [&str; 2] = ["--forget-accounts-after", "30"];

/// How many CoValues an account owns.
fn owned(database: &Postgres, id: &str) -> i64 {
    number(database, &format!("SELECT COUNT(*) FROM caro_owners WHERE account = '{id}'"))
}

/// Bytes that an account has written.
fn written(database: &Postgres, id: &str) -> i64 {
    number(database, &format!("SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM sessions WHERE author = '{id}'"))
}

/// As if an account had last been used too long ago.
fn used_long_ago(database: &Postgres, id: &str) {
    database.run(&format!(
        "DELETE FROM caro_used WHERE account = '{id}';
         INSERT INTO caro_used SELECT '{id}', day - 31 FROM caro_used WHERE account = ''"
    ));
}

/// A device with something large in its history that a relay has; and its phrase.
fn device_at(relay: &Relay) -> (SyncHome, std::path::PathBuf) {
    let device = SyncHome::new("laptop");
    device.add(&(0..20).map(|i| noise(&format!("kept {i}"))).collect::<Vec<_>>());
    let phrase = device.init(&relay.url());
    (device, phrase)
}

/// Insists that a relay stores again what is not in the database any more, though it had it in memory.
fn comes_again(database: &Postgres, device: &SyncHome, phrase: &Path, elsewhere: &Relay) {
    wait_until("it is stored again", || {
        let _ = device.run(["sync", "now"]);
        written(database, &account(device)) > 20_000
    });
    assert_eq!(device.now().pending, 0);
    let other = SyncHome::new("desktop");
    other.restored(&elsewhere.url(), phrase);
    assert_eq!(assert_equal_histories(&[device, &other]), 20);
}

#[test]
fn what_one_relay_has_erased_another_one_does_not_confirm() {
    let Some(database) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let staying = on(&database, &folder.path().join("staying"), &[]);
    let (device, phrase) = device_at(&staying);
    let id = account(&device);
    used_long_ago(&database, &id);
    // Nobody notes that it was used just now.
    database.run(&format!(
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER nothing BEFORE INSERT OR UPDATE ON caro_used FOR EACH ROW WHEN (NEW.account = '{id}')
         EXECUTE FUNCTION nothing()"
    ));
    let erasing = on(&database, &folder.path().join("erasing"), &AFTER_30_DAYS);
    wait_until("it has gone", || owned(&database, &id) == 0);
    comes_again(&database, &device, &phrase, &erasing);
}

#[test]
fn what_is_in_the_database_no_more_is_confirmed_by_nobody_though_nobody_has_said_so() {
    let Some(database) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let relay = on(&database, &folder.path().join("relay"), &[]);
    let (device, phrase) = device_at(&relay);
    // It looks by itself where it may have missed something.
    database.run(
        r#"DELETE FROM transactions; DELETE FROM "signatureAfter"; DELETE FROM sessions; DELETE FROM "coValues";
           SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"#,
    );
    let elsewhere = on(&database, &folder.path().join("elsewhere"), &[]);
    comes_again(&database, &device, &phrase, &elsewhere);
}

#[test]
fn names_that_nobody_has_are_not_noted_as_used() {
    let Some(database) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut relay = on(&database, &folder.path().join("relay"), &[]);
    wait_until("it has noted the day", || number(&database, "SELECT COUNT(*) FROM caro_used") == 1);
    database.run(
        "CREATE TABLE noted (once BIGINT);
         CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO noted VALUES (1); RETURN NULL; END';
         CREATE TRIGGER noted AFTER INSERT ON caro_used FOR EACH STATEMENT EXECUTE FUNCTION noted()",
    );
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    device.init(&relay.url());
    let mut client = client(&relay);
    for i in 0..1000 {
        client.send(&load(&format!("co_z{i:0>24}").replace('0', "A")));
    }
    assert!(goes_on(&mut client));
    assert!(relay.stop().success());
    let noted = number(&database, "SELECT COUNT(*) FROM noted");
    assert!((1..100).contains(&noted), "what has an owner, and nothing else: {noted}");
}

/// Which of two engines a connection of this account meets.
fn engine_of(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish() % 2
}

#[test]
fn who_comes_while_others_are_erased_is_used_at_whichever_engine() {
    let Some(database) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let two: Vec<&str> = ["--engines", "2"].into_iter().chain(AFTER_30_DAYS).collect();
    let mut relay = on(&database, folder.path(), &two);
    let gone = SyncHome::new("laptop");
    gone.add_one("echo gone");
    gone.init(&relay.url());
    // The first engine is the one that erases.
    let comes = std::iter::repeat_with(|| {
        let device = SyncHome::new("desktop");
        device.add_one("echo comes");
        device.init(&relay.url());
        device
    });
    let comes =
        comes.take(30).find(|device| engine_of(&account(device)) == 1).expect("an account of the second engine");
    assert!(relay.stop().success());
    let ids = [&gone, &comes].map(account);
    ids.iter().for_each(|id| used_long_ago(&database, id));

    let held = database.hold(&format!(r#"SELECT id FROM "coValues" WHERE owner = '{}'"#, ids[0]));
    let relay = on(&database, folder.path(), &two);
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    wait_until("the first one is being erased", || number(&database, waits) > 0);
    comes.ok(["sync", "relay", "set", "--yes", &relay.url()]);
    comes.now();
    drop(held);
    wait_until("it has gone", || owned(&database, &ids[0]) == 0);
    wait_until("nobody is being erased", || number(&database, "SELECT COUNT(*) FROM caro_leases") == 0);
    assert!(owned(&database, &ids[1]) > 0);
}
