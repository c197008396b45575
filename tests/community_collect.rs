//! The collector: what it takes and what it keeps, with the real program on both sides.

pub(crate) mod collector;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

use caro::community::{BODY_BYTES, Key, REPORT_PATH, REVOKE_PATH, Report, Revocation};
use rusqlite::Connection;
use serde_json::Value;

use self::collector::{Collector, JSON, QUESTION, frozen, of, padded, post, status};
use crate::common::authority::Authority;
use crate::common::home::{TestHome, wait_until};
use crate::common::postgres::Postgres;
use crate::common::pty::Terminal;
use crate::common::sync::{Relay, SyncHome, bytes_of, contains, server};
use crate::relay_durability::{flushes, noting_flushes};
use crate::relay_outside::body;
use crate::relay_proxies::{adapted, installed, nginx, packaged_in};
use crate::relay_serving::{get, tcp};
use crate::sync_disk_full::SmallDisk;

#[test]
fn a_report_counts_once_until_it_is_revoked_and_never_again() {
    let collector = Collector::new(&[]);
    let (report, other, revocation) = (frozen("report"), frozen("other"), frozen("revocation"));
    assert_eq!((collector.holds(), collector.revokes(&revocation)), (0, 404));
    assert_eq!((collector.reports(&report), collector.reports(&report)), (204, 204));
    let published = collector.published();
    let asked = of(&published, QUESTION);
    assert_eq!((&asked["year"]["reports"], &asked["all"]["reports"]), (&1.into(), &1.into()));
    assert_eq!(asked["year"]["answers"], Value::Null, "of few reports nothing more is told");
    assert_eq!(collector.reports(&other), 409);
    assert_eq!(collector.revokes(&Revocation::make(&Key::from_seed(&[9; 32])).bytes()), 404, "another one's key");
    assert_eq!(collector.holds(), 1);

    assert_eq!(collector.revokes(&revocation), 204);
    assert_eq!(collector.holds(), 0);
    assert_eq!(collector.revokes(&revocation), 204, "once more: it is as well deleted as before");
    assert_eq!(collector.revokes(&Revocation::make(&Key::from_seed(&[9; 32])).bytes()), 404, "never heard of");
    assert_eq!((collector.reports(&report), collector.reports(&other), collector.holds()), (410, 410, 0));
    assert!(!collector.process.log().contains("WARN"), "{}", collector.process.log());
}

#[test]
fn however_many_send_and_revoke_at_once_it_counts_once_and_then_not_at_all() {
    let collector = Collector::new(&["--reports-per-hour", "1000"]);
    let (report, other, revocation) = (frozen("report"), frozen("other"), frozen("revocation"));
    let to = collector.process.address();
    let at_once = |path: &str, bodies: &[&[u8]]| -> Vec<u16> {
        std::thread::scope(|scope| {
            let senders: Vec<_> = bodies.iter().map(|body| scope.spawn(move || post(to, JSON, path, body).0)).collect();
            senders.into_iter().map(|sender| sender.join().unwrap()).collect()
        })
    };
    let both = [report.as_slice(), other.as_slice()].repeat(10);
    let answers = at_once(REPORT_PATH, &both);
    let taken = if answers[0] == 204 { 0 } else { 1 };
    let expected: Vec<u16> = (0..both.len()).map(|at| if at % 2 == taken { 204 } else { 409 }).collect();
    assert_eq!((answers, collector.holds()), (expected, 1), "whichever came first");

    let answers = at_once(REVOKE_PATH, &[revocation.as_slice()].repeat(8));
    assert_eq!((answers, collector.holds()), (vec![204; 8], 0));
    assert!(at_once(REPORT_PATH, &both).iter().all(|status| *status == 410));
    assert_eq!(collector.holds(), 0);
}

#[test]
fn what_is_no_report_is_refused_with_a_reason_and_changes_nothing() {
    let collector = Collector::new(&["--reports-per-hour", "100"]);
    let (report, revocation) = (frozen("report"), frozen("revocation"));
    let line = std::str::from_utf8(&report).unwrap().trim_end().to_owned();
    let value: Value = serde_json::from_str(&line).unwrap();
    let other_digit = |field: &str| {
        let text = value[field].as_str().unwrap();
        let changed = text.replace(|digit| digit == text.chars().next().unwrap(), "0");
        padded(&line.replace(text, &changed))
    };
    for (bytes, why) in [
        (padded(&line.replace("200 or more", "under 5")), "the signature is wrong"),
        (padded(&line.replace("200 or more", "always")), "there is no such question, or no such answer"),
        (padded(&line.replace(QUESTION, "cooking")), "there is no such question, or no such answer"),
        (padded(&line.replace("\"format\":1", "\"format\":2")), "another version"),
        (other_digit("key"), "the signature is wrong"),
        (other_digit("signature"), "the signature is wrong"),
        (other_digit("work"), "the work was not done"),
        (padded(&format!(" {line}")), "not a report of this format"),
        (padded(&line.replace('{', "{\"name\":\"me\",")), "not a report of this format"),
        (line.clone().into_bytes(), "not a report of this format"),
        ([report.clone(), b" ".to_vec()].concat(), "not a report of this format"),
        (vec![b' '; 4096], "not a report of this format"),
        (revocation.clone(), "not a report of this format"),
        (vec![0xff; BODY_BYTES], "not a report of this format"),
        (Vec::new(), "not a report of this format"),
    ] {
        let (status, said) = collector.sends_for(JSON, REPORT_PATH, &bytes);
        assert!(status == 400 && said.contains(why), "{status} {said:?} where {why:?} was expected");
    }
    assert_eq!(collector.holds(), 0);
    assert_eq!(collector.reports(&report), 204);
    let mut forged = revocation;
    let at = forged.iter().rposition(|byte| byte.is_ascii_hexdigit()).unwrap();
    forged[at] ^= 1;
    assert_eq!((collector.revokes(&forged), collector.revokes(&report), collector.holds()), (400, 400, 1));
    for (path, expected) in [("/v1/report", 405), ("/v1/revoke", 405), ("/v1/reports", 404), ("/../store", 404)] {
        assert_eq!(status(&collector.gets(path)), expected, "{path}");
    }
    assert_eq!(collector.sends("/", &report), 405);
    // What a page of another site can have a browser send without asking is not taken, and where it asks it hears no.
    let simple = "content-type: text/plain\r\norigin: https://other.example\r\n";
    assert_eq!(collector.sends_for(simple, REPORT_PATH, &report).0, 400);
    let mut stream = tcp(collector.process.address());
    write!(stream, "OPTIONS {REPORT_PATH} HTTP/1.1\r\nhost: collector\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(status(&answer) == 405 && !answer.contains("access-control"), "{answer}");
}

#[test]
fn what_was_taken_survives_a_kill_and_what_is_kept_says_neither_who_nor_when() {
    let mut collector = Collector::new(&["--trusted-proxy", "127.0.0.1"]);
    let from = format!("{JSON}x-forwarded-for: 198.51.100.77\r\nuser-agent: canary/1\r\n");
    assert_eq!(collector.sends_for(&from, REPORT_PATH, &frozen("report")).0, 204);
    collector.process.kill();
    collector.start_again();
    assert_eq!(collector.holds(), 1);
    let (seconds, date) = {
        let now = jiff::Timestamp::now();
        (u32::try_from(now.as_second()).unwrap(), now.strftime("%Y-%m-%d").to_string())
    };
    let bytes = bytes_of(&collector.data());
    assert!(contains(&bytes, QUESTION.as_bytes()) && contains(&bytes, &date.as_bytes()[..7]));
    let day = &seconds.to_be_bytes()[..3];
    let needles: [&[u8]; 7] =
        [b"127.0.0.1", b"198.51.100.77", &[127, 0, 0, 1], &[198, 51, 100, 77], b"canary", date.as_bytes(), day];
    for needle in needles {
        assert!(!contains(&bytes, needle), "{needle:?} is kept");
    }
    // All there is: four columns, and one.
    let database = Connection::open(collector.data().join("collector.db")).unwrap();
    let mut columns =
        database.prepare("SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c").unwrap();
    let columns: Vec<String> = columns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(columns, ["reports.key", "reports.question", "reports.answer", "reports.month", "revoked.key"]);
}

#[test]
fn what_was_taken_was_brought_to_disk_before() {
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("collector"), folder.path().join("strace.log"));
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let command = noting_flushes(&server(["community", "collect"], &data, address), &log);
    let collector = Collector { process: Relay::spawn(&data, address, command), args: Vec::new(), _folder: None };
    let mut before = flushes(&log);
    for (path, body) in [(REPORT_PATH, frozen("report")), (REVOKE_PATH, frozen("revocation"))] {
        assert_eq!(collector.sends(path, &body), 204);
        let after = flushes(&log);
        // The journal, the file, and the end of the journal.
        assert!(after >= before + 3, "{path}: {before} and {after}");
        before = after;
    }
}

#[test]
fn a_flood_from_one_address_is_stopped_and_nobody_else_is() {
    let mut collector = Collector::new(&["--reports-per-hour", "3", "--trusted-proxy", "127.0.0.1"]);
    let nonsense = vec![b' '; BODY_BYTES];
    let from = |address: &str| format!("{JSON}x-forwarded-for: {address}\r\n");
    let send = |address: &str, path: &str| collector.sends_for(&from(address), path, &nonsense).0;
    let flood: Vec<u16> = (0..5).map(|_| send("198.51.100.77", REPORT_PATH)).collect();
    assert_eq!(flood, [400, 400, 400, 429, 429]);
    // An IPv6 network is one address, whoever makes up addresses beyond a proxy is one, and revoking is counted by itself.
    let network: Vec<u16> = (0..4).map(|host| send(&format!("2001:db8:1:2::{host}"), REPORT_PATH)).collect();
    assert_eq!(network, [400, 400, 400, 429]);
    assert_eq!(send("203.0.113.5, 198.51.100.77", REPORT_PATH), 429);
    assert_eq!((send("198.51.100.78", REPORT_PATH), send("198.51.100.77", REVOKE_PATH)), (400, 400));
    assert_eq!(collector.sends_for(&from("198.51.100.79"), REPORT_PATH, &frozen("report")).0, 204);
    assert!(collector.gets("/").starts_with("HTTP/1.1 200"), "reading is not limited");

    assert!(collector.process.stop().success());
    assert!(!contains(&bytes_of(&collector.data()), b"198.51"), "no address is kept");
    // Where no proxy is trusted, what it says of others counts for nothing.
    collector.args = vec!["--reports-per-hour".into(), "3".into()];
    collector.start_again();
    let made_up: Vec<u16> = (1..5)
        .map(|host| collector.sends_for(&from(&format!("198.51.100.{host}")), REPORT_PATH, &nonsense).0)
        .collect();
    assert_eq!(made_up, [400, 400, 400, 429]);
}

#[test]
fn its_log_says_when_it_starts_and_stops_and_nothing_of_anybody() {
    let folder = tempfile::tempdir().unwrap();
    let (data, address) = (folder.path().join("collector"), SocketAddr::from(([127, 0, 0, 1], 0)));
    let log = |level: Option<&str>| {
        let mut command = server(["community", "collect"], &data, address);
        match level {
            Some(level) => command.env("CARO_LOG", level),
            None => command.env_remove("CARO_LOG"),
        };
        let mut collector =
            Collector { process: Relay::spawn(&data, address, command), args: Vec::new(), _folder: None };
        collector.reports(&frozen("report"));
        collector.reports(b"too short");
        collector.revokes(&frozen("revocation"));
        assert!(collector.process.stop().success());
        wait_until("its log is whole", || level.is_some() || collector.process.log().contains("stopped"));
        collector.process.log()
    };
    let usual = log(None);
    assert!(usual.contains("started") && usual.lines().count() == 2, "{usual}");
    let key = Report::read(&frozen("report")).unwrap().key.to_string();
    for secret in ["127.0.0.1", key.as_str(), QUESTION] {
        assert!(!usual.contains(secret) && !log(Some("trace")).contains(secret), "{secret}");
    }
}

#[test]
fn a_user_contributes_over_tls_is_counted_and_takes_it_back() {
    let authority = Authority::new();
    let (chain, key) = authority.issue("127.0.0.1").write(authority.folder(), "collector");
    let socket = authority.folder().join("collector.sock");
    let collector = Collector::new(&[
        "--tls-certificate",
        chain.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
        "--listen",
        &format!("unix:{}", socket.display()),
    ]);
    let published = || -> Value {
        serde_json::from_str(body(&get(UnixStream::connect(&socket).unwrap(), "/v1/aggregates.json"))).unwrap()
    };
    let home = SyncHome::new("laptop");
    home.add_one("git status");
    let (url, root) = (format!("https://{}", collector.process.address()), authority.root());
    let mut terminal = Terminal::run(
        &home,
        &["community", "contribute", "--to", &url, "--collector-certificate", root.to_str().unwrap()],
    );
    terminal.sees("Send this report? [y/N] ").types("y").sees("Sent. Thank you.");
    assert_eq!(terminal.ends().code, Some(0));
    let told: Value = serde_json::from_str(&home.ok(["community", "status", "--json"]).stdout).unwrap();
    let question = told["reports"].as_array().unwrap().last().unwrap()["question"].as_str().unwrap().to_owned();
    let after = published();
    assert_eq!((&after["reports"], &of(&after, &question)["year"]["reports"]), (&1.into(), &1.into()));
    home.ok(["community", "revoke"]);
    assert_eq!(published()["reports"], 0);
}

#[test]
fn behind_nginx_it_works_as_the_example_says() {
    let Some(program) = installed("nginx") else { return };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("collector.sock");
    let listen = format!("unix:{}", socket.display());
    let mut collector = Collector::new(&["--listen", &listen, "--reports-per-hour", "2"]);
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = adapted(
        &packaged_in("collector", "nginx.conf"),
        &[
            ("unix:/run/caro-collector/collector.sock", &listen),
            ("listen 443 ssl;", &format!("listen {address};")),
            ("    listen [::]:443 ssl;\n", ""),
            ("    ssl_certificate /etc/ssl/stats.example/fullchain.pem;\n", ""),
            ("    ssl_certificate_key /etc/ssl/stats.example/privkey.pem;\n", ""),
        ],
    );
    let mut proxy = nginx(&program, folder.path(), &server).spawn().unwrap();
    wait_until("the proxy listens", || std::net::TcpStream::connect(address).is_ok());
    let sent = |made_up: &str| {
        let headers = format!("{JSON}x-forwarded-for: {made_up}\r\n");
        post(address, &headers, REPORT_PATH, &frozen("report")).0
    };
    assert_eq!((sent("198.51.100.1"), sent("198.51.100.2"), sent("198.51.100.3")), (204, 204, 429));
    assert!(get(tcp(address), "/").contains("How caro is used"));
    assert_eq!(collector.holds(), 1);
    drop(proxy.kill());
    drop(proxy.wait());
    assert!(collector.process.stop().success());
}

#[test]
fn a_full_disk_takes_nothing_loses_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("collector"), 1024) else {
        println!("skipped: mounting needs root");
        return;
    };
    let mut collector = Collector::start(&folder.path().join("collector"), &[]);
    let health = |collector: &Collector| status(&collector.gets("/health"));
    assert_eq!(health(&collector), 200);
    let filler = disk.fill(0);
    assert_eq!((collector.reports(&frozen("report")), health(&collector), collector.holds()), (503, 503, 0));
    std::fs::remove_file(filler).unwrap();
    assert_eq!((collector.reports(&frozen("report")), health(&collector), collector.holds()), (204, 200, 1));

    let filler = disk.fill(0);
    assert_eq!((collector.revokes(&frozen("revocation")), health(&collector), collector.holds()), (503, 503, 1));
    std::fs::remove_file(filler).unwrap();
    wait_until("it notices by itself that there is room", || health(&collector) == 200);
    collector.process.kill();
    collector.start_again();
    assert_eq!((collector.holds(), collector.revokes(&frozen("revocation")), collector.holds()), (1, 204, 0));
    drop(collector);
}

#[test]
fn collectors_share_a_database_and_wait_for_it() {
    let Some(mut database) = Postgres::start() else { return };
    let url = database.url();
    let (first, second) = (Collector::new(&["--database", &url]), Collector::new(&["--database", &url]));
    let (report, revocation) = (frozen("report"), frozen("revocation"));
    assert_eq!((first.reports(&report), second.reports(&report), second.holds()), (204, 204, 1));
    assert_eq!(second.reports(&frozen("other")), 409);
    let columns = database.query(
        "SELECT table_name || '.' || column_name FROM information_schema.columns \
         WHERE table_name IN ('caro_reports', 'caro_revoked') ORDER BY table_name, ordinal_position",
    );
    let columns: Vec<String> = columns.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        columns,
        ["caro_reports.key", "caro_reports.question", "caro_reports.answer", "caro_reports.month", "caro_revoked.key"]
    );
    database.kill();
    assert_eq!(first.revokes(&revocation), 503);
    wait_until("the other one notices too", || status(&second.gets("/health")) == 503);
    database.start_again();
    wait_until("both are well", || [&first, &second].iter().all(|it| status(&it.gets("/health")) == 200));
    assert_eq!((first.holds(), second.revokes(&revocation), first.holds()), (1, 204, 0));
    assert_eq!((first.revokes(&revocation), first.reports(&report)), (204, 410));
    assert_eq!(first.revokes(&Revocation::make(&Key::from_seed(&[9; 32])).bytes()), 404);
    assert!(!first.data().exists(), "nothing is kept beside it");
}

#[test]
fn a_collector_that_cannot_start_says_why() {
    let home = TestHome::new();
    let run = |args: &[&str]| home.run([&["community", "collect"], args].concat());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = run(&["--listen", &address]).failure(1);
    assert!(refused.stderr.contains(&format!("cannot listen on {address}")), "{refused:?}");
    let refused = run(&["--tls-key", "privkey.pem"]).failure(2);
    assert!(refused.stderr.contains("belong together"), "{refused:?}");
    let refused = run(&["--listen", "127.0.0.1:0", "--database", "postgres://me:s3cret@127.0.0.1:1/caro"]).failure(1);
    assert!(refused.stderr.contains("cannot use the database at postgres://127.0.0.1:1/caro"), "{refused:?}");
    assert!(!refused.stderr.contains("s3cret"), "{refused:?}");
    std::fs::create_dir_all(home.data_dir().join("collector")).unwrap();
    std::fs::write(home.data_dir().join("collector/collector.db"), vec![b'x'; 8192]).unwrap();
    let refused = run(&["--listen", "127.0.0.1:0"]).failure(1);
    assert!(refused.stderr.contains("cannot use the collector's store"), "{refused:?}");
}
