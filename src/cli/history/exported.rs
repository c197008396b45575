//! An export that is one JSON value, as `caro history add` takes it.
//!
//! It is read as it comes and its commands are handed on one by one, so no size needs memory. How it is laid out does not
//! matter, nor in which order its parts come; parts that only a newer version knows are passed over. Others may follow it.

use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::super::{CliError, Ui};
use super::lines::Lines;

/// What an export holds.
pub(super) enum Piece<'a> {
    /// A command, as JSON.
    Command(&'a str),
    /// Something else, by the type that a line of an export would give it.
    Other(&'a str),
}

/// Whether a line is the first of such an export, as it was written, or as other programs lay it out: by the first name in it
/// that only one of the two can have, an export or what is on a line of its own.
pub(super) fn begins(line: &[u8]) -> bool {
    let mut is_export = None;
    let read = Beginning(&mut is_export).deserialize(&mut serde_json::Deserializer::from_slice(line));
    // What has no end on its first line, and neither name, is no record either.
    is_export.unwrap_or_else(|| line.trim_ascii_start().starts_with(b"{") && read.is_err_and(|error| error.is_eof()))
}

/// Looks for a name that tells an export from a record, and notes what it tells.
struct Beginning<'a>(&'a mut Option<bool>);

impl<'de> DeserializeSeed<'de> for Beginning<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Beginning<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                // Both may have these.
                "schema_version" | "exported_at" | "device_id" => map.next_value::<IgnoredAny>()?,
                name => {
                    *self.0 = Some(matches!(name, "history" | "preferences" | "devices" | "usage"));
                    return Ok(());
                }
            };
        }
        Ok(())
    }
}

/// Reads an export to its end and hands on what it holds, until that is refused.
///
/// # Errors
/// What `each` refused, or what is wrong with the export; what came before it has been handed on.
pub(super) fn read(
    input: &mut Lines<impl Read>,
    each: &mut dyn FnMut(Piece<'_>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let before = input.number() - 1;
    let mut receiver = Receiver { each, refused: None };
    let read = Whole(&mut receiver).deserialize(&mut serde_json::Deserializer::from_reader(input));
    match (receiver.refused, read) {
        (Some(refused), _) => Err(refused),
        (None, Err(error)) if error.is_io() => {
            Err(CliError::failed("standard input could not be read").caused_by(error))
        }
        (None, Err(error)) => Err(CliError::usage(format!("this is not a whole export: {}", describe(&error, before)))
            .hinted("The commands before it are stored. Export it anew and send it again; nothing is stored twice.")),
        (None, Ok(())) => Ok(()),
    }
}

/// What is wrong, in words; so many lines came before the export.
fn describe(error: &serde_json::Error, before: u64) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    match error.classify() {
        Category::Eof => "it ends too early".to_owned(),
        Category::Data => error.to_string().replace(&place, ""),
        Category::Syntax | Category::Io => {
            let line = before + error.line() as u64;
            format!("not valid JSON, in line {line} from character {} on", error.column())
        }
    }
}

/// What in an export is no command.
#[derive(Default)]
pub(super) struct Others {
    preferences: u64,
    devices: u64,
    usage: u64,
    /// Of types that only a newer version knows.
    unknown: u64,
}

impl Others {
    /// Counts one of this type.
    pub(super) fn count(&mut self, kind: &str) {
        match kind {
            // It says what the rest is.
            "export" => {}
            "preference" => self.preferences += 1,
            "device" => self.devices += 1,
            "usage" => self.usage += 1,
            _ => self.unknown += 1,
        }
    }

    /// Says how many there were.
    pub(super) fn tell(&self, ui: &Ui) {
        let kinds = [
            ("preferences", self.preferences),
            ("devices", self.devices),
            ("usage counts", self.usage),
            ("others", self.unknown),
        ];
        let passed: Vec<String> =
            kinds.iter().filter(|(_, count)| *count > 0).map(|(kind, count)| format!("{kind} ({count})")).collect();
        if !passed.is_empty() {
            ui.status(format_args!("Passed over, since they are no commands: {}.", passed.join(", ")));
        }
    }
}

/// Whoever takes the pieces.
struct Receiver<'a> {
    each: &'a mut dyn FnMut(Piece<'_>) -> Result<(), CliError>,
    /// Why no more are taken: the parser cannot carry it.
    refused: Option<CliError>,
}

impl Receiver<'_> {
    fn hand<E: Error>(&mut self, piece: Piece<'_>) -> Result<(), E> {
        (self.each)(piece).map_err(|error| {
            self.refused = Some(error);
            E::custom("refused")
        })
    }
}

/// The export itself.
struct Whole<'a, 'b>(&'a mut Receiver<'b>);

impl<'de> DeserializeSeed<'de> for Whole<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an export")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_history = false;
        while let Some(name) = map.next_key::<String>()? {
            let kind = match name.as_str() {
                "history" => {
                    has_history = true;
                    map.next_value_seed(List { receiver: &mut *self.0, kind: None })?;
                    continue;
                }
                "schema_version" | "exported_at" | "device_id" => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                "command" => return Err(A::Error::custom("a record has to be on one line")),
                "preferences" => "preference",
                "devices" => "device",
                "usage" => "usage",
                newer => {
                    map.next_value::<IgnoredAny>()?;
                    self.0.hand::<A::Error>(Piece::Other(newer))?;
                    continue;
                }
            };
            map.next_value_seed(List { receiver: &mut *self.0, kind: Some(kind) })?;
        }
        if has_history { Ok(()) } else { Err(A::Error::custom("there is no history in it")) }
    }
}

/// A list in it: commands, or what is of this type.
struct List<'a, 'b> {
    receiver: &'a mut Receiver<'b>,
    kind: Option<&'static str>,
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        match self.kind {
            Some(kind) => {
                while list.next_element::<IgnoredAny>()?.is_some() {
                    self.receiver.hand::<A::Error>(Piece::Other(kind))?;
                }
            }
            None => {
                while let Some(command) = list.next_element::<Box<RawValue>>()? {
                    self.receiver.hand::<A::Error>(Piece::Command(command.get()))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an export holds, and what is wrong with it.
    fn pieces(text: &str) -> (Vec<String>, Option<String>) {
        let mut found = Vec::new();
        let read = read(&mut Lines::new(text.as_bytes()), &mut |piece| {
            found.push(match piece {
                Piece::Command("5") => return Err(CliError::usage("five is refused")),
                Piece::Command(json) => json.to_owned(),
                Piece::Other(kind) => kind.to_owned(),
            });
            Ok(())
        });
        (found, read.err().map(|error| error.message))
    }

    #[test]
    fn the_first_line_tells_an_export_from_a_record() {
        let exports = [
            "{",
            " {\r\n",
            "{\"schema_version\": 1,\n",
            "{\"schema_version\":12,\"exported_at\":\"2026\",\"device_id\":\"x\",\"preferences\":[]",
            "{\"device_id\": \"x\", \"devices\": [",
            "{\"history\":[{\"command\":\"ls\"}]}",
            "  {  \"usage\"",
        ];
        for first in exports {
            assert!(begins(first.as_bytes()), "{first}");
        }
        let records = [
            "{\"command\": \"ls\"",
            "{\"command\"",
            "{\"schema_version\": 1, \"command\": \"ls\"}",
            "{\"schema_version\":1}",
            "{\"device_id\":\"x\",\"exported_at\":\"2026\",\"schema_version\":1,\"type\":\"export\"}",
            "{\"device_id\":\"x\",\"cwd\":\"/\",\"command\":\"ls\",\"history\":[]}",
            "{]",
            "[",
            "[{\"history\":",
            "",
        ];
        for record in records {
            assert!(!begins(record.as_bytes()), "{record}");
        }
    }

    #[test]
    fn its_parts_may_come_in_any_order_and_layout() {
        let found = |text| match pieces(text) {
            (found, None) => found,
            (_, Some(wrong)) => panic!("{wrong}"),
        };
        let written = "{\"schema_version\": 1,\n\"usage\": [{}, {}],\n\"history\": [\n{\"a\": [1]},\n{}\n]}\n";
        assert_eq!(found(written), ["usage", "usage", "{\"a\": [1]}", "{}"]);
        let other = "{ \"history\" : [ 1 ], \"devices\": [{}], \"preferences\": [{}], \"new\": {\"history\": 2} } ";
        assert_eq!(found(other), ["1", "device", "preference", "new"]);
        assert_eq!(found("{\"history\": []}"), [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_told_after_what_came_before_it() {
        let wrong = |text| {
            let (found, wrong) = pieces(text);
            (found.len(), wrong.unwrap())
        };
        assert_eq!(wrong("{\"history\": [1, 5, 2]}"), (1, "five is refused".into()));
        assert_eq!(wrong("{\"history\": [1,\n"), (1, "this is not a whole export: it ends too early".into()));
        assert_eq!(wrong("{\"usage\": []}"), (0, "this is not a whole export: there is no history in it".into()));
        let (count, broken) = wrong("{\"history\": [1,\n!]}");
        assert_eq!((count, broken.contains("in line 2 from character 1 on")), (1, true), "{broken}");
        assert!(wrong("{\n\"command\": \"ls\"\n}").1.ends_with("a record has to be on one line"));
        assert!(wrong("{\"history\": {}}").1.contains("expected a list"));
    }
}
