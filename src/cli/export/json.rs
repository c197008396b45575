//! JSON: one value with everything, or a value a line.

use std::io::Write;

use serde::Serialize;

use super::{Form, Frame, SCHEMA_VERSION};
use crate::cli::CliError;
use crate::cli::history::{COMMAND, RecordJson};
use crate::history::Record;

/// One value; the history comes last, a record a line, so that no size needs memory.
#[derive(Default)]
pub(super) struct Whole {
    begun: bool,
}

impl Form for Whole {
    fn begin(&mut self, frame: &Frame, out: &mut dyn Write) -> Result<(), CliError> {
        writeln!(out, "{{\"schema_version\": {SCHEMA_VERSION},")?;
        field(out, "exported_at", &frame.exported_at)?;
        field(out, "device_id", &frame.device_id)?;
        field(out, "preferences", &frame.preferences)?;
        field(out, "devices", &frame.devices)?;
        field(out, "usage", &frame.usage)?;
        Ok(write!(out, "\"history\": [")?)
    }

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> Result<(), CliError> {
        out.write_all(if self.begun { b",\n" } else { b"\n" })?;
        self.begun = true;
        json(out, &RecordJson::from(record))
    }

    fn end(&mut self, _frame: &Frame, out: &mut dyn Write) -> Result<(), CliError> {
        Ok(writeln!(out, "\n]}}")?)
    }
}

fn field(out: &mut dyn Write, name: &str, value: &impl Serialize) -> Result<(), CliError> {
    write!(out, "\"{name}\": ")?;
    json(out, value)?;
    Ok(writeln!(out, ",")?)
}

/// A value a line; `type` says what it is.
pub(super) struct Lines;

#[derive(Serialize)]
struct Line<'a, T> {
    r#type: &'static str,
    #[serde(flatten)]
    value: &'a T,
}

#[derive(Serialize)]
struct Head<'a> {
    schema_version: u32,
    exported_at: &'a str,
    device_id: &'a str,
}

impl Form for Lines {
    fn begin(&mut self, frame: &Frame, out: &mut dyn Write) -> Result<(), CliError> {
        let head =
            Head { schema_version: SCHEMA_VERSION, exported_at: &frame.exported_at, device_id: &frame.device_id };
        line(out, "export", &head)?;
        frame.preferences.iter().try_for_each(|value| line(out, "preference", value))?;
        frame.devices.iter().try_for_each(|value| line(out, "device", value))?;
        frame.usage.iter().try_for_each(|value| line(out, "usage", value))
    }

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> Result<(), CliError> {
        line(out, COMMAND, &RecordJson::from(record))
    }

    fn end(&mut self, _frame: &Frame, _out: &mut dyn Write) -> Result<(), CliError> {
        Ok(())
    }
}

fn line<T: Serialize>(out: &mut dyn Write, r#type: &'static str, value: &T) -> Result<(), CliError> {
    json(out, &Line { r#type, value })?;
    Ok(writeln!(out)?)
}

fn json(out: &mut dyn Write, value: &impl Serialize) -> Result<(), CliError> {
    serde_json::to_writer(out, value).map_err(|error| std::io::Error::from(error).into())
}
