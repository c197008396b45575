//! What a user waits for, beside Atuin on the same history: whole programs, real servers, loopback.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::atuin::Atuin;
use crate::home::{Home, write_history, write_history_of};
use crate::meter::Meter;
use crate::our_relay::OurRelay;
use crate::times::{median, ms, percentile};

/// Rounds of the short steps, of which the median counts.
const RUNS: usize = 11;
/// Commands whose way from A to B is timed with daemons.
const LIVE: usize = 1_000;
/// How often the peer is timed for the same; it takes a few hundred milliseconds each.
const LIVE_PEER: usize = 50;
const DEADLINE: Duration = Duration::from_secs(120);

/// Prints the table.
pub fn print(folder: &Path, sizes: &[usize]) {
    let peer = Atuin::installed();
    println!("\n{:<38}{:>12}{:>12}{:>8}", "beside atuin", "caro", "atuin", "ratio");
    for &size in sizes {
        let history = folder.join(format!("history-{size}"));
        write_history(&history, size);
        let ours = ours(&folder.join(format!("ours-{size}")), &history, size);
        let theirs = peer.as_ref().map(|atuin| theirs(atuin, &folder.join(format!("atuin-{size}")), &history, size));
        for (name, value) in &ours {
            let other = theirs.as_ref().and_then(|figures| figures.get(name));
            let ratio = other.map_or_else(String::new, |other| format!("{:.2}", value / other));
            let other = other.map_or_else(|| "-".to_owned(), |other| format!("{other:.1}"));
            println!("{name:<38}{value:>12.1}{other:>12}{ratio:>8}");
        }
    }
}

type Figures = BTreeMap<String, f64>;

fn ours(folder: &Path, history: &Path, size: usize) -> Figures {
    let relay = OurRelay::start(&folder.join("relay"));
    let meter = Meter::before(relay.url.trim_start_matches("ws://").parse().expect("an address"));
    let url = format!("ws://{}", meter.address);
    let home = |name: &str| Home { folder: folder.join(name) };
    let (a, b) = (home("a"), home("b"));
    let phrase = folder.join("phrase").to_string_lossy().into_owned();
    let mut figures = Figures::new();
    let mut note = |name: &str, value: f64| {
        figures.insert(name.to_owned(), value);
    };

    for home in [&a, &b] {
        home.run(&["config", "set", "sync.max_records", "unlimited"]);
        home.run(&["config", "set", "sync.frequency", "manual"]);
    }
    a.run(&["history", "import", "bash", "--file", &history.to_string_lossy()]);
    let up = a.run(&["sync", "init", "--new", "--relay", &url, "--phrase-out", &phrase, "--yes"]);
    note(&format!("1 {size} commands up, ms"), ms(up));
    note(&format!("3 {size} commands, MB on the wire"), meter.take() as f64 / 1e6);

    let begun = Instant::now();
    let mut restore = b.spawn(&["sync", "restore", "--relay", &url, "--phrase-file", &phrase, "--yes"]);
    let newest = visible(&b, 100, begun);
    assert!(restore.wait().expect("it ends").success());
    note(&format!("2 {size} commands down, ms"), ms(begun.elapsed()));
    note(&format!("4 {size}: newest 100 visible, ms"), ms(newest));
    assert_eq!(b.count(), size as u64, "everything is there");
    if size > 10_000 {
        return figures;
    }

    let (mut ups, mut downs, mut bytes) = (vec![], vec![], vec![]);
    for n in 0..RUNS {
        a.run(&["history", "add", "--command", &format!("make part{n}")]);
        meter.take();
        ups.push(a.run(&["sync", "now"]));
        bytes.push(meter.take());
        downs.push(b.run(&["sync", "now"]));
    }
    bytes.sort_unstable();
    note("5 one command up, ms", ms(median(ups)));
    note("6 one command down, ms", ms(median(downs)));
    note("7 one command up, bytes on the wire", bytes[bytes.len() / 2] as f64);

    let nothing = |home: &Home| ms(median([(); RUNS].map(|()| home.run(&["sync", "now"])).to_vec()));
    note("7 nothing to do, young home, ms", nothing(&a));
    note("7 nothing to do, 2 years of 5 devices, ms", nothing(&old_home(&folder.join("old"), &relay.url)));

    for home in [&a, &b] {
        home.run(&["config", "set", "sync.frequency", "realtime"]);
    }
    let daemons = [Daemon::start(&a), Daemon::start(&b)];
    let reader = b.history();
    meter.take();
    let mut times: Vec<Duration> = (0..LIVE)
        .map(|n| {
            let before = reader.count().expect("a count");
            a.run(&["history", "add", "--command", &format!("make live{n}")]);
            let begun = Instant::now();
            while reader.count().expect("a count") == before {
                assert!(begun.elapsed() < DEADLINE, "command {n} does not arrive");
                std::thread::sleep(Duration::from_micros(500));
            }
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    for percent in [50, 95, 99] {
        note(&format!("8 live, A to B, p{percent}, ms"), ms(percentile(&times, percent)));
    }
    note("9 live: bytes on the wire a command", meter.take() as f64 / LIVE as f64 / 2.0);

    let idle = Duration::from_secs(60);
    let before = daemons[1].cpu();
    std::thread::sleep(idle);
    let per_hour = (daemons[1].cpu() - before).as_secs_f64() * 3600.0 / idle.as_secs_f64();
    note("9 idle daemon, CPU ms an hour", per_hour * 1e3);
    note("9 idle daemon, MB resident", daemons[1].resident() as f64 / 1e6);
    figures
}

/// A home in an account of five devices, each of which has two years of history in sync.
fn old_home(folder: &Path, url: &str) -> Home {
    fs::create_dir_all(folder).expect("a folder");
    let phrase = folder.join("phrase").to_string_lossy().into_owned();
    let homes: Vec<Home> = (0..5).map(|n| Home { folder: folder.join(n.to_string()) }).collect();
    for (n, home) in homes.iter().enumerate() {
        let history = folder.join(format!("history-{n}"));
        write_history_of(&history, 2_400, 730);
        home.run(&["config", "set", "sync.retention_days", "unlimited"]);
        home.run(&["config", "set", "sync.max_records", "unlimited"]);
        home.run(&["config", "set", "sync.frequency", "manual"]);
        home.run(&["history", "import", "bash", "--file", &history.to_string_lossy()]);
        match n {
            0 => home.run(&["sync", "init", "--new", "--relay", url, "--phrase-out", &phrase, "--yes"]),
            _ => home.run(&["sync", "restore", "--relay", url, "--phrase-file", &phrase, "--yes"]),
        };
    }
    // What every device brings and says comes to all of them.
    for home in homes.iter().chain(&homes) {
        home.run(&["sync", "now"]);
    }
    homes.into_iter().next().expect("the first home")
}

fn theirs(atuin: &Atuin, folder: &Path, history: &Path, size: usize) -> Figures {
    let server = atuin.serve(&folder.join("server"));
    let meter = Meter::before(server.address);
    let (a, b) = (atuin.machine(&folder.join("a"), meter.address), atuin.machine(&folder.join("b"), meter.address));
    let mut figures = Figures::new();
    let mut note = |name: &str, value: f64| {
        figures.insert(name.to_owned(), value);
    };

    a.import(history);
    let begun = Instant::now();
    a.run(&["register", "-u", "bench", "-e", "bench@example.org", "-p", "benchbench"]);
    a.run(&["sync"]);
    note(&format!("1 {size} commands up, ms"), ms(begun.elapsed()));
    note(&format!("3 {size} commands, MB on the wire"), meter.take() as f64 / 1e6);

    let key = a.key();
    let begun = Instant::now();
    b.run(&["login", "-u", "bench", "-p", "benchbench", "-k", &key]);
    b.run(&["sync"]);
    let down = ms(begun.elapsed());
    note(&format!("2 {size} commands down, ms"), down);
    // It shows what it has when the download has ended.
    note(&format!("4 {size}: newest 100 visible, ms"), down);
    if size > 10_000 {
        return figures;
    }

    let (mut ups, mut downs, mut bytes) = (vec![], vec![], vec![]);
    for n in 0..RUNS {
        a.capture(&format!("make part{n}"));
        meter.take();
        ups.push(a.run(&["sync"]).0);
        bytes.push(meter.take());
        downs.push(b.run(&["sync"]).0);
        assert!(b.has(&format!("make part{n}")), "it arrived");
    }
    bytes.sort_unstable();
    note("5 one command up, ms", ms(median(ups)));
    note("6 one command down, ms", ms(median(downs)));
    note("7 one command up, bytes on the wire", bytes[bytes.len() / 2] as f64);

    // Its devices pull; the fastest way by hand is a sync here, then one there.
    let mut times: Vec<Duration> = (0..LIVE_PEER)
        .map(|n| {
            a.capture(&format!("make live{n}"));
            let begun = Instant::now();
            a.run(&["sync"]);
            b.run(&["sync"]);
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    for percent in [50, 95, 99] {
        note(&format!("8 live, A to B, p{percent}, ms"), ms(percentile(&times, percent)));
    }
    figures
}

/// How long it takes until a home shows so many commands.
fn visible(home: &Home, count: u64, begun: Instant) -> Duration {
    while home.folder.join("history.db").metadata().is_err() || home.count() < count {
        assert!(begun.elapsed() < DEADLINE, "nothing arrives");
        std::thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed()
}

/// A running daemon; ended when dropped.
struct Daemon(Child);

impl Daemon {
    fn start(home: &Home) -> Self {
        let daemon = Self(home.spawn(&["sync", "daemon"]));
        let begun = Instant::now();
        while home.folder.join("daemon.sock").metadata().is_err() {
            assert!(begun.elapsed() < DEADLINE, "the daemon does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        daemon
    }

    /// Processor time so far.
    fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().expect("ticks") + fields[12].parse::<u64>().expect("ticks");
        // The unit of this file on every Linux.
        Duration::from_millis(ticks * 10)
    }

    /// Bytes resident.
    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("kilobytes") * 1024
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
