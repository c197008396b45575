//! What `caro history` promises beyond its output: nothing acknowledged is lost, whoever else is at work
//! and whenever it is killed; a file it does not understand is left alone; nothing leaves the machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::home::{TestHome, wait_until};
use crate::sync_disk_full::SmallDisk;

#[test]
fn sixty_four_first_runs_at_once_lose_nothing() {
    for _ in 0..3 {
        let home = TestHome::new();
        let children: Vec<_> = (0..64)
            .map(|number| {
                let command = format!("echo {number}");
                home.command(["history", "add", "--json", "--command", &command]).spawn().unwrap()
            })
            .collect();
        let mut ids = BTreeSet::new();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(printed["stored"], "added");
            ids.insert(printed["id"].as_str().unwrap().to_owned());
        }
        let records = home.run(["history", "list", "--json"]).success().json();
        let field = |name: &str| -> BTreeSet<String> {
            records.iter().map(|record| record[name].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(records.len(), 64);
        assert_eq!(field("id"), ids);
        assert_eq!(field("command").len(), 64);
        assert_eq!(field("device_id").len(), 1);
        assert_eq!(home.history().pending_count().unwrap(), 64);
    }
}

#[test]
fn an_import_killed_half_way_is_completed_by_the_next() {
    let lines: String =
        (0..60_000).map(|number| format!("#{}\necho {}\n", 1_600_000_000 + number / 3, number % 1000)).collect();
    let home = TestHome::new();
    let file = home.file("bash_history", lines);
    let path = file.to_str().unwrap();
    let list = |home: &TestHome| home.run(["history", "list", "--format", "{id} {time} {command}"]).success().stdout;
    // Opened first, so that looking never creates the database itself.
    let history = home.history();
    for wanted in [1_000, 20_000, 40_000] {
        let mut child = home.command(["history", "import", "bash", "--file", path]).spawn().unwrap();
        wait_until("some of it is imported", || history.count().unwrap() >= wanted);
        child.kill().unwrap();
        child.wait().unwrap();
        let stored = history.count().unwrap();
        assert_eq!(stored % 1_000, 0, "a batch is stored whole or not at all");
        assert_eq!(history.pending_count().unwrap(), stored);
    }
    drop(history);
    home.import(&file);
    let other = TestHome::new();
    let copy = other.file("bash_history", fs::read(&file).unwrap());
    assert_eq!(other.import(&copy)["added"], 60_000);
    assert!(list(&home) == list(&other), "both hold exactly the file");
}

#[test]
fn a_newer_database_is_refused_and_left_untouched() {
    let home = TestHome::new();
    home.add("ls");
    {
        let db = rusqlite::Connection::open(home.history_path()).unwrap();
        db.pragma_update(None, "user_version", 999).unwrap();
    }
    let tree = || -> Vec<_> {
        let mut files: Vec<_> = fs::read_dir(home.data_dir())
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| !path.to_string_lossy().ends_with("-shm"))
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .filter(|(_, bytes)| !bytes.is_empty())
            .collect();
        files.sort();
        files
    };
    let before = tree();
    for args in [vec!["history", "list"], vec!["history", "add", "--command", "pwd"]] {
        let run = home.run(args).failure(1);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run.stderr, @r"
            Error: the history at $HOME/data/history.db was written by a newer version of caro (layout 999, this version knows 7)
            Hint: Upgrade caro on this machine; the file was left as it is.
            ");
        }
    }
    assert!(tree() == before, "nothing was written");
}

#[test]
fn a_foreign_file_is_left_alone_and_a_history_of_which_nothing_is_left_is_set_aside() {
    let home = TestHome::new();
    fs::create_dir(home.data_dir()).unwrap();
    fs::write(home.history_path(), "a shopping list").unwrap();
    let run = home.run(["history", "list"]).failure(1);
    insta::assert_snapshot!(run.stderr, @r"
    Error: the file $HOME/data/history.db is not a caro history
    Hint: Move that file away, or set CARO_DATA_DIR to another directory; the file was left as it is.
    ");
    fs::remove_file(home.history_path()).unwrap();
    home.add("ls");
    {
        let db = rusqlite::Connection::open(home.history_path()).unwrap();
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }
    let mut bytes = fs::read(home.history_path()).unwrap();
    bytes[100..].fill(0x5a);
    fs::write(home.history_path(), bytes).unwrap();
    let run = home.run(["history", "list"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    assert!(run.stderr.starts_with("Warning: the history database was damaged, and is built anew: 0 commands saved\n"));
    home.add("ls");
    assert_eq!(home.run(["history", "list", "--cmd-only"]).success().stdout, "ls\n");
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let home = TestHome::new();
    home.file("data", "in the way");
    let run = home.run(["history", "add", "--command", "ls"]).failure(1);
    insta::assert_snapshot!(run.stderr, @r"
    Error: cannot use $HOME/data: File exists
    Hint: Make the directory writable, or set CARO_DATA_DIR to one that is.
    ");
}

#[cfg(unix)]
#[test]
fn the_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let home = TestHome::new();
    home.add("ls");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.data_dir()), 0o700);
    for file in fs::read_dir(home.data_dir()).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

/// Needs `strace`, which `make setup` installs; the system calls are the only witness there is.
#[cfg(target_os = "linux")]
#[test]
fn history_commands_open_no_socket_and_start_no_thread() {
    let home = TestHome::new();
    let file = home.file("bash_history", "ls\n#1700000000\ngit status\n");
    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const NETWORK: [&str; 4] = ["socket(", "connect(", "bind(", "sendto("];
    let traced = |args: &[&str], vars: &[(&str, &str)]| {
        let trace = home.path().join("trace");
        let mut plain = home.command(args);
        plain.envs(vars.iter().copied());
        let mut command = Command::new("strace");
        command
            .args(["-f", "-e", "trace=network,clone,clone3,fork,vfork", "-o"])
            .arg(&trace)
            .arg(plain.get_program())
            .args(plain.get_args())
            .env_clear()
            .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(home.work_dir())
            .stdin(Stdio::null());
        let output = command.output().expect("strace is installed");
        // A doctor may find something.
        assert!(output.status.code() <= Some(1), "{output:?}");
        fs::read_to_string(trace).unwrap()
    };
    for args in [
        &["history", "import", "bash", "--file", file.to_str().unwrap()][..],
        &["history", "add", "--command", "ls"],
        &["history", "list"],
        &["history", "search", "ls"],
        &["history", "last", "--json"],
        &["history", "start", "--id", ID, "--session", "s1", "--", "make"],
        &["history", "end", ID, "--exit", "0"],
        &["history", "search", "--mode", "fuzzy", "mk"],
        &["history", "stats"],
        &["history", "pause", "--session", "s1"],
        &["init", "bash"],
        &["completions", "bash"],
        &["completions", "nu"],
    ] {
        let trace = traced(args, &[]);
        let calls: Vec<&str> = trace.lines().filter(|line| line.contains('(')).collect();
        assert!(calls.is_empty(), "{args:?} called {calls:?}");
        assert!(trace.contains("exited with 0"), "strace saw the program");
    }
    // What a shell asks while one types.
    let asks = [("CARO_COMPLETE", "fish")];
    for args in
        [&["--", "caro", "hist"][..], &["--", "caro", "history", "show", ""], &["--", "caro", "config", "set", ""]]
    {
        let trace = traced(args, &asks);
        let calls: Vec<&str> = trace.lines().filter(|line| line.contains('(')).collect();
        assert!(calls.is_empty(), "{args:?} called {calls:?}");
    }
    // This one looks at what other programs there are, and asks them.
    let trace = traced(&["doctor"], &[]);
    let calls: Vec<&str> = trace.lines().filter(|line| NETWORK.iter().any(|call| line.contains(call))).collect();
    assert!(calls.is_empty(), "the doctor called {calls:?}");
    assert!(trace.contains("exited with "), "strace saw the program");
}

/// What processes share about the history is in memory that stands for a file: without room for it, a bus error.
#[test]
fn a_full_disk_with_small_blocks_ends_no_command_by_a_signal() {
    let home = TestHome::new();
    let Some(disk) = SmallDisk::mount_with_small_blocks(&home.data_dir()) else {
        println!("skipped: mounting needs root");
        return;
    };
    home.add("before");
    let mut ends = BTreeSet::new();
    for leave in (0..128).step_by(4).chain((128..1024).step_by(128)) {
        let filler = disk.fill(leave << 10);
        // A process that is the first one makes it anew.
        drop(fs::remove_file(home.data_dir().join("history.db-shm")));
        for args in
            [&["history", "list"][..], &["history", "start", "--", "ls"], &["history", "add", "--command", "pwd"]]
        {
            let run = home.run(args);
            let code = run.code.unwrap_or_else(|| panic!("{args:?} with {leave} KiB: {run:?}"));
            assert!(code == 0 || run.stderr.contains("the disk is full"), "{args:?} with {leave} KiB: {run:?}");
            ends.insert(code);
        }
        fs::remove_file(filler).unwrap();
    }
    assert_eq!(ends, BTreeSet::from([0, 1]));
    assert!(home.run(["history", "list", "--cmd-only"]).success().lines().contains(&"before"));
}

/// What the first build that could sync left, as an upgrade of the program finds it.
#[test]
fn a_prompt_leaves_an_older_layout_to_another_process_and_loses_no_command() {
    let home = TestHome::new();
    let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/home-v1/data/history.db.zst");
    fs::create_dir(home.data_dir()).unwrap();
    fs::write(home.history_path(), zstd::decode_all(fs::read(frozen).unwrap().as_slice()).unwrap()).unwrap();
    let db = rusqlite::Connection::open(home.history_path()).unwrap();
    let layout =
        || db.query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let waiting = || fs::read_dir(home.data_dir().join("waiting")).map_or(0, Iterator::count);
    let old = layout();

    let begun = home.run(["history", "start", "--session", "s1", "--", "make after the upgrade"]).success();
    home.run(["history", "start", "--", "make at once"]).success();
    assert_eq!((layout(), waiting()), (old, 2), "the prompt brings nothing up to date");
    home.run(["history", "end", begun.stdout.trim(), "--exit", "2", "--duration-ns", "1500"]).success();
    wait_until("the layout is up to date", || layout() > old);
    wait_until("what was put aside is stored", || waiting() == 0);
    let records = home.run(["history", "list", "--json"]).success().json();
    assert_eq!(records.len(), 6);
    let of = |command: &str| records.iter().find(|record| record["command"] == command).unwrap();
    let ended = of("make after the upgrade");
    assert_eq!((ended["exit"].as_i64(), ended["duration_ns"].as_i64()), (Some(2), Some(1500)));
    assert!(of("make at once")["exit"].is_null());
}
