//! Nothing can be written: the disk is full or read-only, files may not grow, or there are no file handles left.
//!
//! A disk that fills up in the middle of an exchange is in `sync_disk_full`, a relay's in `relay_durability`. Mounting
//! needs root; without it those tests say that they were skipped.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Scene, clear, points, spread, within};
use crate::common::home::Run;
use crate::common::sync::{Relay, SyncHome};
use crate::sync_disk_full::SmallDisk;

/// The program under a limit that a shell sets; writing beyond one is an error then and not a signal.
fn limited(device: &SyncHome, limit: &str, args: &[&str]) -> Run {
    let script = format!("trap '' XFSZ; ulimit {limit} && exec \"$@\"");
    within(device, &["sh", "-c", &script, "sh"], args)
}

/// A folder that cannot be written to; itself again when this goes away.
struct ReadOnly<'a>(&'a Path);

impl<'a> ReadOnly<'a> {
    /// None where this user may not mount.
    fn make(folder: &'a Path) -> Option<Self> {
        let mount = |args: &[&str]| {
            let done = Command::new("mount").args(args).arg(folder).stderr(Stdio::null()).status();
            done.is_ok_and(|status| status.success())
        };
        if !mount(&["--bind", folder.to_str()?]) {
            println!("skipped: mounting needs root");
            return None;
        }
        let made = Self(folder);
        assert!(mount(&["-o", "remount,bind,ro"]));
        Some(made)
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0).status());
    }
}

#[test]
fn files_that_may_not_grow_are_told_and_lose_nothing() {
    let mut scene = Scene::new();
    // In blocks of 512 bytes: from nothing at all to what the store needs.
    for blocks in spread(700, points(10)) {
        let fault = format!("no file beyond {blocks} blocks");
        scene.write(&fault);
        let run = limited(&scene.a, &format!("-f {blocks}"), &["sync", "now", "--timeout", "15"]);
        clear(&run, &[0, 1], &fault);
        scene.converges(&fault);
    }
}

#[test]
fn a_capture_that_cannot_be_stored_says_so_and_prints_no_id() {
    let mut scene = Scene::new();
    for blocks in spread(80, points(6)) {
        let fault = format!("no file beyond {blocks} blocks");
        let run = limited(&scene.a, &format!("-f {blocks}"), &["history", "add", "--command", "captured"]);
        clear(&run, &[0, 1], &fault);
        assert_eq!(run.code == Some(0), !run.stdout.is_empty(), "{fault}: {run:?}");
        scene.acknowledged.extend(run.lines().iter().map(|line| (*line).to_owned()));
        scene.converges(&fault);
    }
}

#[test]
fn a_full_disk_refuses_a_capture_and_keeps_what_is_there() {
    let relay = Relay::new();
    let a = SyncHome::new("laptop");
    let Some(disk) = SmallDisk::mount(&a.home.data_dir(), 4096) else {
        println!("skipped: mounting needs root");
        return;
    };
    a.init(&relay.url());
    let before = a.add_one("before");
    let filler = disk.fill(0);
    let big = format!("{}\n", serde_json::json!({ "command": "x".repeat(200_000) }));
    let run = a.run_with_input(["history", "add"], big);
    clear(&run, &[1], "a full disk");
    assert!(run.stdout.is_empty(), "{run:?}");
    assert!(a.records().contains_key(&before), "what is there can still be read");
    std::fs::remove_file(filler).unwrap();
    a.add_one("after");
    a.now();
    assert_eq!(a.commands(), ["after", "before"]);
}

#[test]
fn a_read_only_home_is_told_and_can_still_be_read() {
    let mut scene = Scene::new();
    scene.write("before it became read-only");
    let data = scene.a.home.data_dir();
    if let Some(_read_only) = ReadOnly::make(&data) {
        for args in [&["sync", "now"][..], &["history", "add", "--command", "x"], &["history", "import", "bash"]] {
            let run = scene.a.run(args);
            clear(&run, &[1, 2], &format!("read-only, {args:?}"));
        }
    }
    scene.converges("a read-only home");
    let config = scene.a.home.path().join("config");
    if let Some(_read_only) = ReadOnly::make(&config) {
        let run = scene.a.run(["sync", "relay", "set", "none"]);
        clear(&run, &[1, 2], "a read-only configuration");
    }
    scene.converges("a read-only configuration");
}

#[test]
fn without_file_handles_it_ends_with_words() {
    let mut scene = Scene::new();
    for handles in 4..24 + points(4) {
        let fault = format!("{handles} file handles");
        let run = limited(&scene.a, &format!("-n {handles}"), &["sync", "now", "--timeout", "15"]);
        // So few that not even the loader of shared libraries could work are nobody's fault.
        if run.code != Some(127) {
            clear(&run, &[0, 1, 5], &fault);
        }
    }
    scene.write("after all that");
    scene.converges("a lack of file handles");
}
