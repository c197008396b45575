//! `--format`: text with record fields in braces.
//!
//! A template is checked before any record is read: an unknown field is a usage error that names
//! the known ones, never a failure half-way through the output.

use jiff::tz::TimeZone;

use super::super::time;
use crate::history::Record;

/// The fields a template can name.
const FIELDS: &[(&str, Field)] = &[
    ("command", |record, _| record.command.clone()),
    ("prompt", |record, _| text(&record.prompt)),
    ("explanation", |record, _| text(&record.explanation)),
    ("exit", |record, _| record.exit.map(|exit| exit.to_string()).unwrap_or_default()),
    ("time", |record, zone| time::local(record.started_at, zone)),
    ("duration", |record, _| record.duration_ns.map(time::duration).unwrap_or_default()),
    ("directory", |record, _| text(&record.cwd)),
    ("session", |record, _| text(&record.session)),
    ("shell", |record, _| text(&record.shell)),
    ("host", |record, _| text(&record.host)),
    ("device", |record, _| record.device_id.to_string()),
    ("id", |record, _| record.id.to_string()),
    ("safety", |record, _| record.safety.map(|safety| safety.to_string()).unwrap_or_default()),
    ("tags", |record, _| record.tags.join(",")),
    ("model", |record, _| text(&record.model)),
    ("category", |record, _| text(&record.category)),
    ("executed", |record, _| record.executed.map(|executed| executed.to_string()).unwrap_or_default()),
];

type Field = fn(&Record, &TimeZone) -> String;

fn text(value: &Option<String>) -> String {
    value.clone().unwrap_or_default()
}

/// A checked template.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    /// Index into [`FIELDS`].
    Field(usize),
}

impl Template {
    /// Checks a template.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub(super) fn parse(template: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut chars = template.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '{' | '}' if chars.peek() == Some(&c) => {
                    chars.next();
                    plain.push(c);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match chars.next() {
                            Some('}') => break,
                            Some(c) => name.push(c),
                            None => return Err(format!("`{{{name}` has no closing brace")),
                        }
                    }
                    let field = FIELDS.iter().position(|(known, _)| *known == name).ok_or_else(|| unknown(&name))?;
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(Part::Field(field));
                }
                '}' => return Err("a `}` stands alone; write `}}` for a brace".to_owned()),
                '\\' => match chars.next() {
                    Some('t') => plain.push('\t'),
                    Some('n') => plain.push('\n'),
                    Some('0') => plain.push('\0'),
                    Some('\\') => plain.push('\\'),
                    Some(other) => plain.extend(['\\', other]),
                    None => plain.push('\\'),
                },
                c => plain.push(c),
            }
        }
        parts.push(Part::Text(plain));
        Ok(Self { parts })
    }

    /// The template with the record's fields in it; what is not known is left empty.
    pub(super) fn render(&self, record: &Record, zone: &TimeZone) -> String {
        let mut rendered = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => rendered.push_str(text),
                Part::Field(index) => {
                    if let Some((_, field)) = FIELDS.get(*index) {
                        rendered.push_str(&field(record, zone));
                    }
                }
            }
        }
        rendered
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
    format!("there is no field `{name}`; the fields are {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::{plain, sample};

    fn render(template: &str, record: &Record) -> String {
        Template::parse(template).unwrap().render(record, &TimeZone::UTC)
    }

    #[test]
    fn fields_and_escapes() {
        let record = sample("true");
        assert_eq!(
            render(r"{command}\t{exit}\n{{{duration}}} {tags} \x \\", &record),
            "true\t0\n{1ms} first,second \\x \\"
        );
        assert_eq!(render("{time}|{directory}", &record), "2023-11-14 22:13:20|/home/user");
    }

    #[test]
    fn what_is_not_known_is_empty() {
        let record = plain("ls", 0);
        let all: String = FIELDS.iter().map(|(name, _)| format!("{{{name}}}|")).collect();
        let shown = render(&all, &record);
        assert_eq!(shown.matches('|').count(), FIELDS.len());
        assert!(shown.starts_with("ls||||1970-01-01 00:00:00||"));
    }

    #[test]
    fn a_wrong_template_is_explained() {
        let error = |template| Template::parse(template).unwrap_err();
        assert!(error("{comand}").starts_with("there is no field `comand`; the fields are command,"));
        assert!(error("{}").starts_with("there is no field ``"));
        assert_eq!(error("{command"), "`{command` has no closing brace");
        assert!(error("a } b").contains("stands alone"));
    }
}
