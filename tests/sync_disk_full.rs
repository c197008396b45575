//! A full disk in the middle of an exchange: a clear error, and nothing is lost once there is room.
//!
//! Needs the right to mount; elsewhere it says that it was skipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::sync_session_guard::noise;

/// A small file system of its own; unmounted when it goes away.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount.
    pub fn mount(at: &Path, kilobytes: u64) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k,mode=700"), "caro-test"])
            .arg(at)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then(|| Self(at.to_owned()))
    }

    /// One of 8 MB with blocks of 1 KiB, from an image beside it. None where this user may not mount.
    pub fn mount_with_small_blocks(at: &Path) -> Option<Self> {
        Self::mount_image(at, 8 << 20, &["-b", "1024"])
    }

    /// One of 16 MB that can be made to [fail](Self::fail). None where this user may not mount.
    pub fn mount_failing(at: &Path) -> Option<Self> {
        Self::mount_image(at, 16 << 20, &["-e", "remount-ro"])
    }

    fn mount_image(at: &Path, bytes: u64, options: &[&str]) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let image = at.with_extension("image");
        std::fs::File::create(&image).unwrap().set_len(bytes).unwrap();
        let run = |command: &mut Command| command.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        let made = run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).args(options).arg(&image));
        let mounted = made && run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(at));
        mounted.then(|| Self(at.to_owned()))
    }

    /// Has the kernel meet an error in it, after which it lets nobody write, those neither who have files open. Whether
    /// that can be done here.
    pub fn fail(&self) -> bool {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let at = self.0.canonicalize().unwrap();
        let device = mounts.lines().find_map(|line| {
            let (device, rest) = line.split_once(' ')?;
            rest.starts_with(&format!("{} ", at.display())).then(|| device.trim_start_matches("/dev/").to_owned())
        });
        let trigger = format!("/sys/fs/ext4/{}/trigger_fs_error", device.expect("it is mounted"));
        std::fs::write(trigger, "a test").is_ok()
    }

    /// Ends that state, as an operator does.
    pub fn mend(self) -> Self {
        let (at, image) = (self.0.clone(), self.0.with_extension("image"));
        assert!(Command::new("umount").arg(&at).status().unwrap().success(), "nobody uses it");
        // It says with 1 that it has mended something.
        let code = Command::new("e2fsck").args(["-f", "-y"]).arg(&image).stdout(Stdio::null()).status().unwrap().code();
        assert!(matches!(code, Some(0 | 1)), "{code:?}");
        assert!(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at).status().unwrap().success());
        self
    }

    pub fn resize(&self, kilobytes: u64) {
        let done = Command::new("mount").args(["-o", &format!("remount,size={kilobytes}k")]).arg(&self.0).status();
        assert!(done.unwrap().success());
    }

    /// Takes what is left, but for this much.
    pub fn fill(&self, leave: u64) -> PathBuf {
        use std::io::Write;
        let path = self.0.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        let block = [0x55; 4096];
        while file.write_all(&block).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(leave)).unwrap();
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let Some(disk) = SmallDisk::mount(&a.home.data_dir(), 16_384) else {
        println!("skipped: mounting needs root");
        return;
    };
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    let mut ids = a.add(&(0..600).map(|i| noise(&format!("a {i}"))).collect::<Vec<_>>());
    ids.extend(b.add(&(0..600).map(|i| noise(&format!("b {i}"))).collect::<Vec<_>>()));
    b.now();

    // From nothing at all to enough for a part of it.
    for leave in [0, 64 << 10, 256 << 10, 700 << 10] {
        let filler = disk.fill(leave);
        let run = a.run(["sync", "now", "--timeout", "10"]);
        assert_eq!(run.code, Some(1), "with {leave} bytes left: {run:?}");
        assert!(run.stderr.contains("disk") || run.stderr.contains("space") || run.stderr.contains("room"), "{run:?}");
        std::fs::remove_file(filler).unwrap();
    }
    disk.resize(32_768);
    a.now();
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 1200);
    let there = b.records();
    assert!(ids.iter().all(|id| there.contains_key(id)));
    assert_eq!(a.status()["pending"], 0);
}
