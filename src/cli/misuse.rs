//! What is wrong with a command line, where the parser's own words do not help: commands of other programs, and values that
//! libraries refuse in words of their own.

use std::error::Error as _;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::AddrParseError;
use std::num::{IntErrorKind, ParseIntError};

use anstream::{AutoStream, ColorChoice};
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::command_tree;
use super::ui::visible;

/// The groups of commands whose names are looked up where somebody left the group out, in this order.
const GROUPS: [&str; 3] = ["history", "sync", "config"];

/// The same error, in words that help.
pub(super) fn explain(mut error: clap::Error, args: &[OsString]) -> clap::Error {
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let typed = args.iter().skip(1).find_map(|word| word.to_str().filter(|word| !word.starts_with('-')));
            if let Some(meant) = typed.filter(|typed| is_unknown(&error, typed)).and_then(in_a_group) {
                error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![meant]));
            }
            error
        }
        ErrorKind::ValueValidation => match in_words(&error) {
            Some(why) => {
                let named = |kind| match error.get(kind) {
                    Some(ContextValue::String(text)) => text.as_str(),
                    _ => "",
                };
                let (value, arg) = (named(ContextKind::InvalidValue), named(ContextKind::InvalidArg));
                let text =
                    format!("invalid value '{value}' for '{arg}': {why}\n\nFor more information, try '--help'.\n");
                clap::Error::raw(ErrorKind::ValueValidation, text)
            }
            None => error,
        },
        ErrorKind::InvalidUtf8 => match args.iter().find(|word| word.to_str().is_none()) {
            Some(word) => {
                let word = visible(&word.to_string_lossy());
                let text = format!("'{word}' is not valid UTF-8\n\nFor more information, try '--help'.\n");
                clap::Error::raw(ErrorKind::InvalidUtf8, text)
            }
            None => error,
        },
        _ => error,
    }
}

/// Prints help on standard output, and what is wrong on standard error; that begins as all errors do.
pub(super) fn print(error: &clap::Error, color: ColorChoice) -> io::Result<()> {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return error.print();
    }
    let text = error.render().ansi().to_string().replacen("error:", "Error:", 1);
    AutoStream::new(io::stderr(), color).write_all(text.as_bytes())
}

/// Whether it is this word that is no command.
fn is_unknown(error: &clap::Error, word: &str) -> bool {
    matches!(error.get(ContextKind::InvalidSubcommand), Some(ContextValue::String(unknown)) if unknown == word)
}

/// The command of this name with its group.
fn in_a_group(name: &str) -> Option<String> {
    let tree = command_tree();
    let has = |group: &&str| tree.find_subcommand(group).is_some_and(|group| group.find_subcommand(name).is_some());
    GROUPS.iter().find(|group| has(group)).map(|group| format!("{group} {name}"))
}

/// What a library says of a value, in words for everyone; none where it says so itself.
fn in_words(error: &clap::Error) -> Option<&'static str> {
    let source = error.source()?;
    if let Some(number) = source.downcast_ref::<ParseIntError>() {
        return Some(match number.kind() {
            IntErrorKind::PosOverflow => "the number is too large",
            IntErrorKind::NegOverflow => "the number is too small",
            _ if is_negative(error) => "give a whole number from 0 on",
            _ => "give a whole number",
        });
    }
    if source.is::<AddrParseError>() {
        return Some("give an address and a port, such as 127.0.0.1:8787");
    }
    source.is::<uuid::Error>().then_some("give a UUID, such as 019a2b3c-7d4e-7c1a-9f00-3b1d5e6f7a8b")
}

/// Whether the value that is refused is a number below zero.
fn is_negative(error: &clap::Error) -> bool {
    matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(value)) if value.parse::<i64>().is_ok_and(i64::is_negative))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(args: &[&str]) -> String {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        explain(command_tree().try_get_matches_from(&args).unwrap_err(), &args).render().to_string()
    }

    #[test]
    fn a_command_without_its_group_is_found() {
        for (typed, meant) in [("search", "history search"), ("stats", "history stats"), ("status", "sync status")] {
            let said = said(&["caro", typed]);
            assert!(said.contains(&format!("'{meant}'")), "{said}");
        }
        assert!(!said(&["caro", "nonsense"]).contains("history"));
        assert!(!said(&["caro", "sync", "search"]).contains("history search"));
    }

    #[cfg(unix)]
    #[test]
    fn a_word_that_is_no_text_is_named() {
        use std::os::unix::ffi::OsStringExt;
        let mut args: Vec<OsString> = ["caro", "history", "add", "--command"].map(OsString::from).into();
        args.push(OsString::from_vec(b"caf\xe9 \x1b".to_vec()));
        let error = command_tree().try_get_matches_from(&args).unwrap_err();
        let said = explain(error, &args).render().to_string();
        assert!(said.contains("'caf\u{fffd} \\u{1b}' is not valid UTF-8"), "{said}");
    }

    #[test]
    fn values_are_refused_in_plain_words() {
        for (value, why) in
            [("x", "a whole number"), ("-1", "a whole number from 0 on"), ("99999999999999999999", "too large")]
        {
            let said = said(&["caro", "history", "list", "--limit", value]);
            assert!(said.contains(&format!("'{value}'")) && said.contains("--limit") && said.contains(why), "{said}");
        }
    }
}
