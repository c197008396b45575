//! `caro relay serve` as a benchmark runs it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::home::BINARY;

/// `caro relay serve` in a process of its own; ended when dropped.
pub struct OurRelay {
    process: Child,
    /// Its address.
    pub url: String,
}

impl OurRelay {
    /// Starts it on a free port with its store in this folder.
    pub fn start(data_dir: &Path) -> Self {
        Self::of(BINARY.as_ref(), data_dir, &[])
    }

    /// Starts this program as one, with these arguments too.
    pub fn of(binary: &OsStr, data_dir: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new(binary)
            .args(["relay", "serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(arguments)
            .env("CARO_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("caro runs");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("listening on ").expect("the address").to_owned();
        Self { process, url }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The most memory it has had resident, bytes.
    pub fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        kilobytes.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0) * 1024
    }
}

impl Drop for OurRelay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
