//! How a relay is seen from outside: metrics, status, a page in a browser, probes of a relay that hangs, and its log.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;

use serde_json::Value;
use tokio_tungstenite::tungstenite::http::StatusCode;

use crate::common::home::{TestHome, is_slow_run, wait_until};
use crate::common::random::Random;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, serve, signal};
use crate::relay_hostile::{client, goes_on, header, id_of};
use crate::relay_serving::{get, tcp, websocket};

/// A key.
const SOMEBODY: &str = "8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR";
const TOKEN: &str = "a-token-of-this-test-1";

/// A relay that can be watched, and where.
fn watched(args: &[&str]) -> (Relay, SocketAddr) {
    let relay = Relay::with(&[&["--metrics-listen", "127.0.0.1:0"], args].concat());
    let line = relay.line();
    let address = line.strip_prefix("to be watched at http://").expect("it says where").parse().expect("an address");
    (relay, address)
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("an answer").1
}

/// The value of one line of the metrics.
fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is missing in {text}")).parse().expect("a number")
}

#[test]
fn content_beyond_what_is_kept_in_memory_is_read_from_the_store_again() {
    let (relay, at) = watched(&["--content-memory-mib", "1"]);
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    // What is random is as long in the store as here.
    let mut random = Random::new(1);
    let mut words = |_| format!("{:016x}", random.number());
    a.add(&(0..2_000).map(|_| (0..150).map(&mut words).collect()).collect::<Vec<String>>());
    let phrase = a.init(&relay.url());
    let stored = std::fs::metadata(relay.data().join("relay.db")).expect("the store").len();
    assert!(stored > 2 << 20, "{stored} bytes are more than may be in memory");
    let content = || metric(&get(tcp(at), "/metrics"), "caro_relay_engine_content_bytes");
    wait_until("the rest was forgotten", || (1.0..f64::from(1 << 20)).contains(&content()));
    b.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 2_000);
    b.add_one("echo after");
    a.now();
    b.now();
    a.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 2_001);
}

#[test]
fn metrics_count_what_happens_name_nobody_and_are_not_for_everybody() {
    let home = TestHome::new();
    let tokens = home.file("tokens", TOKEN);
    let (relay, at) = watched(&["--token-file", tokens.to_str().unwrap()]);
    let device = SyncHome::new("laptop");
    device.add(&(0..300).map(|i| format!("command {i}")).collect::<Vec<_>>());
    device.init(&format!("{}/{TOKEN}", relay.url()));
    assert_eq!(websocket(&relay.url(), &[]).err(), Some(StatusCode::FORBIDDEN));

    let held = websocket(&format!("{}/{TOKEN}", relay.url()), &[]).unwrap();
    let mut text = String::new();
    wait_until("the connection of the device has ended", || {
        text = get(tcp(at), "/metrics");
        metric(&text, "caro_relay_connections") == 1.0
    });
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("# EOF\n"), "{text}");
    assert!(text.contains("content-type: application/openmetrics-text; version=1.0.0"), "{text}");
    let value = |name: &str| metric(&text, name);
    assert!(value("caro_relay_connections_opened_total") >= 2.0);
    assert_eq!(value("caro_relay_refusals_total{reason=\"token\"}"), 1.0);
    assert_eq!(value("caro_relay_refusals_total{reason=\"full\"}"), 0.0);
    assert_eq!(value("caro_relay_stored_accounts"), 1.0);
    assert!(value("caro_relay_stored_covalues") >= 8.0, "the account, its group, and what it owns");
    assert!(
        value("caro_relay_store_bytes{file=\"database\"}") + value("caro_relay_store_bytes{file=\"log\"}") > 4096.0
    );
    assert!(value("caro_relay_frames_bytes_total{way=\"in\"}") > 10_000.0, "300 commands came");
    assert!(value("caro_relay_frames_total{way=\"out\"}") > 0.0);
    for way in ["in", "out"] {
        let of = |what: &str| value(&format!("caro_relay_{what}_total{{way=\"{way}\"}}"));
        assert!(of("messages") >= of("frames"), "a frame has one message at least");
    }
    let confirmed = value("caro_relay_confirmation_seconds_count");
    let took = value("caro_relay_confirmation_seconds_sum");
    assert!(confirmed > 0.0 && took > 0.0 && took / confirmed < 10.0, "{took} s for {confirmed} changes");
    assert_eq!((value("caro_relay_waiting_frames"), value("caro_relay_waiting_bytes")), (0.0, 0.0));
    let (taken, came) = (value("caro_relay_wait_seconds_count"), value("caro_relay_frames_total{way=\"in\"}"));
    assert_eq!(taken, came, "each frame waited once");
    assert!(value("caro_relay_engine_turns_total") > 0.0 && value("caro_relay_engine_busy_seconds_total") > 0.0);
    assert!(value("caro_relay_engine_heap_bytes") > 100_000.0, "it was measured");
    assert!(value("caro_relay_answer_seconds_count") > 0.0);
    assert_eq!(value("caro_relay_state{state=\"serving\"}"), 1.0);
    let account = device.state()["account"].as_str().expect("an account").to_owned();
    for secret in ["co_z", &account, TOKEN, "127.0.0.1"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    drop(held);

    // Clients get none of it, the user of the relay does, and who watches it serves no clients.
    for path in ["/metrics", "/status"] {
        let refused = get(tcp(relay.address()), path);
        assert!(refused.starts_with("HTTP/1.1 426") || refused.starts_with("HTTP/1.1 403"), "{refused}");
        let own = get(UnixStream::connect(relay.data().join("relay.sock")).unwrap(), path);
        assert!(own.starts_with("HTTP/1.1 200"), "{own}");
    }
    assert_eq!(websocket(&format!("ws://{at}/{TOKEN}"), &[]).err(), Some(StatusCode::NOT_FOUND));
    assert!(get(tcp(at), "/health").ends_with("ok\n") && get(tcp(at), "/ready").ends_with("ok\n"));
}

/// A machine that is busy does not take so many connections in the ten seconds after which silent ones are given up.
#[test]
fn slow_who_fills_the_front_door_takes_no_place_of_those_who_watch() {
    use std::io::{Read, Write};
    if !is_slow_run() {
        return;
    }
    let (relay, at) = watched(&[]);
    // As many as may ask at the same time; they say nothing.
    let mut silent: Vec<TcpStream> = Vec::new();
    wait_until("nobody else is answered", || {
        silent.extend((0..512).map(|_| tcp(relay.address())));
        silent.drain(..silent.len().saturating_sub(8_192));
        let mut stream = tcp(relay.address());
        let asked = stream.write_all(b"GET /health HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        asked.is_err() || stream.read_to_string(&mut answer).is_err() || answer.is_empty()
    });
    assert!(get(tcp(at), "/health").ends_with("ok\n"));
    assert!(metric(&get(tcp(at), "/metrics"), "caro_relay_refusals_total{reason=\"asking\"}") > 0.0);
    let own = UnixStream::connect(relay.data().join("relay.sock")).unwrap();
    assert!(get(own, "/health").ends_with("ok\n"));
}

#[test]
fn the_status_says_how_a_relay_does_and_what_is_left_of_one() {
    let home = TestHome::new();
    let none = home.run(["relay", "status"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(5), "stored      nothing\n"), "{none:?}");
    assert!(none.stderr.contains("no relay runs"), "{none:?}");

    let mut relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    device.init(&relay.url());
    let data = relay.data().to_owned();
    let ask = |json: &[&str]| home.run([&["relay", "status", "--data-dir", data.to_str().unwrap()], json].concat());
    let words = ask(&[]);
    assert_eq!(words.code, Some(0), "{words:?}");
    for said in ["state       serving", &format!("listening   {}", relay.url()), "refused     none", "of 1 account"] {
        assert!(words.stdout.contains(said), "{said} in {words:?}");
    }
    let json = ask(&["--json"]).success().json().remove(0);
    assert_eq!((&json["schema_version"], &json["running"]), (&1.into(), &true.into()));
    let status = &json["relay"];
    assert_eq!(status["pid"], relay.pid());
    assert_eq!(status["listening"][0], relay.url());
    assert!(status["running_ns"].as_u64() > Some(0) && status["connections"]["opened"].as_u64() > Some(0), "{status}");
    assert_eq!(json["stored"]["accounts"], 1);

    relay.stop();
    let stopped = ask(&["--json"]);
    assert_eq!(stopped.code, Some(5), "{stopped:?}");
    let stopped: Value = serde_json::from_str(&stopped.stdout).unwrap();
    assert_eq!((&stopped["running"], &stopped["relay"]), (&false.into(), &Value::Null));
    assert_eq!(stopped["stored"]["covalues"], json["stored"]["covalues"]);
}

#[test]
fn a_step_of_its_engine_that_takes_too_long_is_told_while_it_lasts() {
    let (relay, at) = watched(&[]);
    let device = SyncHome::new("laptop");
    device.init(&relay.url());
    device.add_one("ls");
    // Whoever holds the store keeps the engine in the middle of a step.
    let other = rusqlite::Connection::open(relay.data().join("relay.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| device.run(["sync", "now", "--timeout", "20"]));
        wait_until("the probe says so", || get(tcp(relay.address()), "/health").starts_with("HTTP/1.1 503"));
        let status: Value = serde_json::from_str(body(&get(tcp(at), "/status"))).unwrap();
        assert_eq!(status["state"], "stuck", "{status}");
        assert!(status["work"]["turn_ns"].as_u64() > Some(4_000_000_000), "{status}");
        assert!(get(tcp(at), "/ready").starts_with("HTTP/1.1 503"));
        let asked = device.run(["relay", "status", "--json", "--data-dir", relay.data().to_str().unwrap()]);
        assert!(asked.code == Some(1) && asked.stderr.contains("the relay does not do its work"), "{asked:?}");
        let said: Value = serde_json::from_str(&asked.stdout).unwrap();
        assert_eq!((&said["running"], &said["relay"]["state"]), (&true.into(), &"stuck".into()));
        let hangs = || metric(&get(tcp(at), "/metrics"), "caro_relay_engine_hangs_total");
        wait_until("it is counted", || hangs() >= 1.0);
        other.execute_batch("ROLLBACK").unwrap();
    });
    wait_until("it goes on", || get(tcp(at), "/health").starts_with("HTTP/1.1 200"));
    let status: Value = serde_json::from_str(body(&get(tcp(at), "/status"))).unwrap();
    let mishaps = status["mishaps"].as_array().unwrap();
    assert!(mishaps.iter().any(|mishap| mishap["what"].as_str().unwrap().contains("busy with one thing")), "{status}");
    assert_eq!(device.now().pending, 0);
}

/// What a browser makes of a page, with these arguments.
pub(crate) fn browser(home: &TestHome, args: &[&str]) -> Vec<u8> {
    let mut browser = Command::new("chromium");
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]);
    browser.args(["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]);
    browser.arg(format!("--user-data-dir={}", home.path().join("browser").display()));
    let output = browser.args(args).env("HOME", home.path()).output().expect("chromium is installed");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[test]
fn the_page_shows_it_in_a_browser_by_day_and_by_night_and_runs_nothing() {
    let (relay, at) = watched(&[]);
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    device.init(&relay.url());
    let answer = get(tcp(at), "/");
    has_nothing_foreign(&answer);
    let home = TestHome::new();
    let url = format!("http://{at}/");
    let dom = String::from_utf8(browser(&home, &["--dump-dom", &url])).unwrap();
    let tags = |text: &str, tag: &str| text.matches(tag).count();
    for tag in ["<section", "</section>", "<table>", "<tr>", "<th ", "<td>", "<h2>"] {
        assert_eq!(tags(&dom, tag), tags(body(&answer), tag), "{tag}");
    }
    for text in [">serving<", "<b>1</b><span>accounts</span>", &relay.url(), "not taken in: token"] {
        assert!(dom.contains(text), "{text} in {dom}");
    }
    is_styled(&home, &url);
}

/// A page of ours runs nothing, and has nothing from elsewhere.
pub(crate) fn has_nothing_foreign(answer: &str) {
    let head = answer.split_once("\r\n\r\n").unwrap().0;
    assert!(head.contains("content-security-policy: default-src 'none'; style-src 'sha256-"), "{head}");
    for foreign in ["<script", "http://", "https://", "src=", "@import", "url(", "unsafe-inline"] {
        assert!(!answer.contains(foreign), "{foreign}");
    }
}

/// A page of ours has its own background by day and by night: the policy lets its style in, and only that.
pub(crate) fn is_styled(home: &TestHome, url: &str) {
    for (scheme, expected) in [("1", [0xf6, 0xf7, 0xf9]), ("0", [0x0f, 0x13, 0x17])] {
        let picture = home.path().join(format!("{scheme}.png"));
        let setting = format!("--blink-settings=preferredColorScheme={scheme}");
        browser(home, &[&setting, &format!("--screenshot={}", picture.display()), url]);
        let seen = image::open(&picture).unwrap().to_rgb8();
        assert_eq!(seen.get_pixel(2, 2).0, expected, "{setting}");
    }
}

/// A relay that logs what is usual, with these arguments.
fn logging(folder: &std::path::Path, args: &[&str]) -> Relay {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let data = folder.join("relay");
    let mut command = serve(&data, address);
    command.args(args).env_remove("CARO_LOG");
    Relay::spawn(&data, address, command)
}

#[test]
fn the_log_is_json_where_that_is_asked_for_and_knows_addresses_by_names_of_the_day_only() {
    let home = TestHome::new();
    let tokens = home.file("tokens", TOKEN);
    let tokens = tokens.to_str().unwrap();
    let args = ["--log-format", "json", "--token-file", tokens, "--trusted-proxy", "127.0.0.1"];
    let refuse = |relay: &Relay, address: &str| {
        let refused = websocket(&format!("{}/not-the-token-of-it", relay.url()), &[("x-forwarded-for", address)]);
        assert_eq!(refused.err(), Some(StatusCode::FORBIDDEN));
    };
    let run = |args: &[&str]| {
        let mut relay = logging(home.path(), args);
        for address in ["198.51.100.7", "198.51.100.7", "198.51.100.8"] {
            refuse(&relay, address);
        }
        signal("TERM", relay.pid());
        assert_eq!(relay.stop_quietly().code(), Some(0));
        wait_until("its log is whole", || relay.log().contains("\"stopped\""));
        let log = relay.log();
        for secret in ["198.51", TOKEN, "not-the-token"] {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        for line in &lines {
            assert!(
                line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string(),
                "{line}"
            );
        }
        lines
    };
    let plain = run(&args);
    let said: Vec<_> = plain.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(said.first(), Some(&"started"), "{plain:?}");
    assert!(plain.iter().all(|line| line["client"].is_null()), "{plain:?}");

    let named = run(&[&args[..], &["--log-addresses"]].concat());
    let refused: Vec<_> = named.iter().filter(|line| line["reason"] == "token" && line["client"].is_string()).collect();
    assert_eq!(refused.len(), 3, "{named:?}");
    assert_eq!(refused[0]["client"], refused[1]["client"]);
    assert_ne!(refused[0]["client"], refused[2]["client"]);
}

#[test]
fn a_client_that_means_harm_fills_no_log_and_what_is_said_of_it_names_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let relay = logging(folder.path(), &[]);
    let mut client = client(&relay);
    let header = header("x");
    let id = id_of(&header);
    let transaction = serde_json::json!({ "privacy": "trusting", "changes": "[]", "madeAt": 1 });
    for number in 0..200 {
        let session = format!("sealer_z{SOMEBODY}/signer_z{SOMEBODY}_session_z{number}");
        let forged =
            serde_json::json!({ "after": 0, "newTransactions": [transaction], "lastSignature": "signature_z1" });
        let content = serde_json::json!(
            { "action": "content", "id": id, "header": header, "priority": 3, "new": { session: forged } }
        );
        client.send(&content.to_string());
    }
    assert!(goes_on(&mut client));
    let log = relay.log();
    assert!(log.contains("co_z…") && !log.contains(&id) && !log.contains(SOMEBODY), "{log}");
    assert!(log.lines().count() < 50, "{log}");
}

#[test]
fn who_asks_at_an_address_that_is_taken_hears_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = TestHome::new();
    let run = home.run(["relay", "serve", "--listen", "127.0.0.1:0", "--metrics-listen", &address]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains(&format!("cannot listen on {address}")), "{run:?}");
    assert!(TcpStream::connect(&address).is_ok());
}
