//! Talking to the person at the keyboard: questions, and secrets that nobody else may see.
//!
//! Both go through the controlling terminal itself, never through standard input or output: those
//! may be pipes or files, and shell wrappers are known to send standard output through a file. What
//! is typed or shown is wiped from memory when it is no longer needed.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use zeroize::Zeroizing;

use super::error::{CliError, Kind};

#[cfg(unix)]
const INPUT: &str = "/dev/tty";
#[cfg(unix)]
const OUTPUT: &str = "/dev/tty";
#[cfg(windows)]
const INPUT: &str = "CONIN$";
#[cfg(windows)]
const OUTPUT: &str = "CONOUT$";

/// Room for the longest line a terminal hands over, so that a growing buffer leaves no copies.
const LINE: usize = 4096;

/// How long the rest of what is pasted may take to arrive.
const PASTED: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Where answers come from.
trait Input: Read {
    /// Whether more has been typed, or pasted, already.
    fn has_more(&self) -> bool;
}

impl Input for File {
    fn has_more(&self) -> bool {
        let mut looked = [PollFd::new(self, PollFlags::IN)];
        poll(&mut looked, Some(&PASTED)).is_ok_and(|ready| ready > 0)
    }
}

/// The controlling terminal of this process.
pub struct Terminal {
    input: Box<dyn Input>,
    output: Box<dyn Write>,
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Terminal")
    }
}

impl Terminal {
    /// Opens the controlling terminal. `instead` names the flag with which the command needs none.
    ///
    /// # Errors
    /// Where there is no terminal; the message names the flag.
    pub fn open(instead: &str) -> Result<Self, CliError> {
        let open = || -> io::Result<(File, File)> {
            let input = OpenOptions::new().read(true).open(INPUT)?;
            let output = OpenOptions::new().read(true).write(true).open(OUTPUT)?;
            Ok((input, output))
        };
        let (input, output) = open().map_err(|error| {
            CliError::usage("this needs a terminal, and there is none")
                .hinted(format!("Use {instead} where nobody can answer."))
                .caused_by(error)
        })?;
        Ok(Self { input: Box::new(input), output: Box::new(output) })
    }

    /// Shows text that may be secret.
    ///
    /// # Errors
    /// Where the terminal cannot be written.
    pub fn show(&mut self, text: &str) -> Result<(), CliError> {
        self.output.write_all(text.as_bytes()).and_then(|()| self.output.flush()).map_err(unusable)
    }

    /// Asks for a line of text, which appears as it is typed.
    ///
    /// # Errors
    /// [`Kind::Interrupted`] at the end of input; [`Kind::Failed`] where the terminal fails.
    pub fn ask(&mut self, question: &str) -> Result<Zeroizing<String>, CliError> {
        self.show(question)?;
        // Byte by byte, so that no buffer keeps a copy; the terminal hands over whole lines.
        let mut line = Zeroizing::new(Vec::with_capacity(LINE));
        let mut byte = Zeroizing::new([0u8]);
        loop {
            match self.input.read(byte.as_mut_slice()) {
                Ok(0) if line.is_empty() => {
                    return Err(CliError::new(Kind::Interrupted, "no answer was given"));
                }
                Ok(0) => break,
                Ok(_) if byte[0] == b'\n' => break,
                Ok(_) => line.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unusable(error)),
            }
        }
        let text = std::str::from_utf8(&line).map_err(|_| CliError::usage("the answer is not valid UTF-8"))?;
        Ok(Zeroizing::new(text.trim_end_matches('\r').to_owned()))
    }

    /// Whether more has been typed, or pasted, than was asked for.
    pub fn has_more(&self) -> bool {
        self.input.has_more()
    }

    /// Asks for a line of text that stays invisible, such as a passphrase.
    ///
    /// # Errors
    /// See [`ask`](Self::ask).
    pub fn ask_hidden(&mut self, question: &str) -> Result<Zeroizing<String>, CliError> {
        self.show(question)?;
        rpassword::read_password().map(Zeroizing::new).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => CliError::new(Kind::Interrupted, "no answer was given"),
            _ => unusable(error),
        })
    }

    /// Asks a question that is answered with yes or no, until it is; an empty answer means no.
    ///
    /// # Errors
    /// See [`ask`](Self::ask).
    pub fn confirm(&mut self, question: &str) -> Result<bool, CliError> {
        loop {
            let answer = self.ask(&format!("{question} [y/N] "))?;
            match answer.trim().to_lowercase().as_str() {
                "y" | "yes" => return Ok(true),
                "" | "n" | "no" => return Ok(false),
                _ => self.show("Please answer yes or no.\n")?,
            }
        }
    }
}

fn unusable(error: io::Error) -> CliError {
    CliError::failed("the terminal cannot be used").caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Rc<RefCell<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Input for &[u8] {
        fn has_more(&self) -> bool {
            !self.is_empty()
        }
    }

    fn terminal(typed: &'static str) -> (Terminal, Screen) {
        let screen = Screen::default();
        let terminal = Terminal { input: Box::new(typed.as_bytes()), output: Box::new(screen.clone()) };
        (terminal, screen)
    }

    #[test]
    fn a_line_is_read_without_its_end() {
        let (mut terminal, screen) = terminal("  some words \r\nmore");
        assert_eq!(*terminal.ask("Phrase: ").unwrap(), "  some words ");
        assert_eq!(*terminal.ask("").unwrap(), "more");
        assert_eq!(terminal.ask("").unwrap_err().kind, Kind::Interrupted);
        assert_eq!(*screen.0.borrow(), b"Phrase: ");
    }

    #[test]
    fn a_confirmation_is_asked_until_it_is_clear() {
        for (typed, expected) in [("YES\n", true), ("y\n", true), ("\n", false), ("no\n", false)] {
            assert_eq!(terminal(typed).0.confirm("Sure?").unwrap(), expected);
        }
        let (mut terminal, screen) = terminal("maybe\nyes\n");
        assert!(terminal.confirm("Sure?").unwrap());
        assert_eq!(String::from_utf8_lossy(&screen.0.borrow()), "Sure? [y/N] Please answer yes or no.\nSure? [y/N] ");
    }
}
