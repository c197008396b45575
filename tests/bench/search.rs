//! Searching while one types: from the opened history to the first screenful, and each key; whole programs at a terminal,
//! and searches that print what they find, beside Atuin's.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use caro::history::ranking::Here;
use caro::history::recall::{Question, Recall};
use caro::history::{History, Record, Scope, SearchMode, UnixNanos};

use crate::atuin::Atuin;
use crate::home::BINARY;
use crate::terminal::Terminal;
use crate::times::{median, ms, percentile};

/// What is typed, letter by letter.
const TYPED: [&str; 5] = ["git commit", "docker run image4", "kubectl get", "make target_12", "no such command"];
/// What a screen shows at most, as the program asks for it.
const MOST: usize = 2_000;
/// What is read before the first answer, as the program does.
const FIRST: usize = 400;
/// What whole programs look for: how, how Atuin calls that, and what.
const PROGRAMS: [(&str, &str, &str); 5] = [
    ("fuzzy", "fuzzy", TYPED[0]),
    ("prefix", "prefix", TYPED[0]),
    ("fulltext", "full-text", TYPED[0]),
    ("fulltext", "full-text", ""),
    ("fuzzy", "fuzzy", TYPED[4]),
];
/// Starts of the search on the screen.
const STARTS: usize = 15;
/// Runs of whole programs, of which the median counts.
const RUNS: usize = 5;

/// Prints a table for each size of the history.
pub fn print(folder: &Path, sizes: &[usize]) {
    let peer = Atuin::installed();
    println!("\n{:<46}{:>14}{:>14}", "searching while one types, ms", "caro", "atuin");
    for &size in sizes {
        let home = folder.join(format!("search-{size}"));
        let lines = home.join("bash_history");
        fs::create_dir_all(&home).expect("a folder");
        fill(&home, &lines, size);
        let figures = typed(&home);
        let newest = command(size - 1, size);
        let newest = newest.split(' ').next_back().expect("a word");
        let row = |name: &str, ours: f64, theirs: Option<f64>| {
            let theirs = theirs.map_or_else(|| "-".to_owned(), |theirs| format!("{theirs:.1}"));
            println!("{:<46}{ours:>14.1}{theirs:>14}", format!("{size}: {name}"));
        };
        let machine = peer.as_ref().map(|atuin| {
            let folder = home.join("atuin");
            fs::create_dir_all(&folder).expect("a folder");
            let machine = atuin.machine(&folder, ([127, 0, 0, 1], 9).into());
            machine.import(&lines);
            machine
        });
        row("first commands, from opening on", ms(figures.first), None);
        row("all of it in memory", ms(figures.whole), None);
        row("a key, first answer, p95", ms(figures.early), None);
        row("a key, whole answer, p95", ms(figures.answered), None);
        let ours = Screens::of(&ours(&home, &["history", "search", "--interactive"]), newest).rows();
        let theirs = machine.as_ref().map(|machine| Screens::of(&machine.command(&["search", "-i"]), newest).rows());
        for (number, (name, time)) in ours.into_iter().enumerate() {
            row(name, ms(time), theirs.map(|theirs| ms(theirs[number].1)));
        }
        for (mode, theirs, text) in PROGRAMS {
            let ours = ms(median((0..RUNS).map(|_| program(&home, mode, text)).collect()));
            let theirs = machine.as_ref().map(|machine| {
                let search = ["search", "--limit", "50", "--cmd-only", "--search-mode", theirs, text];
                ms(median((0..RUNS).map(|_| machine.command(&search)).map(timed).collect()))
            });
            row(&format!("a whole program, {mode} {text:?}"), ours, theirs);
        }
    }
}

struct Figures {
    first: Duration,
    whole: Duration,
    early: Duration,
    answered: Duration,
}

fn typed(home: &Path) -> Figures {
    let begun = Instant::now();
    let history = History::open(home.join("history.db")).expect("the history opens");
    let mut recall = Recall::default();
    recall.read(&history, FIRST).expect("it is read");
    ask(&mut recall, "");
    let first = begun.elapsed();
    while !recall.read(&history, 4_000).expect("it is read") {}
    let whole = begun.elapsed();
    let (mut early, mut answered) = (Vec::new(), Vec::new());
    for text in TYPED {
        for (end, _) in text.char_indices().skip(1).chain([(text.len(), ' ')]) {
            let (soon, done) = ask(&mut recall, &text[..end]);
            early.push(soon);
            answered.push(done);
        }
    }
    early.sort_unstable();
    answered.sort_unstable();
    Figures { first, whole, early: percentile(&early, 95), answered: percentile(&answered, 95) }
}

/// The time to the first answer and to the whole one.
fn ask(recall: &mut Recall, text: &str) -> (Duration, Duration) {
    let question = Question {
        text: text.to_owned(),
        mode: SearchMode::Fuzzy,
        scope: Scope::Everywhere,
        here: Here { cwd: Some("/src".to_owned()), now: now() },
    };
    let begun = Instant::now();
    let mut early = None;
    let answer = recall.ask(&question, MOST, || false, |_| early = Some(begun.elapsed())).expect("a query");
    let whole = begun.elapsed();
    assert!(answer.is_some(), "nobody stopped it");
    (early.unwrap_or(whole), whole)
}

/// What somebody at a terminal waits for.
struct Screens {
    /// From the start until the newest command is seen.
    starts: Vec<Duration>,
    /// From a key until something changes: the key is seen, and marked in what was found before.
    seen: Vec<Duration>,
    /// From a key until nothing changes any more: all that matches is found.
    whole: Vec<Duration>,
}

impl Screens {
    fn rows(&self) -> [(&'static str, Duration); 6] {
        [
            ("screen, start to first command, p50", percentile(&self.starts, 50)),
            ("screen, start to first command, slowest", percentile(&self.starts, 100)),
            ("screen, a key is seen, p50", percentile(&self.seen, 50)),
            ("screen, a key is seen, p99", percentile(&self.seen, 99)),
            ("screen, a key has its whole result, p50", percentile(&self.whole, 50)),
            ("screen, a key has its whole result, p99", percentile(&self.whole, 99)),
        ]
    }

    fn of(program: &Command, newest: &str) -> Self {
        let mut starts: Vec<Duration> = (0..STARTS).map(|_| Terminal::start(program).shows(newest)).collect();
        let mut terminal = Terminal::start(program);
        terminal.shows(newest);
        terminal.rest();
        let (mut seen, mut whole) = (Vec::new(), Vec::new());
        for text in TYPED {
            for key in text.chars() {
                // Nothing is seen of a space.
                if key == ' ' {
                    terminal.press_unseen(" ");
                    continue;
                }
                let (first, last) = terminal.press(key.encode_utf8(&mut [0; 4]));
                seen.push(first);
                whole.push(last);
            }
            terminal.press_unseen("\x15");
        }
        for times in [&mut starts, &mut seen, &mut whole] {
            times.sort_unstable();
        }
        Self { starts, seen, whole }
    }
}

fn program(home: &Path, mode: &str, text: &str) -> Duration {
    timed(ours(home, &["history", "search", "--limit", "50", "--cmd-only", "--mode", mode, text]))
}

/// A run of our program in this home.
fn ours(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args).env("HOME", home);
    for variable in ["CARO_CONFIG_DIR", "CARO_DATA_DIR", "CARO_STATE_DIR"] {
        command.env(variable, home);
    }
    command
}

/// The time of a search, which may find nothing.
fn timed(mut command: Command) -> Duration {
    let begun = Instant::now();
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the program runs");
    begun.elapsed()
}

fn now() -> UnixNanos {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    UnixNanos(i64::try_from(since.as_nanos()).expect("before 2262"))
}

/// The same commands in a history of ours and in a file of bash's: ten kinds, nearly all different.
fn fill(home: &Path, lines: &Path, size: usize) {
    let history = History::open(home.join("history.db")).expect("a history");
    let device = history.device_id().expect("a device");
    let start = now().0 / 1_000_000_000 - size as i64 * 60;
    let mut file = String::new();
    for part in (0..size).collect::<Vec<_>>().chunks(10_000) {
        let records: Vec<Record> = part
            .iter()
            .map(|n| {
                let seconds = start + *n as i64 * 60;
                let command = command(*n, size);
                file.push_str(&format!("#{seconds}\n{command}\n"));
                let mut record = Record::new(command, UnixNanos(seconds * 1_000_000_000), device);
                record.cwd = Some(if n % 3 == 0 { "/src" } else { "/elsewhere" }.to_owned());
                record.exit = Some(i32::from(n % 7 == 0));
                record
            })
            .collect();
        history.add_batch(&records).expect("they are stored");
    }
    fs::write(lines, file).expect("a file");
}

/// The one that ran as the so manieth.
fn command(n: usize, size: usize) -> String {
    let number = n.wrapping_mul(2_654_435_761) % size;
    match n % 10 {
        0 => format!("git commit -m 'change {number}'"),
        1 => format!("cargo test --test run{number}"),
        2 => format!("docker run -it image{number}"),
        3 => format!("kubectl get pods -n space{number}"),
        4 => format!("ssh host{number}.example.com"),
        5 => format!("make target_{number}"),
        6 => format!("vim src/file{number}.rs"),
        7 => format!("curl https://example.com/{number}"),
        8 => format!("grep -rn pattern{number} src"),
        _ => format!("git checkout branch-{number}"),
    }
}
