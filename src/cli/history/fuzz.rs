//! What `caro history` reads from other programs.

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::exported::{self, Piece};
use super::generator;
use super::input::{self, Line};
use super::lines::Lines;
use super::template::Template;
use crate::fuzz::text;
use crate::history::{Record, UnixNanos};

const NOW: UnixNanos = UnixNanos(1_800_000_000_000_000_000);
const LONGEST: usize = 4096;

/// Lines of records, and exports among them, as `caro history add` takes them: whatever is taken is a command.
pub(crate) fn export(bytes: &[u8]) {
    let mut lines = Lines::new(bytes);
    let mut line = Vec::new();
    while let Ok(true) = lines.next(&mut line, LONGEST) {
        if exported::begins(&line) {
            lines.give_back(std::mem::take(&mut line));
            let read = exported::read(&mut lines, &mut |piece| {
                if let Piece::Command(command) = piece {
                    take(input::parse_record(command, Uuid::nil(), NOW));
                }
                Ok(())
            });
            if read.is_err() {
                return;
            }
        } else if let Some(text) = text(&line)
            && let Ok(Line::Record(record)) = input::parse(text, Uuid::nil(), NOW)
        {
            take(Ok(*record));
        }
    }
}

/// Answers of the generator.
pub(crate) fn generator(bytes: &[u8]) {
    generator::read(bytes, Uuid::nil(), NOW).for_each(take);
}

fn take(record: Result<Record, String>) {
    if let Ok(record) = record {
        assert!(!record.command.trim().is_empty(), "{record:?}");
    }
}

/// A template is understood, or what is wrong with it is said.
pub(crate) fn template(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(template) = Template::parse(text) {
        let record = Record::new("echo {command}", NOW, Uuid::nil());
        let _ = template.render(&record, &TimeZone::UTC);
    }
}
