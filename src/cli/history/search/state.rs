//! The search as a machine: keys go in, what is to be done comes out. It draws nothing, reads nothing and knows no clock.
//!
//! Every question has a number, and an answer to another one than the last is not taken. The command under the cursor is
//! kept while more of the history is read, and is the best again when something else is asked for.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, MouseButton, MouseEventKind};
use uuid::Uuid;

use super::keys::{self, Action, Keymap};
use super::line::{Line, Reach};
use crate::history::recall::{Answer, Hit, Summary};
use crate::history::{Scope, SearchMode};

/// How many commands, or lines of the inspector, a turn of the wheel goes.
const WHEEL: isize = 3;

/// A scope and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedScope {
    pub(super) name: &'static str,
    pub(super) scope: Scope,
}

/// What is to be done after a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing but drawing.
    Draw,
    /// Draw everything anew.
    Redraw,
    /// Ask again.
    Ask,
    /// Tell more of the chosen command.
    Inspect,
    /// Delete a run, or all runs of a command in the scope.
    Delete { number: u32, id: Uuid, all: bool },
    /// Put this on the clipboard.
    Copy(String),
    /// End with this.
    Close(Choice),
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    Nothing,
    /// To be run at once.
    Run(String),
    /// To be put into the shell's line.
    Edit(String),
}

/// More of the chosen command, for the inspector.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Details {
    pub(super) id: Uuid,
    /// What is known of its newest run, with labels.
    pub(super) lines: Vec<(&'static str, String)>,
    pub(super) summary: Summary,
}

/// How the search begins.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) text: String,
    pub(super) mode: SearchMode,
    pub(super) scopes: Vec<NamedScope>,
    pub(super) scope: usize,
    /// What filters leave out whatever is typed, in words; empty where there are none.
    pub(super) filters: String,
    pub(super) vim: bool,
    /// Whether going below the best command leaves, as it does where the search was opened by the Up key.
    pub(super) by_up: bool,
}

/// The state of the search.
#[derive(Debug)]
pub(super) struct State {
    pub(super) line: Line,
    pub(super) mode: SearchMode,
    scopes: Vec<NamedScope>,
    scope: usize,
    pub(super) filters: String,
    pub(super) keymap: Keymap,
    vim: bool,
    by_up: bool,
    pending: Option<char>,
    asked: u64,
    pub(super) answer: Answer,
    /// The command under the cursor, counted from the best.
    pub(super) chosen: usize,
    /// The lowest command that is shown.
    pub(super) lowest: usize,
    /// How many commands are shown at once.
    pub(super) page: usize,
    /// Commands read so far, and whether that is all.
    pub(super) read: (usize, bool),
    pub(super) inspecting: bool,
    pub(super) details: Option<Details>,
    /// How many lines the inspector has to show, and the first that is shown.
    pub(super) lines: usize,
    pub(super) scrolled: usize,
    /// Whether it was asked if the chosen command is to be deleted.
    pub(super) confirming: bool,
    /// What happened last, until the next key.
    pub(super) notice: Option<String>,
    /// Why the question cannot be answered.
    pub(super) problem: Option<String>,
}

impl State {
    pub(super) fn new(start: Start) -> Self {
        Self {
            line: Line::new(&start.text),
            mode: start.mode,
            scopes: start.scopes,
            scope: start.scope,
            filters: start.filters,
            keymap: if start.vim { Keymap::Vim } else { Keymap::Emacs },
            vim: start.vim,
            by_up: start.by_up,
            pending: None,
            asked: 0,
            answer: Answer::default(),
            chosen: 0,
            lowest: 0,
            page: 1,
            read: (0, false),
            inspecting: false,
            details: None,
            lines: 0,
            scrolled: 0,
            confirming: false,
            notice: None,
            problem: None,
        }
    }

    /// The scope in which is searched.
    pub(super) fn scope(&self) -> NamedScope {
        self.scopes.get(self.scope).cloned().unwrap_or(NamedScope { name: "everywhere", scope: Scope::Everywhere })
    }

    /// The number of a new question.
    pub(super) fn ask(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    /// The command under the cursor.
    pub(super) fn hit(&self) -> Option<&Hit> {
        self.answer.hits.get(self.chosen)
    }

    /// Takes an answer; says whether it was to the last question, and whether another command is chosen now.
    pub(super) fn take(&mut self, number: u64, answer: Result<Answer, String>) -> (bool, bool) {
        if number != self.asked {
            return (false, false);
        }
        let before = self.hit().map(|hit| hit.id);
        match answer {
            Err(problem) => self.problem = Some(problem),
            Ok(answer) => {
                self.problem = None;
                let kept = match before {
                    Some(id) if self.chosen > 0 => answer.hits.iter().position(|hit| hit.id == id),
                    _ => None,
                };
                self.chosen = kept.unwrap_or_else(|| self.chosen.min(answer.hits.len().saturating_sub(1)));
                self.answer = answer;
                if self.hit().is_none() {
                    // Of what was deleted, or does not match any more, there is nothing left to show.
                    (self.inspecting, self.details) = (false, None);
                }
            }
        }
        self.follow();
        (true, self.hit().map(|hit| hit.id) != before)
    }

    /// Takes what was told about a command, unless another one is chosen by now.
    pub(super) fn take_details(&mut self, details: Details) {
        if self.hit().is_some_and(|hit| hit.id == details.id) {
            if self.details.as_ref().is_none_or(|before| before.id != details.id) {
                self.scrolled = 0;
            }
            self.details = Some(details);
        }
    }

    /// Keeps the command under the cursor on the screen, which shows so many; the inspector has so many lines to show there.
    pub(super) fn show(&mut self, page: usize, lines: usize) {
        (self.page, self.lines) = (page.max(1), lines);
        self.scrolled = self.scrolled.min(self.unseen());
        self.follow();
    }

    /// How many lines of the inspector have no room.
    pub(super) fn unseen(&self) -> usize {
        self.lines.saturating_sub(self.page)
    }

    fn follow(&mut self) {
        self.lowest = self.lowest.min(self.chosen).max((self.chosen + 1).saturating_sub(self.page));
    }

    /// What an event of the terminal leads to. `row_of` tells which command is shown in a row of the screen.
    pub(super) fn handle(&mut self, event: Event, row_of: impl Fn(u16) -> Option<usize>) -> Option<Effect> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => Some(self.press(key)),
            Event::Paste(text) => Some(self.act(Action::Insert(text))),
            Event::Resize(..) => Some(Effect::Redraw),
            Event::Mouse(mouse) => match mouse.kind {
                MouseEventKind::ScrollUp if self.inspecting => Some(self.act(Action::Scroll(-WHEEL))),
                MouseEventKind::ScrollDown if self.inspecting => Some(self.act(Action::Scroll(WHEEL))),
                MouseEventKind::ScrollUp => Some(self.act(Action::Older(WHEEL.min(self.above())))),
                MouseEventKind::ScrollDown => Some(self.act(Action::Older(-WHEEL.min(self.below())))),
                MouseEventKind::Down(MouseButton::Left) if !self.inspecting => {
                    let row = row_of(mouse.row)?;
                    // A click chooses, one on what is chosen takes it.
                    Some(if row == self.chosen { self.act(Action::Edit) } else { self.choose(row) })
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn above(&self) -> isize {
        isize::try_from(self.answer.hits.len().saturating_sub(self.chosen + 1)).unwrap_or(isize::MAX)
    }

    fn below(&self) -> isize {
        isize::try_from(self.chosen).unwrap_or(isize::MAX)
    }

    pub(super) fn press(&mut self, key: KeyEvent) -> Effect {
        self.notice = None;
        if self.confirming {
            return self.confirm(key);
        }
        if let Some(action) = keys::inspecting(key).filter(|_| self.inspecting) {
            return self.act(action);
        }
        let action = keys::action(key, self.keymap, &mut self.pending);
        self.act(action)
    }

    fn confirm(&mut self, key: KeyEvent) -> Effect {
        self.confirming = false;
        let Some(hit) = self.hit() else { return Effect::Draw };
        let (number, id) = (hit.number, hit.id);
        match key.code {
            KeyCode::Char('y' | 'Y') => Effect::Delete { number, id, all: true },
            KeyCode::Char('o' | 'O') if hit.runs > 1 => Effect::Delete { number, id, all: false },
            _ => {
                self.notice = Some("Nothing was deleted.".into());
                Effect::Draw
            }
        }
    }

    fn act(&mut self, action: Action) -> Effect {
        match action {
            Action::Insert(text) => self.edit(|line| line.insert(&text)),
            Action::Erase(reach) => self.edit(|line| line.delete(reach)),
            Action::EraseAll => self.edit(Line::clear),
            Action::Go(reach) => {
                self.line.go(reach);
                Effect::Draw
            }
            Action::Type(reach) => {
                let typing = self.keymap == Keymap::VimNormal;
                self.keymap = if typing { Keymap::Vim } else { Keymap::VimNormal };
                match reach {
                    Some(reach) => self.line.go(reach),
                    None if !typing => self.line.go(Reach::Left),
                    None => {}
                }
                Effect::Draw
            }
            Action::Change(reach) => {
                self.keymap = Keymap::Vim;
                if reach == Reach::Start {
                    return self.edit(Line::clear);
                }
                self.edit(|line| line.delete(reach))
            }
            Action::Older(by) if by < 0 && self.chosen == 0 && self.by_up => Effect::Close(Choice::Nothing),
            Action::Older(by) => self.choose(self.chosen.saturating_add_signed(by)),
            Action::OlderPages(quarters) => {
                let page = isize::try_from(self.page).unwrap_or(1);
                let by = (page * quarters / 4).abs().max(1) * quarters.signum();
                if self.inspecting && self.unseen() > 0 {
                    return self.act(Action::Scroll(-by));
                }
                self.choose(self.chosen.saturating_add_signed(by))
            }
            // What has nothing to scroll moves as the list does.
            Action::Scroll(down) if self.unseen() == 0 => self.choose(self.chosen.saturating_add_signed(-down)),
            Action::Scroll(down) => {
                self.scrolled = self.scrolled.saturating_add_signed(down).min(self.unseen());
                Effect::Draw
            }
            Action::Oldest if self.inspecting && self.unseen() > 0 => self.act(Action::Scroll(-isize::MAX)),
            Action::Newest if self.inspecting && self.unseen() > 0 => self.act(Action::Scroll(isize::MAX)),
            Action::Oldest => self.choose(usize::MAX),
            Action::Newest => self.choose(0),
            Action::Pick(above) => {
                let wanted = self.lowest + above;
                if wanted >= self.answer.hits.len() {
                    return Effect::Draw;
                }
                self.chosen = wanted;
                self.finish(Choice::Edit)
            }
            Action::NextScope => {
                self.scope = (self.scope + 1) % self.scopes.len().max(1);
                self.restart()
            }
            Action::NextMode => {
                self.mode = match self.mode {
                    SearchMode::Fuzzy => SearchMode::Prefix,
                    SearchMode::Prefix => SearchMode::Fulltext,
                    SearchMode::Fulltext => SearchMode::Regex,
                    SearchMode::Regex => SearchMode::Fuzzy,
                };
                self.restart()
            }
            Action::Inspect if self.hit().is_none() => Effect::Draw,
            Action::Inspect => {
                self.inspecting = !self.inspecting;
                self.details = None;
                if self.inspecting { Effect::Inspect } else { Effect::Draw }
            }
            Action::Delete => {
                self.confirming = self.hit().is_some();
                Effect::Draw
            }
            Action::Copy => match self.hit() {
                Some(hit) => Effect::Copy(hit.command.clone()),
                None => Effect::Draw,
            },
            Action::Run => self.finish(Choice::Run),
            Action::Edit => self.finish(Choice::Edit),
            Action::Back if self.inspecting => {
                self.inspecting = false;
                Effect::Draw
            }
            Action::Back | Action::Leave => Effect::Close(Choice::Nothing),
            Action::Redraw => Effect::Redraw,
            Action::Nothing => Effect::Draw,
        }
    }

    /// What was typed is not lost where nothing was found; it is never run unseen.
    fn finish(&self, how: fn(String) -> Choice) -> Effect {
        Effect::Close(match self.hit() {
            Some(hit) => how(hit.command.clone()),
            None if self.line.text().is_empty() => Choice::Nothing,
            None => Choice::Edit(self.line.text().to_owned()),
        })
    }

    fn edit(&mut self, change: impl FnOnce(&mut Line)) -> Effect {
        let before = self.line.text().to_owned();
        change(&mut self.line);
        if self.line.text() == before { Effect::Draw } else { self.restart() }
    }

    fn restart(&mut self) -> Effect {
        self.inspecting = false;
        (self.chosen, self.lowest) = (0, 0);
        Effect::Ask
    }

    fn choose(&mut self, wanted: usize) -> Effect {
        let before = self.chosen;
        self.chosen = wanted.min(self.answer.hits.len().saturating_sub(1));
        self.follow();
        if self.inspecting && self.chosen != before { Effect::Inspect } else { Effect::Draw }
    }

    /// Whether vi's moving keys are in force, to be told on the screen.
    pub(super) fn is_normal(&self) -> bool {
        self.vim && self.keymap == Keymap::VimNormal
    }
}

#[cfg(test)]
mod tests;
