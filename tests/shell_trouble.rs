//! Real shells where caro cannot work: no room, a home that is read-only, a program that is gone, a database that another
//! process holds. The shell goes on as before, is told once, and has its own keys.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use caro::history::MAX_TEXT_BYTES;

use crate::common::home::{TestHome, wait_until};
use crate::common::peers::nushell;
use crate::shell_capture::{ALL, Kind, Shell};
use crate::sync_disk_full::SmallDisk;

/// How long a hook may wait, of the 50 ms that it may take.
const PATIENCE: Duration = Duration::from_millis(30);
/// What is said where caro fails, however often it does.
const NOTICE: &str = "`caro doctor` says why";

/// The shells that are tried: Nushell only where it is installed.
pub fn every_kind() -> impl Iterator<Item = Kind> {
    ALL.into_iter().chain(nushell().map(|_| Kind::Nu))
}

/// A folder that nothing can be written to, by its path; writable again when this goes away.
pub struct ReadOnly(PathBuf);

impl ReadOnly {
    /// None where this user may not mount.
    pub fn mount(folder: &Path) -> Option<Self> {
        let mount = |options: &[&str]| {
            let run = Command::new("mount").args(options).arg(folder).arg(folder).stderr(Stdio::null()).status();
            run.is_ok_and(|status| status.success())
        };
        if !mount(&["--bind"]) {
            println!("skipped: mounting needs root");
            return None;
        }
        let guard = Self(folder.to_owned());
        // A command that was recorded may still be closing its files.
        wait_until("nobody writes there", || mount(&["-o", "remount,bind,ro"]));
        Some(guard)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

impl Kind {
    /// A line that prints this word.
    pub fn print(self, word: &str) -> String {
        if self == Self::Nu { format!("print '{word}'") } else { format!("echo {word}") }
    }
}

/// Waits for the prompt with this on its line.
#[track_caller]
fn prompt(shell: &Shell, line: &str) {
    let wanted = format!("ready> {line}");
    shell.screen.until(&wanted, |text| text.trim_end().ends_with(wanted.trim_end()) && !text.contains('❯'));
}

/// Runs commands that cannot be recorded.
#[track_caller]
fn goes_on_and_is_told_once(kind: Kind, shell: &Shell) {
    let screen = &shell.screen;
    let status = match kind {
        Kind::Nu => ["^sh -c 'exit 9'", "print $'status:($env.LAST_EXIT_CODE)'"],
        Kind::Fish => ["sh -c 'exit 9'", "echo status:$status"],
        _ => ["sh -c 'exit 9'", "echo status:$?"],
    };
    for line in status {
        shell.enter(line);
    }
    screen.shows("status:9\n");
    if matches!(kind, Kind::Bash | Kind::Zsh) {
        screen.enter("echo one two").enter("echo under:$_");
        screen.shows("under:two\n");
    }
    shell.enter(&kind.print("still-here"));
    screen.shows("\nstill-here\n");
    let shown = shell.run(&kind.print("and-here"));
    assert_eq!(shown.matches(NOTICE).count(), 1, "{shown}");
    assert!(shown.contains("caro: what you run is not recorded; "), "{shown}");
    // Beyond what the shell itself says of its own files.
    assert!(!shown.contains("Error:") && !shown.contains("__caro"), "{shown}");
}

/// Presses Up after a line that is not recorded.
#[track_caller]
fn has_its_own_up(kind: Kind, shell: &Shell) {
    shell.enter(&kind.print("last-one"));
    shell.screen.shows("\nlast-one\n");
    prompt(shell, "");
    shell.screen.press("Up");
    prompt(shell, &kind.print("last-one"));
}

/// Presses both keys of the search after a line that is not recorded.
#[track_caller]
fn has_its_own_keys(kind: Kind, shell: &Shell) {
    let screen = &shell.screen;
    has_its_own_up(kind, shell);
    screen.press("C-u");
    prompt(shell, "");
    screen.press("C-r");
    let mark = match kind {
        Kind::Bash => "(reverse-i-search)",
        Kind::Zsh => "bck-i-search",
        Kind::Fish => "search:",
        Kind::Nu => "ready?\n",
    };
    let shown = screen.shows(mark);
    assert!(!shown.contains('❯') && !shown.contains("rror"), "{shown}");
}

/// A line that sets a variable of the environment, and is not recorded.
fn sets(kind: Kind, name: &str, value: &str) -> String {
    match kind {
        Kind::Fish => format!(" set -gx {name} {value}"),
        Kind::Nu => format!(" $env.{name} = '{value}'"),
        _ => format!(" export {name}={value}"),
    }
}

#[test]
fn a_read_only_home_is_told_once_and_changes_nothing_for_the_shell() {
    for kind in every_kind() {
        let shell = kind.start("", "");
        shell.run(&kind.print("before"));
        shell.records(1);
        let Some(read_only) = ReadOnly::mount(shell.home.path()) else { return };
        goes_on_and_is_told_once(kind, &shell);
        drop(read_only);
        shell.run(&kind.print("after"));
        assert_eq!(shell.records(2)[1].command, kind.print("after"));
        assert_eq!(shell.screen.text().matches(NOTICE).count(), 1);
    }
}

#[test]
fn a_full_disk_is_told_once_and_changes_nothing_for_the_shell() {
    for kind in every_kind() {
        let shell = kind.start("", "");
        let Some(disk) = SmallDisk::mount(&shell.home.data_dir(), 4096) else {
            println!("skipped: mounting needs root");
            return;
        };
        shell.run(&kind.print("before"));
        shell.records(1);
        let filler = disk.fill(0);
        goes_on_and_is_told_once(kind, &shell);
        std::fs::remove_file(filler).expect("there is room again");
        shell.run(&kind.print("after"));
        assert_eq!(shell.records(2)[1].command, kind.print("after"));
        assert_eq!(shell.screen.text().matches(NOTICE).count(), 1);
    }
}

#[test]
fn a_misspelt_variable_is_told_once_and_changes_nothing_for_the_shell() {
    for kind in every_kind() {
        let shell = kind.start("", "");
        shell.enter(&sets(kind, "CARO_LOG", "caro=loud"));
        goes_on_and_is_told_once(kind, &shell);
        has_its_own_up(kind, &shell);
        shell.screen.press("C-u");
        prompt(&shell, "");
        // That the key failed too is another trouble; the first is not told again.
        shell.enter("caro doctor");
        shell.screen.shows("CARO_LOG does not say what to log");
        let shown = shell.run(&kind.print("more"));
        assert_eq!(shown.matches("what you run is not recorded").count(), 1, "{shown}");
        assert!(shown.matches(NOTICE).count() <= 2, "{shown}");
        shell.run(&sets(kind, "CARO_LOG", "off"));
        shell.run(&kind.print("after"));
        assert_eq!(shell.records(1)[0].command, kind.print("after"));
    }
}

#[test]
fn a_command_that_is_too_long_is_told_once_and_others_are_recorded() {
    const SAID: &str = "caro: a command that is too long is not recorded\n";
    for kind in every_kind() {
        let shell = kind.start("", "");
        let text = "y".repeat(MAX_TEXT_BYTES);
        let line = if kind == Kind::Nu { format!("'{text}' | ignore") } else { format!(": {text}") };
        let file = shell.home.file("line", line);
        for said in [1, 0] {
            prompt(&shell, "");
            shell.screen.pastes_whole(&file);
            // Nushell loses what comes while it runs something.
            shell.screen.until("the end of the line", |text| text.trim_end().ends_with(['y', 'e', '…']));
            shell.screen.press("Enter");
            prompt(&shell, "");
            // What came before the line is no more on the screen.
            let shown = shell.screen.text();
            let shown = &shown[shown.len().saturating_sub(500)..];
            assert_eq!((shown.matches(SAID).count(), shown.matches(NOTICE).count()), (said, 0), "{shown}");
            shell.run(&kind.print("next"));
        }
        assert!(shell.records(2).iter().all(|record| record.command == kind.print("next")));
        assert_eq!(shell.home.history().count().expect("it can be counted"), 2);
    }
}

#[test]
fn nothing_is_said_where_nothing_is_wrong() {
    for kind in [Kind::Bash, Kind::Zsh, Kind::Fish] {
        let shell = kind.start("", "");
        shell.run("caro history pause");
        shell.run("echo paused");
        shell.run("caro history resume");
        shell.run("export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzKQ4TtkLm");
        shell.run(" echo hidden");
        shell.run(&sets(kind, "PATH", "/nonexistent"));
        let shown = shell.run("echo without the program");
        assert!(!shown.contains(NOTICE), "{shown}");
    }
}

#[test]
fn where_the_search_fails_the_keys_are_the_shells_own() {
    for kind in every_kind() {
        let shell = kind.start("", "");
        shell.enter(&sets(kind, "CARO_DATA_DIR", "/proc/none"));
        has_its_own_keys(kind, &shell);
    }
}

#[test]
fn where_only_the_search_fails_that_is_told_too() {
    for kind in every_kind() {
        let shell = kind.start("", "");
        let config = shell.home.path().join("config");
        std::fs::create_dir_all(&config).expect("a folder");
        std::fs::write(config.join("sync.toml"), "[search]\nmode = 'no such mode'\n").expect("a file");
        shell.enter(&kind.print("first"));
        shell.screen.shows("\nfirst\n");
        prompt(&shell, "");
        let line = format!("ready> {}", kind.print("first"));
        shell.screen.until("the shell's own last line", |text| {
            // In Nushell the first key is lost.
            shell.screen.press("Up");
            text.trim_end().ends_with(&line)
        });
        shell.screen.press("C-u");
        prompt(&shell, "");
        shell.enter(&kind.print("next"));
        shell.screen.shows("caro: its search does not open; `caro doctor` says why\n");
        let shown = shell.run(&kind.print("last"));
        assert_eq!(shown.matches(NOTICE).count(), 1, "{shown}");
    }
}

#[test]
fn a_terminal_that_cannot_show_the_search_has_the_shells_own_keys_and_no_notice() {
    for kind in every_kind() {
        let shell = kind.start("", "");
        shell.enter(&sets(kind, "TERM", "dumb"));
        // Zsh shows nothing of its own search there.
        has_its_own_up(kind, &shell);
        assert!(!shell.screen.text().contains(NOTICE));
    }
}

/// Nushell looks for it anew each time; see there.
#[test]
fn a_program_that_is_gone_leaves_the_keys_to_the_shell() {
    for kind in ALL {
        let shell = kind.start("", "");
        shell.run(" mkdir bin; ln -s $(command -v caro) bin/caro");
        let folder = shell.home.work_dir().join("bin");
        let path =
            format!("{}{}", folder.display(), if kind == Kind::Fish { " /usr/bin /bin" } else { ":/usr/bin:/bin" });
        shell.run(&sets(kind, "PATH", &path));
        // From now on the shell knows where it is.
        shell.run("caro --version");
        shell.records(1);
        std::fs::remove_file(folder.join("caro")).expect("it is removed");
        has_its_own_keys(kind, &shell);
        shell.screen.press("C-c");
        prompt(&shell, "");
        shell.enter("echo still-''here");
        let shown = shell.screen.shows("\nstill-here\n");
        let said = shown.rsplit("> echo last").next().expect("what came last");
        assert!(!said.contains("such file") && !said.contains("not found"), "{shown}");
        assert!(!shown.contains(NOTICE), "{shown}");
    }
}

#[test]
fn traps_of_bash_that_print_keep_no_command_from_running() {
    for line in ["set -T; trap 'printf T' DEBUG", "set -T; trap 'echo RET' RETURN", "BASH_XTRACEFD=1; set -x"] {
        let shell = Kind::Bash.start("", "");
        shell.screen.enter(line).enter("echo it-''runs");
        let shown = shell.screen.until(line, |text| text.contains("it-runs"));
        assert!(!shown.contains("value too great") && !shown.contains("syntax error"), "{shown}");
    }
}

#[test]
fn a_program_that_moved_along_the_path_of_zsh_is_found() {
    let shell = Kind::Zsh.start("", "");
    shell.run(" mkdir one two; ln -s $(command -v caro) one/caro; path=($PWD/one $PWD/two /usr/bin /bin)");
    shell.run("caro --version");
    shell.records(1);
    shell.run(" mv one/caro two/caro");
    shell.run("echo moved");
    assert_eq!(shell.records(2)[1].command, "echo moved");
}

#[test]
fn binary_junk_is_recorded_as_text_and_breaks_nothing() {
    let junk: Vec<u8> = (0x80..=0xff).collect();
    // After Ctrl-V each is a character like any other.
    let control = b"\x16\x01\x16\x02\x16\x07\x16\x08\x16\x1b[31m\x16\x7f";
    for kind in every_kind() {
        let shell = kind.start("", "");
        let line = match kind {
            Kind::Bash | Kind::Zsh => [b"printf %s '", &junk[..], &control[..], b"' | wc -c"].concat(),
            Kind::Fish => [b"printf %s '", &junk[..], b"' | wc -c"].concat(),
            // It drops what is no text before anybody sees it, and the rest of the line with it.
            Kind::Nu => "echo '\u{85}\u{9b}31m\u{200b}\u{202e}\u{feff}\u{fffd}\u{1f4a9}' | str length".into(),
        };
        prompt(&shell, "");
        shell.screen.pastes(&shell.home.file("line", line));
        // Nushell loses what comes while it runs something.
        shell.screen.shows(if kind == Kind::Nu { "' | str length\n" } else { "| wc -c" });
        shell.screen.press("Enter");
        prompt(&shell, "");
        shell.run(&kind.print("next"));
        let records = shell.records(2);
        assert!(records[0].command.contains("' | "), "{records:?}");
        assert_eq!((records[0].exit, records[1].exit), (Some(0), Some(0)));
        if matches!(kind, Kind::Bash | Kind::Zsh) {
            assert!(records[0].command.contains("\u{1}\u{2}\u{7}\u{8}\u{1b}[31m\u{7f}"), "{records:?}");
        }
        let list = shell.home.run(["history", "list", "--cmd-only"]).success();
        assert_eq!(list.lines().last(), Some(&kind.print("next").as_str()));
    }
}

#[test]
fn a_bash_without_a_precise_clock_records_all_the_same() {
    for (before, after) in [("unset EPOCHREALTIME; set -u", ""), ("", "unset EPOCHREALTIME; set -u")] {
        let shell = Kind::Bash.start(before, after);
        shell.run("sh -c 'exit 3'");
        let shown = shell.run("echo second");
        assert!(!shown.contains("unbound"), "{shown}");
        let records = shell.records(2);
        assert_eq!(records.iter().map(|record| record.exit).collect::<Vec<_>>(), [Some(3), Some(0)]);
        assert!(records[0].started_at < records[1].started_at, "{records:?}");
        assert!(records.iter().all(|record| record.duration_ns.is_some_and(|ran| ran < 60_000_000_000)), "{records:?}");
    }
}

/// How long a run of the program slept by its own will: on a busy machine it may take longer, and waits no longer.
fn slept(home: &TestHome, args: &[&str]) -> Duration {
    let trace = home.path().join("trace");
    let plain = home.command(args);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-e", "trace=nanosleep,clock_nanosleep", "-o"]).arg(&trace);
    strace.arg(plain.get_program()).args(plain.get_args()).current_dir(home.work_dir());
    strace.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = strace.output().expect("strace is installed");
    assert!(output.status.success(), "{output:?}");
    let trace = std::fs::read_to_string(trace).expect("strace has written");
    let number = |line: &str, name: &str| -> Option<u64> {
        let digits: String = line.split(name).nth(1)?.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    trace
        .lines()
        .filter_map(|line| {
            Some(Duration::new(number(line, "tv_sec=")?, u32::try_from(number(line, "tv_nsec=")?).ok()?))
        })
        .sum()
}

#[test]
fn a_hook_waits_for_another_process_no_longer_than_the_limit() {
    let home = TestHome::new();
    let begun = home.run(["history", "start", "--", "sleep 100"]).success().stdout;
    let db = rusqlite::Connection::open(home.history_path()).expect("the database opens");
    db.execute_batch("BEGIN IMMEDIATE").expect("it is locked");
    // The first of them finds nothing that waits; the others are waited for as well as stored.
    for number in 0..3 {
        let waited = slept(&home, &["history", "start", "--", &format!("echo {number}")]);
        assert!(waited > Duration::ZERO && waited <= PATIENCE, "{waited:?}");
    }
    let waited = slept(&home, &["history", "end", begun.trim(), "--exit", "0"]);
    assert!(waited > Duration::ZERO && waited <= PATIENCE, "{waited:?}");
    db.execute_batch("COMMIT").expect("it is free again");
    let ended = home.run(["history", "list", "--cmd-only", "--exit", "0"]).success();
    assert_eq!(ended.lines(), ["sleep 100"]);
    assert_eq!(home.run(["history", "list", "--cmd-only"]).success().lines().len(), 4);
}
