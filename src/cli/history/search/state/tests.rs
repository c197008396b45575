//! The machine under test: keys in, effects out, without a terminal.

use std::time::Duration;

use crossterm::event::{KeyModifiers, MouseEvent};

use super::*;
use crate::history::UnixNanos;

fn hit(number: u32, command: &str, runs: u32) -> Hit {
    Hit {
        number,
        id: Uuid::from_u128(u128::from(number)),
        command: command.into(),
        prompt: None,
        started_at: UnixNanos(i64::from(number)),
        exit: Some(0),
        duration: Some(Duration::from_secs(1)),
        cwd: None,
        runs,
    }
}

fn answer(commands: &[&str]) -> Answer {
    let hits: Vec<Hit> = (0u32..).zip(commands).map(|(number, command)| hit(number, command, 1 + number)).collect();
    Answer { found: hits.len(), hits }
}

fn state_with(vim: bool, by_up: bool) -> State {
    let scope = |name, scope| NamedScope { name, scope };
    let mut state = State::new(Start {
        text: String::new(),
        mode: SearchMode::Fuzzy,
        scopes: vec![
            scope("everywhere", Scope::Everywhere),
            scope("this session", Scope::Session("s".into())),
            scope("this directory", Scope::Directory("/".into())),
        ],
        scope: 0,
        filters: String::new(),
        vim,
        by_up,
    });
    let number = state.ask();
    assert!(state.take(number, Ok(answer(&["newest", "middle", "oldest"]))).0);
    state.show(2, 0);
    state
}

fn state() -> State {
    state_with(false, false)
}

fn press(state: &mut State, code: KeyCode) -> Effect {
    state.press(KeyEvent::new(code, KeyModifiers::NONE))
}

fn control(state: &mut State, c: char) -> Effect {
    state.press(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))
}

fn types(state: &mut State, text: &str) -> Effect {
    text.chars().map(|c| press(state, KeyCode::Char(c))).last().unwrap()
}

#[test]
fn enter_runs_and_tab_edits_what_is_chosen() {
    let mut state = state();
    assert_eq!(press(&mut state, KeyCode::Enter), Effect::Close(Choice::Run("newest".into())));
    press(&mut state, KeyCode::Up);
    assert_eq!(press(&mut state, KeyCode::Tab), Effect::Close(Choice::Edit("middle".into())));
    let alt = KeyEvent::new(KeyCode::Char('1'), KeyModifiers::ALT);
    assert_eq!(state.press(alt), Effect::Close(Choice::Edit("middle".into())));
    assert_eq!(press(&mut state, KeyCode::Esc), Effect::Close(Choice::Nothing));
    assert_eq!(control(&mut state, 'c'), Effect::Close(Choice::Nothing));
}

#[test]
fn what_was_typed_is_put_into_the_line_where_nothing_is_found_and_never_run() {
    let mut state = state();
    types(&mut state, "rm x");
    let number = state.ask();
    state.take(number, Ok(Answer::default()));
    assert_eq!(press(&mut state, KeyCode::Enter), Effect::Close(Choice::Edit("rm x".into())));
    control(&mut state, 'u');
    assert_eq!(press(&mut state, KeyCode::Enter), Effect::Close(Choice::Nothing));
}

#[test]
fn the_cursor_stays_within_the_list_and_on_the_screen() {
    let mut state = state();
    for _ in 0..5 {
        press(&mut state, KeyCode::Up);
    }
    assert_eq!((state.chosen, state.lowest), (2, 1));
    press(&mut state, KeyCode::PageDown);
    assert_eq!((state.chosen, state.lowest), (0, 0));
    for _ in 0..2 {
        assert_eq!(press(&mut state, KeyCode::Down), Effect::Draw);
    }
    assert_eq!(state.chosen, 0);
    assert_eq!(press(&mut state_with(false, true), KeyCode::Down), Effect::Close(Choice::Nothing));
}

#[test]
fn typing_asks_anew_from_the_best_and_moving_does_not() {
    let mut state = state();
    press(&mut state, KeyCode::Up);
    assert_eq!(types(&mut state, "g"), Effect::Ask);
    assert_eq!((state.line.text(), state.chosen), ("g", 0));
    assert_eq!(press(&mut state, KeyCode::Left), Effect::Draw);
    assert_eq!(press(&mut state, KeyCode::Backspace), Effect::Draw);
    assert_eq!(press(&mut state, KeyCode::Delete), Effect::Ask);
    assert_eq!(state.line.text(), "");
    assert_eq!(state.handle(Event::Paste("a\nb".into()), |_| None), Some(Effect::Ask));
    assert_eq!(state.line.text(), "a b");
}

#[test]
fn scopes_and_modes_go_round() {
    let mut state = state();
    let names: Vec<_> = (0..4)
        .map(|_| {
            assert_eq!(control(&mut state, 'r'), Effect::Ask);
            state.scope().name
        })
        .collect();
    assert_eq!(names, ["this session", "this directory", "everywhere", "this session"]);
    let modes: Vec<_> = (0..4)
        .map(|_| {
            assert_eq!(control(&mut state, 's'), Effect::Ask);
            state.mode
        })
        .collect();
    assert_eq!(modes, [SearchMode::Prefix, SearchMode::Fulltext, SearchMode::Regex, SearchMode::Fuzzy]);
}

#[test]
fn an_answer_to_an_older_question_is_not_taken_and_one_with_more_keeps_the_cursor() {
    let mut state = state();
    let old = state.ask();
    let new = state.ask();
    assert_eq!(state.take(old, Ok(answer(&["wrong"]))), (false, false));
    assert_eq!(state.hit().unwrap().command, "newest");
    press(&mut state, KeyCode::Up);
    let mut more = answer(&["newest", "middle", "oldest"]);
    more.hits.insert(0, hit(9, "better", 1));
    assert_eq!(state.take(new, Ok(more)), (true, false));
    assert_eq!(state.hit().unwrap().command, "middle");
    // The best stays the best.
    press(&mut state, KeyCode::PageDown);
    press(&mut state, KeyCode::PageDown);
    assert_eq!(state.take(new, Ok(answer(&["newest"]))), (true, true));
    assert_eq!(state.hit().unwrap().command, "newest");
}

#[test]
fn a_problem_is_kept_until_there_is_an_answer() {
    let mut state = state();
    let number = state.ask();
    state.take(number, Err("unclosed group".into()));
    assert_eq!((state.problem.as_deref(), state.answer.hits.len()), (Some("unclosed group"), 3));
    state.take(number, Ok(answer(&["x"])));
    assert_eq!(state.problem, None);
}

#[test]
fn deleting_is_asked_first_and_other_keys_keep_everything() {
    let mut state = state();
    press(&mut state, KeyCode::Up);
    let id = Uuid::from_u128(1);
    for (key, expected) in [
        ('y', Effect::Delete { number: 1, id, all: true }),
        ('o', Effect::Delete { number: 1, id, all: false }),
        ('n', Effect::Draw),
        ('d', Effect::Draw),
    ] {
        assert_eq!(control(&mut state, 'x'), Effect::Draw);
        assert!(state.confirming);
        assert_eq!(types(&mut state, &key.to_string()), expected);
        assert!(!state.confirming);
        assert_eq!(state.line.text(), "");
    }
    control(&mut state, 'x');
    assert_eq!(press(&mut state, KeyCode::Enter), Effect::Draw);
    // Only one run: there is no other to keep.
    press(&mut state, KeyCode::Down);
    control(&mut state, 'x');
    assert_eq!(types(&mut state, "o"), Effect::Draw);
}

#[test]
fn the_inspector_follows_the_cursor() {
    let mut state = state();
    assert_eq!(control(&mut state, 'o'), Effect::Inspect);
    assert_eq!(press(&mut state, KeyCode::Up), Effect::Inspect);
    state.take_details(Details::default());
    assert_eq!(state.details, Some(Details::default()).filter(|details| details.id == Uuid::from_u128(1)));
    state.take_details(Details { id: Uuid::from_u128(1), ..Details::default() });
    assert!(state.details.is_some());
    assert_eq!(control(&mut state, 'd'), Effect::Draw);
    assert!(state.confirming);
    press(&mut state, KeyCode::Esc);
    assert_eq!(press(&mut state, KeyCode::Esc), Effect::Draw);
    assert!(!state.inspecting);
    assert_eq!(control(&mut state, 'y'), Effect::Copy("middle".into()));
}

#[test]
fn the_inspector_closes_where_its_command_was_the_last_and_is_gone() {
    let mut state = state();
    control(&mut state, 'o');
    state.take_details(Details { id: state.hit().unwrap().id, ..Details::default() });
    assert!(state.inspecting && state.details.is_some());
    let number = state.ask();
    state.take(number, Ok(answer(&[])));
    assert!(!state.inspecting && state.details.is_none());
}

#[test]
fn what_has_no_room_in_the_inspector_is_scrolled_and_keeps_the_command() {
    let mut state = state_with(true, false);
    control(&mut state, 'o');
    let details = |id: u128| Details { id: Uuid::from_u128(id), ..Details::default() };
    state.take_details(details(0));
    state.show(4, 20);
    let wheel = |kind| Event::Mouse(MouseEvent { kind, column: 0, row: 0, modifiers: KeyModifiers::NONE });
    for (step, scrolled) in [
        (KeyCode::Down, 1),
        (KeyCode::Char('j'), 2),
        (KeyCode::PageDown, 6),
        (KeyCode::Up, 5),
        (KeyCode::Char('k'), 4),
        (KeyCode::PageUp, 0),
        (KeyCode::Up, 0),
    ] {
        assert_eq!(press(&mut state, step), Effect::Draw);
        assert_eq!((state.scrolled, state.chosen, state.line.text()), (scrolled, 0, ""), "{step:?}");
    }
    state.handle(wheel(MouseEventKind::ScrollDown), |_| None);
    assert_eq!(state.scrolled, 3);
    for _ in 0..9 {
        press(&mut state, KeyCode::PageDown);
    }
    assert_eq!(state.scrolled, 16, "the last line is the lowest");
    state.handle(wheel(MouseEventKind::ScrollUp), |_| None);
    assert_eq!(state.scrolled, 13);
    press(&mut state, KeyCode::Esc);
    types(&mut state, "gg");
    assert_eq!(state.scrolled, 0);
    types(&mut state, "G");
    assert_eq!((state.scrolled, state.chosen), (16, 0));
    // More of the same command keeps the place, another one begins at its top.
    state.take_details(details(0));
    assert_eq!(state.scrolled, 16);
    assert_eq!(control(&mut state, 'p'), Effect::Inspect);
    state.take_details(details(1));
    assert_eq!((state.scrolled, state.chosen), (0, 1));
    // What is seen whole leaves the keys to the list.
    state.show(4, 4);
    assert_eq!(types(&mut state, "k"), Effect::Inspect);
    assert_eq!(state.chosen, 2);
    assert_eq!(press(&mut state, KeyCode::Down), Effect::Inspect);
    assert_eq!(state.chosen, 1);
}

#[test]
fn vi_keys_move_after_escape() {
    let mut state = state_with(true, false);
    types(&mut state, "jk");
    assert_eq!(state.line.text(), "jk");
    assert_eq!(press(&mut state, KeyCode::Esc), Effect::Draw);
    assert!(state.is_normal());
    types(&mut state, "kk");
    assert_eq!(state.chosen, 2);
    types(&mut state, "G");
    assert_eq!(state.chosen, 0);
    assert_eq!(types(&mut state, "gg"), Effect::Draw);
    assert_eq!(state.chosen, 2);
    assert_eq!(types(&mut state, "dd"), Effect::Ask);
    assert_eq!(state.line.text(), "");
    types(&mut state, "ia");
    assert_eq!((state.line.text(), state.is_normal()), ("a", false));
    press(&mut state, KeyCode::Esc);
    assert_eq!(press(&mut state, KeyCode::Esc), Effect::Close(Choice::Nothing));
}

#[test]
fn the_mouse_scrolls_and_chooses() {
    let mut state = state();
    let mouse = |kind| Event::Mouse(MouseEvent { kind, column: 0, row: 5, modifiers: KeyModifiers::NONE });
    assert_eq!(state.handle(mouse(MouseEventKind::ScrollUp), |_| None), Some(Effect::Draw));
    assert_eq!(state.chosen, 2);
    assert_eq!(state.handle(mouse(MouseEventKind::ScrollDown), |_| None), Some(Effect::Draw));
    assert_eq!(state.chosen, 0);
    let click = || mouse(MouseEventKind::Down(MouseButton::Left));
    assert_eq!(state.handle(click(), |_| None), None);
    assert_eq!(state.handle(click(), |row| (row == 5).then_some(1)), Some(Effect::Draw));
    assert_eq!(state.handle(click(), |_| Some(1)), Some(Effect::Close(Choice::Edit("middle".into()))));
    assert_eq!(state.handle(Event::Resize(1, 1), |_| None), Some(Effect::Redraw));
}
