//! What the relay confirms is on its disk; what its disk refuses is never confirmed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde_json::Value;

use crate::common::home::{DEADLINE, wait_until};
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, finish_within, serve};
use crate::common::wire::{Fate, Way, Wire};
use crate::relay_fairness::making;
use crate::relay_hostile::{client, goes_on};
use crate::sync_disk_full::SmallDisk;
use crate::sync_session_guard::noise;

/// How many transactions of a session the relay's store holds, as any process sees it.
fn stored(database: &PathBuf, id: &str, session: &str) -> u64 {
    let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the relay's store");
    let found: Option<i64> = db
        .query_row(
            "SELECT max(idx) + 1 FROM transactions WHERE ses = (SELECT rowID FROM sessions WHERE sessionID = ?1 \
             AND coValue = (SELECT rowID FROM coValues WHERE id = ?2))",
            params![session, id],
            |row| row.get(0),
        )
        .optional()
        .expect("it can be read")
        .flatten();
    found.map_or(0, i64::unsigned_abs)
}

#[test]
fn what_the_relay_confirms_is_in_its_store() {
    let relay = Relay::new();
    let database = relay.data().join("relay.db");
    assert!(database.exists(), "the relay's store is where this test looks");
    let confirmed = Arc::new(Mutex::new((0_u64, Vec::<String>::new())));
    let seen = confirmed.clone();
    let wire = Wire::tampering(
        &relay.url(),
        Box::new(move |way, message| {
            if way == Way::Down && message["action"] == "known" && message["header"] == true {
                let id = message["id"].as_str().unwrap_or_default();
                let mut seen = seen.lock().unwrap();
                for (session, count) in message["sessions"].as_object().into_iter().flatten() {
                    let (count, there) = (count.as_u64().unwrap_or(0), stored(&database, id, session));
                    seen.0 += 1;
                    if there < count {
                        seen.1.push(format!("{id}: {count} confirmed, {there} stored"));
                    }
                }
            }
            Fate::Pass
        }),
    );
    let home = SyncHome::new("laptop");
    home.init(&wire.url());
    for i in 0..30 {
        home.add(&[format!("command {i}"), noise(&format!("noise {i}"))]);
        home.now();
    }
    let (count, early) = &*confirmed.lock().unwrap();
    assert!(*count > 60, "confirmations were seen: {count}");
    assert!(early.is_empty(), "confirmed before it was stored: {early:#?}");
}

#[test]
fn what_a_relay_has_stored_counts_where_a_client_brings_an_older_part_of_it_first() {
    let mut relay = Relay::new();
    let (a, b, joins) = (SyncHome::new("laptop"), SyncHome::new("desktop"), SyncHome::new("tower"));
    let brought = Arc::new(Mutex::new(Vec::<Value>::new()));
    let noted = brought.clone();
    let wire = Wire::tampering(
        &relay.url(),
        Box::new(move |way, message| {
            if way == Way::Up && message["action"] == "content" && message["header"].is_object() {
                noted.lock().unwrap().push(message.clone());
            }
            Fate::Pass
        }),
    );
    a.add_one("echo before");
    let phrase = a.init(&wire.url());
    b.restored(&relay.url(), &phrase);
    b.add(&(0..20).map(|i| format!("echo {i}")).collect::<Vec<_>>());
    assert_eq!(b.now().pending, 0);
    assert!(relay.stop().success());
    relay.start_again();
    // As whoever was cut off in the middle does, without a question before.
    let mut client = client(&relay);
    for message in brought.lock().unwrap().iter() {
        client.send(&message.to_string());
    }
    assert!(goes_on(&mut client));
    joins.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&b, &joins]), 21);
}

/// How often the system has brought something to disk, as `strace` has written down.
pub(crate) fn flushes(log: &Path) -> usize {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().filter(|line| line.contains("sync") && line.ends_with("= 0")).count()
}

/// The same command, of which `strace` writes down how often it has something brought to disk.
pub(crate) fn noting_flushes(plain: &Command, log: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"]).arg(log).arg("--");
    command.arg(plain.get_program()).args(plain.get_args()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn what_the_relay_confirms_was_brought_to_disk_before() {
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("relay"), folder.path().join("strace.log"));
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let relay = Relay::spawn(&data, address, noting_flushes(&serve(&data, address), &log));

    // How often anything had been brought to disk when transactions of a session came, and when they were confirmed.
    let seen = Arc::new(Mutex::new((Vec::<(String, u64, usize)>::new(), Vec::<(usize, usize)>::new())));
    let noted = seen.clone();
    let wire = Wire::tampering(
        &relay.url(),
        Box::new(move |way, message| {
            let (came, confirmed) = &mut *noted.lock().unwrap();
            let name = |session: &str| format!("{} {session}", message["id"]);
            if way == Way::Up && message["action"] == "content" {
                for (session, new) in message["new"].as_object().into_iter().flatten() {
                    let transactions = new["newTransactions"].as_array().map_or(0, Vec::len) as u64;
                    came.push((name(session), new["after"].as_u64().unwrap_or(0) + transactions, flushes(&log)));
                }
            } else if way == Way::Down && message["action"] == "known" {
                for (session, count) in message["sessions"].as_object().into_iter().flatten() {
                    let session = name(session);
                    came.retain(|(from, until, before)| {
                        let waits = *from != session || *until > count.as_u64().unwrap_or(0);
                        confirmed.extend((!waits).then(|| (*before, flushes(&log))));
                        waits
                    });
                }
            }
            Fate::Pass
        }),
    );
    let home = SyncHome::new("laptop");
    home.init(&wire.url());
    for i in 0..10 {
        home.add_one(&format!("command {i}"));
        home.now();
    }
    let (_, confirmed) = &*seen.lock().unwrap();
    assert!(confirmed.len() > 10, "{confirmed:?}");
    assert!(confirmed.iter().all(|(came, confirmed)| confirmed > came), "{confirmed:?}");
}

#[test]
fn a_value_without_content_was_brought_to_disk_before_it_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("relay"), folder.path().join("strace.log"));
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let relay = Relay::spawn(&data, address, noting_flushes(&serve(&data, address), &log));
    let mut client = client(&relay);
    for i in 0..3 {
        let (message, id) = making(&format!("empty {i}"));
        let before = flushes(&log);
        client.send(&message);
        let confirmation = std::iter::from_fn(|| client.text()).find(|text| text.contains(&id));
        assert!(confirmation.is_some_and(|text| text.contains(r#""header":true"#)));
        assert!(flushes(&log) > before, "{i}");
    }
}

/// Has every further flush of a process fail, as long as the result runs.
fn refuse_flushes(pid: u32) -> std::process::Child {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]);
    command.args(["-e", "inject=fsync,fdatasync:error=EIO", "-p", &pid.to_string()]);
    let strace = command.stdin(Stdio::null()).spawn().unwrap();
    let traced = |task: &Path| {
        let status = std::fs::read_to_string(task.join("status")).unwrap_or_default();
        status.lines().any(|line| line == format!("TracerPid:\t{}", strace.id()))
    };
    let all = || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks.map_while(Result::ok).all(|task| traced(&task.path()))
    };
    wait_until("its system calls are watched", all);
    strace
}

#[test]
fn a_relay_whose_disk_refuses_what_was_written_ends_before_it_confirms_anything_more() {
    let mut relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add(&[noise("before")]);
    let phrase = a.init(&relay.url());
    let mut strace = refuse_flushes(relay.pid());
    a.add(&[noise("after")]);
    let run = a.run(["sync", "now", "--timeout", "3"]);
    assert_eq!(run.code, Some(5), "nothing is confirmed: {run:?}");
    let status = relay.stop_quietly();
    assert_eq!(status.code(), Some(1), "{}", relay.log());
    assert!(relay.log().contains("did not take a change"), "{}", relay.log());
    strace.wait().unwrap();
    relay.start_again();
    assert_eq!(a.now().pending, 0);
    b.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 2);
}

#[test]
fn a_relay_whose_disk_is_full_confirms_nothing_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("relay"), 16_384) else {
        println!("skipped: mounting needs root");
        return;
    };
    let mut relay = Relay::start(&folder.path().join("relay"));
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&relay.url());

    for leave in [0, 64 << 10, 256 << 10] {
        // What it was sent before, the relay may yet store once there is room.
        a.add(&(0..600).map(|i| noise(&format!("a {leave} {i}"))).collect::<Vec<_>>());
        let filler = disk.fill(leave);
        let run = a.run(["sync", "now", "--timeout", "3"]);
        assert_eq!(run.code, Some(5), "with {leave} bytes left: {run:?}");
        assert!(run.stderr.contains("the relay's disk is full, or takes no changes"), "{run:?}");
        let status = a.run(["relay", "status", "--data-dir", relay.data().to_str().unwrap()]);
        assert!(status.stdout.contains("its disk takes no changes"), "{status:?}");
        assert!(status.code == Some(1) && status.stderr.contains("Make room on its disk"), "{status:?}");
        assert!(!relay.log().contains("nobody cared"), "{}", relay.log());
        std::fs::remove_file(filler).unwrap();
    }
    a.now();
    relay.kill();
    relay.start_again();
    b.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 1800);
    let status: Value = a.status();
    assert_eq!(status["pending"], 0);
}

#[test]
fn a_relay_whose_disk_takes_no_writes_any_more_confirms_nothing_says_so_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount_failing(&folder.path().join("disk")) else {
        println!("skipped: mounting needs root");
        return;
    };
    let mut relay = Relay::start(&folder.path().join("disk/relay"));
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add(&(0..100).map(|i| noise(&format!("before {i}"))).collect::<Vec<_>>());
    let phrase = a.init(&relay.url());
    if !disk.fail() {
        println!("skipped: this kernel cannot be made to fail");
        return;
    }
    a.add(&(0..100).map(|i| noise(&format!("after {i}"))).collect::<Vec<_>>());
    let run = a.run(["sync", "now", "--timeout", "3"]);
    assert_eq!(run.code, Some(5), "nothing is confirmed: {run:?}");
    assert!(relay.log().contains("ERROR") || relay.log().contains("WARN"), "it is told: {}", relay.log());
    relay.kill();
    // One that is started now says what is the matter.
    let again = finish_within(serve(relay.data(), SocketAddr::from(([127, 0, 0, 1], 0))), &[], DEADLINE);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("cannot use the relay's store"), "{again:?}");
    let _disk = disk.mend();
    relay.start_again();
    assert_eq!(a.now().pending, 0);
    b.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 200);
}

#[test]
fn a_relay_that_does_not_wait_for_its_disk_loses_nothing_when_it_is_killed() {
    let mut relay = Relay::with(&["--durability", "process"]);
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&relay.url());
    for i in 0..10 {
        a.add(&[format!("command {i}"), noise(&format!("noise {i}"))]);
        assert_eq!(a.now().pending, 0);
        relay.kill();
        relay.start_again();
    }
    // What it confirmed is there without the device that wrote it.
    b.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 20);
}
