//! The anonymous report as a user sends it: asked before, the bytes that were shown, nothing else, once.
//!
//! What listens here only takes requests and answers as it is told; what a collector makes of them is its own tests' business.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use caro::community::{BODY_BYTES, Report, Revocation};
use caro::history::{Record, RiskLevel, UnixNanos};
use serde_json::Value;

use crate::common::home::wait_until;
use crate::common::pty::Terminal;
use crate::common::sync::{Relay, SyncHome};

const DAY: i64 = 86_400;

/// What takes requests in a collector's place.
struct Listener {
    address: SocketAddr,
    got: Arc<Mutex<Got>>,
}

#[derive(Default)]
struct Got {
    connections: usize,
    requests: Vec<(String, Vec<u8>)>,
    /// What is answered; nothing at all where it is 0.
    status: u16,
}

impl Listener {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Got { status: 204, ..Got::default() }));
        let kept = got.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).connections += 1;
                let kept = kept.clone();
                thread::spawn(move || take(stream, &kept));
            }
        });
        Self { address, got }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn answers(&self, status: u16) {
        self.got.lock().unwrap().status = status;
    }

    fn connections(&self) -> usize {
        self.got.lock().unwrap().connections
    }

    /// The head and the body of every request.
    fn requests(&self) -> Vec<(String, Vec<u8>)> {
        self.got.lock().unwrap().requests.clone()
    }

    fn bodies(&self) -> Vec<Vec<u8>> {
        self.requests().into_iter().map(|(_, body)| body).collect()
    }
}

fn take(mut stream: TcpStream, got: &Mutex<Got>) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head.filter(|head| bytes.len() >= head + BODY_BYTES) {
            let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
            let status = {
                let mut got = got.lock().unwrap_or_else(PoisonError::into_inner);
                got.requests.push((text, bytes[head..].to_vec()));
                got.status
            };
            if status == 0 {
                // Until the other side has gone.
                while let Ok(1..) = stream.read(&mut buffer) {}
                return;
            }
            drop(stream.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").as_bytes()));
            return;
        }
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => bytes.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
}

fn json(home: &SyncHome, args: &[&str]) -> Value {
    serde_json::from_str(&home.ok(args).stdout).unwrap()
}

fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixNanos(i64::try_from(since.as_nanos()).unwrap())
}

fn contribute(home: &SyncHome, to: &str) -> Value {
    let run = home.run(["community", "contribute", "--to", to, "--yes", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn what_was_shown_is_what_is_sent_and_a_no_sends_nothing() {
    let (home, listener) = (SyncHome::new("laptop"), Listener::new());
    home.add_one("git status");
    let shown = json(&home, &["community", "preview", "--json"]);
    assert_eq!(json(&home, &["community", "preview", "--json"]), shown, "one does not draw until one likes it");
    let raw = home.run(["community", "preview", "--raw"]).stdout;
    assert_eq!((raw.as_str(), raw.len()), (shown["body"].as_str().unwrap(), BODY_BYTES));
    let words = home.run(["community", "preview", "--all"]);
    assert!(
        words.stdout.contains(raw.trim_end()) && words.stdout.contains(shown["words"].as_str().unwrap()),
        "{words:?}"
    );
    assert!(
        words.stdout.contains("12 of 12 reports are left") && words.stderr.contains("Nothing was sent."),
        "{words:?}"
    );

    // Without a terminal it cannot ask, and without an address it has nobody to send to.
    let refused = home.run(["community", "contribute"]).failure(2);
    assert!(refused.stderr.contains("--to https://"), "{refused:?}");
    let refused = home.run(["community", "contribute", "--to", &listener.url()]).failure(2);
    assert!(refused.stderr.contains("--yes") && refused.stderr.contains(raw.trim_end()), "{refused:?}");
    let mut terminal = Terminal::run(&home, &["community", "contribute", "--to", &listener.url()]);
    terminal.sees(raw.trim_end()).sees("Who sees it").sees("Send this report? [y/N] ").types("n");
    let run = terminal.ends();
    assert!(run.code == Some(1) && run.stderr.contains("Nothing was sent."), "{run:?}");
    assert_eq!(listener.connections(), 0);
    assert_eq!(json(&home, &["community", "status", "--json"])["collector"], Value::Null);

    let mut terminal = Terminal::run(&home, &["community", "contribute", "--to", &listener.url()]);
    terminal.sees(raw.trim_end()).sees("Send this report? [y/N] ").types("y").sees("Sent. Thank you.");
    assert_eq!(terminal.ends().code, Some(0));
    assert_eq!(listener.bodies(), [raw.as_bytes()]);
    let report = Report::read(raw.as_bytes()).unwrap();
    assert_eq!(
        (report.question.name, report.told()),
        (shown["question"].as_str().unwrap(), shown["told"].as_str().unwrap())
    );
    let status = json(&home, &["community", "status", "--json"]);
    assert_eq!((&status["reports_left"], &status["schedule"]), (&11.into(), &Value::Null));
    assert_eq!(status["reports"][0]["outcome"], "sent");
    assert_eq!(status["reports"][0]["body"], raw.trim_end());
    assert_eq!(status["collector"], listener.url());
}

#[test]
fn without_a_yes_no_command_connects_to_anything() {
    let (home, listener) = (SyncHome::new("laptop"), Listener::new());
    let log = home.home.path().join("strace.log");
    let to = listener.url();
    let commands: [&[&str]; 7] = [
        &["history", "add", "--command", "ls"],
        &["community", "preview"],
        &["community", "preview", "--json"],
        &["community", "status"],
        &["community", "contribute", "--to", &to],
        &["community", "revoke"],
        &["history", "add", "--command", "ls -l"],
    ];
    let traced = |args: &[&str]| {
        let plain = home.command(args);
        let mut command = std::process::Command::new("strace");
        command
            .args(["-f", "-qq", "-e", "trace=network", "-o"])
            .arg(&log)
            .arg("--")
            .arg(plain.get_program())
            .args(plain.get_args());
        command.env_clear().envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.current_dir(home.home.work_dir()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        (home.finish(command, &[]), std::fs::read_to_string(&log).unwrap())
    };
    for args in commands {
        let (run, calls) = traced(args);
        assert_eq!(calls, "", "{args:?} opens no socket: {run:?}");
    }
    let (run, calls) = traced(&["community", "contribute", "--to", &to, "--yes"]);
    assert!(run.code == Some(0) && calls.contains("connect("), "the trace sees sockets: {run:?}");
    assert_eq!(listener.connections(), 1);
}

#[test]
fn a_request_has_no_header_that_tells_anything() {
    let (home, listener) = (SyncHome::new("laptop"), Listener::new());
    contribute(&home, &format!("{}/caro/", listener.url()));
    let requests = listener.requests();
    let wanted = format!(
        "POST /caro/v1/report HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: 512\r\nconnection: close\r\n\r\n",
        listener.address
    );
    assert_eq!(requests[0].0, wanted);
    home.ok(["community", "revoke"]);
    assert_eq!(listener.requests()[1].0, wanted.replace("report", "revoke"));
}

#[test]
fn nothing_of_a_history_is_in_a_report() {
    let (home, listener) = (SyncHome::new("canary-device"), Listener::new());
    let canaries = ["canaryword", "hunter2secret", "AKIAIOSFODNN7CANARY", "canaryfolder", "canaryhost", "canaryprompt"];
    home.add_one("ls");
    let history = home.home.history();
    for number in 0..60 {
        let command =
            format!("git push canaryword{number} && export AWS_KEY=AKIAIOSFODNN7CANARY PASSWORD=hunter2secret");
        let mut record = Record::new(command, now(), history.device_id().unwrap());
        record.prompt = Some("canaryprompt".into());
        record.explanation = Some("hunter2secret".into());
        record.cwd = Some("/home/canaryfolder".into());
        record.host = Some("canaryhost".into());
        record.session = Some("canaryword".into());
        record.shell = Some("canaryword".into());
        record.model = Some("canaryword-qwen".into());
        record.category = Some("canaryword".into());
        record.safety = Some(RiskLevel::High);
        record.tags = vec!["canaryword".into()];
        record.exit = Some(0);
        history.add(&record).unwrap();
    }
    drop(history);
    for _ in 0..3 {
        contribute(&home, &listener.url());
    }
    let name = std::process::Command::new("uname").arg("-n").output().unwrap().stdout;
    let name = String::from_utf8(name).unwrap();
    let user = home.home.path().to_str().unwrap().to_owned();
    for (head, body) in listener.requests() {
        let text = head + std::str::from_utf8(&body).unwrap();
        for canary in canaries.iter().copied().chain(["canary", name.trim(), &user]) {
            assert!(!text.to_lowercase().contains(&canary.to_lowercase()), "{canary} is in {text}");
        }
        // All there is: words of the list, and random digits. A report with anything else is none.
        let report = Report::read(&body).unwrap();
        assert_eq!(report.bytes(), body);
    }
}

#[test]
fn two_reports_of_one_device_have_nothing_in_common() {
    let (home, listener) = (SyncHome::new("laptop"), Listener::new());
    for _ in 0..3 {
        contribute(&home, &listener.url());
    }
    let requests = listener.requests();
    let heads: BTreeSet<&String> = requests.iter().map(|(head, _)| head).collect();
    assert_eq!((heads.len(), listener.connections()), (1, 3), "the same head, on a connection of its own each");
    let values: Vec<Value> = requests.iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect();
    let text = |value: &Value, field: &str| value[field].as_str().unwrap().to_owned();
    let digits = |value: &Value| ["key", "signature", "work"].map(|field| text(value, field)).concat();
    let questions: BTreeSet<String> = values.iter().map(|value| text(value, "question")).collect();
    assert_eq!(questions.len(), 3, "none is answered twice");
    for (at, one) in values.iter().enumerate() {
        for other in &values[at + 1..] {
            // Of 208 random digits two share a row of ten by chance once in some twenty million times.
            let (one, other) = (digits(one), digits(other));
            let shared = (0..one.len() - 10).find(|from| other.contains(&one[*from..from + 10]));
            assert_eq!((shared, one.len()), (None, 208), "{one} and {other}");
        }
    }
}

#[test]
fn whoever_is_killed_while_sending_sends_the_same_bytes_again_and_spends_once() {
    let (home, listener) = (SyncHome::new("laptop"), Listener::new());
    listener.answers(0);
    let mut command = home.command(["community", "contribute", "--to", &listener.url(), "--yes"]);
    let mut child = command.spawn().unwrap();
    wait_until("the report has arrived", || listener.requests().len() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let status = json(&home, &["community", "status", "--json"]);
    assert_eq!((&status["reports"][0]["outcome"], &status["reports_left"]), (&"underway".into(), &11.into()));

    listener.answers(503);
    let failed = home.run(["community", "contribute", "--yes"]).failure(5);
    assert!(failed.stderr.contains("sends the same bytes again"), "{failed:?}");
    listener.answers(204);
    home.ok(["community", "contribute", "--yes"]);
    let bodies = listener.bodies();
    assert_eq!(bodies.len(), 3);
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let status = json(&home, &["community", "status", "--json"]);
    assert_eq!((&status["reports"][0]["outcome"], &status["reports_left"]), (&"sent".into(), &11.into()));
    assert_eq!(status["reports"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_revoked_is_asked_back_with_its_own_key_and_nothing_more_is_sent() {
    let (home, listener) = (SyncHome::new("laptop"), Listener::new());
    for _ in 0..2 {
        contribute(&home, &listener.url());
    }
    let sent: BTreeSet<_> = listener.bodies().iter().map(|body| Report::read(body).unwrap().key).collect();
    listener.answers(503);
    let failed = home.run(["community", "revoke"]).failure(5);
    assert!(failed.stderr.contains("2 reports could not be deleted yet"), "{failed:?}");
    let status = json(&home, &["community", "status", "--json"]);
    assert_eq!((&status["collector"], &status["reports"][0]["outcome"]), (&Value::Null, &"sent".into()));
    // Somebody else answers at the address, or the collector lost what it had: only a yes of its own is one.
    for (status, words) in [(200, "not as a collector"), (404, "it does not know a report that it has taken")] {
        listener.answers(status);
        let failed = home.run(["community", "revoke"]).failure(5);
        assert!(
            failed.stderr.contains("2 reports could not be deleted yet") && failed.stderr.contains(words),
            "{failed:?}"
        );
    }

    listener.answers(204);
    let before = listener.requests().len();
    assert_eq!(json(&home, &["community", "revoke", "--json"])["revoked"], 2);
    let bodies = listener.bodies().split_off(before);
    let revoked: BTreeSet<_> = bodies.iter().map(|body| Revocation::read(body).unwrap().key).collect();
    assert_eq!(revoked, sent);
    assert_eq!(
        listener.connections(),
        2 + 1 + 1 + 2 + 2,
        "each on a connection of its own; where one fails the other is not tried"
    );
    let file = std::fs::read_to_string(home.data("community.json")).unwrap();
    assert!(!file.contains("\"seed\""), "a key that is of no use any more is not kept: {file}");
    let status = json(&home, &["community", "status", "--json"]);
    assert_eq!(status["reports"][1]["outcome"], "revoked");
    assert_eq!(status["reports_left"], 10, "revoking gives no report back");
    home.run(["community", "contribute", "--yes"]).failure(2);
    assert_eq!(json(&home, &["community", "revoke", "--json"])["revoked"], 0);
    assert_eq!(listener.requests().len(), before + 2);
}

#[test]
fn a_schedule_begins_after_a_second_yes_and_sends_one_report_in_its_window() {
    let (home, listener) = (SyncHome::new("laptop"), Listener::new());
    let clock = home.home.file("clock", "0");
    let at = |seconds: i64| {
        // In one piece: a process may be reading it.
        let beside = home.home.file("clock.new", seconds.to_string());
        std::fs::rename(beside, &clock).unwrap();
    };
    let run = |args: &[&str]| {
        let mut command = home.command(args);
        command.env("CARO_TEST_CLOCK", &clock);
        let run = home.finish(command, &[]);
        assert_eq!(run.code, Some(0), "{run:?}");
        run.stdout
    };
    let status = || -> Value { serde_json::from_str(&run(&["community", "status", "--json"])).unwrap() };

    let mut terminal =
        Terminal::run(&home, &["community", "contribute", "--to", &listener.url(), "--schedule", "weekly"]);
    terminal.sees("Send this report? [y/N] ").types("y");
    terminal
        .sees("one report can go by itself in each week")
        .sees("Send reports by itself from now on? [y/N] ")
        .types("n");
    assert_eq!(terminal.ends().code, Some(0));
    assert_eq!((listener.requests().len(), &status()["schedule"]), (1, &Value::Null));
    at(400 * DAY);
    run(&["history", "add", "--command", "ls"]);
    assert!(!home.data("community.waiting").exists(), "without a second yes nothing goes by itself");

    run(&["community", "contribute", "--schedule", "weekly", "--yes"]);
    assert_eq!((listener.requests().len(), &status()["schedule"]), (2, &"weekly".into()));
    at(407 * DAY);
    run(&["history", "add", "--command", "ls -l"]);
    wait_until("a process waits", || home.data("community.waiting").exists());
    assert_eq!(listener.requests().len(), 2, "it waits for a moment of its own");
    // The process may read the clock at any time, so it goes on an hour with each look.
    let mut hours = 0;
    wait_until("the report is known to have arrived", || {
        hours += 1;
        at(407 * DAY + hours * 3_601);
        status()["reports"][2]["outcome"] == "sent"
    });
    assert_eq!(listener.requests().len(), 3);

    // In the same window none goes again; after a revocation none ever does.
    run(&["history", "add", "--command", "ls -a"]);
    assert_eq!(status()["reports"].as_array().unwrap().len(), 3);
    run(&["community", "revoke"]);
    at(500 * DAY);
    run(&["history", "add", "--command", "ls -h"]);
    assert_eq!((&status()["schedule"], listener.requests().len()), (&Value::Null, 6));
}

/// The body of the last report in the journal, as it was sent.
fn last_body(home: &SyncHome) -> Vec<u8> {
    let status = json(home, &["community", "status", "--json"]);
    let mut body = status["reports"].as_array().unwrap().last().unwrap()["body"].as_str().unwrap().as_bytes().to_vec();
    body.resize(BODY_BYTES, b' ');
    body
}

#[test]
fn what_may_not_have_arrived_goes_to_no_other_collector_and_not_again_after_it_was_revoked() {
    let (home, away, other) = (SyncHome::new("laptop"), Listener::new(), Listener::new());
    away.answers(503);
    home.run(["community", "contribute", "--to", &away.url(), "--yes"]).failure(5);
    let first = last_body(&home);

    // Another collector gets another report, and the first goes on to its own.
    let told = contribute(&home, &other.url());
    assert_eq!((&told["to"], &told["reports_left"]), (&other.url().into(), &10.into()));
    assert_eq!(other.bodies(), [last_body(&home)]);
    assert_ne!(other.bodies(), std::slice::from_ref(&first));
    home.run(["community", "contribute", "--to", &away.url(), "--yes"]).failure(5);
    assert_eq!(away.bodies(), [first.clone(), first.clone()]);

    // It is given up with the rest: consent that is given later is not for it, at neither.
    let failed = home.run(["community", "revoke"]).failure(5);
    assert!(failed.stderr.contains(&format!("{}: it does not work at the moment", away.url())), "{failed:?}");
    assert_eq!(json(&home, &["community", "status", "--json"])["reports"][0]["outcome"], "given_up");
    contribute(&home, &other.url());
    away.answers(204);
    contribute(&home, &away.url());
    let reports: Vec<_> = [&other, &away].iter().flat_map(|listener| listener.bodies()).collect();
    assert_eq!(reports.iter().filter(|body| **body == first).count(), 2, "none of them after the revocation");

    // Its key is kept, so that it can still be deleted where it did arrive. Where it did not, nothing is left to do.
    away.answers(404);
    let failed = home.run(["community", "revoke"]).failure(5);
    assert!(failed.stderr.contains("1 report could not be deleted yet"), "{failed:?}");
    away.answers(204);
    let before = away.requests().len();
    assert_eq!(json(&home, &["community", "revoke", "--json"])["revoked"], 2);
    let keys: BTreeSet<_> = away.bodies()[before..].iter().map(|body| Revocation::read(body).unwrap().key).collect();
    assert!(keys.contains(&Report::read(&first).unwrap().key));
}

#[test]
fn only_an_answer_of_204_says_that_a_report_has_arrived() {
    let (home, listener) = (SyncHome::new("laptop"), Listener::new());
    listener.answers(200);
    let failed = home.run(["community", "contribute", "--to", &listener.url(), "--yes"]).failure(5);
    assert!(failed.stderr.contains("not as a collector"), "{failed:?}");
    assert_eq!(json(&home, &["community", "status", "--json"])["reports"][0]["outcome"], "underway");
    // One that never came is not there, and that is all that was asked for.
    listener.answers(404);
    let revoked = json(&home, &["community", "revoke", "--json"]);
    assert_eq!((&revoked["revoked"], &revoked["pending"]), (&0.into(), &0.into()));
    assert!(
        std::fs::read_to_string(home.data("community.json")).unwrap().contains("\"seed\""),
        "somebody else may answer"
    );
}

#[test]
fn a_report_that_goes_again_is_previewed_and_counts_from_then_on_also_when_the_year_is_spent() {
    let (home, listener) = (SyncHome::new("laptop"), Listener::new());
    let run = |day: i64, args: &[&str]| {
        let mut command = home.command(args);
        command.env("CARO_TEST_CLOCK", home.home.file("clock", (day * DAY).to_string()));
        home.finish(command, &[])
    };
    let done = |day: i64, args: &[&str]| {
        let run = run(day, args);
        assert_eq!(run.code, Some(0), "{run:?}");
        run.stdout
    };
    let parsed = |text: String| -> Value { serde_json::from_str(&text).unwrap() };
    for _ in 0..11 {
        done(0, &["community", "contribute", "--to", &listener.url(), "--yes"]);
    }
    listener.answers(503);
    run(1, &["community", "contribute", "--yes"]).failure(5);
    let sent = listener.bodies().pop().unwrap();

    // None is left, but this one counts already.
    assert_eq!(done(300, &["community", "preview", "--raw"]).as_bytes(), sent);
    let shown = parsed(done(300, &["community", "preview", "--json"]));
    assert_eq!((&shown["again"], &shown["truth"], &shown["reports_left"]), (&true.into(), &Value::Null, &0.into()));
    assert!(done(300, &["community", "preview"]).contains("It is sent again, the same bytes"));
    listener.answers(204);
    done(300, &["community", "contribute", "--yes"]);
    assert_eq!(listener.bodies().pop().unwrap(), sent);

    for args in [&["community", "preview"][..], &["community", "contribute", "--yes"]] {
        let refused = run(300, args).failure(1);
        assert!(refused.stderr.contains("all reports of this year were sent"), "{refused:?}");
    }
    assert_eq!(
        parsed(done(400, &["community", "status", "--json"]))["reports_left"],
        11,
        "it was sent on the 300th day"
    );
}

#[test]
fn a_schedule_is_for_the_address_that_it_was_agreed_to_for() {
    let (home, listener, other) = (SyncHome::new("laptop"), Listener::new(), Listener::new());
    let schedule = || json(&home, &["community", "status", "--json"])["schedule"].clone();
    home.ok(["community", "contribute", "--to", &listener.url(), "--schedule", "weekly", "--yes"]);
    let mut terminal = Terminal::run(&home, &["community", "contribute", "--schedule", "monthly"]);
    terminal.sees("Send this report? [y/N] ").types("y");
    terminal.sees("Send reports by itself from now on? [y/N] ").types("n").sees("The schedule stays weekly.");
    assert_eq!((terminal.ends().code, schedule()), (Some(0), "weekly".into()));

    let run = home.ok(["community", "contribute", "--to", &other.url(), "--yes"]);
    assert!(run.stderr.contains(&format!("weekly, to {}: it ends", listener.url())), "{run:?}");
    assert_eq!(schedule(), Value::Null);
    home.ok(["community", "contribute", "--to", &listener.url(), "--schedule", "monthly", "--yes"]);
    assert_eq!(schedule(), "monthly");
    home.run(["community", "contribute", "--schedule", "never", "--to", &other.url()]).failure(2);
    let ended = json(&home, &["community", "contribute", "--schedule", "never", "--json"]);
    assert_eq!((&ended["to"], &ended["schedule"], &ended["reports_left"]), (&Value::Null, &Value::Null, &8.into()));
    assert_eq!((schedule(), listener.requests().len(), other.requests().len()), (Value::Null, 3, 1));
}

#[test]
fn while_a_question_is_open_another_process_says_so_and_does_not_wait() {
    let (home, listener) = (SyncHome::new("laptop"), Listener::new());
    let mut terminal = Terminal::run(&home, &["community", "contribute", "--to", &listener.url()]);
    terminal.sees("Send this report? [y/N] ");
    for command in ["preview", "revoke"] {
        let refused = home.run(["community", command]).failure(1);
        assert!(refused.stderr.contains("another caro is asking about a report"), "{refused:?}");
    }
    terminal.types("n");
    assert_eq!(terminal.ends().code, Some(1));
    home.ok(["community", "revoke"]);
}

#[test]
fn a_report_that_this_version_does_not_know_is_in_the_status_too() {
    let (home, listener) = (SyncHome::new("laptop"), Listener::new());
    contribute(&home, &listener.url());
    let file = home.data("community.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\\\"format\\\":1", "\\\"format\\\":9")).unwrap();
    let report = json(&home, &["community", "status", "--json"])["reports"][0].clone();
    assert_eq!((&report["question"], &report["outcome"]), (&Value::Null, &"sent".into()));
    assert!(report["body"].as_str().unwrap().contains("\"format\":9"), "{report}");
    let words = home.ok(["community", "status"]);
    assert!(words.stdout.contains("this version does not know what it asks"), "{words:?}");
}

#[test]
fn disabling_sync_says_that_reports_still_go_by_themselves() {
    let (home, relay, listener) = (SyncHome::with_limits("laptop"), Relay::new(), Listener::new());
    home.init(&relay.url());
    home.ok(["community", "contribute", "--to", &listener.url(), "--schedule", "monthly", "--yes"]);
    let run = home.ok(["sync", "disable"]);
    assert!(
        run.stderr.contains("nothing is synced") && run.stderr.contains("`caro community revoke` ends that"),
        "{run:?}"
    );
    home.ok(["community", "revoke"]);
    let run = home.ok(["sync", "disable"]);
    assert!(run.stderr.contains("nothing is synced") && !run.stderr.contains("community"), "{run:?}");
}
