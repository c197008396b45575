//! A relay at home that passes everything on to another one: devices at either have one history, whichever of the two was
//! away or started again meanwhile, and whoever made the one above.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::authority::Authority;
use crate::common::home::{TestHome, wait_until};
use crate::common::node::{JazzRun, NodeRelay, OfficialClient};
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, await_erasure, ciphertexts, holds, serve, signal};
use crate::official_peers::{live_update_between, offline_writes_between};
use crate::relay_hostile::{client, load};
use crate::relay_largest::{ByHand, brings, stored_of};
use crate::relay_serving::get;
use crate::sync_session_guard::noise;

const TOKEN: &str = "a-token-for-the-relay-above";

/// A relay at home, which can be started again with the same store and other arguments.
struct AtHome {
    relay: Relay,
    _folder: TempDir,
}

impl AtHome {
    fn below(upstream: &str) -> Self {
        Self::with(&["--upstream", upstream])
    }

    fn with(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let relay = spawn(&folder.path().join("relay"), SocketAddr::from(([127, 0, 0, 1], 0)), args);
        Self { relay, _folder: folder }
    }

    fn start_again(&mut self, args: &[&str]) {
        self.relay = spawn(self.relay.data(), self.relay.address(), args);
    }

    fn url(&self) -> String {
        self.relay.url()
    }

    /// What its user is told of it.
    fn ask(&self, path: &str) -> String {
        get(UnixStream::connect(self.relay.data().join("relay.sock")).unwrap(), path)
    }

    /// How the relay above does, as it sees that.
    fn above(&self) -> Value {
        let answer = self.ask("/status");
        let status: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        status["upstream"].clone()
    }

    fn await_connected(&self) {
        wait_until("it is connected to the one above", || self.above()["connected"] == true);
    }

    fn await_agreed(&self) {
        wait_until("the one above has everything", || {
            let above = self.above();
            above["compared"] == true && above["unconfirmed"] == 0
        });
    }
}

fn spawn(data: &std::path::Path, address: SocketAddr, args: &[&str]) -> Relay {
    let mut command = serve(data, address);
    command.args(args);
    Relay::spawn(data, address, command)
}

/// Waits until a device has these, exchanging meanwhile.
fn await_commands(device: &SyncHome, count: usize) {
    wait_until("they have come", || {
        device.now();
        device.commands().len() == count
    });
}

/// Waits until a device can join an account at a relay that is still getting it.
fn await_restored(device: &SyncHome, relay: &str, phrase: &std::path::Path) {
    wait_until("the account is there", || device.restore(relay, phrase).code == Some(0));
}

fn numbered(of: &str, from: usize, to: usize) -> Vec<String> {
    (from..to).map(|i| format!("on {of} {i}")).collect()
}

#[test]
fn an_account_that_is_full_above_keeps_no_other_from_getting_there() {
    let above = Relay::with(&["--max-stored-mib-per-account", "1"]);
    let home = AtHome::below(&above.url());
    let (full, other, elsewhere) = (SyncHome::new("full"), SyncHome::new("laptop"), SyncHome::new("server"));
    full.add(&(0..3000).map(|i| noise(&format!("large {i}"))).collect::<Vec<_>>());
    full.init(&home.url());
    wait_until("it is told", || above.log().contains("an account is full"));
    other.add_one("echo through");
    let phrase = other.init(&home.url());
    await_restored(&elsewhere, &above.url(), &phrase);
    await_commands(&elsewhere, 1);
    let there = home.above();
    assert!(there["connected"] == true && there["connections"] == 1, "nobody is sent away: {there}");
    assert_eq!(caro::relay::ask(above.data()).unwrap().unwrap().sent_away["full"], 0);
}

#[test]
fn a_covalue_that_is_too_large_above_keeps_no_other_from_getting_there() {
    let above = Relay::with(&["--max-value-mib", "1"]);
    let home = AtHome::below(&above.url());
    let mut large = ByHand::new();
    let mut stranger = client(&home.relay);
    for held in 1..=12 {
        assert_eq!(brings(&mut stranger, &large.writes("z1", 120_000, 0)), Some(held));
    }
    wait_until("it is told", || above.log().contains("max_value_mib"));
    let (device, elsewhere) = (SyncHome::new("laptop"), SyncHome::new("server"));
    device.add_one("echo through");
    let phrase = device.init(&home.url());
    await_restored(&elsewhere, &above.url(), &phrase);
    await_commands(&elsewhere, 1);
    let there = home.above();
    assert!(there["connected"] == true && there["connections"] == 1, "nobody is sent away: {there}");
    assert_eq!(caro::relay::ask(above.data()).unwrap().unwrap().sent_away["value"], 0);
}

#[test]
fn a_covalue_that_is_too_large_here_is_not_taken_from_above() {
    let above = Relay::new();
    let (mut large, mut small) = (ByHand::new(), ByHand::new());
    let mut stranger = client(&above);
    for held in 1..=20 {
        assert_eq!(brings(&mut stranger, &large.writes("z1", 120_000, 0)), Some(held));
    }
    assert_eq!(brings(&mut stranger, &small.writes("z1", 10, 0)), Some(1));
    let home = AtHome::with(&["--upstream", &above.url(), "--max-value-mib", "1"]);
    home.await_connected();
    let mut asking = client(&home.relay);
    asking.send(&load(&large.id));
    wait_until("it is told", || home.relay.log().contains("larger than this one takes"));
    asking.send(&load(&small.id));
    let of_small = |text: &str| text.contains(r#""action":"content""#) && text.contains(&small.id);
    while !of_small(&asking.text().expect("it goes on")) {}
    // Whoever asks again gets what there is of it, which is not waited for.
    let mut again = client(&home.relay);
    again.send(&load(&large.id));
    while !again.text().expect("it goes on").contains(r#""action":"content""#) {}
    assert!((500_000..1 << 20).contains(&stored_of(&home.relay, &large.id)), "{}", stored_of(&home.relay, &large.id));
}

#[test]
fn relays_in_a_circle_say_so_and_serve_all_the_same() {
    let mut above = Relay::new();
    let home = AtHome::below(&above.url());
    home.await_connected();
    // The one above gets the one below it as its own upstream.
    assert!(above.stop().success());
    let (data, address) = (above.data().to_owned(), above.address());
    let mut home = home;
    home.relay.stop();
    let first = spawn(&data, address, &["--upstream", &home.url()]);
    home.start_again(&["--upstream", &first.url()]);
    let said = "the relays are each other's upstream in a circle";
    let either = || home.relay.log().contains(said) || first.log().contains(said);
    wait_until("it is told", either);
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    device.init(&home.url());
    assert_eq!(device.now().pending, 0);
}

#[test]
fn a_device_at_home_and_one_at_the_relay_above_have_one_history() {
    let above = Relay::new();
    let home = AtHome::below(&above.url());
    let (laptop, server) = (SyncHome::new("laptop"), SyncHome::new("server"));
    laptop.add(&numbered("laptop", 0, 300));
    let phrase = laptop.init(&home.url());
    await_restored(&server, &above.url(), &phrase);
    await_commands(&server, 300);
    server.add(&numbered("server", 0, 50));
    server.now();
    await_commands(&laptop, 350);
    assert_eq!(assert_equal_histories(&[&laptop, &server]), 350);

    // And at once, where their daemons run.
    for device in [&laptop, &server] {
        device.exchanges("realtime");
    }
    let daemons = (laptop.daemon(), server.daemon());
    for i in 0..4 {
        let (from, to) = if i % 2 == 0 { (&laptop, &server) } else { (&server, &laptop) };
        let command = format!("live {i}");
        from.add(std::slice::from_ref(&command));
        wait_until("it has come", || to.commands().contains(&command));
    }
    drop(daemons);
    assert_eq!(assert_equal_histories(&[&laptop, &server]), 354);
    home.await_agreed();
    for relay in [&home.relay, &above] {
        assert!(!relay.log().contains("WARN") && !relay.log().contains("ERROR"), "{}", relay.log());
    }
}

/// Two devices on the SDK and two of ours, one of each at home.
fn through_a_relay_at_home_to(upstream: &str) {
    let home = AtHome::below(upstream);
    home.await_connected();
    live_update_between([&home.url(), upstream]);
    live_update_between([upstream, &home.url()]);
    offline_writes_between([&home.url(), upstream]);

    let (laptop, server) = (SyncHome::new("laptop"), SyncHome::new("server"));
    laptop.add(&numbered("laptop", 0, 120));
    let phrase = laptop.init(&home.url());
    await_restored(&server, upstream, &phrase);
    await_commands(&server, 120);
    server.add(&numbered("server", 0, 30));
    server.now();
    await_commands(&laptop, 150);
    assert_eq!(assert_equal_histories(&[&laptop, &server]), 150);
    home.await_agreed();
}

#[test]
fn the_official_relay_can_be_the_one_above() {
    through_a_relay_at_home_to(NodeRelay::start(None).url());
}

#[test]
fn jazz_run_can_be_the_one_above() {
    through_a_relay_at_home_to(JazzRun::start(None).url());
}

#[test]
fn devices_are_served_while_the_one_above_is_away_and_what_they_wrote_gets_there_afterwards() {
    let mut above = Relay::new();
    let home = AtHome::below(&above.url());
    let (laptop, desktop, server) = (SyncHome::new("laptop"), SyncHome::new("desktop"), SyncHome::new("server"));
    laptop.add(&numbered("laptop", 0, 20));
    let phrase = laptop.init(&home.url());
    await_restored(&server, &above.url(), &phrase);
    await_commands(&server, 20);

    above.kill();
    wait_until("that is noticed", || home.above()["connected"] == false);
    laptop.add(&numbered("laptop", 20, 60));
    assert_eq!(laptop.now().pending, 0, "it is confirmed all the same");
    desktop.restored(&home.url(), &phrase);
    desktop.add(&numbered("desktop", 0, 10));
    desktop.now();
    laptop.now();
    assert_eq!(assert_equal_histories(&[&laptop, &desktop]), 70);
    wait_until("it is told why", || home.above()["reason"].is_string());
    assert!(home.above()["unconfirmed"].as_u64().is_some());

    above.start_again();
    // No device exchanges at home any more.
    await_commands(&server, 70);
    home.await_agreed();
    assert_eq!(assert_equal_histories(&[&laptop, &server]), 70);
    assert_eq!(home.above()["connections"], 2);
}

#[test]
fn what_was_written_while_the_one_above_was_away_gets_there_after_a_restart_too() {
    let mut above = Relay::new();
    let upstream = above.url();
    let mut home = AtHome::below(&upstream);
    let (laptop, server) = (SyncHome::new("laptop"), SyncHome::new("server"));
    laptop.add(&numbered("laptop", 0, 20));
    let phrase = laptop.init(&home.url());
    await_restored(&server, &upstream, &phrase);
    await_commands(&server, 20);

    above.kill();
    laptop.add(&numbered("laptop", 20, 400));
    assert_eq!(laptop.now().pending, 0);
    home.relay.kill();
    home.start_again(&["--upstream", &upstream]);
    above.start_again();
    await_commands(&server, 400);
    home.await_agreed();
    assert_eq!(assert_equal_histories(&[&laptop, &server]), 400);

    // The other way round the first exchange after the restart has it, since the relay asks before it answers.
    home.relay.kill();
    server.add(&numbered("server", 0, 30));
    server.now();
    home.start_again(&["--upstream", &upstream]);
    home.await_connected();
    laptop.now();
    assert_eq!(assert_equal_histories(&[&laptop, &server]), 430);
}

#[test]
fn a_relay_that_gets_an_upstream_later_passes_on_what_it_has_held_until_then() {
    let (laptop, server) = (SyncHome::new("laptop"), SyncHome::new("server"));
    let mut home = AtHome::with(&[]);
    laptop.add(&numbered("laptop", 0, 700));
    let phrase = laptop.init(&home.url());
    assert!(home.relay.stop().success());
    let above = Relay::new();
    home.start_again(&["--upstream", &above.url()]);
    home.await_agreed();
    server.restored(&above.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&laptop, &server]), 700);
}

#[test]
fn what_is_deleted_at_one_of_them_is_erased_at_the_other_though_it_did_not_run() {
    let mut above = Relay::new();
    let upstream = above.url();
    let mut home = AtHome::below(&upstream);
    let (mut at_home, account) = OfficialClient::with_new_account(&home.url());
    let group = at_home.create_group();
    let streams = [at_home.create_stream(&group), at_home.create_stream(&group)];
    for stream in &streams {
        at_home.push(stream, &[json!("a command that has to disappear from the disks of both relays")]);
    }
    at_home.wait_for_sync();
    wait_until("both hold both", || [&home.relay, &above].iter().all(|relay| stored(relay) == 2));
    let mut elsewhere = OfficialClient::with_account(&upstream, &account);
    elsewhere.load(&streams[0]);

    home.relay.kill();
    let pieces = ciphertexts(&home.relay.data().join("relay.db"));
    elsewhere.delete(&streams[0]);
    elsewhere.wait_for_sync();
    home.start_again(&["--upstream", &upstream]);
    wait_until("one is left at home", || stored(&home.relay) == 1);
    let left = ciphertexts(&home.relay.data().join("relay.db"));
    let gone: Vec<_> = pieces.iter().filter(|piece| !left.contains(piece)).cloned().collect();
    assert_eq!((gone.len(), left.len()), (1, 1));
    await_erasure(&home.relay, &gone);
    assert!(holds(home.relay.data(), &left));

    above.kill();
    at_home.delete(&streams[1]);
    at_home.wait_for_sync();
    above.start_again();
    await_erasure(&above, &pieces);
    home.await_agreed();
}

/// How many ciphertexts a relay stores.
fn stored(relay: &Relay) -> usize {
    ciphertexts(&relay.data().join("relay.db")).len()
}

#[test]
fn a_token_in_the_address_of_the_one_above_is_shown_nowhere() {
    let user = TestHome::new();
    let tokens = user.file("tokens", TOKEN);
    let above = Relay::with(&["--token-file", tokens.to_str().unwrap()]);
    let folder = tempfile::tempdir().unwrap();
    let (data, address) = (folder.path().join("relay"), SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut command = serve(&data, address);
    command.args(["--upstream", &format!("{}/?token={TOKEN}", above.url())]).env("CARO_LOG", "debug");
    let home = AtHome { relay: Relay::spawn(&data, address, command), _folder: folder };
    let device = SyncHome::new("laptop");
    device.add_one("echo tell-nobody-what-it-says");
    device.init(&home.url());
    home.await_agreed();
    let status = || user.run(["relay", "status", "--data-dir", data.to_str().unwrap()]);
    let connected = status();
    let said = format!("upstream    {}, since ", above.url());
    assert!(connected.stdout.contains(&said) && connected.stdout.contains("has everything"), "{connected:?}");

    // The one above takes the token back.
    std::fs::write(&tokens, "another-token-of-the-family").unwrap();
    signal("HUP", above.pid());
    wait_until("it is told why", || home.above()["reason"].as_str().is_some_and(|said| said.contains("token")));
    let away = status();
    assert!(away.stdout.contains("away: "), "{away:?}");
    let metrics = home.ask("/metrics");
    assert!(metrics.contains("\ncaro_relay_upstream_connected 0\n"), "{metrics}");
    let shown = [connected.stdout, away.stdout, metrics, home.ask("/status"), home.relay.log()];
    for text in &shown {
        assert!(!text.contains(TOKEN) && !text.contains("tell-nobody"), "{text}");
    }
    assert!(shown[4].contains("the upstream is connected"), "the log says it: {}", shown[4]);
}

#[test]
fn the_one_above_is_reached_through_tls_with_a_root_of_ones_own() {
    let authority = Authority::new();
    let (chain, key) = authority.issue("127.0.0.1").write(authority.folder(), "relay");
    let above = Relay::with(&["--tls-certificate", chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap()]);
    let (upstream, root) = (format!("wss://{}", above.address()), authority.root());
    let distrusting = AtHome::below(&upstream);
    wait_until("it is told why", || distrusting.above()["reason"].is_string());
    assert_eq!(distrusting.above()["connections"], 0);
    let home = AtHome::with(&["--upstream", &upstream, "--upstream-ca", root.to_str().unwrap()]);
    home.await_agreed();
}

#[test]
fn what_does_not_go_with_an_upstream_is_refused_and_a_wrong_address_is_not_repeated() {
    let user = TestHome::new();
    let secret = "https://relay.example/?token=s3cret-of-a-user";
    for (args, said) in [
        (vec!["--upstream", "wss://relay.example", "--engines", "2"], "one engine, and a store of its own"),
        (vec!["--upstream", "wss://relay.example", "--database", "postgres://db.example/caro"], "one engine"),
        (vec!["--upstream", secret], "begins with wss://"),
        (vec!["--upstream", "s3cret-of-a-user"], "looks like wss://"),
    ] {
        let run = user.run([&["relay", "serve", "--listen", "127.0.0.1:0"], &args[..]].concat());
        assert_eq!(run.code, Some(2), "{args:?}: {run:?}");
        assert!(run.stderr.contains(said), "{args:?}: {run:?}");
        assert!(!run.stderr.contains("s3cret"), "{args:?}: {run:?}");
    }
    let mut command = user.command(["relay", "serve", "--listen", "127.0.0.1:0"]);
    command.env("CARO_RELAY_UPSTREAM", secret);
    let run = user.finish(command, &[]);
    assert!(run.code == Some(2) && !run.stderr.contains("s3cret"), "{run:?}");
}
