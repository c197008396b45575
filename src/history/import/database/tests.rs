//! Databases under test: of today's versions, of older ones, and with values of the wrong type.

use proptest::prelude::*;

use super::super::lines::tests_support::entry;
use super::*;

const ATUIN_TABLE: &str = "CREATE TABLE history (id TEXT PRIMARY KEY, timestamp INTEGER NOT NULL,
    duration INTEGER NOT NULL, exit INTEGER NOT NULL, command TEXT NOT NULL, cwd TEXT NOT NULL,
    session TEXT NOT NULL, hostname TEXT NOT NULL, deleted_at INTEGER, author TEXT, shell TEXT)";
const NU_TABLE: &str = "CREATE TABLE history (id INTEGER PRIMARY KEY AUTOINCREMENT, command_line TEXT NOT NULL,
    start_timestamp INTEGER, session_id INTEGER, hostname TEXT, cwd TEXT, duration_ms INTEGER, exit_status INTEGER,
    more_info TEXT) STRICT";

/// What is read of a database that these statements make.
fn read(kind: Kind, make: impl FnOnce(&Connection)) -> io::Result<Vec<Content>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    make(&Connection::open(&path).unwrap());
    let before = std::fs::read(&path).unwrap();
    let database = Database::open(kind, &path)?;
    let all = database.with_entries(|items| items.map(|item| item.unwrap().content).collect::<Vec<_>>())?;
    assert_eq!(database.count()?, all.len() as u64);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    Ok(all)
}

#[test]
fn atuin_knows_much_about_a_command() {
    let all = read(Kind::Atuin, |db| {
        db.execute_batch(ATUIN_TABLE).unwrap();
        db.execute_batch(
            "INSERT INTO history VALUES
                ('b', 1700000001000000005, 7, 2, 'make', '/src', 's', 'laptop:ada', NULL, 'ada', 'zsh'),
                ('a', 1700000000000000000, -1, -1, 'vi', 'unknown', 's', 'laptop:ada', NULL, 'ada', NULL),
                ('c', 1700000002000000000, 1, 0, 'secret', '/', 's', 'laptop:ada', 1700000003000000000, 'ada', NULL)",
        )
        .unwrap();
    });
    let known = |id: &str| Details {
        source_id: Some(id.into()),
        session: Some("s".into()),
        host: Some("laptop".into()),
        ..Details::default()
    };
    let mut make = known("b");
    (make.subsec_ns, make.duration_ns, make.exit, make.cwd) = (5, Some(7), Some(2), Some("/src".into()));
    make.shell = Some("zsh".into());
    let of = |command: &str, stamp, details| Content::Entry {
        command: command.into(),
        stamp: Some(stamp),
        repaired: None,
        details,
    };
    assert_eq!(all.unwrap(), [of("vi", 1_700_000_000, known("a")), of("make", 1_700_000_001, make)]);
}

#[test]
fn columns_that_an_older_version_lacks_are_unknown() {
    let all = read(Kind::Atuin, |db| {
        db.execute_batch(
            "CREATE TABLE history (id TEXT, timestamp INTEGER, command TEXT);
             INSERT INTO history VALUES (NULL, 1700000000000000000, 'ls')",
        )
        .unwrap();
    });
    assert_eq!(all.unwrap(), [entry("ls", Some(1_700_000_000))]);
}

#[test]
fn values_of_the_wrong_type_harm_nothing() {
    let all = read(Kind::Nu, |db| {
        db.execute_batch(
            "CREATE TABLE history (command_line, start_timestamp, exit_status, cwd);
             INSERT INTO history VALUES ('ls', 'soon', 'x', 5), (7, 5, 5, 5), (' ', 5, 5, 5), (x'61ff', NULL, NULL, NULL)",
        )
        .unwrap();
    });
    let repaired = Content::Entry {
        command: "a\u{fffd}".into(),
        stamp: None,
        repaired: Some(Reason::NotUtf8),
        details: Details::default(),
    };
    let none = Content::Skipped(Reason::NoCommand);
    assert_eq!(all.unwrap(), [entry("ls", None), none.clone(), none, repaired]);
}

#[test]
fn another_database_and_what_is_none_are_refused() {
    let error = read(Kind::Atuin, |db| db.execute_batch("CREATE TABLE other (x)").unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "the database is not a history of Atuin");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    std::fs::write(&path, "ls\n".repeat(1000)).unwrap();
    assert!(Database::open(Kind::Atuin, &path).is_err());
    assert!(Database::open(Kind::Atuin, &folder.path().join("none")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn what_nu_writes_is_read(
        commands in proptest::collection::vec("[^\\x00]{0,20}[^\\x00\\s]", 1..5),
        stamp in proptest::option::of(1i64..4_000_000_000_000),
        exit in proptest::option::of(any::<i32>()),
        ran in proptest::option::of(0i64..1_000_000),
    ) {
        let all = read(Kind::Nu, |db| {
            db.execute_batch(NU_TABLE).unwrap();
            for command in &commands {
                let sql = "INSERT INTO history (command_line, start_timestamp, session_id, hostname, cwd, duration_ms, \
                    exit_status) VALUES (?, ?, 5, 'h', '/x', ?, ?)";
                db.execute(sql, (command, stamp, ran, exit)).unwrap();
            }
        });
        let expected: Vec<Content> = commands
            .iter()
            .map(|command| Content::Entry {
                command: command.clone(),
                stamp: stamp.map(|stamp| stamp / 1000),
                repaired: None,
                details: Details {
                    source_id: None,
                    subsec_ns: stamp.map_or(0, |stamp| stamp % 1000 * 1_000_000),
                    duration_ns: ran.map(|ran| ran * 1_000_000),
                    exit,
                    cwd: Some("/x".into()),
                    session: Some("5".into()),
                    host: Some("h".into()),
                    shell: None,
                },
            })
            .collect();
        prop_assert_eq!(all.unwrap(), expected);
    }
}
