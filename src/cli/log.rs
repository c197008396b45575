//! The log on standard error: what is logged, and in which form.

use std::ffi::OsString;
use std::io;

use anstream::ColorChoice;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::CliError;
use crate::relay::Mishaps;

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// Words, for people.
    #[default]
    Text,
    /// A JSON object, for programs.
    Json,
}

/// Sends the log to standard error, if CARO_LOG says what to log, or the command has something to log of its own.
pub(super) fn start(otherwise: Option<&str>) -> Result<(), CliError> {
    if let Some(filter) = filter(otherwise)? {
        tracing_subscriber::registry().with(to_standard_error(Format::Text).with_filter(filter)).init();
    }
    Ok(())
}

/// The log of a server: in this form, and the last things that went wrong are remembered too.
pub(super) fn start_remembering(otherwise: &str, format: Format, mishaps: Mishaps) -> Result<(), CliError> {
    let written = filter(Some(otherwise))?.map(|filter| to_standard_error(format).with_filter(filter));
    tracing_subscriber::registry().with(written).with(mishaps.with_filter(LevelFilter::WARN)).init();
    Ok(())
}

fn filter(otherwise: Option<&str>) -> Result<Option<EnvFilter>, CliError> {
    let asked = std::env::var_os("CARO_LOG").filter(|value| !value.is_empty());
    let Some(directives) = asked.or_else(|| otherwise.map(OsString::from)) else { return Ok(None) };
    let filter = directives.to_str().and_then(|directives| EnvFilter::try_new(directives).ok());
    filter.map(Some).ok_or_else(|| {
        CliError::usage("CARO_LOG does not say what to log")
            .hinted("Set it to error, warn, info, debug or trace, or to caro::sync=debug and the like.")
    })
}

fn to_standard_error(format: Format) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        Format::Text => lines.with_ansi(anstream::AutoStream::choice(&io::stderr()) != ColorChoice::Never).boxed(),
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    }
}
