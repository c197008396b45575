//! The one place that prints.
//!
//! Data goes to standard output, everything else to standard error. Colour is decided once for
//! each: `--color` first, then `NO_COLOR` and `CLICOLOR_FORCE`, then whether it is a terminal. Data
//! is never altered on its way to a file or pipe; on a terminal, control characters in it are made
//! visible, since a command from another device must not be able to drive this one's terminal.
//! A reader that goes away (`caro history list | head`) ends the command quietly.

use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::error::{CliError, Kind, SEE_THE_CAUSE};
use super::screen;
use super::terminal::Terminal;

/// Work that takes less than this shows no progress.
const QUIET_FOR: Duration = Duration::from_millis(250);

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Prints for one command.
#[derive(Debug)]
pub struct Ui {
    /// Shared with the notes: what was printed before one has to be seen before it.
    out: RefCell<BufWriter<io::Stdout>>,
    color_out: bool,
    color_err: bool,
    color_terminal: bool,
    verbose: bool,
}

impl Ui {
    /// A Ui that follows the choice of the user; [`ColorChoice::Auto`] looks at the environment.
    pub fn new(color: ColorChoice, verbose: bool) -> Self {
        let wanted = |automatic: ColorChoice| match color {
            ColorChoice::Auto => automatic != ColorChoice::Never,
            decided => decided != ColorChoice::Never,
        };
        Self {
            out: RefCell::new(BufWriter::with_capacity(64 * 1024, io::stdout())),
            color_out: wanted(AutoStream::choice(&io::stdout())),
            color_err: wanted(AutoStream::choice(&io::stderr())),
            color_terminal: wanted(terminal_choice()),
            verbose,
        }
    }

    /// Where data goes; buffered until [`flush`](Self::flush).
    pub fn out(&mut self) -> &mut impl Write {
        self.out.get_mut()
    }

    /// Prints a line of data.
    ///
    /// # Errors
    /// Where standard output cannot be written.
    pub fn line(&mut self, text: impl Display) -> Result<(), CliError> {
        Ok(writeln!(self.out(), "{text}")?)
    }

    /// Prints a value as one line of JSON.
    ///
    /// # Errors
    /// Where standard output cannot be written.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        serde_json::to_writer(self.out(), value).map_err(io::Error::from)?;
        Ok(self.out().write_all(b"\n")?)
    }

    /// Hands everything printed so far to the reader.
    ///
    /// # Errors
    /// Where standard output cannot be written.
    pub fn flush(&mut self) -> Result<(), CliError> {
        Ok(self.out().flush()?)
    }

    /// Whether data is going to a terminal.
    pub fn out_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether notes are going to a terminal.
    pub fn err_is_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Whether the user asked to be told more.
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Whether what is drawn on the controlling terminal itself is coloured.
    pub fn colors_the_terminal(&self) -> bool {
        self.color_terminal
    }

    /// `text` in `style`, if data is coloured.
    pub fn paint(&self, style: Style, text: impl Display) -> String {
        painted(self.color_out, style, text)
    }

    /// Says what is going on, on standard error.
    pub fn status(&self, text: impl Display) {
        self.note(&text);
    }

    /// Warns, on standard error.
    pub fn warn(&self, text: impl Display) {
        let label = painted(self.color_err, WARNING, "Warning:");
        self.note(&format_args!("{label} {text}"));
    }

    /// Suggests what to do next, on standard error.
    pub fn hint(&self, text: impl Display) {
        let label = painted(self.color_err, HINT, "Hint:");
        self.note(&format_args!("{label} {text}"));
    }

    /// Reports a failure, on standard error.
    pub fn error(&self, error: &CliError) {
        if error.kind == Kind::BrokenPipe || error.message.is_empty() {
            return;
        }
        let message = if self.verbose { error.message.clone() } else { without_codes(&error.message) };
        if matches!(error.kind, Kind::Declined | Kind::Interrupted) {
            // What the user chose is no failure.
            let mut letters = message.chars();
            if let Some(first) = letters.next() {
                self.note(&format_args!("{}{}.", first.to_uppercase(), letters.as_str()));
            }
        } else {
            let label = painted(self.color_err, ERROR, "Error:");
            self.note(&format_args!("{label} {message}"));
        }
        if self.verbose {
            for cause in error.causes() {
                self.note(&format_args!("Caused by: {cause}"));
            }
        }
        if let Some(hint) = error.hint.as_deref().filter(|hint| !self.verbose || *hint != SEE_THE_CAUSE) {
            self.hint(hint);
        }
    }

    /// Prints a note behind the data that was printed before it.
    fn note(&self, text: &dyn Display) {
        if let Ok(mut out) = self.out.try_borrow_mut() {
            // What cannot be written now is reported when the command ends.
            drop(out.flush());
        }
        note(text);
    }

    /// Shows how far `total` steps of work have come, on a terminal and after a moment only.
    pub fn progress(&self, total: u64, what: &str) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent:>3}% {eta:>4}") {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        Progress { bar, quiet_until: self.err_is_terminal().then(|| Instant::now() + QUIET_FOR) }
    }

    /// The controlling terminal, for questions and secrets. `instead` names the flag with which
    /// the command needs none.
    ///
    /// # Errors
    /// Where there is no terminal; the message names the flag.
    pub fn terminal(&self, instead: &str) -> Result<Terminal, CliError> {
        Terminal::open(instead)
    }
}

/// [`Ui::warn`] where there is no Ui.
pub(super) fn warn_anywhere(text: impl Display) {
    note(&format_args!("{} {text}", painted(colors_notes(), WARNING, "Warning:")));
}

/// [`Ui::hint`] where there is no Ui.
pub(super) fn hint_anywhere(text: impl Display) {
    note(&format_args!("{} {text}", painted(colors_notes(), HINT, "Hint:")));
}

/// Whether notes are coloured, as the command line and the environment say.
fn colors_notes() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// How far some work has come; disappears when dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// When to begin showing; `None` where there is nothing to show or it shows already.
    quiet_until: Option<Instant>,
}

impl Progress {
    /// Says what is being worked on.
    pub fn say(&self, what: String) {
        self.bar.set_message(what);
    }

    /// Says that `done` steps are done.
    pub fn set(&mut self, done: u64) {
        if self.quiet_until.is_some_and(|until| Instant::now() >= until) {
            self.quiet_until = None;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(done);
    }

    /// Says that `done` of `total` steps are done, where the total was not known before.
    pub fn set_of(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.set(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What the environment says about colour on the controlling terminal, wherever the output goes.
fn terminal_choice() -> ColorChoice {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("NO_COLOR") || screen::is_dumb() { ColorChoice::Never } else { ColorChoice::Always }
}

/// Standard error may be closed; then nobody can be told, and the exit code has to do.
fn note(text: &dyn Display) {
    // In one piece: standard error is not buffered, and other processes write to the terminal too.
    drop(io::stderr().lock().write_all(format!("{text}\n").as_bytes()));
}

fn painted(color: bool, style: Style, text: impl Display) -> String {
    if color { format!("{style}{text}{style:#}") } else { text.to_string() }
}

/// `text` without the system's numbers for its errors, which only `--verbose` tells.
fn without_codes(text: &str) -> String {
    let mut rest = text;
    let mut plain = String::with_capacity(text.len());
    while let Some((before, behind)) = rest.split_once(" (os error ") {
        plain.push_str(before);
        rest = behind.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(')');
    }
    plain + rest
}

/// `1 page`, `2 pages`.
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `text` with its control characters made visible, except for line ends and tabs.
pub fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => visible.push(c),
            c if is_unsafe(c) => visible.extend(c.escape_unicode()),
            c => visible.push(c),
        }
    }
    visible
}

/// Control characters, and those that reorder or hide the text around them.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(visible("a\tb\nc"), "a\tb\nc");
        assert_eq!(visible("\u{1b}[2Jx\u{202e}\r"), "\\u{1b}[2Jx\\u{202e}\\u{d}");
        assert_eq!(visible("grüße 🦀"), "grüße 🦀");
    }

    #[test]
    fn errors_of_the_system_have_no_numbers() {
        let error = io::Error::from_raw_os_error(2).to_string();
        assert_eq!(
            without_codes(&format!("cannot read it: {error}; so")),
            "cannot read it: No such file or directory; so"
        );
        assert_eq!(without_codes("plain"), "plain");
    }

    #[test]
    fn colour_follows_the_choice() {
        let style = AnsiColor::Red.on_default();
        assert_eq!(Ui::new(ColorChoice::Never, false).paint(style, "x"), "x");
        assert_eq!(Ui::new(ColorChoice::Always, false).paint(style, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
