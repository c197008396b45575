//! CSV (RFC 4180): one table, the history.

use std::io::Write;

use super::{Form, Frame};
use crate::cli::{CliError, time};
use crate::history::{Record, RiskLevel};

const HEAD: &str = "id,started_at,command,exit,duration_ns,cwd,session,shell,host,device_id,prompt,explanation,safety,tags,model,category,executed,imported_from,blocked_reason,alternatives,warnings,generation_ns,truncated";

pub(super) struct Table;

impl Form for Table {
    fn begin(&mut self, _frame: &Frame, out: &mut dyn Write) -> Result<(), CliError> {
        Ok(write!(out, "{HEAD}\r\n")?)
    }

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> Result<(), CliError> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        // A cell has one text: of several each is on a line of its own.
        let listed = |texts: &[String]| texts.join("\n");
        let generated = record.generated();
        let cells = [
            record.id.to_string(),
            time::rfc3339(record.started_at),
            record.command.clone(),
            number(record.exit.map(i64::from)),
            number(record.duration_ns),
            text(&record.cwd),
            text(&record.session),
            text(&record.shell),
            text(&record.host),
            record.device_id.to_string(),
            text(&record.prompt),
            text(&record.explanation),
            record.safety.map(RiskLevel::as_str).unwrap_or_default().to_owned(),
            listed(&record.tags),
            text(&record.model),
            text(&record.category),
            record.executed.map(|executed| executed.to_string()).unwrap_or_default(),
            text(&record.imported_from),
            text(&generated.blocked_reason),
            listed(&generated.alternatives),
            listed(&generated.warnings),
            number(generated.generation_ns),
            record.is_truncated().to_string(),
        ];
        for (number, cell) in cells.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(out, "{comma}{}", quoted(cell))?;
        }
        Ok(write!(out, "\r\n")?)
    }

    fn end(&mut self, _frame: &Frame, _out: &mut dyn Write) -> Result<(), CliError> {
        Ok(())
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_table_is_quoted() {
        assert_eq!(quoted("ls -la"), "ls -la");
        assert_eq!(quoted("echo \"a, b\"\ntrue"), "\"echo \"\"a, b\"\"\ntrue\"");
    }
}
