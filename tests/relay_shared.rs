//! What relays on one PostgreSQL database have in common: who was invited, what each account has and may have, and who is forgotten.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::Row;

use crate::common::home::{DEADLINE, Run, TestHome, wait_until};
use crate::common::postgres::{PASSWORD, Postgres};
use crate::common::random::Random;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, finish_within, serve};

/// `caro relay …` about this database.
fn about(database: &Postgres, args: &[&str]) -> Run {
    let home = TestHome::new();
    let mut command = home.command(["relay"].iter().chain(args));
    command.env("CARO_RELAY_DATABASE", database.url());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = finish_within(command, &[], DEADLINE);
    assert!(!run.stderr.contains(PASSWORD) && !run.stdout.contains(PASSWORD), "{run:?}");
    run
}

/// Invites somebody; the token.
pub fn invite(database: &Postgres, label: &str) -> String {
    let run = about(database, &["invite", "--name", label, "--relay-url", "wss://relay.example"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.stdout.trim().rsplit('/').next().expect("a token").to_owned()
}

/// All accounts that are listed.
fn listed(database: &Postgres) -> Vec<Value> {
    let run = about(database, &["accounts", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let list: Value = serde_json::from_str(&run.stdout).unwrap();
    list["accounts"].as_array().unwrap().clone()
}

/// What is listed of one account, or of one label.
fn of(database: &Postgres, who: &str) -> Value {
    listed(database).into_iter().find(|it| it["label"] == who || it["account"] == who).unwrap_or_default()
}

pub fn account(device: &SyncHome) -> String {
    device.state()["account"].as_str().expect("an account").to_owned()
}

/// A number that the database says.
pub fn number(database: &Postgres, sql: &str) -> i64 {
    database.query(sql)[0].get(0)
}

/// A relay on this database with this folder, which says what it does.
pub fn on(database: &Postgres, folder: &Path, args: &[&str]) -> Relay {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut command = serve(folder, address);
    command.args(["--database", &database.url()]).args(args).env_remove("CARO_LOG");
    Relay::spawn(folder, address, command)
}

/// The folders of two relays.
struct Folders(TempDir);

impl Folders {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Both at once: each finds the database as the other one does.
    fn relays(&self, database: &Postgres, args: &[&str]) -> [Relay; 2] {
        std::thread::scope(|scope| {
            let starting = ["first", "second"].map(|name| {
                let folder = self.0.path().join(name);
                scope.spawn(move || on(database, &folder, args))
            });
            starting.map(|relay| relay.join().expect("it starts"))
        })
    }
}

/// `caro sync init` at an address, under way.
fn begin(device: &SyncHome, address: &str) -> std::process::Child {
    let mut command = device.command([
        "sync",
        "init",
        "--new",
        "--yes",
        "--relay",
        address,
        "--phrase-out",
        "phrase",
        "--device-name",
    ]);
    command.arg("laptop").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn an_invitation_counts_once_and_what_is_taken_back_counts_at_no_relay() {
    let Some(database) = Postgres::start() else { return };
    let token = invite(&database, "ann");
    let folders = Folders::new();
    let [first, second] = folders.relays(&database, &["--access", "accounts"]);
    let at = |relay: &Relay, token: &str| format!("{}/{token}", relay.url());
    let stranger = SyncHome::new("stranger");
    let refused = stranger.run(["sync", "relay", "test", &second.url()]);
    assert!(refused.stderr.contains("wants a token in the address"), "{refused:?}");
    let taken = about(&database, &["invite", "--name", "ann"]);
    assert_eq!(taken.code, Some(2), "{taken:?}");

    // One that names its account is for that one.
    let known = "co_zUhoeV5ekSfDcyekmfHXVhZJBeU";
    let run =
        about(&database, &["invite", "--name", "known", "--account", known, "--relay-url", "wss://relay.example"]);
    assert!(run.code == Some(0) && of(&database, "known")["account"] == known, "{run:?}");
    assert_eq!(about(&database, &["revoke", known]).code, Some(0));

    // Two accounts have the address, and use it at the same moment at different relays.
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("laptop"));
    a.add_one("echo one");
    b.add_one("echo the other");
    let running = [begin(&a, &at(&first, &token)), begin(&b, &at(&second, &token))];
    let ended = running.map(|child| child.wait_with_output().unwrap());
    let mut said: String = ended.iter().map(|output| String::from_utf8_lossy(&output.stderr)).collect();
    let mut accounts = listed(&database);
    accounts.retain(|account| account["account"] != known);
    assert_eq!(accounts.len(), 1, "nothing of the other one is kept: {accounts:?}");
    let bound = accounts[0]["account"].as_str().expect("one of them has it").to_owned();
    let of_a = a.run(["sync", "now", "--timeout", "5"]);
    let of_b = b.run(["sync", "now", "--timeout", "5"]);
    assert_ne!(of_a.code == Some(0), of_b.code == Some(0), "{of_a:?} {of_b:?}");
    let (winner, loser) = if of_a.code == Some(0) { (&a, &of_b) } else { (&b, &of_a) };
    said += &loser.stderr;
    assert!(said.contains("given to another account"), "{said}");
    assert_eq!(account(winner), bound);

    // It is good at both, for the account that has it.
    winner.ok(["sync", "relay", "set", "--yes", &at(&second, &token)]);
    assert_eq!(winner.now().pending, 0);
    winner.ok(["sync", "relay", "set", "--yes", &at(&first, &token)]);
    winner.add_one("echo more");
    assert_eq!(winner.now().pending, 0);
    let mut held = [&first, &second].map(|relay| crate::relay_serving::websocket(&at(relay, &token), &[]).unwrap());

    let run = about(&database, &["revoke", "ann", "--erase"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for client in &mut held {
        while client.text().is_some() {}
        assert_eq!(client.ended.as_ref().map(|(code, _)| *code), Some(4403), "it hears why");
    }
    for relay in [&first, &second] {
        assert_eq!(crate::relay_serving::websocket(&at(relay, &token), &[]).err().map(|it| it.as_u16()), Some(403));
    }
    let after = of(&database, "ann");
    assert_eq!((&after["revoked"], &after["stored_bytes"], &after["covalues"]), (&json!(true), &json!(0), &json!(0)));
    assert_eq!(number(&database, "SELECT COUNT(*) FROM transactions"), 0);

    // Neither has it in memory as if it were stored: what is brought again is stored again.
    for relay in [&first, &second] {
        wait_until("it has followed", || relay.log().contains("an account was erased"));
    }
    let again = at(&second, &invite(&database, "ann again"));
    winner.ok(["sync", "relay", "set", "--yes", &again]);
    winner.ok(["sync", "verify", "--repair"]);
    assert_eq!(winner.now().pending, 0);
    let other = SyncHome::new("desktop");
    let phrase = winner.data("../work/phrase");
    other.restored(&at(&first, again.rsplit('/').next().unwrap()), &phrase);
    assert_eq!(assert_equal_histories(&[winner, &other]), 2);
}

/// What each account has by the content itself, as JSON and by SQL alone: owned CoValues and written bytes.
const COUNTED: &str = r#"
    WITH owners AS (
        SELECT "rowID", id, header::json #>> '{meta,type}' = 'account' AS itself,
               header::json #>> '{ruleset,initialAdmin}' AS admin, header::json #>> '{ruleset,group}' AS above FROM "coValues"
    ), owned AS (
        SELECT CASE WHEN o.itself THEN o.id ELSE COALESCE(o.admin, g.admin, '') END AS account
        FROM owners AS o LEFT JOIN owners AS g ON g.id = o.above
    ), written AS (
        SELECT split_part("sessionID", '_session_', 1) AS account, octet_length(tx) AS bytes
        FROM sessions JOIN transactions ON ses = sessions."rowID" WHERE "sessionID" LIKE 'co%'
    )
    SELECT account, COUNT(*), (SELECT COALESCE(SUM(bytes), 0)::BIGINT FROM written WHERE written.account = owned.account)
    FROM owned WHERE account <> '' GROUP BY account"#;

/// Checks that what is listed is what is there; content may be erased while that is asked.
fn assert_counted(database: &Postgres) {
    let is_counted = |row: &Row, listed: &[Value]| {
        let it = listed.iter().find(|it| it["account"] == row.get::<_, &str>(0)).expect("it is listed");
        // What it signed before it had a session counts too.
        let (counted, signed) = (it["stored_bytes"].as_i64().unwrap(), row.get::<_, i64>(2));
        it["covalues"].as_i64() == Some(row.get(1)) && counted >= signed && counted < signed + 20_000
    };
    wait_until("what is listed is what is there", || {
        let (listed, rows) = (listed(database), database.query(COUNTED));
        rows.len() == listed.len() && rows.iter().all(|row| is_counted(row, &listed))
    });
    let wrong = r#"SELECT COUNT(*) FROM sessions
        WHERE bytes <> (SELECT COALESCE(SUM(octet_length(tx)), 0) FROM transactions WHERE ses = sessions."rowID")"#;
    assert_eq!(number(database, wrong), 0);
}

/// Takes the tables back to what they were in the first layout.
const FIRST_LAYOUT: &str = r#"
    DROP VIEW caro_owners; DROP VIEW caro_written;
    DROP TABLE caro_invitations; DROP TABLE caro_used; DROP TABLE caro_leases;
    ALTER TABLE "coValues" DROP COLUMN owner;
    ALTER TABLE sessions DROP COLUMN author, DROP COLUMN bytes;
    DELETE FROM caro_relay WHERE key = 'revocations';
    UPDATE caro_relay SET value = '1' WHERE key = 'layout'"#;

#[test]
fn what_an_account_has_is_counted_for_all_relays_together_and_limited() {
    let Some(database) = Postgres::start() else { return };
    let folders = Folders::new();
    let [mut first, mut second] = folders.relays(&database, &["--max-stored-mib-per-account", "1"]);
    let (a, b) = (SyncHome::new("ann's"), SyncHome::new("bob's"));
    a.add(&["echo small".into(), "echo deleted".into()]);
    let phrase = a.init(&first.url());
    b.add_one("echo of bob");
    b.init(&second.url());
    assert_counted(&database);
    let both = listed(&database);
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(both.iter().all(|it| it["stored_bytes"].as_u64() > Some(1000) && it["covalues"].as_u64() > Some(5)));

    // Numbers at random, so that no compression makes them small.
    let mut random = Random::new(7);
    let mut words = |count| (0..count).map(|_| format!("{:016x}", random.number())).collect::<Vec<_>>().join(" ");
    let mut large = |count| (0..count).map(|_| format!("large {}", words(600))).collect::<Vec<String>>();
    a.add(&large(40));
    assert_eq!(a.now().pending, 0);
    let other = SyncHome::new("ann's other");
    other.restored(&second.url(), &phrase);
    other.add(&large(40));
    let run = other.run(["sync", "now", "--timeout", "10"]);
    assert_eq!(run.code, Some(5), "both together are too much: {run:?}");
    assert!(run.stderr.contains("your account is full at the relay (ws://"), "{run:?}");
    let full = of(&database, &account(&a))["stored_bytes"].as_u64();
    assert!(full <= Some(17 << 16), "{full:?}");
    b.add_one("echo goes on");
    assert_eq!(b.now().pending, 0, "others go on");
    assert_counted(&database);

    let mut status = Command::new(env!("CARGO_BIN_EXE_caro"));
    status.args(["relay", "status", "--json", "--data-dir"]).arg(first.data());
    let status: Value = serde_json::from_slice(&status.output().unwrap().stdout).expect("a status");
    let stored = &status["relay"]["stored"];
    assert_eq!(stored["accounts"], 2, "{status}");
    assert!(stored["covalues"].as_u64() > Some(10) && stored["database_bytes"].as_u64() > Some(1 << 20), "{status}");
    assert!(stored["log_bytes"].is_null(), "{status}");
    let at_rest = about(&database, &["status"]);
    assert_eq!(at_rest.code, Some(5), "{at_rest:?}");
    assert!(
        at_rest.stdout.contains("database    postgres://localhost") && at_rest.stdout.contains("of 2 accounts"),
        "{at_rest:?}"
    );

    // A database of an earlier version is counted when a relay of this one starts, and by no command before.
    let before = listed(&database);
    assert!(first.stop().success() && second.stop().success());
    let noted = |mut all: Vec<Value>| {
        all.iter_mut().for_each(|it| it["last_used"] = Value::Null);
        all
    };
    database.run(FIRST_LAYOUT);
    let refused = about(&database, &["accounts"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("of an earlier version of caro"), "{refused:?}");
    let renewing = folders.relays(&database, &[]);
    assert_eq!(noted(listed(&database)), noted(before));
    other.ok(["sync", "relay", "set", "--yes", &renewing[1].url()]);
    assert_eq!(other.now().pending, 0, "there is no limit any more");
    assert_counted(&database);
    drop(renewing);
    database.run("UPDATE caro_relay SET value = '3' WHERE key = 'layout'");
    let newer = about(&database, &["status"]);
    assert!(newer.stderr.contains("a newer version of caro"), "{newer:?}");
}

#[test]
fn accounts_that_nobody_uses_at_any_of_the_relays_are_erased_by_one_of_them() {
    let Some(database) = Postgres::start() else { return };
    let folders = Folders::new();
    let [mut first, mut second] = folders.relays(&database, &[]);
    let (gone, stays, elsewhere) = (SyncHome::new("laptop"), SyncHome::new("server"), SyncHome::new("desktop"));
    gone.add_one("echo gone");
    let phrase = gone.init(&first.url());
    stays.add_one("echo stays");
    stays.init(&first.url());
    elsewhere.add_one("echo elsewhere");
    elsewhere.init(&second.url());
    assert!(first.stop().success() && second.stop().success());
    let ids = [&gone, &stays, &elsewhere].map(account);
    assert!(ids.iter().all(|id| of(&database, id)["last_used"].is_string()), "also where nobody is to be erased");

    database.run(&format!("UPDATE caro_used SET day = day - 31 WHERE account IN ('{}', '{}')", ids[0], ids[2]));
    // What is used at a relay that erases nobody is used.
    let mut noting = on(&database, second.data(), &[]);
    elsewhere.ok(["sync", "relay", "set", "--yes", &noting.url()]);
    elsewhere.now();
    assert!(noting.stop().success());
    let erasing = folders.relays(&database, &["--forget-accounts-after", "30"]);
    let owned = |id: &str| number(&database, &format!("SELECT COUNT(*) FROM caro_owners WHERE account = '{id}'"));
    wait_until("it has gone", || owned(&ids[0]) == 0);
    let has_said = || erasing.iter().filter(|relay| relay.log().contains("nobody used any more was erased")).count();
    wait_until("who erased it says so", || has_said() > 0);
    assert_eq!(has_said(), 1, "one of them did it");
    assert!(owned(&ids[1]) > 0 && owned(&ids[2]) > 0);

    gone.ok(["sync", "relay", "set", "--yes", &erasing[0].url()]);
    assert_eq!(gone.now().pending, 0);
    let second_device = SyncHome::new("second");
    second_device.restored(&erasing[1].url(), &phrase);
    assert_eq!(assert_equal_histories(&[&gone, &second_device]), 1);
    for relay in &erasing {
        assert!(!relay.log().contains("ERROR"), "{}", relay.log());
    }
}

#[test]
fn a_database_is_copied_and_put_back_by_its_own_tools_with_the_commands_that_are_said() {
    let Some(database) = Postgres::start() else { return };
    let token = invite(&database, "ann");
    let folder = tempfile::tempdir().unwrap();
    let mut relay = on(&database, &folder.path().join("relay"), &["--access", "accounts"]);
    let device = SyncHome::new("laptop");
    device.add_one("echo kept");
    let phrase = device.init(&format!("{}/{token}", relay.url()));
    let file = folder.path().join("relay.dump");
    let said = |args: &[&str]| {
        let run = about(&database, args);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains("in the database at postgres://localhost"), "{run:?}");
        let mut quoted = run.stderr.split('`').skip(1).step_by(2);
        quoted.next().unwrap_or_else(|| panic!("a command in {run:?}")).to_owned()
    };
    let done = |command: &str| {
        let status = Command::new("sh").args(["-c", command]).env("PGPASSWORD", PASSWORD).status();
        assert!(status.is_ok_and(|status| status.success()), "{command}");
    };
    done(&said(&["backup", file.to_str().unwrap()]));
    assert!(said(&["check"]).starts_with("pg_amcheck "));
    let before = listed(&database);
    assert_eq!(about(&database, &["revoke", "ann", "--erase"]).code, Some(0));
    assert!(relay.stop().success());
    done(&said(&["restore", file.to_str().unwrap()]));
    assert_eq!(listed(&database), before);
    let relay = on(&database, relay.data(), &["--access", "accounts"]);
    let other = SyncHome::new("desktop");
    other.restored(&format!("{}/{token}", relay.url()), &phrase);
    assert_eq!(assert_equal_histories(&[&device, &other]), 1);
}
