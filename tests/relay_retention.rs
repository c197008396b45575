//! A relay that erases what accounts own that nobody has used for a while. Days pass by changing what the store has noted,
//! as an operator's clock would.

use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::home::{DEADLINE, TestHome, wait_until};
use crate::common::node::OfficialClient;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, await_erasure, ciphertexts, finish_within, serve};

/// A relay that forgets after 30 days, and its store.
struct Forgetful {
    relay: Relay,
    args: Vec<&'static str>,
    _folder: TempDir,
}

fn spawn(data: &std::path::Path, address: SocketAddr, args: &[&str]) -> Relay {
    let mut command = serve(data, address);
    command.args(args);
    Relay::spawn(data, address, command)
}

const AFTER_30_DAYS: [&str; 2] = ["--forget-accounts-after", "30"];

impl Forgetful {
    fn new(more: &[&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let args = [&AFTER_30_DAYS, more].concat();
        let relay = spawn(&folder.path().join("relay"), SocketAddr::from(([127, 0, 0, 1], 0)), &args);
        Self { relay, args, _folder: folder }
    }

    fn start_again(&mut self, args: &[&str]) {
        self.relay = spawn(self.relay.data(), self.relay.address(), args);
    }

    /// Stops it, has so many days pass for these accounts, and starts it again.
    fn after(&mut self, days: i64, accounts: &[&str]) {
        assert!(self.relay.stop().success());
        let store = rusqlite::Connection::open(self.relay.data().join("relay.db")).unwrap();
        for account in accounts {
            let sql = "UPDATE caro_used SET day = day - ?1 WHERE account = ?2";
            assert_eq!(store.execute(sql, (days, account)).unwrap(), 1, "it is noted when {account} was used");
        }
        drop(store);
        self.start_again(&self.args.clone());
    }

    fn url(&self) -> String {
        self.relay.url()
    }

    /// What is listed of an account; null where nothing is.
    fn listed(&self, account: &str) -> Value {
        let home = TestHome::new();
        let mut command = home.command(["relay", "accounts", "--json", "--data-dir"]);
        command.arg(self.relay.data()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let run = finish_within(command, &[], DEADLINE);
        assert_eq!(run.code, Some(0), "{run:?}");
        let list: Value = serde_json::from_str(&run.stdout).unwrap();
        list["accounts"].as_array().unwrap().iter().find(|it| it["account"] == account).cloned().unwrap_or_default()
    }

    fn owns(&self, account: &str) -> bool {
        self.listed(account)["covalues"].as_u64() > Some(0)
    }
}

fn account(device: &SyncHome) -> String {
    device.state()["account"].as_str().expect("an account").to_owned()
}

#[test]
fn what_an_account_owns_goes_when_nobody_has_used_it_and_comes_again_with_its_device() {
    let mut relay = Forgetful::new(&[]);
    let (gone, stays, second) = (SyncHome::new("laptop"), SyncHome::new("server"), SyncHome::new("desktop"));
    gone.add(&(0..400).map(|i| format!("command {i}")).collect::<Vec<_>>());
    let phrase = gone.init(&relay.url());
    let pieces = ciphertexts(&relay.relay.data().join("relay.db"));
    stays.add_one("echo stays");
    stays.init(&relay.url());

    // A day too few.
    relay.after(30, &[&account(&gone)]);
    assert!(relay.owns(&account(&gone)) && relay.owns(&account(&stays)));
    assert!(relay.listed(&account(&stays))["last_used"].as_str().is_some_and(|day| day.len() == 10));
    relay.after(1, &[&account(&gone)]);
    wait_until("it has gone", || !relay.owns(&account(&gone)));
    await_erasure(&relay.relay, &pieces);
    assert!(relay.owns(&account(&stays)));
    stays.add_one("echo goes on");
    assert_eq!(stays.now().pending, 0);

    gone.add_one("echo back again");
    assert_eq!(gone.now().pending, 0);
    second.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&gone, &second]), 401);
    assert!(!relay.relay.log().contains("ERROR"), "{}", relay.relay.log());
}

#[test]
fn whoever_reads_something_uses_the_account_that_it_belongs_to() {
    let mut relay = Forgetful::new(&[]);
    let (mut a, ann) = OfficialClient::with_new_account(&relay.url());
    let group = a.create_group();
    let map = a.create_map(&group, &json!({ "of": "ann" }));
    a.wait_for_sync();
    a.stop();
    relay.after(29, &[&ann.id]);
    let long_ago = relay.listed(&ann.id)["last_used"].clone();
    let (mut b, _) = OfficialClient::with_new_account(&relay.url());
    b.load(&map);
    assert!(relay.relay.stop().success());
    assert_ne!(relay.listed(&ann.id)["last_used"], long_ago);
}

#[test]
fn whom_somebody_elses_values_need_is_kept_as_long_as_they_are() {
    let mut relay = Forgetful::new(&[]);
    let (mut a, ann) = OfficialClient::with_new_account(&relay.url());
    let group = a.create_group();
    a.open_to_everyone(&group);
    let map = a.create_map(&group, &json!({ "of": "ann" }));
    a.wait_for_sync();
    let (mut b, bob) = OfficialClient::with_new_account(&relay.url());
    b.load(&map);
    b.set(&map, "and", &json!("bob"));
    b.wait_for_sync();
    a.await_value(&map, "and", &json!("bob"));
    let (mut c, cid) = OfficialClient::with_new_account(&relay.url());
    c.wait_for_sync();
    [a, b, c].into_iter().for_each(OfficialClient::stop);

    // Whoever reads ann's map has to have bob's account to check what he wrote in it.
    relay.after(31, &[&bob.id, &cid.id]);
    wait_until("the third one has gone", || !relay.owns(&cid.id));
    assert!(relay.owns(&bob.id) && relay.owns(&ann.id));
    let mut again = OfficialClient::with_account(&relay.url(), &ann);
    assert_eq!(again.load(&map).value, json!({ "of": "ann", "and": "bob" }));
    again.stop();
    relay.after(31, &[&ann.id, &bob.id]);
    wait_until("both have gone", || !relay.owns(&ann.id) && !relay.owns(&bob.id));
}

#[test]
fn days_on_which_the_relay_did_not_run_do_not_count() {
    let mut relay = Forgetful::new(&[]);
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    device.init(&relay.url());
    assert!(relay.relay.stop().success());
    let store = rusqlite::Connection::open(relay.relay.data().join("relay.db")).unwrap();
    let day = |which: &str| -> i64 {
        store.query_row("SELECT day FROM caro_used WHERE account = ?1", [which], |row| row.get(0)).unwrap()
    };
    let today = day("");
    // For 400 days nothing ran; before that the account had not been used for ten.
    store.execute("UPDATE caro_used SET day = day - 401", []).unwrap();
    store.execute("UPDATE caro_used SET day = day - 10 WHERE account <> ''", []).unwrap();
    relay.start_again(&AFTER_30_DAYS);
    wait_until("it has looked", || day("") >= today);
    assert_eq!(day(&account(&device)), day("") - 11);
    assert!(relay.owns(&account(&device)));

    // A clock that was ahead has not made it old either.
    assert!(relay.relay.stop().success());
    store.execute("UPDATE caro_used SET day = day + 500", []).unwrap();
    relay.start_again(&AFTER_30_DAYS);
    wait_until("it has looked", || day("") < today + 400);
    assert_eq!(day(&account(&device)), day(""));
}

#[test]
fn what_was_noted_is_forgotten_by_a_relay_that_erases_nobody() {
    let mut relay = Forgetful::new(&[]);
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    device.init(&relay.url());
    assert!(relay.relay.stop().success());
    assert!(relay.listed(&account(&device))["last_used"].is_string());
    relay.start_again(&[]);
    assert!(relay.listed(&account(&device))["last_used"].is_null() && relay.owns(&account(&device)));
    // What it had noted before could be years old by now.
    assert!(relay.relay.stop().success());
    relay.start_again(&AFTER_30_DAYS);
    wait_until("it counts from today", || relay.listed(&account(&device))["last_used"].is_string());
    assert!(relay.owns(&account(&device)));
}

#[test]
fn a_large_account_goes_in_pieces_from_every_engine_and_others_are_served_meanwhile() {
    let mut relay = Forgetful::new(&["--engines", "2"]);
    let (mut a, ann) = OfficialClient::with_new_account(&relay.url());
    let group = a.create_group();
    let maps: Vec<String> = (0..130).map(|i| a.create_map(&group, &json!({ "number": i }))).collect();
    a.wait_for_sync();
    a.stop();
    assert!(relay.listed(&ann.id)["covalues"].as_u64() > Some(130));
    relay.after(31, &[&ann.id]);
    wait_until("all of it has gone", || !relay.owns(&ann.id));
    let (mut b, bob) = OfficialClient::with_new_account(&relay.url());
    b.wait_for_sync();
    let lost = b.request("load", json!({ "id": maps[0] }));
    assert!(lost.is_err(), "nothing of it is in memory: {lost:?}");
    assert!(relay.owns(&bob.id));
    await_erasure(&relay.relay, &[maps[0].clone().into_bytes()]);
}

#[test]
fn nobody_is_forgotten_on_the_day_on_which_he_came() {
    let home = TestHome::new();
    let run = home.run(["relay", "serve", "--forget-accounts-after", "0"]);
    assert_eq!(run.code, Some(2), "{run:?}");
}
