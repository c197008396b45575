//! The isolate's database: private, durable, erasing, and honest about its failures.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use caro::net::Network;
use caro::runtime::protocol::{
    Append, Close, CreateSegment, Event, Exchange, ExchangeUnread, FailureCode, Items, LoadRegistries, Open, Outcome,
    Positions, Set,
};
use caro::runtime::{Isolate, IsolateError, IsolateOptions, TestHooks, open_database};
use rusqlite::Connection;
use serde_json::json;

use super::bare::{Bare, agent_secret};
use crate::common::sync::Relay;
use crate::transport::peers::{address, dial};

const DEADLINE: Duration = Duration::from_secs(60);
const MONTH: &str = "2026-11-01T00:00:00.000Z";

fn pragma(connection: &Connection, name: &str) -> String {
    let value =
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
    match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_file_and_its_log_are_private_and_durable_and_erase() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sync.db");
    let connection = open_database(Some(&path)).unwrap();
    connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
    for (name, value) in [("journal_mode", "wal"), ("synchronous", "2"), ("secure_delete", "1"), ("temp_store", "2")] {
        assert_eq!(pragma(&connection, name), value, "{name}");
    }
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        files += 1;
    }
    assert_eq!(files, 3, "the database, its log and the log's index");
}

#[test]
fn a_file_that_others_could_read_is_made_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sync.db");
    std::fs::write(&path, b"").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    drop(open_database(Some(&path)).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sync.db");
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    assert!(open_database(Some(&path)).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), vec![b'x'; 8192]);
    assert!(open_database(Some(&folder.path().join("missing/sync.db"))).is_err());
}

#[test]
fn a_mistake_in_sql_is_an_exception_with_its_reason() {
    let mut engine = Bare::boot();
    let said = engine.value(
        "const { ops } = Deno.core;
         ops.op_sql_run('CREATE TABLE t (x INTEGER PRIMARY KEY)', []);
         ops.op_sql_run('INSERT INTO t VALUES (1)', []);
         const said = [];
         for (const [sql, params] of [['SELEKT 1', []], ['SELECT * FROM nowhere', []], ['INSERT INTO t VALUES (1)', []],
                                      ['SELECT ?', []], ['SELECT 1', [1]], ['SELECT ?', [{}]], ['SELECT 1; SELECT 2', []]]) {
           try { ops.op_sql_query(sql, params); said.push('nothing'); } catch (error) { said.push(error.message); }
         }
         return said;",
    );
    for (index, part) in [
        "syntax error",
        "no such table: nowhere",
        "UNIQUE constraint",
        "parameter",
        "parameter",
        "neither text",
        "ultiple",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(said[index].as_str().unwrap().contains(part), "{index}: {said}");
    }
}

#[test]
fn values_come_back_as_they_went_in() {
    let mut engine = Bare::boot();
    let differ = engine.value(
        r#"const { ops } = Deno.core;
           ops.op_sql_run("CREATE TABLE t (x)", []);
           const differ = [];
           const long = "é😀\n".repeat(100000);
           for (const value of ["", "é😀\0x", long, 0, -1, 1.5, 2 ** 53, -(2 ** 53), 1e300, null]) {
             ops.op_sql_run("DELETE FROM t", []);
             ops.op_sql_run("INSERT INTO t VALUES (?)", [value]);
             const [row] = ops.op_sql_query("SELECT x FROM t", []);
             if (row.x !== value) differ.push([value, row.x]);
           }
           return differ;"#,
    );
    assert_eq!(differ, json!([]));
}

/// A client with an account and one segment in this database.
struct Client {
    isolate: Isolate,
    secret: String,
    index: String,
    segment: String,
}

fn open(database: Connection, secret: &str, create: bool) -> (Isolate, String) {
    open_with(database, secret, create, None, "")
}

fn open_with(
    database: Connection,
    secret: &str,
    create: bool,
    session: Option<&str>,
    script: &'static str,
) -> (Isolate, String) {
    let options = IsolateOptions { store: Box::new(database), dialer: None, memory_limit: 256 << 20 };
    let hooks = TestHooks { script, longest_turn: Duration::from_secs(30) };
    let isolate = Isolate::start_with(options, hooks).unwrap();
    isolate
        .call(
            &Open {
                agent_secret: secret,
                session,
                create,
                peer: None,
                month: MONTH,
                ahead: &Positions::new(),
                timeout_ms: 20_000,
            },
            DEADLINE,
        )
        .unwrap();
    let index = isolate.call(&LoadRegistries { timeout_ms: 20_000 }, DEADLINE).unwrap().registries.index;
    (isolate, index)
}

fn client(database: Connection) -> Client {
    let secret = agent_secret();
    let (isolate, index) = open(database, &secret, true);
    let segment = isolate.call(&CreateSegment { month: MONTH.into() }, DEADLINE).unwrap().id;
    Client { isolate, secret, index, segment }
}

impl Client {
    fn append(&self, value: String) -> Result<u64, IsolateError> {
        let written = self.isolate.call(&Append { id: self.segment.clone(), values: vec![value] }, DEADLINE)?;
        Ok(written.entries)
    }
}

#[test]
fn a_full_disk_is_an_error_and_never_a_silent_loss() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sync.db");
    let database = open_database(Some(&path)).unwrap();
    database.pragma_update(None, "max_page_count", 200).unwrap();
    let client = client(database);

    let mut stored = 0;
    let failure = loop {
        match client.append(format!("{stored}-{}", "x".repeat(20_000))) {
            Ok(entries) => {
                stored += 1;
                assert_eq!(entries, stored);
            }
            Err(error) => break error,
        }
        assert!(stored < 1_000, "the disk never got full");
    };
    assert!(stored > 3, "{stored}: {failure:?}");
    let IsolateError::Failed(failure) = failure else { panic!("{failure:?}") };
    assert_eq!(failure.code, FailureCode::Storage, "{failure:?}");
    let set = client
        .isolate
        .call(&Set { id: client.index.clone(), entries: BTreeMap::from([("k".into(), "x".repeat(50_000))]) }, DEADLINE);
    assert!(matches!(&set, Err(IsolateError::Failed(f)) if f.code == FailureCode::Storage), "{set:?}");

    let (secret, segment) = (client.secret.clone(), client.segment.clone());
    drop(client);
    let (again, _) = open(open_database(Some(&path)).unwrap(), &secret, false);
    again.call(&Exchange { ids: vec![segment.clone()], timeout_ms: 20_000 }, DEADLINE).unwrap();
    let items = again.call(&Items { id: segment, after: BTreeMap::new() }, DEADLINE).unwrap().items;
    assert_eq!(items.len() as u64, stored, "what was confirmed is there, and nothing else");
}

/// A disk that is full says so in the end of a transaction, when the SDK has counted what is in it as stored.
#[test]
fn what_is_taken_back_in_the_end_is_not_reported_as_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sync.db");
    let Client { isolate, secret, segment, .. } = client(open_database(Some(&path)).unwrap());
    isolate.call(&Append { id: segment.clone(), values: vec!["first".into()] }, DEADLINE).unwrap();
    isolate.call(&Close {}, DEADLINE).unwrap();
    drop(isolate);
    let database = open_database(Some(&path)).unwrap();
    database
        .execute_batch(
            "CREATE TABLE nobody (id INTEGER PRIMARY KEY);
             CREATE TABLE promised (id INTEGER REFERENCES nobody DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER promise AFTER INSERT ON transactions BEGIN INSERT INTO promised VALUES (1); END;
             PRAGMA foreign_keys = ON;",
        )
        .unwrap();
    let (isolate, _) = open(database, &secret, false);
    let failure = isolate.call(&Append { id: segment, values: vec!["second".into()] }, DEADLINE);
    assert!(matches!(&failure, Err(IsolateError::Failed(f)) if f.code == FailureCode::Storage), "{failure:?}");
}

#[test]
fn what_was_answered_is_in_the_file_when_the_process_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sync.db");
    let client = client(open_database(Some(&path)).unwrap());
    for number in 0..20 {
        client.append(format!("value-{number}")).unwrap();
    }
    // Another connection sees it already, so it is committed.
    let reader = Connection::open(&path).unwrap();
    let stored: i64 = reader.query_row("SELECT count(*) FROM transactions", [], |row| row.get(0)).unwrap();
    let (secret, segment, index) = (client.secret.clone(), client.segment.clone(), client.index.clone());
    assert!(stored >= 20, "{stored}");
    client.isolate.call(&Close {}, DEADLINE).unwrap();
    drop(client);
    drop(reader);
    let (again, index_again) = open(open_database(Some(&path)).unwrap(), &secret, false);
    assert_eq!(index, index_again);
    again.call(&Exchange { ids: vec![segment.clone()], timeout_ms: 20_000 }, DEADLINE).unwrap();
    let items = again.call(&Items { id: segment, after: BTreeMap::new() }, DEADLINE).unwrap().items;
    let values: Vec<_> = items.into_iter().map(|(_, _, value)| value).collect();
    assert_eq!(values, (0..20).map(|n| format!("value-{n}")).collect::<Vec<_>>());
    assert_eq!(again.next_event(Duration::ZERO), None::<Event>);
}

/// A process may die between making a segment and writing to it, and its relay be another one afterwards.
#[test]
fn a_segment_without_entries_goes_to_a_relay_that_lacks_it() {
    let (secret, folder, network) = (agent_secret(), tempfile::tempdir().unwrap(), Network::start().unwrap());
    let path = folder.path().join("sync.db");
    let relays = [Relay::new(), Relay::new()];
    drop(open(open_database(Some(&path)).unwrap(), &secret, true));
    let with = |relay: &Relay, name: &str| {
        let dialled = dial(&network, address(&relay.url()));
        dialled.first.unwrap();
        let (database, dialer) = (open_database(Some(&path)).unwrap(), Some(dialled.dialer));
        let isolate =
            Isolate::start(IsolateOptions { store: Box::new(database), dialer, memory_limit: 256 << 20 }).unwrap();
        let open = Open {
            agent_secret: &secret,
            session: None,
            create: false,
            peer: Some(name),
            month: MONTH,
            ahead: &Positions::new(),
            timeout_ms: 10_000,
        };
        isolate.call(&open, DEADLINE).unwrap();
        isolate
    };
    let first = with(&relays[0], "first");
    let segment = first.call(&CreateSegment { month: MONTH.into() }, DEADLINE).unwrap().id;
    let exchange = Exchange { ids: vec![segment.clone()], timeout_ms: 10_000 };
    assert_eq!(first.call(&exchange, DEADLINE).unwrap().outcomes[&segment], Outcome::Current);
    first.call(&Close {}, DEADLINE).unwrap();
    drop(first);

    let read = Positions::from([(segment.clone(), BTreeMap::new())]);
    let second = with(&relays[1], "second");
    let exchanged = second.call(&ExchangeUnread { read, timeout_ms: 3_000 }, DEADLINE).unwrap();
    assert_eq!(exchanged.unchanged, [segment], "{:?}", exchanged.outcomes);
}

/// The SDK hands a long CoValue out in pieces, and lets others have a turn between them when they took long.
#[test]
fn a_segment_that_comes_from_the_store_in_pieces_is_used_when_it_is_whole() {
    /// Every look at the clock finds that a second has passed.
    const SLOW: &str = "let passed = 0; performance.now = () => (passed += 1_000);";
    const WRITTEN: usize = 40;
    let (secret, folder) = (agent_secret(), tempfile::tempdir().unwrap());
    let path = folder.path().join("sync.db");
    let (first, _) = open(open_database(Some(&path)).unwrap(), &secret, true);
    let segment = first.call(&CreateSegment { month: MONTH.into() }, DEADLINE).unwrap().id;
    let value = |number: usize| format!("{number}-{}", "x".repeat(20_000));
    let append = |isolate: &Isolate, number: usize| {
        isolate.call(&Append { id: segment.clone(), values: vec![value(number)] }, DEADLINE).unwrap()
    };
    for number in 0..WRITTEN {
        append(&first, number);
    }
    let session =
        first.call(&Items { id: segment.clone(), after: BTreeMap::new() }, DEADLINE).unwrap().items[0].0.clone();
    first.call(&Close {}, DEADLINE).unwrap();
    drop(first);

    let again = || open_with(open_database(Some(&path)).unwrap(), &secret, false, Some(&session), SLOW).0;
    let read = again().call(&Items { id: segment.clone(), after: BTreeMap::new() }, DEADLINE).unwrap().items;
    assert_eq!(read.len(), WRITTEN);
    let writer = again();
    let written = append(&writer, WRITTEN);
    assert_eq!((written.transaction, written.entries), (WRITTEN as u64, WRITTEN as u64 + 1));
    drop(writer);
    let read = again().call(&Items { id: segment.clone(), after: BTreeMap::new() }, DEADLINE).unwrap().items;
    assert_eq!(read.into_iter().map(|item| item.2).collect::<Vec<_>>(), (0..=WRITTEN).map(value).collect::<Vec<_>>());
}

/// The log is cut after each of its frames: whatever had come to disk when the power went.
#[test]
fn a_store_that_was_cut_off_while_it_was_made_opens() {
    /// What begins a log, and what comes before each page in it (SQLite's file format, section 4.1).
    const HEADER: usize = 32;
    const FRAME: usize = 24;
    let secret = agent_secret();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sync.db");
    let (isolate, _) = open(open_database(Some(&path)).unwrap(), &secret, true);
    let (database, log) = (std::fs::read(&path).unwrap(), std::fs::read(folder.path().join("sync.db-wal")).unwrap());
    drop(isolate);
    let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let ends: Vec<usize> = (HEADER..=log.len()).step_by(FRAME + page).collect();
    assert!(ends.len() > 10, "{} frames", ends.len());
    for end in ends {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.db");
        std::fs::write(&path, &database).unwrap();
        std::fs::write(folder.path().join("sync.db-wal"), &log[..end]).unwrap();
        open(open_database(Some(&path)).unwrap(), &secret, true);
    }
}
