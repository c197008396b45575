//! `make bench-relay`: what a relay holds and how fast it is, side by side, in one run.
//!
//! Our relay with one engine and several, on the second engine where `CARO_V8` names such a program, and with a PostgreSQL of its own; the released `jazz-run sync` 0.15.10, and a relay on the official SDK 0.20.19 with its native cryptography; and
//! the limit, a WebSocket server that brings each message to disk and sends it back. The official one is there twice: with a
//! flush for each transaction, as ours and `jazz-run` have, and without. The clients are bare connections with messages that
//! were signed before. In brackets: how many times our relay is ahead. The machine may be noisy: compare within one run.
//!
//! `cargo bench --locked --bench relay -- idle load restore` prints only these tables; `--short` does less of all. `-- soak` has
//! devices use our relay for `SOAK_MINUTES` (60), and fails where its memory grows.

// A benchmark that cannot go on has said why.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr, clippy::cast_precision_loss, clippy::panic)]

mod client;
#[path = "../../common/mod.rs"]
#[allow(dead_code, unused_imports, clippy::unwrap_used, reason = "it is for tests, and those use more of it than this")]
mod common;
mod contender;
mod echo;
mod history;
#[path = "../home.rs"]
#[allow(dead_code, reason = "the other benchmark uses more of it")]
mod home;
mod idle;
mod load;
#[path = "../our_relay.rs"]
#[allow(dead_code, reason = "the other benchmark asks for its peak")]
mod our_relay;
mod restore;
mod signed;
mod soak;
mod table;
#[path = "../text.rs"]
mod text;
#[path = "../times.rs"]
mod times;
mod usage;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use contender::Contender;
use history::Brought;
use load::Pace;
use signed::Device;
use table::{Better, Row, head, off_the_limit, row};
use times::ms;
use tokio::runtime::Runtime;

/// How much of everything.
struct Plan {
    /// Idle connections.
    idle: usize,
    /// For how long they are held.
    hold: Duration,
    /// Messages that each device has at most.
    messages: usize,
    /// For how long the devices write.
    length: Duration,
    /// Commands in the history that is restored.
    commands: usize,
}

const WHOLE: Plan = Plan {
    idle: 10_000,
    hold: Duration::from_secs(20),
    messages: 1_000,
    length: Duration::from_secs(10),
    commands: 10_000,
};
const SHORT: Plan =
    Plan { idle: 500, hold: Duration::from_secs(2), messages: 100, length: Duration::from_secs(1), commands: 1_000 };
/// Devices that write at the same time.
const WRITERS: usize = 100;
/// Devices that restore at the same time.
const READERS: u32 = 50;

fn main() -> ExitCode {
    if let Some(file) = std::env::var_os(echo::ECHO) {
        return echo::serve(Path::new(&file));
    }
    raise_descriptors();
    let (options, tables): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with('-'));
    let plan = if options.iter().any(|option| option == "--short") { SHORT } else { WHOLE };
    let is_wanted = |table: &str| tables.is_empty() || tables.iter().any(|wanted| wanted == table);
    let folder = tempfile::tempdir().expect("a temporary folder");
    if tables == ["soak"] {
        return soaked(folder.path());
    }
    let bench = Bench { contenders: Contender::all(), runtime: runtime(), plan, folder: folder.path() };
    if is_wanted("idle") {
        bench.idle();
    }
    if is_wanted("load") {
        bench.load();
    }
    if is_wanted("restore") {
        bench.restore();
    }
    ExitCode::SUCCESS
}

/// `-- soak`.
fn soaked(folder: &Path) -> ExitCode {
    let minutes =
        std::env::var("SOAK_MINUTES").map_or(Ok(60.0), |text| text.parse::<f64>()).expect("SOAK_MINUTES is a number");
    let soak = runtime().block_on(soak::run(folder, WRITERS, Duration::from_secs_f64(minutes * 60.0)));
    match soak.and_then(|soak| soak.judge()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

struct Bench<'a> {
    contenders: Vec<Contender>,
    runtime: Runtime,
    plan: Plan,
    folder: &'a Path,
}

impl Bench<'_> {
    fn idle(&self) {
        let idle = self.each("idle", |contender, folder| {
            let run = idle::run(contender, folder, self.plan.idle, self.plan.hold);
            contender.is_relay().then(|| self.runtime.block_on(run))
        });
        head(&format!("{} idle connections", self.plan.idle), &self.contenders);
        row("held", &figures(&idle, |idle| idle.held as f64), Better::More);
        row("memory for each, KB", &figures(&idle, |idle| idle.each / 1e3), Better::Less);
        row("memory before, MB", &figures(&idle, |idle| idle.memory.0 as f64 / 1e6), Better::Less);
        row("memory with them, MB", &figures(&idle, |idle| idle.memory.1 as f64 / 1e6), Better::Less);
        row("all connected and answered, ms", &figures(&idle, |idle| ms(idle.connecting)), Better::Less);
        row("then processor, %", &figures(&idle, |idle| idle.processor * 100.0), Better::Less);
    }

    fn load(&self) {
        let devices: Vec<Arc<Device>> = self.runtime.block_on(async {
            let making = (0..WRITERS).map(|_| {
                let messages = self.plan.messages;
                tokio::task::spawn_blocking(move || Arc::new(Device::new(messages)))
            });
            let mut devices = Vec::new();
            for device in making.collect::<Vec<_>>() {
                devices.push(device.await.expect("a device"));
            }
            devices
        });
        let measure = |name: &str, pace: Pace| {
            self.each(name, |contender, folder| {
                Some(self.runtime.block_on(load::run(contender, folder, &devices, pace, self.plan.length)))
            })
        };
        let full = measure("full", Pace::Full);
        let rate = figures(&full, |load| load.rate);
        head(&format!("{WRITERS} devices, as fast as they can"), &self.contenders);
        row("messages a second", &rate, Better::More);
        off_the_limit("  times off the limit", &rate, Better::More);
        row("processor for one, µs", &figures(&full, |load| ms(load.processor) * 1e3), Better::Less);
        row("confirmed, and lost by kill -9", &figures(&full, |load| load.lost as f64), Better::Less);
        row("confirmed after, p50, ms", &figures(&full, |load| ms(load.percentile(50))), Better::Less);
        row("confirmed after, p99, ms", &figures(&full, |load| ms(load.percentile(99))), Better::Less);

        // Half of what the slowest can do is what all of them can.
        let slowest = rate.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let fixed = (slowest / 2.0).max(WRITERS as f64 / self.plan.length.as_secs_f64());
        let paced = measure("paced", Pace::Fixed(fixed));
        head(&format!("{WRITERS} devices, {fixed:.0} messages a second"), &self.contenders);
        for percent in [50, 99] {
            let times = figures(&paced, |load| ms(load.percentile(percent)));
            row(&format!("confirmed after, p{percent}, ms"), &times, Better::Less);
            off_the_limit("  times off the limit", &times, Better::Less);
        }
    }

    fn restore(&self) {
        let folder = self.folder.join("history");
        let brought = self.runtime.block_on(Brought::by_a_home(&folder, self.plan.commands));
        let brought = Arc::new(brought.expect("a home brings its history"));
        let restores = self.each("restore", |contender, folder| {
            let run = restore::run(contender, folder, &brought, READERS);
            contender.is_relay().then(|| self.runtime.block_on(run))
        });
        let title = format!("{} commands for {READERS} devices", self.plan.commands);
        head(&title, &self.contenders);
        row("until the last has all, ms", &figures(&restores, |restore| ms(restore.whole)), Better::Less);
        row("until the median has, ms", &figures(&restores, |restore| ms(restore.median)), Better::Less);
        row("processor for one, ms", &figures(&restores, |restore| ms(restore.processor)), Better::Less);
        println!("{} CoValues, {:.2} MB for each", brought.ids.len(), brought.bytes() as f64 / 1e6);
    }

    /// Measures each contender in a folder of its own, one after the other; says who failed and why.
    fn each<T>(&self, what: &str, measure: impl Fn(&Contender, &Path) -> Option<Result<T, String>>) -> Vec<Option<T>> {
        let measured = self.contenders.iter().enumerate().map(|(number, contender)| {
            let folder = self.folder.join(format!("{what}-{number}"));
            let outcome = measure(contender, &folder)?;
            // The next one finds the same disk.
            drop(std::fs::remove_dir_all(&folder));
            match outcome {
                Ok(figures) => Some(figures),
                Err(reason) => {
                    println!("{} FAILS at {what}: {reason}", contender.name);
                    None
                }
            }
        });
        measured.collect()
    }
}

fn figures<T>(measured: &[Option<T>], figure: impl Fn(&T) -> f64) -> Row {
    measured.iter().map(|measured| measured.as_ref().map(&figure)).collect()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("an event queue")
}

/// Each connection needs a descriptor, here and in the relays, which inherit this limit.
fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("more descriptors");
}
