//! Whole commands: time from start to exit, and the most memory that the process had.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use caro::identity::{MasterKey, Phrase, WordCount};
use caro::runtime::{BootOptions, boot, open_database};
use nix::sys::resource::{UsageWho, getrusage};

use crate::home::BINARY;
use crate::our_relay::OurRelay;
use crate::times;

/// Runs of the short steps, of which the median counts.
const RUNS: usize = 21;

/// One step.
pub struct Step {
    pub name: &'static str,
    pub time: Duration,
    peak: Option<u64>,
}

impl Step {
    pub fn peak_mb(&self) -> String {
        self.peak.map_or_else(String::new, |bytes| format!("{:.1}", bytes as f64 / 1e6))
    }
}

/// Runs all steps in order.
pub fn run(folder: &Path, records: usize) -> Vec<Step> {
    let relay = OurRelay::start(&folder.join("program-relay"));
    let home = |name: &str| Home { folder: folder.join(name) };
    let (a, b) = (home("a"), home("b"));
    let history = folder.join("bash_history");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    // All within the days that sync by default.
    let lines = (0..records).map(|n| {
        format!(
            "#{}\ngit commit -m 'change {n}: {}' && cargo test --test run{n}\n",
            now - 600 * (records - n) as u64,
            n * n
        )
    });
    fs::write(&history, lines.collect::<String>()).expect("a history file");
    let phrase = folder.join("bench-phrase");
    let (history, phrase) = (history.to_string_lossy().into_owned(), phrase.to_string_lossy().into_owned());

    let mut steps = vec![
        Step {
            name: "caro --version",
            time: median(|| {
                a.time(&["--version"]);
            }),
            peak: None,
        },
        Step { name: "isolate boot", time: median(boot_once), peak: None },
        Step { name: "Argon2id of the phrase", time: median_of(5, derive_once), peak: None },
    ];
    let mut step = |name, home: &Home, args: &[&str]| {
        let (time, peak) = home.time(args);
        steps.push(Step { name, time, peak: Some(peak) });
    };
    step("A: history import", &a, &["history", "import", "bash", "--file", &history]);
    step(
        "A: sync init, all goes up",
        &a,
        &["sync", "init", "--new", "--relay", &relay.url, "--phrase-out", &phrase, "--yes"],
    );
    step(
        "B: sync restore, all comes down",
        &b,
        &["sync", "restore", "--relay", &relay.url, "--phrase-file", &phrase, "--yes"],
    );
    step("A: history add", &a, &["history", "add", "--command", "make world"]);
    step("A: sync now, one command up", &a, &["sync", "now"]);
    step("B: sync now, one command down", &b, &["sync", "now"]);
    step("B: sync now, nothing to do", &b, &["sync", "now"]);
    steps.push(Step { name: "relay, all of the above", time: Duration::ZERO, peak: Some(relay.peak()) });
    steps
}

struct Home {
    folder: std::path::PathBuf,
}

impl Home {
    /// Runs the program to its end: time, and peak memory in bytes.
    ///
    /// The system tells a process the peak of its largest child only, so each run is measured by a copy of this
    /// program that has no other.
    fn time(&self, args: &[&str]) -> (Duration, u64) {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(args).env(MEASURE, "1").env("CARO_KEYSTORE", "file");
        for variable in ["CARO_CONFIG_DIR", "CARO_DATA_DIR", "CARO_STATE_DIR"] {
            command.env(variable, &self.folder);
        }
        let output = command.output().expect("this program runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        let figures = String::from_utf8_lossy(&output.stdout);
        let (nanos, peak) = figures.trim().split_once(' ').expect("two figures");
        (Duration::from_nanos(nanos.parse().expect("a time")), peak.parse().expect("bytes"))
    }
}

/// Where it is set, this program measures one run of caro instead.
pub const MEASURE: &str = "CARO_BENCH_MEASURE";

/// Runs caro with this program's arguments; prints nanoseconds and the peak memory in bytes.
pub fn measure() -> ExitCode {
    let mut command = Command::new(BINARY);
    command.args(std::env::args_os().skip(1)).env_remove(MEASURE).stdout(Stdio::null());
    let begun = Instant::now();
    let status = command.status().expect("caro runs");
    let time = begun.elapsed();
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| usage.max_rss());
    println!("{} {}", time.as_nanos(), peak * 1024);
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn boot_once() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event queue");
    let _inside = tokio.enter();
    let options = BootOptions {
        store: Box::new(open_database(None).expect("a database")),
        dialer: None,
        memory_limit: 1 << 30,
        extensions: vec![],
    };
    drop(boot(options).expect("an isolate"));
}

fn derive_once() {
    let phrase = Phrase::generate(WordCount::TwentyFour).expect("a phrase");
    drop(MasterKey::derive(&phrase).expect("a key"));
}

fn median(run: impl FnMut()) -> Duration {
    median_of(RUNS, run)
}

fn median_of(runs: usize, mut run: impl FnMut()) -> Duration {
    let times = (0..runs).map(|_| {
        let begun = Instant::now();
        run();
        begun.elapsed()
    });
    times::median(times.collect())
}
