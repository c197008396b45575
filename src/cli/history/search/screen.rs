//! The part of the terminal that the search is drawn on: all of it, or some lines under the cursor.
//!
//! It is the controlling terminal itself, so that standard output carries nothing but what was chosen. Only what changed is
//! written. Colours are the sixteen of the terminal's own palette. Some lines under the cursor are reached by relative
//! moves alone: where on the screen they are nobody needs to know, and the terminal is asked nothing that it would answer
//! among the keys. After a character that is not plain ASCII the column is set anew, since terminals disagree about widths.
//!
//! Whatever ends the search, the terminal is as before: leaving is done when this is dropped, and when the program panics.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::{event, terminal};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier};

/// Where a terminal does not say how large it is.
const USUAL: (u16, u16) = (80, 24);
/// Wheel and clicks, and what is pasted in one piece.
const LISTEN: &str = "\x1b[?1000h\x1b[?1006h\x1b[?2004h";
const BE_DEAF: &str = "\x1b[?2004l\x1b[?1006l\x1b[?1000l";
/// What is written between these is shown at once, by terminals that can.
const BEGIN: &str = "\x1b[?2026h\x1b[?25l";
const END: &str = "\x1b[?2026l";
const SHOW_CURSOR: &str = "\x1b[0m\x1b[?25h";
const WHOLE: &str = "\x1b[?1049h\x1b[2J";
const LEAVE_WHOLE: &str = "\x1b[?1049l";

/// Whether the terminal is ours, and all of it.
static ACTIVE: AtomicBool = AtomicBool::new(false);
static IS_WHOLE: AtomicBool = AtomicBool::new(false);

/// The drawn part of the terminal.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: File,
    /// Lines under the cursor; none: the whole screen.
    inline: Option<u16>,
    shown: Buffer,
    /// In which line of ours the cursor is.
    row: u16,
}

impl Screen {
    /// Takes the terminal over; `inline` is how many lines are wanted instead of all.
    pub(super) fn open(inline: Option<u16>) -> io::Result<Self> {
        let mut terminal = device()?;
        terminal::enable_raw_mode()?;
        restore_on_panic();
        // From here on a change of the size is told, also one that comes before the first key is waited for.
        drop(event::poll(Duration::ZERO));
        IS_WHOLE.store(inline.is_none(), Ordering::SeqCst);
        ACTIVE.store(true, Ordering::SeqCst);
        let mut screen = Self { shown: Buffer::default(), terminal: terminal.try_clone()?, inline, row: 0 };
        terminal.write_all(if inline.is_none() { [WHOLE, LISTEN].concat() } else { LISTEN.to_owned() }.as_bytes())?;
        screen.make_room()?;
        Ok(screen)
    }

    /// Width and height of what is drawn on.
    pub(super) fn area(&self) -> Rect {
        *self.shown.area()
    }

    /// Whether rows of the mouse are rows of ours.
    pub(super) fn is_whole(&self) -> bool {
        self.inline.is_none()
    }

    /// Begins anew, with the size that the terminal has now.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        let clear = match self.inline {
            None => "\x1b[0m\x1b[2J".to_owned(),
            Some(_) => format!("{}\x1b[0m\x1b[J", self.move_to_row(0)),
        };
        self.terminal.write_all(clear.as_bytes())?;
        self.make_room()
    }

    fn make_room(&mut self) -> io::Result<()> {
        let (columns, rows) = match terminal::size() {
            Ok((columns @ 1.., rows @ 1..)) => (columns, rows),
            _ => USUAL,
        };
        let height = self.inline.map_or(rows, |wanted| wanted.clamp(1, rows));
        if self.inline.is_some() {
            // New lines at the bottom move what is above up.
            let room = format!("\r{}{}", "\n".repeat(usize::from(height - 1)), up(height - 1));
            self.terminal.write_all(room.as_bytes())?;
            self.row = 0;
        }
        self.shown = Buffer::empty(Rect::new(0, 0, columns, height));
        Ok(())
    }

    /// Shows this, with the cursor there.
    pub(super) fn draw(&mut self, next: Buffer, cursor: Position) -> io::Result<()> {
        let mut out = BEGIN.to_owned();
        let mut style = None;
        // Where the cursor will be without being moved.
        let mut at = None;
        for (x, y, cell) in self.shown.diff(&next) {
            if at != Some((x, y)) {
                out.push_str(&self.move_to(x, y));
            }
            let wanted = (cell.fg, cell.modifier);
            if style != Some(wanted) {
                style = Some(wanted);
                paint(&mut out, cell);
            }
            out.push_str(cell.symbol());
            at = (cell.symbol().len() == 1 && cell.symbol().is_ascii()).then(|| (x + 1, y));
        }
        out.push_str("\x1b[0m");
        out.push_str(&self.move_to(cursor.x, cursor.y));
        out.push_str("\x1b[?25h");
        out.push_str(END);
        self.terminal.write_all(out.as_bytes())?;
        self.shown = next;
        Ok(())
    }

    fn move_to(&mut self, x: u16, y: u16) -> String {
        match self.inline {
            None => format!("\x1b[{};{}H", y + 1, x + 1),
            Some(_) => {
                let right = if x == 0 { String::new() } else { format!("\x1b[{x}C") };
                format!("{}{right}", self.move_to_row(y))
            }
        }
    }

    fn move_to_row(&mut self, y: u16) -> String {
        let vertical = match y.checked_sub(self.row) {
            None => up(self.row - y),
            Some(0) => String::new(),
            Some(down) => format!("\x1b[{down}B"),
        };
        self.row = y;
        format!("\r{vertical}")
    }

    /// Puts a text on the clipboard of the terminal that one sits at, also over ssh.
    pub(super) fn copy(&mut self, text: &str) -> io::Result<()> {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(text);
        self.terminal.write_all(format!("\x1b]52;c;{text}\x07").as_bytes())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.inline.is_some() {
            let clear = format!("{}\x1b[0m\x1b[J", self.move_to_row(0));
            // A terminal that is gone needs nothing.
            drop(self.terminal.write_all(clear.as_bytes()));
        }
        restore();
    }
}

fn up(rows: u16) -> String {
    if rows == 0 { String::new() } else { format!("\x1b[{rows}A") }
}

fn device() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(if cfg!(windows) { "CONOUT$" } else { "/dev/tty" })
}

/// Gives the terminal back, once.
fn restore() {
    if !ACTIVE.swap(false, Ordering::SeqCst) {
        return;
    }
    let whole = if IS_WHOLE.load(Ordering::SeqCst) { LEAVE_WHOLE } else { "" };
    if let Ok(mut terminal) = device() {
        drop(terminal.write_all([BE_DEAF, END, whole, SHOW_CURSOR].concat().as_bytes()));
    }
    drop(terminal::disable_raw_mode());
}

/// What a panic says is to be read on the screen as it was.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
    });
}

/// Switches to the style of a cell.
fn paint(out: &mut String, cell: &Cell) {
    out.push_str("\x1b[0");
    for (modifier, code) in [
        (Modifier::BOLD, 1),
        (Modifier::DIM, 2),
        (Modifier::ITALIC, 3),
        (Modifier::UNDERLINED, 4),
        (Modifier::REVERSED, 7),
    ] {
        if cell.modifier.contains(modifier) {
            // Writing to a string does not fail.
            let _ = write!(out, ";{code}");
        }
    }
    if let Some(code) = palette(cell.fg) {
        let _ = write!(out, ";{code}");
    }
    out.push('m');
}

fn palette(color: Color) -> Option<u8> {
    Some(match color {
        Color::Black => 30,
        Color::Red => 31,
        Color::Green => 32,
        Color::Yellow => 33,
        Color::Blue => 34,
        Color::Magenta => 35,
        Color::Cyan => 36,
        Color::Gray => 37,
        Color::DarkGray => 90,
        _ => return None,
    })
}
