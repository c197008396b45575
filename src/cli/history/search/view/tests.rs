//! What is drawn, in terminals of every size, with commands that would like to draw themselves.

use proptest::prelude::*;
use uuid::Uuid;

use super::super::state::{Details, NamedScope, Start};
use super::*;
use crate::history::Scope;
use crate::history::recall::{Answer, Summary};

const NOW: UnixNanos = UnixNanos(1_800_000_000_000_000_000);

fn look(color: bool) -> Look {
    Look { color, now: NOW, zone: TimeZone::UTC, home: Some("/home/ada".into()) }
}

fn hit(command: &str, minutes: i64, exit: i32, runs: u32) -> Hit {
    Hit {
        number: 0,
        id: Uuid::from_u128(runs.into()),
        command: command.into(),
        prompt: None,
        started_at: UnixNanos(NOW.0 - minutes * 60_000_000_000),
        exit: Some(exit),
        duration: Some(std::time::Duration::from_millis(1_200)),
        cwd: Some("/home/ada/src".into()),
        runs,
    }
}

fn state(hits: Vec<Hit>, text: &str) -> State {
    let scopes = vec![NamedScope { name: "everywhere", scope: Scope::Everywhere }];
    let mut state = State::new(Start {
        text: text.into(),
        mode: SearchMode::Fulltext,
        scopes,
        scope: 0,
        filters: String::new(),
        vim: false,
        by_up: false,
    });
    let number = state.ask();
    state.take(number, Ok(Answer { found: hits.len(), hits }));
    state.read = (3, true);
    state
}

fn rows(state: &mut State, look: &Look, width: u16, height: u16) -> Vec<String> {
    let area = Rect::new(0, 0, width, height);
    let list = Parts::of(state, look, area).list;
    state.show(list.height.into(), inspector::lines(state, look, list.width).len());
    let (buffer, cursor) = draw(state, look, area);
    assert!(cursor.x < width && cursor.y < height);
    buffer
        .content()
        .chunks(width.into())
        .map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned())
        .collect()
}

#[test]
fn the_best_is_next_to_what_is_typed() {
    let hits = vec![hit("git push", 2, 0, 12), hit("git pull", 120, 1, 1)];
    let shown = rows(&mut state(hits, "git"), &look(true), 110, 7);
    assert_eq!(
        shown,
        [
            "",
            "",
            "   2h   1.2s ✗ git pull                                                           ~/src",
            "▸  2m   1.2s   git push                                                    ×12    ~/src",
            "─ everywhere ─ fulltext ───────────────────────────────────────────────────────────────────────────── 1 of 2 ─",
            "❯ git",
            " ↵ run  ⇥ edit  ^R scope  ^S mode  ^O inspect  ^X delete  ^Y copy  esc leave",
        ]
        .map(|row| row.to_owned())
    );
}

#[test]
fn a_command_that_was_found_by_its_prompt_shows_that() {
    let long = "find . -xdev -type f -size +100M -printf '%s %p\\n' | sort -rn | head -20";
    let asked = |command: &str, prompt: &str| Hit { prompt: Some(prompt.into()), ..hit(command, 2, 0, 1) };
    let hits = vec![asked(long, "which files are large"), asked("du -sh large", "how big is it"), asked(long, "x")];
    let shown = rows(&mut state(hits, "large files"), &look(true), 90, 6);
    assert_eq!(
        &shown[..3],
        [
            "   2m   1.2s   find . -xdev -type f -size +100M -printf '%s %p\\n' | sort -rn | head -20",
            "   2m   1.2s   du -sh large  # how big is it",
            "▸  2m   1.2s   find . -xdev -type f -size +100M -printf '%s %p\\n…  # which files are large",
        ]
    );
    let narrow = rows(&mut state(vec![asked(long, "which files are large")], "large files"), &look(true), 40, 6);
    assert_eq!(narrow[2], "▸  2m   find . -xdev -t…  # which files…");
}

#[test]
fn forty_columns_are_enough() {
    let hits = vec![hit("cargo test --workspace --all-features -- --nocapture", 2, 101, 3)];
    let shown = rows(&mut state(hits, ""), &look(true), 40, 6);
    assert_eq!(shown[2], "▸  2m ✗ cargo test --workspace --al…  ×3");
    assert_eq!(shown[5], " ↵ run  ⇥ edit  ^R scope  ^S mode");
    assert!(shown.iter().all(|row| width(row) <= 40));
}

#[test]
fn without_colour_no_cell_has_one() {
    let mut state = state(vec![hit("git push", 2, 1, 2), hit("git x", 2, 1, 2)], "git");
    for (color, any) in [(false, false), (true, true)] {
        let area = Rect::new(0, 0, 80, 10);
        state.show(5, 0);
        let (buffer, _) = draw(&state, &look(color), area);
        assert_eq!(buffer.content().iter().any(|cell| cell.fg != Color::Reset), any);
        assert!(buffer.content().iter().all(|cell| cell.bg == Color::Reset));
    }
}

#[test]
fn what_there_is_instead_of_commands_is_said() {
    let mut nothing = state(vec![], "x");
    assert!(rows(&mut nothing, &look(true), 60, 8).join("\n").contains("Nothing found everywhere."));
    nothing.read = (0, true);
    assert!(rows(&mut nothing, &look(true), 60, 8).join("\n").contains("Nothing is recorded yet."));
    nothing.problem = Some("unclosed group".into());
    assert!(rows(&mut nothing, &look(true), 60, 8).join("\n").contains("unclosed group"));
}

#[test]
fn a_question_is_seen_in_the_smallest_terminal_too() {
    let mut state = state(vec![hit("ls", 2, 0, 3)], "");
    state.confirming = true;
    assert!(rows(&mut state, &look(true), 40, 3).join("\n").contains("Delete all 3 runs?  y: all"));
    assert!(rows(&mut state, &look(true), 90, 10).join("\n").contains("o: only the newest"));
}

#[test]
fn a_question_and_a_notice_are_read_whole_in_forty_columns() {
    let mut state = state(vec![hit("ls", 2, 0, 1_234), hit("cd", 3, 0, 1)], "l");
    state.confirming = true;
    assert_eq!(
        rows(&mut state, &look(true), 40, 8)[3..],
        [
            "▸  2m   ls                         ×1234",
            "─ everywhere ─ fulltext ─────── 1 of 2 ─",
            "❯ l",
            " Delete all 1,234 runs?  y: all  o: only",
            " the newest  any other key: no",
        ]
        .map(str::to_owned)
    );
    state.confirming = false;
    state.notice = Some("Deleted 1,234 commands. `caro history undo` takes it back, for a minute.".into());
    let shown = rows(&mut state, &look(true), 40, 6);
    assert_eq!(shown[5], " Deleted 1,234 commands. `caro history", "one line where there is room for one");
    let shown = rows(&mut state, &look(true), 40, 7);
    assert_eq!(shown[5..], [" Deleted 1,234 commands. `caro history", " undo` takes it back, for a minute."]);
}

#[test]
fn what_filters_leave_out_is_told_as_long_as_a_command_is_seen() {
    let mut state = state(vec![hit("ls", 2, 0, 3)], "");
    state.filters = "exit 1, since 2026-01-31 14:30:00, tag deploy".into();
    let shown = rows(&mut state, &look(true), 70, 8);
    assert_eq!(shown[4], "  only: exit 1, since 2026-01-31 14:30:00, tag deploy");
    assert!(shown[3].contains("ls") && shown[5].contains("everywhere"), "{shown:?}");
    let shown = rows(&mut state, &look(true), 40, 4);
    assert_eq!(shown[1], "  only: exit 1, since 2026-01-31 14:30:…");
    assert!(shown[0].contains("ls"), "{shown:?}");
    assert!(!rows(&mut state, &look(true), 40, 3).join("\n").contains("only:"));
}

#[test]
fn what_is_told_of_a_command_says_how_much_more_there_is() {
    let mut state = state(vec![hit("ls", 2, 0, 3)], "");
    state.inspecting = true;
    let details = |lines: usize| Details {
        id: Uuid::from_u128(3),
        lines: (1..=lines).map(|number| ("Line", format!("number {number}"))).collect(),
        summary: Summary::default(),
    };
    state.take_details(details(20));
    let shown = rows(&mut state, &look(true), 40, 8);
    assert_eq!((shown[0].as_str(), shown[4].as_str()), ("  Line  number 1", "  Line  number 5"));
    assert_eq!(shown[5], "─ lines 1–5 of 20 ↓ ─────────── 1 of 1 ─");
    state.scrolled = 7;
    let shown = rows(&mut state, &look(true), 40, 8);
    assert_eq!((shown[0].as_str(), shown[5].starts_with("─ lines 8–12 of 20 ↑↓ ──")), ("  Line  number 8", true));
    // A larger screen has room for what was above.
    state.scrolled = 15;
    let shown = rows(&mut state, &look(true), 40, 22);
    assert_eq!((shown[0].as_str(), shown[18].as_str()), ("  Line  number 2", "  Line  number 20"));
    state.take_details(details(3));
    let shown = rows(&mut state, &look(true), 40, 8);
    assert!(shown[0].ends_with("number 1") && shown[5].contains("everywhere"), "{shown:?}");
}

#[test]
fn an_explanation_is_broken_between_words_and_a_command_loses_no_space() {
    let mut state = state(vec![hit("ls", 2, 0, 3)], "");
    state.inspecting = true;
    let lines = vec![("Command", "echo  long command".into()), ("Explanation", "it prints all the words".into())];
    state.take_details(Details { id: Uuid::from_u128(3), lines, summary: Summary::default() });
    let shown = rows(&mut state, &look(true), 25, 9);
    let expected = [
        "  Command      echo  long",
        "                command",
        "  Explanation  it prints",
        "               all the",
        "               words",
    ];
    assert_eq!(shown[..5], expected);
}

#[test]
fn a_command_takes_as_long_as_the_list_says() {
    for (nanos, shown) in [(0, "   0s "), (420_000, " 420µs "), (7, "  7ns "), (1_500_000_000, " 1.5s ")] {
        let hit = Hit { duration: Some(std::time::Duration::from_nanos(nanos)), ..hit("ls", 2, 0, 1) };
        let rows = rows(&mut state(vec![hit], ""), &look(true), 80, 6);
        assert!(rows[2].contains(shown), "{rows:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_breaks_the_screen(
        commands in proptest::collection::vec("(?s).{0,60}", 0..6), text in "[ -~日🦀\u{301}]{0,50}",
        width in 1u16..130, height in 1u16..20, inspecting: bool, exit: i32,
    ) {
        let hits = (1u32..).zip(&commands).map(|(runs, command)| hit(command, i64::from(runs), exit, runs)).collect();
        let mut state = state(hits, &text);
        state.inspecting = inspecting;
        for row in rows(&mut state, &look(true), width, height) {
            prop_assert!(!row.chars().any(char::is_control), "{row:?}");
        }
    }
}
