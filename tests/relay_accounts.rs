//! A relay for those who were invited: one address for each account, taken back at any time, and how much it may store.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::common::home::{DEADLINE, Run, TestHome, wait_until};
use crate::common::node::OfficialClient;
use crate::common::random::Random;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, bytes_of, contains, finish_within, serve, signal};

/// `caro relay …` about the relay in this folder.
pub fn relay_command(relay: &Relay, args: &[&str]) -> Run {
    let home = TestHome::new();
    let mut command = home.command(["relay"].iter().chain(args));
    command.arg("--data-dir").arg(relay.data()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish_within(command, &[], DEADLINE)
}

/// Invites somebody; the address to give away.
pub fn invite(relay: &Relay, label: &str) -> String {
    let run = relay_command(relay, &["invite", "--name", label, "--relay-url", &relay.url()]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let address = run.stdout.trim_end().to_owned();
    let token = address.strip_prefix(&format!("{}/", relay.url())).expect("the address and a token");
    assert_eq!(token.len(), 43, "32 bytes");
    assert!(!contains(&bytes_of(relay.data()), token.as_bytes()), "only its hash is kept");
    address
}

/// What the list says of one label.
pub fn listed(relay: &Relay, label: &str) -> Value {
    let run = relay_command(relay, &["accounts", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let list: Value = serde_json::from_str(&run.stdout).unwrap();
    let all = list["accounts"].as_array().unwrap();
    all.iter().find(|account| account["label"] == label).unwrap_or_else(|| panic!("{label} in {list}")).clone()
}

pub fn invited() -> Relay {
    Relay::with(&["--access", "accounts"])
}

#[test]
fn an_invitation_is_for_one_account_and_all_its_devices() {
    let relay = invited();
    let address = invite(&relay, "ann");
    let before = listed(&relay, "ann");
    assert_eq!((&before["account"], &before["last_seen"]), (&Value::Null, &Value::Null));

    let (a, b, stranger) = (SyncHome::new("laptop"), SyncHome::new("desktop"), SyncHome::new("stranger"));
    a.add_one("echo invited");
    let phrase = a.init(&address);
    b.restored(&address, &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 1);
    let after = listed(&relay, "ann");
    let account = after["account"].as_str().expect("it is bound").to_owned();
    assert!(a.session().starts_with(&account), "to the account that wrote");
    assert!(after["last_seen"].as_str().is_some_and(|day| day.len() == 10), "a day and no more: {after}");
    assert!(after["stored_bytes"].as_u64() > Some(1000) && after["covalues"].as_u64() > Some(5), "{after}");

    // Another account has the address by mistake.
    stranger.add_one("echo elsewhere");
    let run = stranger.run(["sync", "init", "--new", "--yes", "--relay", &address, "--phrase-out", "phrase"]);
    assert_ne!(run.code, Some(0), "{run:?}");
    let said = stranger.run(["sync", "now", "--timeout", "5"]);
    assert!(
        run.stderr.contains("given to another account") || said.stderr.contains("given to another account"),
        "{run:?} {said:?}"
    );
    let list = relay_command(&relay, &["accounts", "--json"]);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list["accounts"].as_array().unwrap().len(), 1, "nothing of it is stored: {list}");
    a.add_one("echo more");
    assert_eq!(a.now().pending, 0);
}

#[test]
fn an_account_that_is_named_when_it_is_invited_is_the_only_one_that_may_write() {
    let (mut open, ann) = (Relay::new(), SyncHome::new("ann's"));
    ann.add_one("echo before there were invitations");
    ann.init(&open.url());
    let account = ann.state()["account"].as_str().unwrap().to_owned();
    // The relay invites from now on, and who was there before keeps his account.
    assert!(open.stop().success());
    let mut command = serve(open.data(), open.address());
    command.args(["--access", "accounts"]);
    let relay = Relay::spawn(open.data(), open.address(), command);
    let wrong = relay_command(&relay, &["invite", "--account", "co_zNobody"]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("the id of an account"), "{wrong:?}");
    let run = relay_command(&relay, &["invite", "--name", "ann", "--account", &account, "--relay-url", &relay.url()]);
    let address = run.stdout.trim_end().to_owned();
    assert_eq!(listed(&relay, "ann")["account"], account);
    // Whoever gets the address first gets nothing by it.
    let stranger = SyncHome::new("stranger");
    stranger.add_one("echo elsewhere");
    let run = stranger.run(["sync", "init", "--new", "--yes", "--relay", &address, "--phrase-out", "phrase"]);
    let said = stranger.run(["sync", "now", "--timeout", "5"]);
    assert!((run.stderr.clone() + &said.stderr).contains("given to another account"), "{run:?} {said:?}");
    ann.ok(["sync", "relay", "set", &address, "--yes"]);
    ann.add_one("echo after");
    assert_eq!(ann.now().pending, 0);
}

#[test]
fn who_was_not_invited_is_kept_out_and_invitations_are_made_while_nothing_runs_too() {
    let mut relay = invited();
    let stranger = SyncHome::new("stranger");
    let refused = stranger.run(["sync", "relay", "test", &relay.url()]);
    assert!(refused.stderr.contains("wants a token in the address"), "{refused:?}");
    assert!(relay.stop().success());
    let run = relay_command(&relay, &["invite", "--relay-url", "wss://relay.example/caro/"]);
    assert!(
        run.stdout.starts_with("wss://relay.example/caro/") && run.stderr.contains("guest-1 is invited"),
        "{run:?}"
    );
    let again = relay_command(&relay, &["invite", "--name", "guest-1"]);
    assert_eq!(again.code, Some(2), "{again:?}");
    let token = run.stdout.trim().rsplit('/').next().unwrap().to_owned();
    let mut command = serve(relay.data(), relay.address());
    command.args(["--access", "accounts"]);
    let relay = Relay::spawn(relay.data(), relay.address(), command);
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    device.init(&format!("{}/{token}", relay.url()));
    assert_eq!(device.now().pending, 0);
}

#[test]
fn what_is_taken_back_ends_at_once_and_can_be_erased() {
    let relay = invited();
    let (ann, bob) = (invite(&relay, "ann"), invite(&relay, "bob"));
    let (a, b) = (SyncHome::new("ann's"), SyncHome::new("bob's"));
    a.add_one("echo of ann");
    b.add_one("echo of bob");
    a.init(&ann);
    b.init(&bob);
    let held = listed(&relay, "ann");
    let account = held["account"].as_str().unwrap().to_owned();
    let mut client = crate::relay_serving::websocket(&ann, &[]).expect("it is let in");
    assert!(client.text().is_some());

    let run = relay_command(&relay, &["revoke", "ann"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    while client.text().is_some() {}
    assert_eq!(client.ended, Some((4403, "your token or invitation counts no more".into())), "it hears why");
    a.add_one("echo too late");
    let refused = a.run(["sync", "now", "--timeout", "5"]);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.stderr.contains("one that still counts"), "{refused:?}");
    let after = listed(&relay, "ann");
    assert_eq!((&after["revoked"], &after["stored_bytes"]), (&json!(true), &held["stored_bytes"]), "it stays for now");

    let run = relay_command(&relay, &["revoke", &account, "--erase"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let after = listed(&relay, "ann");
    assert_eq!((&after["stored_bytes"], &after["covalues"]), (&json!(0), &json!(0)), "{after}");
    let session = format!("{account}_session_");
    wait_until("no byte of it is left", || !contains(&bytes_of(relay.data()), session.as_bytes()));
    b.add_one("echo goes on");
    assert_eq!(b.now().pending, 0);
    let unknown = relay_command(&relay, &["revoke", "nobody"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
}

#[test]
fn an_account_is_erased_while_no_relay_runs() {
    let mut relay = invited();
    let ann = invite(&relay, "ann");
    let device = SyncHome::new("laptop");
    device.add_one("echo of ann");
    device.init(&ann);
    assert!(relay.stop().success());
    let run = relay_command(&relay, &["revoke", "ann", "--erase"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let after = listed(&relay, "ann");
    assert_eq!((&after["stored_bytes"], &after["covalues"]), (&json!(0), &json!(0)), "{after}");
}

#[test]
fn a_shared_token_that_is_taken_away_ends_its_connections() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    std::fs::write(&file, "token-of-the-one-of-us\ntoken-of-the-others-of-us\n").unwrap();
    let relay = Relay::with(&["--token-file", file.to_str().unwrap()]);
    let with = |token: &str| crate::relay_serving::websocket(&format!("{}/{token}", relay.url()), &[]).unwrap();
    let (mut goes, mut stays) = (with("token-of-the-one-of-us"), with("token-of-the-others-of-us"));
    std::fs::write(&file, "token-of-the-others-of-us\n").unwrap();
    signal("HUP", relay.pid());
    while goes.text().is_some() {}
    assert_eq!(goes.ended.map(|(code, _)| code), Some(4403));
    for _ in 0..2 {
        assert!(stays.text().is_some());
    }
}

#[test]
fn official_clients_are_invited_too_and_write_for_nobody_else() {
    let relay = invited();
    let (ann, bob) = (invite(&relay, "ann"), invite(&relay, "bob"));
    let (mut a, account) = OfficialClient::with_new_account(&ann);
    let group = a.create_group();
    let map = a.create_map(&group, &json!({ "of": "ann" }));
    a.wait_for_sync();
    let mut second = OfficialClient::with_account(&ann, &account);
    assert_eq!(second.load(&map).value, json!({ "of": "ann" }));
    assert!(listed(&relay, "ann")["covalues"].as_u64() >= Some(3));

    // Reading is for everybody who was invited and knows the id.
    let (mut b, _) = OfficialClient::with_new_account(&bob);
    b.wait_for_sync();
    assert!(!b.load(&map).deleted);
    // With another one's address ann reads as well, but what she writes is not taken.
    let mut elsewhere = OfficialClient::with_account(&bob, &account);
    assert_eq!(elsewhere.load(&map).value, json!({ "of": "ann" }));
    elsewhere.set(&map, "of", &json!("a stranger to this address"));
    let stored = listed(&relay, "ann")["stored_bytes"].clone();
    second.set(&map, "second", &json!(true));
    second.wait_for_sync();
    a.await_value(&map, "second", &json!(true));
    let mut third = OfficialClient::with_account(&ann, &account);
    assert_eq!(third.load(&map).value, json!({ "of": "ann", "second": true }));
    assert_ne!(listed(&relay, "ann")["stored_bytes"], stored);
}

#[test]
fn a_full_account_hears_so_and_goes_on_once_it_has_more_room() {
    let mut relay = Relay::with(&["--access", "accounts", "--max-stored-mib-per-account", "1"]);
    let (ann, bob) = (invite(&relay, "ann"), invite(&relay, "bob"));
    let (a, b) = (SyncHome::new("ann's"), SyncHome::new("bob's"));
    a.add_one("echo small");
    let phrase = a.init(&ann);
    // Numbers at random, so that no compression makes them small.
    let mut random = Random::new(7);
    let mut words = |count| (0..count).map(|_| format!("{:016x}", random.number())).collect::<Vec<_>>().join(" ");
    let large: Vec<String> = (0..400).map(|_| format!("large {}", words(600))).collect();
    a.add(&large);
    let opened = || caro::relay::ask(relay.data()).unwrap().unwrap().connections.opened;
    let before = opened();
    let run = a.run(["sync", "now"]);
    assert_eq!(run.code, Some(5), "{run:?}");
    let reason = "your account is full at the relay (ws://";
    assert!(run.stderr.contains(reason) && run.stderr.contains("Ask its operator for more room"), "{run:?}");
    assert!(!run.stderr.contains("your network"), "{run:?}");
    assert_eq!(opened() - before, 1, "it does not try again and again");
    assert_eq!(a.status()["pending"], 400, "what is not confirmed was not sent");
    assert!(listed(&relay, "ann")["stored_bytes"].as_u64() <= Some(17 << 16), "{}", listed(&relay, "ann"));
    assert!(
        listed(&relay, "ann")["last_full"].as_str().is_some_and(|day| day.len() == 10),
        "{}",
        listed(&relay, "ann")
    );
    assert!(relay_command(&relay, &["accounts"]).stdout.contains("; full, something was not taken on "));
    assert!(relay.log().contains("an account is full") && !relay.log().contains("co_z"), "{}", relay.log());
    assert_eq!(caro::relay::ask(relay.data()).unwrap().unwrap().sent_away["full"], 1);
    // By itself it tries again, but not soon.
    a.exchanges("realtime");
    let daemon = a.daemon();
    daemon.wait_for("retrying");
    wait_until("it is told", || daemon.log().contains("; next attempt in "));
    let log = daemon.log();
    let pause = log.split("; next attempt in ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    assert!(log.contains(reason) && pause.parse::<u64>().unwrap() >= 30, "{log}");
    assert_eq!(opened() - before, 2);
    assert!(daemon.stop().success());
    a.exchanges("manual");
    b.add_one("echo of bob");
    b.init(&bob);
    assert_eq!(b.now().pending, 0, "others go on");

    assert!(relay.stop().success());
    let mut command = serve(relay.data(), relay.address());
    command.args(["--access", "accounts", "--max-stored-mib-per-account", "50"]);
    let relay = Relay::spawn(relay.data(), relay.address(), command);
    assert_eq!(a.now().pending, 0);
    assert_eq!(a.status()["pending"], 0);
    let second = SyncHome::new("second");
    second.restored(&ann, &phrase);
    assert_eq!(assert_equal_histories(&[&a, &second]), 401);
    assert!(listed(&relay, "ann")["stored_bytes"].as_u64() > Some(1 << 20));
}

#[test]
fn an_account_has_no_more_values_than_it_may() {
    let relay = Relay::with(&["--max-covalues-per-account", "6"]);
    let (mut a, _) = OfficialClient::with_new_account(&relay.url());
    let group = a.create_group();
    for number in 0..12 {
        a.create_map(&group, &json!({ "number": number }));
    }
    let most = || {
        let run = relay_command(&relay, &["accounts", "--json"]);
        let list: Value = serde_json::from_str(&run.stdout).unwrap();
        list["accounts"][0]["covalues"].as_u64()
    };
    wait_until("it is full", || most() == Some(6));
    assert!(a.request("waitForSync", json!({})).is_err(), "what is not stored is not confirmed");
    assert_eq!(most(), Some(6));
}

#[test]
fn a_store_of_an_earlier_version_is_counted_when_it_is_opened() {
    let mut relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.add_one("echo counted");
    device.init(&relay.url());
    assert!(relay.stop().success());
    let list = || relay_command(&relay, &["accounts", "--json"]).stdout;
    let before = list();
    assert!(before.contains(r#""label":null"#), "who was not invited is listed too: {before}");
    let database = rusqlite::Connection::open(relay.data().join("relay.db")).unwrap();
    let mut names = database
        .prepare("SELECT type, name FROM sqlite_master WHERE name LIKE 'caro_%' AND type IN ('trigger', 'table') ORDER BY type DESC")
        .unwrap();
    let all: Vec<(String, String)> =
        names.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(all.len(), 7);
    for (kind, name) in &all {
        database.execute_batch(&format!("DROP {kind} {name}")).unwrap();
    }
    drop(names);
    drop(database);
    assert!(!list().contains("co_z"));
    relay.start_again();
    assert_eq!(relay_command(&relay, &["accounts", "--json"]).stdout, before);
}

#[test]
fn nobody_is_invited_where_that_would_count_for_nothing() {
    let open = Relay::new();
    let run = relay_command(&open, &["invite", "--relay-url", "wss://relay.example"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("count for nothing") && run.stderr.contains("--access accounts"), "{run:?}");
    assert!(run.stdout.is_empty() && !open.data().join("accounts.db").exists(), "{run:?}");

    let relay = invited();
    for url in ["relay.example", "https://relay.example", "wss://relay.example/?key=x", "ssh://me@relay.example"] {
        let run = relay_command(&relay, &["invite", "--relay-url", url]);
        assert_eq!(run.code, Some(2), "{url}: {run:?}");
        assert!(run.stderr.contains("wss://relay.example, with a path"), "{run:?}");
    }
    let home = TestHome::new();
    let nowhere = home.path().join("nowhere");
    for command in [&["invite"][..], &["accounts"], &["revoke", "ann"]] {
        let run = home.run([&["relay"], command, &["--data-dir", nowhere.to_str().unwrap()]].concat());
        assert!(run.code == Some(2) && run.stderr.contains("there is no folder"), "{run:?}");
        assert!(!nowhere.exists());
    }
}

#[test]
fn what_root_makes_for_the_relay_of_another_user_is_his() {
    use std::os::unix::fs::{MetadataExt, chown};
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can be another user");
        return;
    }
    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    std::fs::create_dir(&data).unwrap();
    for path in [folder.path(), &data] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let start = || {
        let mut command = serve(&data, here);
        command.args(["--access", "accounts"]).uid(NOBODY).gid(NOBODY);
        Relay::spawn(&data, here, command)
    };
    let owners = || {
        let files = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap());
        files.map(|file| (file.file_name(), file.metadata().unwrap().uid())).collect::<Vec<_>>()
    };
    let root = TestHome::new();
    let root = |args: &[&str]| root.run([&["relay"], args, &["--data-dir", data.to_str().unwrap()]].concat());
    // Before the relay was ever started.
    let ann = root(&["invite", "--name", "ann", "--relay-url", "wss://relay.example"]);
    assert_eq!(ann.code, Some(0), "{ann:?}");
    let mut relay = start();
    let token = ann.stdout.trim().rsplit('/').next().unwrap().to_owned();
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    device.init(&format!("{}/{token}", relay.url()));
    let status = root(&["status"]);
    assert!(status.code == Some(0) && status.stdout.contains("serving"), "{status:?}");
    let backup = folder.path().join("backup.db");
    assert_eq!(root(&["backup", backup.to_str().unwrap()]).code, Some(0));
    assert!(relay.stop().success());
    assert_eq!(root(&["restore", backup.to_str().unwrap()]).code, Some(0));
    assert!(owners().iter().all(|(_, owner)| *owner == NOBODY), "{:?}", owners());
    let relay = start();
    device.ok(["sync", "relay", "set", "--yes", &format!("{}/{token}", relay.url())]);
    assert_eq!(device.now().pending, 0);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let home = TestHome::new();
    for args in [
        &["--access", "token"][..],
        &["--access", "accounts", "--token-file", "tokens"],
        &["--access", "open", "--token-file", "tokens"],
        &["--access", "accounts", "--in-memory"],
        &["--max-connections", "0"],
        &["--origin", "app"],
        &["--idle-exit", "0"],
    ] {
        let command = home.command(["relay", "serve", "--listen", "127.0.0.1:0"].iter().chain(args));
        let run = home.finish(command, &[]);
        assert_eq!(run.code, Some(2), "{args:?}: {run:?}");
    }
}
