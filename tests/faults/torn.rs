//! Writes that never reached the disk, or only in part: databases and their logs, cut and garbled between runs.
//!
//! That is what a power cut leaves where a disk lies about `fsync`, and what a dying disk does on any day.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use super::{Scene, clear, points};
use crate::common::home::DEADLINE;
use crate::common::random::Random;
use crate::common::sync::{SyncHome, finish_within, serve};
use crate::sync_kill::{kill, pass};

/// Cuts a file at a random place, or overwrites a random stretch of it with zeros; says what it did.
fn tear(path: &Path, random: &mut Random) -> String {
    let name = path.file_name().unwrap().display().to_string();
    let Ok(mut file) = OpenOptions::new().read(true).write(true).open(path) else { return format!("no {name}") };
    let length = file.metadata().unwrap().len();
    if length == 0 {
        return format!("{name} is empty");
    }
    let at = random.below(length);
    if random.below(2) == 0 {
        file.set_len(at).unwrap();
        return format!("{name} cut at {at} of {length}");
    }
    let zeros = (1 + random.below(8192)).min(length - at);
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&vec![0; usize::try_from(zeros).unwrap()]).unwrap();
    format!("{name} with {zeros} zeros at {at} of {length}")
}

/// Flips one random bit of a file; says which.
fn flip(path: &Path, random: &mut Random) -> String {
    let name = path.file_name().unwrap().display().to_string();
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let (at, bit) = (random.below(file.metadata().unwrap().len()), random.below(8));
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ (1 << bit)]).unwrap();
    format!("{name} with bit {bit} of byte {at} flipped")
}

/// Kills an exchange of the first device at a random moment.
fn kill_an_exchange(scene: &Scene, random: &mut Random) {
    let child = scene.a.command(["sync", "now", "--timeout", "15"]).spawn().unwrap();
    pass(Duration::from_micros(random.below(60_000)));
    kill(child);
}

/// The next exchange works, or names the store that has to go, and then it works.
fn recovers(scene: &Scene, fault: &str) {
    let run = scene.a.run(["sync", "now", "--timeout", "15"]);
    clear(&run, &[0, 1, 6], fault);
    if run.code != Some(0) {
        assert!(run.stderr.contains("sync.db"), "{fault}: it says what is broken: {run:?}");
        for name in ["sync.db", "sync.db-wal", "sync.db-shm"] {
            drop(std::fs::remove_file(scene.a.data(name)));
        }
    }
    scene.converges(fault);
}

#[test]
fn a_torn_log_of_the_sync_store_loses_nothing() {
    let mut random = Random::from_environment();
    let mut scene = Scene::new();
    for round in 0..points(4) {
        scene.write(&format!("round {round}"));
        kill_an_exchange(&scene, &mut random);
        let fault = tear(&scene.a.data("sync.db-wal"), &mut random);
        recovers(&scene, &fault);
    }
}

#[test]
fn a_torn_sync_store_is_told_and_made_anew() {
    let mut random = Random::from_environment();
    let mut scene = Scene::new();
    for round in 0..points(4) {
        scene.write(&format!("round {round}"));
        if random.below(2) == 0 {
            kill_an_exchange(&scene, &mut random);
        }
        let fault = tear(&scene.a.data("sync.db"), &mut random);
        recovers(&scene, &fault);
    }
}

#[test]
fn a_flipped_bit_in_the_sync_store_is_told_or_harmless() {
    let mut random = Random::from_environment();
    let mut scene = Scene::new();
    for round in 0..points(5) {
        scene.write(&format!("round {round}"));
        let fault = flip(&scene.a.data("sync.db"), &mut random);
        recovers(&scene, &fault);
    }
}

/// A log of the history that lost its end takes with it what was captured last; nothing that was exchanged.
#[test]
fn a_torn_log_of_the_history_loses_at_most_what_was_in_it() {
    let mut random = Random::from_environment();
    let mut scene = Scene::new();
    for round in 0..points(4) {
        scene.write(&format!("round {round}"));
        scene.a.now();
        let captured = scene.a.add(&(0..20).map(|i| format!("captured {round} {i}")).collect::<Vec<_>>());
        let fault = tear(&scene.a.data("history.db-wal"), &mut random);
        // Only after something wrote: where a log was torn while the tables were made, making them again writes
        // the same bytes, after which the database takes the rest of the log for whole, which it is.
        scene.a.now();
        let there = scene.a.records();
        scene.acknowledged.extend(captured.into_iter().filter(|id| there.contains_key(id)));
        scene.converges(&fault);
    }
}

#[test]
fn a_torn_history_is_told_and_never_made_worse() {
    let mut random = Random::from_environment();
    for round in 0..points(3) {
        let mut scene = Scene::new();
        scene.write("before");
        scene.a.now();
        let path = scene.a.data("history.db");
        // Into the database itself, so that there is something to tear.
        let db = rusqlite::Connection::open(&path).unwrap();
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(db);
        let fault = if round % 2 == 0 { tear(&path, &mut random) } else { flip(&path, &mut random) };
        let torn = std::fs::read(&path).unwrap();
        for args in
            [&["history", "list"][..], &["sync", "now", "--timeout", "15"], &["history", "add", "--command", "x"]]
        {
            let run = scene.a.run(args);
            clear(&run, &[0, 1, 6], &format!("{fault}, {args:?}"));
            if run.code != Some(0) {
                assert!(run.stderr.contains("history"), "{fault}: it says what is broken: {run:?}");
            }
        }
        assert!(path.exists() && std::fs::metadata(&path).unwrap().len() >= torn.len() as u64 / 2, "{fault}");
        // Whatever this device believes now, the other one has not lost anything.
        scene.b.now();
        let there = scene.b.records();
        assert!(scene.acknowledged.iter().all(|id| there.contains_key(id)), "{fault}");
    }
}

#[test]
fn small_files_that_are_torn_are_named() {
    for name in ["sync.json", "keys", "../config/sync.toml"] {
        for part in [0, 1, 2] {
            let scene = Scene::new();
            let path = scene.a.data(name);
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..whole.len() * part / 3]).unwrap();
            let run = scene.a.run(["sync", "now", "--timeout", "15"]);
            let fault = format!("{part} thirds of {name}");
            clear(&run, &[1, 2, 3, 6], &fault);
            std::fs::write(&path, &whole).unwrap();
            scene.converges(&fault);
        }
    }
}

#[test]
fn a_torn_store_of_the_relay_costs_nobody_anything() {
    let mut random = Random::from_environment();
    let mut scene = Scene::new();
    for round in 0..points(3) {
        scene.write(&format!("round {round}"));
        let child = scene.a.command(["sync", "now", "--timeout", "15"]).spawn().unwrap();
        pass(Duration::from_micros(random.below(60_000)));
        scene.relay.kill();
        let fault = tear(&scene.relay.data().join("relay.db-wal"), &mut random);
        scene.relay.start_again();
        let output = child.wait_with_output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 5)), "{fault}: {output:?}");
        scene.converges(&fault);
    }
}

#[test]
fn a_flipped_bit_in_the_store_of_the_relay_reaches_no_history() {
    let mut random = Random::from_environment();
    let mut scene = Scene::new();
    for round in 0..points(4) {
        scene.write(&format!("round {round}"));
        scene.a.now();
        assert!(scene.relay.stop().success());
        let path = scene.relay.data().join("relay.db");
        let whole = std::fs::read(&path).unwrap();
        let fault = flip(&path, &mut random);
        if starts(&scene, &fault) {
            lied_to(&mut scene, &fault);
        }
        for side in ["relay.db-wal", "relay.db-shm"] {
            drop(std::fs::remove_file(scene.relay.data().join(side)));
        }
        std::fs::write(&path, &whole).unwrap();
        scene.relay.start_again();
        scene.converges(&fault);
    }
}

/// Whether the relay starts with its store as it is, or says that it is damaged.
fn starts(scene: &Scene, fault: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(scene.relay.data()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    // An address that is taken: a store that can be used gets as far as that.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let run = finish_within(serve(folder.path(), taken.local_addr().unwrap()), &[], DEADLINE);
    clear(&run, &[1, 6], fault);
    assert_eq!(run.code == Some(6), run.stderr.contains("is damaged"), "{fault}: {run:?}");
    run.code == Some(1)
}

/// Devices meet a relay whose store is not what they gave it.
fn lied_to(scene: &mut Scene, fault: &str) {
    scene.relay.start_again();
    let late = SyncHome::new("server");
    clear(&late.restore(&scene.relay.url(), &scene.phrase), &[0, 4, 5, 6], fault);
    for id in late.records().keys() {
        assert!(scene.acknowledged.contains(id), "{fault}: {id} came from nowhere");
    }
    clear(&scene.a.run(["sync", "now", "--timeout", "3"]), &[0, 5, 6], fault);
    scene.relay.kill();
}
