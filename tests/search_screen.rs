//! The search on the screen, at a real terminal and in real shells: what is seen, what is chosen, and that nothing is left
//! behind.

use caro::history::{Filter, Record, UnixNanos};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::home::{TestHome, wait_until};
use crate::common::tmux::Screen;
use crate::shell_capture::{ALL, Kind, Shell};

/// A shell of which nothing but its prompt is seen.
pub const PLAIN: [&str; 3] = ["env", "PS1=$ ", "sh"];
const SEARCH: &str = "caro history search -i > chosen; echo \"status:$?\"";

/// A home with some commands: the newest first, each a minute older than the one before.
fn home(commands: &[(&str, &str, i32)]) -> TestHome {
    let home = TestHome::new();
    let history = home.history();
    let device = history.device_id().expect("a device");
    let now = now();
    for (minutes, (command, cwd, exit)) in (0i64..).zip(commands) {
        let mut record = Record::new(*command, UnixNanos(now.0 - minutes * 60_000_000_000), device);
        record.cwd = Some((*cwd).into());
        record.exit = Some(*exit);
        record.duration_ns = Some(1_500_000_000);
        record.session = Some(format!("session-{cwd}"));
        history.add(&record).expect("it is stored");
    }
    home
}

/// The current time.
pub fn now() -> UnixNanos {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    UnixNanos(i64::try_from(since.as_nanos()).expect("before 2262"))
}

fn usual() -> TestHome {
    home(&[
        ("git push origin main", "/src", 0),
        ("cargo test --workspace", "/src", 101),
        ("git status", "/elsewhere", 0),
        ("git status", "/src", 0),
        ("docker run -it debian", "/elsewhere", 0),
    ])
}

/// A screen on which this line has opened the search.
pub fn opened(home: &TestHome, size: (u16, u16), line: &str, vars: &[(&str, &str)]) -> Screen {
    let screen = Screen::start(home, size, &PLAIN, vars);
    screen.shows("$");
    screen.enter(line);
    screen.shows("❯");
    screen
}

fn chosen(home: &TestHome) -> String {
    std::fs::read_to_string(home.work_dir().join("chosen")).expect("standard output")
}

fn commands(home: &TestHome) -> Vec<String> {
    home.history().list(&Filter::default()).expect("a history").into_iter().map(|record| record.command).collect()
}

#[test]
fn typing_narrows_down_and_enter_prints_what_is_chosen() {
    let home = usual();
    let screen = opened(&home, (100, 20), SEARCH, &[]);
    let all = screen.shows("1 of 4");
    assert!(all.contains("▸ now   1.5s   git push origin main"), "{all}");
    assert!(all.contains("✗ cargo test --workspace"), "{all}");
    let statuses: Vec<&str> = all.lines().filter(|line| line.contains("git status")).collect();
    assert!(statuses.len() == 1 && statuses[0].contains("×2"), "{all}");
    screen.types("docker");
    let one = screen.shows("1 of 1");
    assert!(one.contains("docker run") && !one.contains("git push"), "{one}");
    screen.press("C-u").types("gst");
    screen.until("the closest", |text| text.contains("▸  2m   1.5s   git status"));
    screen.press("Enter");
    screen.shows("status:0");
    assert_eq!(chosen(&home), "git status\n");
    assert!(!screen.text().contains("❯"), "the screen is as it was");
}

#[test]
fn a_key_of_the_shell_runs_what_enter_takes_or_puts_it_into_the_line_as_one_likes() {
    let home = usual();
    for (enter, how) in [("run", "run"), ("edit", "edit")] {
        assert_eq!(home.run(["config", "set", "search.enter", enter]).code, Some(0));
        let screen = opened(&home, (100, 20), &SEARCH.replace("-i", "-i --widget"), &[]);
        screen.shows("1 of 4");
        screen.press("Enter");
        screen.shows("status:0");
        assert_eq!(chosen(&home), format!("{how}\ngit push origin main\n"));
    }
}

#[test]
fn nothing_that_is_found_is_explained_on_a_terminal_and_nothing_chosen_is_no_error() {
    let home = TestHome::new();
    let screen = Screen::start(&home, (100, 20), &PLAIN, &[]);
    screen.shows("$");
    screen.enter("caro history list; echo \"listed:$?\"");
    screen.shows("The history is empty. `caro history import auto`");
    screen.shows("listed:0");
    home.add("ls");
    screen.enter("caro history search nonsense; echo \"searched:$?\"");
    screen.shows("No command fits");
    screen.shows("searched:0");
    screen.enter("caro history search -i; echo \"left:$?\"");
    screen.shows("❯");
    screen.press("Escape");
    let left = screen.shows("left:130");
    assert!(!left.contains("Error"), "{left}");
}

#[test]
fn what_is_left_prints_nothing() {
    for key in ["Escape", "C-c", "C-g"] {
        let home = usual();
        let screen = opened(&home, (80, 12), SEARCH, &[]);
        screen.shows("1 of 4");
        screen.press(key);
        screen.shows("status:130");
        assert_eq!(chosen(&home), "");
    }
}

#[test]
fn scopes_and_modes_change_by_key() {
    let home = home(&[("here", "/here", 0), ("there", "/there", 0)]);
    let here = home.work_dir().display().to_string();
    let record = home.history().last(&Filter::default()).expect("a history").expect("a record");
    let mut record = Record { id: caro::history::new_id(record.started_at), ..record };
    (record.command, record.cwd) = ("pwd".into(), Some(here));
    home.history().add(&record).expect("it is stored");
    let screen = opened(&home, (80, 12), SEARCH, &[("CARO_SESSION", "session-/there")]);
    screen.shows("1 of 3");
    screen.shows("─ everywhere ─ fuzzy");
    screen.press("C-r");
    screen.shows("─ this machine ─");
    screen.press("C-r");
    let session = screen.until("the session", |text| text.contains("─ this session ─") && text.contains("1 of 1"));
    assert!(session.contains("there"), "{session}");
    screen.press("C-r");
    let directory = screen.until("the directory", |text| text.contains("─ this directory ─") && text.contains("pwd"));
    assert!(directory.contains("1 of 1"), "{directory}");
    screen.press("C-r");
    screen.shows("─ everywhere ─");
    screen.types("h.r");
    screen.shows("Nothing found everywhere.");
    screen.press("C-s").press("C-s").press("C-s");
    screen.until("a regular expression", |text| text.contains("─ regex ─") && text.contains("1 of 2"));
    screen.types("(");
    screen.shows("1 of 2");
    screen.press("BSpace").press("C-s");
    screen.shows("Nothing found everywhere.");
}

#[test]
fn the_inspector_tells_everything_and_follows_the_cursor() {
    let home = usual();
    let screen = opened(&home, (100, 40), SEARCH, &[]);
    screen.shows("1 of 4");
    screen.press("C-o");
    screen.shows("origin main");
    let shown = screen.shows("Directory");
    for wanted in ["Command", "git push origin main", "Exit", "Duration", "1.5s", "/src", "Id"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    screen.press("Up").press("Up");
    let shown = screen.shows("2 of 2 known (100 %)");
    assert!(shown.contains("Runs") && shown.contains("/elsewhere ×1"), "{shown}");
    screen.press("C-o");
    screen.shows("docker run");
}

#[test]
fn what_is_longer_than_the_screen_can_be_read_to_its_end() {
    let lines: Vec<String> = (1..=60).map(|number| format!("echo line-{number}")).collect();
    let home = home(&[("ls", "/src", 0), (&lines.join("\n"), "/src", 0), ("pwd", "/src", 0)]);
    let screen = opened(&home, (40, 14), SEARCH, &[]);
    screen.shows("1 of 3");
    screen.press("Up").press("C-o");
    let shown = screen.shows("lines 1–11 of");
    assert!(shown.contains("line-1\n") && !shown.contains("line-12") && shown.contains(" ↓ ─"), "{shown}");
    screen.press("Down").press("j");
    screen.shows("lines 3–13 of");
    screen.press("k").press("Up");
    screen.shows("lines 1–11 of");
    screen.press("NPage");
    screen.shows("line-22\n");
    screen.types("\x1b[<65;10;5M");
    screen.shows("lines 15–25 of");
    screen.types("\x1b[<64;10;5M");
    screen.shows("lines 12–22 of");
    screen.until("the end", |text| {
        screen.press("NPage");
        text.contains("  Id ") && text.contains(" ↑ ─")
    });
    screen.press("PPage");
    screen.shows(" ↑↓ ─");
    // The command itself is still the chosen one.
    screen.press("C-p");
    let other = screen.shows("3 of 3");
    assert!(other.contains("pwd"), "another one begins at its top: {other}");
    screen.press("C-n").press("Enter");
    screen.shows("status:0");
    assert_eq!(chosen(&home), format!("{}\n", lines.join("\n")));
}

#[test]
fn forty_columns_show_the_whole_question_and_what_came_of_it() {
    let home = usual();
    let screen = opened(&home, (40, 12), SEARCH, &[]);
    screen.types("git status");
    screen.shows("1 of 1");
    screen.press("C-x");
    let asked = screen.shows("any other key: no");
    assert!(asked.contains("Delete all 2 runs?  y: all"), "{asked}");
    screen.types("y");
    screen.shows("for a minute.");
    assert_eq!(commands(&home).len(), 3);
}

#[test]
fn a_command_of_less_than_a_millisecond_is_shown_as_in_the_list() {
    let home = TestHome::new();
    home.run(["history", "add", "--command", "true", "--duration-ns", "420500"]).success();
    let listed = home.run(["history", "list"]).success().stdout;
    let screen = opened(&home, (80, 12), SEARCH, &[]);
    let shown = screen.shows("1 of 1");
    assert!(listed.contains(" 420µs ") && shown.contains(" 420µs   true"), "{listed}{shown}");
}

#[test]
fn deleting_is_confirmed_and_takes_all_runs() {
    let home = usual();
    let screen = opened(&home, (100, 20), SEARCH, &[]);
    screen.shows("1 of 4");
    screen.types("git status");
    screen.shows("1 of 1");
    screen.press("C-x");
    screen.shows("Delete all 2 runs?");
    screen.types("n");
    screen.shows("Nothing was deleted.");
    assert_eq!(commands(&home).len(), 5);
    screen.press("C-x");
    screen.shows("Delete all 2 runs?");
    screen.types("y");
    screen.shows("Deleted 2 commands.");
    screen.shows("Nothing found everywhere.");
    assert!(!commands(&home).contains(&"git status".into()));
    assert_eq!(commands(&home).len(), 3);
}

#[test]
fn a_copy_reaches_the_clipboard_of_the_terminal() {
    let home = usual();
    let screen = opened(&home, (100, 20), SEARCH, &[]);
    screen.shows("1 of 4");
    screen.tmux(&["set-option", "-g", "set-clipboard", "on"]);
    screen.press("C-y");
    screen.shows("Copied.");
    wait_until("it is on the clipboard", || screen.tmux(&["show-buffer"]).stdout == b"git push origin main");
}

#[test]
fn forty_columns_are_enough_and_resizing_draws_anew() {
    let home = usual();
    let screen = opened(&home, (40, 10), SEARCH, &[]);
    let narrow = screen.shows("1 of 4");
    assert!(narrow.contains("▸ now   git push origin main"), "{narrow}");
    assert!(narrow.contains("2m   git status") && narrow.contains("×2"), "{narrow}");
    screen.resize(110, 30);
    let wide = screen.until("more is told", |text| text.contains("/elsewhere") && text.contains("1.5s"));
    assert_eq!(wide.matches("git push").count(), 1, "{wide}");
    screen.resize(20, 3);
    screen.until("it is small", |text| text.contains("▸ now   git push or…\n") && text.contains('❯'));
    screen.resize(80, 24);
    screen.shows("docker");
}

#[test]
fn colours_are_those_of_the_terminal_and_none_where_none_are_wanted() {
    let home = usual();
    let screen = opened(&home, (80, 12), SEARCH, &[]);
    screen.types("git");
    screen.until("what matches is marked", |_| screen.painted().contains("\x1b[1m\x1b[36mgit"));
    assert!(!screen.painted().contains("38;"), "only the terminal's own colours");
    let home = usual();
    let screen = opened(&home, (80, 12), SEARCH, &[("NO_COLOR", "1")]);
    screen.types("git");
    screen.shows("of 2");
    let painted = screen.painted();
    assert!(painted.contains("\x1b[7m"), "what is chosen is seen: {painted:?}");
    assert!(!(30..38).any(|color| painted.contains(&format!("\x1b[{color}m"))), "{painted:?}");
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    for (signal, inline) in [(Signal::TERM, ""), (Signal::HUP, ""), (Signal::INT, "--inline 8")] {
        let home = usual();
        let screen = Screen::start(&home, (80, 14), &PLAIN, &[]);
        screen.shows("$");
        screen.enter("stty -a > before; echo BE''FORE");
        screen.shows("BEFORE");
        screen.enter(&format!("sh -c 'echo $$ > pid; exec caro history search -i {inline} > chosen'; stty -a > after"));
        screen.shows("1 of 4");
        let pid = std::fs::read_to_string(home.work_dir().join("pid")).expect("its id");
        let pid = Pid::from_raw(pid.trim().parse().expect("a number")).expect("an id");
        kill_process(pid, signal).expect("it is there");
        screen.until("what was there before", |text| text.contains("BEFORE") && !text.contains('❯'));
        screen.enter("echo AF''TER");
        screen.shows("AFTER");
        let read = |name: &str| std::fs::read_to_string(home.work_dir().join(name)).expect("settings of the terminal");
        assert_eq!(read("before"), read("after"));
        assert_eq!(chosen(&home), "");
    }
}

#[test]
fn commands_cannot_draw_on_the_screen() {
    let home = home(&[
        ("printf '\u{1b}[2J\u{1b}[31m\u{7}\u{9b}'", "/", 0),
        ("echo 日本語 👩‍💻 e\u{301} \u{202e}gnol", "/", 0),
        ("for i in 1 2\ndo\n\techo $i\ndone", "/", 0),
        ("last", "/", 0),
    ]);
    let screen = opened(&home, (70, 12), SEARCH, &[]);
    let shown = screen.shows("1 of 4");
    assert!(shown.contains("printf '\\u{1b}[2J\\u{1b}[31m\\u{7}\\u{9b}'"), "{shown}");
    assert!(shown.contains("echo 日本語") && shown.contains("\\u{202e}gnol"), "{shown}");
    assert!(shown.contains("for i in 1 2⏎do⏎ echo $i⏎done"), "{shown}");
    screen.types("日本");
    screen.shows("1 of 1");
    screen.press("BSpace").press("BSpace").types("for");
    screen.shows("❯ for\n");
    screen.shows("1 of 1");
    screen.press("Enter");
    screen.shows("status:0");
    assert_eq!(chosen(&home), "for i in 1 2\ndo\n\techo $i\ndone\n");
}

#[test]
fn some_lines_under_the_cursor_leave_what_is_above() {
    let home = usual();
    let screen = Screen::start(&home, (80, 14), &PLAIN, &[]);
    screen.shows("$");
    screen.enter("echo above; caro history search -i --inline 6 > chosen; echo \"status:$?\"");
    let shown = screen.shows("1 of 4");
    assert!(shown.contains("above") && shown.contains("git push"), "{shown}");
    assert!(!shown.contains("docker run"), "three commands have room: {shown}");
    screen.press("Up").press("Up").press("Up");
    let shown = screen.shows("4 of 4");
    assert!(shown.contains("above") && shown.contains("▸  4m   1.5s   docker run"), "{shown}");
    screen.press("Enter");
    let shown = screen.shows("status:0");
    assert!(shown.contains("above") && !shown.contains("❯"), "{shown}");
    assert_eq!(chosen(&home), "docker run -it debian\n");
}

#[test]
fn vi_keys_are_a_preference() {
    let home = usual();
    assert_eq!(home.run(["config", "set", "search.keymap", "vim"]).code, Some(0));
    let screen = opened(&home, (80, 12), SEARCH, &[]);
    screen.shows("1 of 4");
    screen.press("Escape");
    screen.shows("NORMAL");
    screen.types("kk");
    screen.shows("3 of 4");
    screen.types("q");
    screen.shows("status:130");
}

#[test]
fn the_mouse_chooses() {
    let home = usual();
    let screen = opened(&home, (80, 12), SEARCH, &[]);
    screen.shows("1 of 4");
    // The wheel, and a click on the second line from below.
    screen.types("\x1b[<64;10;8M");
    screen.shows("4 of 4");
    screen.types("\x1b[<0;10;8M\x1b[<0;10;8m");
    screen.shows("2 of 4");
    screen.types("\x1b[<0;10;8M\x1b[<0;10;8m");
    screen.shows("status:0");
    assert_eq!(chosen(&home), "cargo test --workspace\n");
}

#[test]
fn without_a_terminal_it_fails_at_once() {
    let home = usual();
    let mut command = home.command(["history", "search", "-i"]);
    let mut alone = std::process::Command::new("setsid");
    alone.arg("--wait").arg(command.get_program()).args(command.get_args());
    alone.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(home.work_dir());
    alone.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command = alone;
    let run = home.finish(command, &[]).failure(2);
    assert!(run.stderr.contains("needs a terminal") && run.stderr.contains("--interactive"), "{run:?}");
}

#[test]
fn where_the_terminal_cannot_show_it_there_is_a_list_and_no_choice() {
    let home = usual();
    let screen = Screen::start(&home, (100, 20), &PLAIN, &[]);
    screen.shows("$");
    screen.enter("TERM=dumb; caro history search -i git; echo \"status:$?\"");
    let shown = screen.shows("status:0");
    assert!(shown.contains("git push") && !shown.contains("docker") && shown.contains("Set TERM, for"), "{shown}");
    // What a script or a shell's key would take for chosen.
    for (number, more) in ["> chosen", "--widget"].into_iter().enumerate() {
        screen.enter(&format!("caro history search -i {more}; echo \"status:$?:{number}\""));
        let shown = screen.shows(&format!("status:2:{number}"));
        let said = shown.rsplit("$ caro").next().expect("what came last");
        // To a key it says nothing: the shell has a search of its own.
        assert!(said.contains("TERM is dumb") == (number == 0) && !said.contains("git push"), "{shown}");
    }
    assert_eq!(chosen(&home), "");
}

/// A shell with the integration and two commands in its history.
fn shell(kind: Kind) -> Shell {
    let shell = kind.start("", "");
    shell.home.add("echo first-''one");
    shell.home.add("echo second-''one");
    shell
}

#[test]
fn ctrl_r_searches_what_is_typed_enter_runs_and_tab_edits() {
    for kind in ALL {
        let Shell { screen, home, .. } = &shell(kind);
        screen.types("echo fir").press("C-r");
        screen.shows("❯ echo fir\n");
        screen.shows("1 of 1");
        screen.press("Enter");
        screen.shows("\nfirst-one\n");
        screen.until("the prompt", |text| text.trim_end().ends_with("ready>"));
        screen.types("seco").press("C-r");
        screen.shows("1 of 1");
        screen.press("Tab");
        let line = screen.until("the line", |text| text.trim_end().ends_with("ready> echo second-''one"));
        assert!(!line.contains("\nsecond-one"), "it is not run: {line}");
        screen.enter(" edited");
        screen.shows("\nsecond-one edited\n");
        // What was chosen is recorded like anything else.
        wait_until("both are recorded", || {
            let commands = commands(home);
            commands.iter().filter(|command| *command == "echo first-''one").count() == 2
                && commands.contains(&"echo second-''one edited".into())
        });
    }
}

#[test]
fn leaving_keeps_the_line_and_up_goes_back_in_time() {
    for kind in ALL {
        let Shell { screen, .. } = &shell(kind);
        screen.types("echo unfini").press("C-r");
        screen.shows("❯ echo unfini\n");
        screen.press("C-c");
        screen.until("the line", |text| text.trim_end().ends_with("ready> echo unfini"));
        // The shell may not have taken the terminal back yet.
        screen.until("an empty line", |text| {
            screen.press("C-u");
            text.trim_end().ends_with("ready>")
        });
        screen.press("Up");
        screen.shows("1 of 2");
        screen.press("Up");
        screen.shows("2 of 2");
        screen.press("Down").press("Down");
        screen.until("the prompt", |text| text.trim_end().ends_with("ready>") && !text.contains('❯'));
        screen.press("Up");
        screen.shows("1 of 2");
        screen.press("Enter");
        screen.shows("\nsecond-one\n");
    }
}

#[test]
fn a_key_can_be_left_to_the_shell_and_a_missing_program_leaves_both() {
    let home = TestHome::new();
    for kind in ALL {
        let shell = kind.name();
        let all = home.run(["init", shell]).success().stdout;
        assert!(all.contains("__caro_ctrl_r") && all.contains("__caro_up"));
        let no_up = home.run(["init", shell, "--disable-up-arrow"]).success().stdout;
        assert!(no_up.contains("__caro_ctrl_r") && !no_up.contains("__caro_up"));
        let none = home.run(["init", shell, "--disable-up-arrow", "--disable-ctrl-r"]).success().stdout;
        assert!(!none.contains("__caro_ctrl_r") && !none.contains("__caro_up"));
    }
    for kind in [Kind::Bash, Kind::Zsh] {
        let shell = kind.start("", "");
        shell.run("echo the-''last");
        shell.screen.enter(" PATH=/nonexistent");
        shell.screen.until("the prompt", |text| text.trim_end().ends_with("ready>"));
        shell.screen.press("Up").press("Up");
        shell.screen.until("the shell's own history", |text| text.trim_end().ends_with("END-''1"));
    }
}

#[test]
fn where_fish_has_up_for_something_else_it_has_it_still() {
    let Shell { screen, home, .. } = &shell(Kind::Fish);
    // Between lines.
    screen.enter("begin").enter("echo upper");
    screen.types("echo lower").press("Up").press("C-e").types("-''most");
    screen.press("Down").press("C-e").press("Enter");
    screen.enter("end");
    let shown = screen.shows("upper-most\nlower\n");
    assert!(!shown.contains("Unknown"), "{shown}");
    // In the list of completions.
    for name in ["pick-a", "pick-b", "pick-c"] {
        std::fs::write(home.work_dir().join(name), "").expect("a file");
    }
    screen.types("echo chosen: ./pi").press("Tab").shows("./pick-c");
    screen.press("Tab").press("Tab").shows("echo chosen: ./pick-b");
    screen.press("Up").until("the one before", |text| !text.contains("echo chosen: ./pick-b") && !text.contains('❯'));
    screen.press("Escape").press("C-u");
    // Without the program.
    screen.enter(" set PATH /nonexistent").enter("builtin echo last-''one");
    screen.shows("\nlast-one\n");
    screen.press("Up").shows("> builtin echo last-''one\n");
    screen.until("only the line", |text| text.trim_end().ends_with("ready> builtin echo last-''one"));
    assert!(!screen.text().contains("Unknown"));
}

#[test]
fn a_large_history_is_on_the_screen_at_once() {
    let home = TestHome::new();
    let history = home.history();
    let device = history.device_id().expect("a device");
    let start = now().0 - 3_600_000_000_000;
    for part in 0..10i64 {
        let records: Vec<Record> = (0..2_000)
            .map(|n| part * 2_000 + n)
            .map(|n| Record::new(format!("make target_{n}"), UnixNanos(start + n * 1_000_000), device))
            .collect();
        history.add_batch(&records).expect("they are stored");
    }
    let screen = opened(&home, (80, 24), SEARCH, &[]);
    screen.shows("1 of 20,000 ");
    screen.types("target_123");
    screen.shows("make target_12399");
    screen.press("C-s").press("C-s");
    screen.until("those with the number", |text| text.contains("of 111 ") && text.contains("fulltext"));
}
