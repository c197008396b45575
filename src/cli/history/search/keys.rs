//! What each key means, for hands used to Emacs and for those used to vi; a table, without any state of the search.
//!
//! The keys are those that users of Atuin have in their fingers where it has any. With vi keys one begins by typing, and
//! Escape leads to the keys that move; what is not listed there does nothing.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::line::Reach;

/// Whose keys are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Keymap {
    #[default]
    Emacs,
    /// While typing.
    Vim,
    /// After Escape.
    VimNormal,
}

/// What a key asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Type this.
    Insert(String),
    Go(Reach),
    Erase(Reach),
    EraseAll,
    /// So many commands towards older ones; negative: newer ones.
    Older(isize),
    /// A screenful, or half of one, in quarters.
    OlderPages(isize),
    Oldest,
    Newest,
    /// So many lines down in what is told of a command; negative: up.
    Scroll(isize),
    /// The one that is so many above the best.
    Pick(usize),
    NextScope,
    NextMode,
    Inspect,
    Delete,
    Copy,
    Run,
    Edit,
    /// Leave without a command.
    Leave,
    /// Leave, or close what is open.
    Back,
    /// Type again, after going there.
    Type(Option<Reach>),
    /// Erase, then type again.
    Change(Reach),
    Redraw,
    Nothing,
}

/// What a key means; `pending` is the first of two keys that belong together.
pub(super) fn action(key: KeyEvent, keymap: Keymap, pending: &mut Option<char>) -> Action {
    let first = pending.take();
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    if let Some(action) = everywhere(key.code, control, alt) {
        return action;
    }
    match (keymap, key.code) {
        (Keymap::Emacs, KeyCode::Esc) => Action::Back,
        (Keymap::Vim, KeyCode::Esc) => Action::Type(None),
        (Keymap::VimNormal, KeyCode::Char(c)) if !control && !alt => normal(c, first, pending),
        (Keymap::VimNormal, KeyCode::Esc) => Action::Back,
        (Keymap::VimNormal, KeyCode::Backspace) => Action::Go(Reach::Left),
        (Keymap::VimNormal, KeyCode::Char('d')) if control => Action::OlderPages(-2),
        (Keymap::VimNormal, KeyCode::Char('u')) if control => Action::OlderPages(2),
        (Keymap::VimNormal, KeyCode::Char('f')) if control => Action::OlderPages(-4),
        (Keymap::VimNormal, KeyCode::Char('b')) if control => Action::OlderPages(4),
        (_, code) => typing(code, control, alt),
    }
}

/// The keys that mean something else while everything known about a command is shown.
pub(super) fn inspecting(key: KeyEvent) -> Option<Action> {
    match key.code {
        KeyCode::Up => Some(Action::Scroll(-1)),
        KeyCode::Down => Some(Action::Scroll(1)),
        KeyCode::Char('k') if key.modifiers.is_empty() => Some(Action::Scroll(-1)),
        KeyCode::Char('j') if key.modifiers.is_empty() => Some(Action::Scroll(1)),
        KeyCode::Char('d') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Action::Delete),
        _ => None,
    }
}

/// The keys that mean the same to everyone.
fn everywhere(code: KeyCode, control: bool, alt: bool) -> Option<Action> {
    Some(match code {
        KeyCode::Enter => Action::Run,
        KeyCode::Tab => Action::Edit,
        KeyCode::Up => Action::Older(1),
        KeyCode::Down => Action::Older(-1),
        KeyCode::PageUp => Action::OlderPages(4),
        KeyCode::PageDown => Action::OlderPages(-4),
        KeyCode::Left if control || alt => Action::Go(Reach::WordLeft),
        KeyCode::Right if control || alt => Action::Go(Reach::WordRight),
        KeyCode::Left => Action::Go(Reach::Left),
        KeyCode::Right => Action::Go(Reach::Right),
        KeyCode::Home => Action::Go(Reach::Start),
        KeyCode::End => Action::Go(Reach::End),
        KeyCode::Delete => Action::Erase(Reach::Right),
        KeyCode::Char(digit @ '1'..='9') if alt => Action::Pick(digit as usize - '0' as usize),
        KeyCode::Char(c) if control => match c {
            'c' | 'g' => Action::Leave,
            'r' => Action::NextScope,
            's' => Action::NextMode,
            'o' => Action::Inspect,
            'x' => Action::Delete,
            'y' => Action::Copy,
            'l' => Action::Redraw,
            'p' => Action::Older(1),
            'n' => Action::Older(-1),
            'j' | 'm' => Action::Run,
            'i' => Action::Edit,
            _ => return None,
        },
        _ => return None,
    })
}

fn typing(code: KeyCode, control: bool, alt: bool) -> Action {
    match code {
        KeyCode::Backspace if control || alt => Action::Erase(Reach::WordLeft),
        KeyCode::Backspace => Action::Erase(Reach::Left),
        KeyCode::Char(c) if control => match c {
            'a' => Action::Go(Reach::Start),
            'e' => Action::Go(Reach::End),
            'b' => Action::Go(Reach::Left),
            'f' => Action::Go(Reach::Right),
            'h' => Action::Erase(Reach::Left),
            'd' => Action::Erase(Reach::Right),
            'w' => Action::Erase(Reach::WordLeft),
            'u' => Action::Erase(Reach::Start),
            'k' => Action::Erase(Reach::End),
            _ => Action::Nothing,
        },
        KeyCode::Char(c) if alt => match c {
            'b' => Action::Go(Reach::WordLeft),
            'f' => Action::Go(Reach::WordRight),
            'd' => Action::Erase(Reach::WordRight),
            '<' => Action::Oldest,
            '>' => Action::Newest,
            _ => Action::Nothing,
        },
        KeyCode::Char(c) => Action::Insert(c.to_string()),
        _ => Action::Nothing,
    }
}

/// The keys of vi that move and change.
fn normal(c: char, first: Option<char>, pending: &mut Option<char>) -> Action {
    match (first, c) {
        (Some('d'), 'd') => return Action::EraseAll,
        (Some('d'), 'w') => return Action::Erase(Reach::WordRight),
        (Some('d'), 'b') => return Action::Erase(Reach::WordLeft),
        (Some('g'), 'g') => return Action::Oldest,
        (Some('c'), 'c') => return Action::Change(Reach::Start),
        (Some('c'), 'w') => return Action::Change(Reach::WordRight),
        _ => {}
    }
    match c {
        'd' | 'g' | 'c' => {
            *pending = Some(c);
            Action::Nothing
        }
        'k' => Action::Older(1),
        'j' => Action::Older(-1),
        'G' => Action::Newest,
        'h' => Action::Go(Reach::Left),
        'l' => Action::Go(Reach::Right),
        'b' => Action::Go(Reach::WordLeft),
        'w' | 'e' => Action::Go(Reach::WordRight),
        '0' | '^' => Action::Go(Reach::Start),
        '$' => Action::Go(Reach::End),
        'x' => Action::Erase(Reach::Right),
        'D' => Action::Erase(Reach::End),
        'C' => Action::Change(Reach::End),
        'i' => Action::Type(None),
        'I' => Action::Type(Some(Reach::Start)),
        'a' => Action::Type(Some(Reach::Right)),
        'A' | '/' => Action::Type(Some(Reach::End)),
        'y' => Action::Copy,
        'q' => Action::Leave,
        digit @ '1'..='9' => Action::Pick(digit as usize - '0' as usize),
        _ => Action::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(keymap: Keymap, keys: &[(KeyCode, KeyModifiers)]) -> Action {
        let mut pending = None;
        let mut last = Action::Nothing;
        for (code, modifiers) in keys {
            last = action(KeyEvent::new(*code, *modifiers), keymap, &mut pending);
        }
        last
    }

    fn plain(keymap: Keymap, keys: &str) -> Action {
        let keys: Vec<_> = keys.chars().map(|c| (KeyCode::Char(c), KeyModifiers::NONE)).collect();
        pressed(keymap, &keys)
    }

    #[test]
    fn letters_are_typed_except_after_escape_in_vi() {
        for keymap in [Keymap::Emacs, Keymap::Vim] {
            assert_eq!(plain(keymap, "j"), Action::Insert("j".into()));
            assert_eq!(plain(keymap, "dd"), Action::Insert("d".into()));
        }
        assert_eq!(plain(Keymap::VimNormal, "j"), Action::Older(-1));
        assert_eq!(plain(Keymap::VimNormal, "Q"), Action::Nothing);
    }

    #[test]
    fn two_keys_of_vi_belong_together_only_side_by_side() {
        assert_eq!(plain(Keymap::VimNormal, "dd"), Action::EraseAll);
        assert_eq!(plain(Keymap::VimNormal, "gg"), Action::Oldest);
        assert_eq!(plain(Keymap::VimNormal, "cw"), Action::Change(Reach::WordRight));
        assert_eq!(plain(Keymap::VimNormal, "dkd"), Action::Nothing);
        assert_eq!(plain(Keymap::VimNormal, "dkdd"), Action::EraseAll);
    }

    #[test]
    fn what_controls_the_search_is_the_same_for_everyone() {
        for keymap in [Keymap::Emacs, Keymap::Vim, Keymap::VimNormal] {
            for (c, meant) in [
                ('r', Action::NextScope),
                ('s', Action::NextMode),
                ('o', Action::Inspect),
                ('x', Action::Delete),
                ('y', Action::Copy),
                ('c', Action::Leave),
            ] {
                assert_eq!(pressed(keymap, &[(KeyCode::Char(c), KeyModifiers::CONTROL)]), meant);
            }
            assert_eq!(pressed(keymap, &[(KeyCode::Enter, KeyModifiers::NONE)]), Action::Run);
            assert_eq!(pressed(keymap, &[(KeyCode::Tab, KeyModifiers::NONE)]), Action::Edit);
            assert_eq!(pressed(keymap, &[(KeyCode::Char('3'), KeyModifiers::ALT)]), Action::Pick(3));
        }
    }

    #[test]
    fn escape_leaves_emacs_at_once_and_vi_at_the_second_time() {
        let escape = [(KeyCode::Esc, KeyModifiers::NONE)];
        assert_eq!(pressed(Keymap::Emacs, &escape), Action::Back);
        assert_eq!(pressed(Keymap::Vim, &escape), Action::Type(None));
        assert_eq!(pressed(Keymap::VimNormal, &escape), Action::Back);
    }
}
