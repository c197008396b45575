//! Ways a phrase comes in: typed on the terminal, from a file or standard input, or as a picture of
//! the code that `caro sync phrase show --qr` draws. Never from arguments or the environment.

use std::fs::File;
use std::io::{BufRead, Read, Seek, stdin};
use std::path::Path;

use zeroize::Zeroizing;

use super::errors::said_with_remedy;
use crate::cli::terminal::Terminal;
use crate::cli::ui::counted;
use crate::cli::{CliError, Kind, Ui};
use crate::identity::{Phrase, PhraseError, UnknownWords};

/// No phrase is longer; a file that is, is something else.
const LONGEST: u64 = 4096;
/// A picture of a code is no larger.
const LARGEST_PICTURE: u32 = 10_000;

/// Asks for the phrase on the terminal until it is one.
pub(super) fn ask(ui: &Ui, instead: &str) -> Result<Phrase, CliError> {
    let mut terminal = ui.terminal(instead)?;
    loop {
        match Phrase::parse(&lines(&mut terminal)?) {
            Ok(phrase) => return Ok(phrase),
            Err(error) => {
                terminal.show(&format!("{error}\n"))?;
                if let PhraseError::UnknownWords(words) = &error {
                    terminal.show(&suggestions(words))?;
                }
            }
        }
    }
}

/// Reads lines until they have the words of a phrase, or one is empty.
fn lines(terminal: &mut Terminal) -> Result<Zeroizing<String>, CliError> {
    let mut text = terminal.ask("Recovery phrase (12 or 24 words): ")?;
    for number in 1.. {
        let is_whole = match Phrase::count_words(&text) {
            0 => true,
            // Half of a longer one is hardly ever a phrase itself.
            12 if number > 1 => Phrase::parse(&text).is_ok() && !terminal.has_more(),
            12 => !terminal.has_more(),
            words => words >= 24,
        };
        if is_whole {
            break;
        }
        let so_far = Phrase::count_words(&text);
        let line =
            terminal.ask(&format!("{} so far; go on, or press Enter to end: ", counted(so_far as u64, "word")))?;
        if line.trim().is_empty() {
            break;
        }
        let mut longer = Zeroizing::new(String::with_capacity(text.len() + line.len() + 1));
        longer.push_str(&text);
        longer.push(' ');
        longer.push_str(&line);
        text = longer;
    }
    Ok(text)
}

/// What words may have been meant; for the terminal only, since they are part of the phrase.
fn suggestions(words: &UnknownWords) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(512));
    for word in words.words().iter().filter(|word| !word.suggestions.is_empty()) {
        text.push_str(&format!("  word {}: did you mean {}?\n", word.position, word.suggestions.join(" or ")));
    }
    text
}

/// Reads a phrase from a file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Phrase, CliError> {
    let mut text = Zeroizing::new(String::with_capacity(512));
    let reading = if path == Path::new("-") {
        stdin().lock().take(LONGEST).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    reading.map_err(|e| CliError::usage(format!("the phrase file {} cannot be read", path.display())).caused_by(e))?;
    parse(&text)
}

/// Reads a phrase from a picture of its code.
pub(super) fn read_picture(path: &Path) -> Result<Phrase, CliError> {
    let unusable = |what: &str| CliError::usage(format!("the picture {} {what}", path.display()));
    let reader = image::ImageReader::open(path)
        .and_then(image::ImageReader::with_guessed_format)
        .map_err(|e| unusable("cannot be read").caused_by(e))?;
    let text = text_in(reader, LARGEST_PICTURE)
        .map_err(|e| unusable("is neither PNG nor JPEG").caused_by(e))?
        .ok_or_else(|| unusable("shows no code that can be read").hinted("Take it again, straight on and sharp."))?;
    parse(&text)
}

/// The text of the code in a picture that is no wider and no higher than this; none where it shows none.
pub(super) fn text_in(
    mut picture: image::ImageReader<impl BufRead + Seek>,
    largest: u32,
) -> image::ImageResult<Option<Zeroizing<String>>> {
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(largest);
    limits.max_image_height = Some(largest);
    picture.limits(limits);
    let mut picture = picture.decode()?.to_luma8();
    Ok(decode(picture.clone()).or_else(|| {
        // Drawn light on dark, as on many terminals.
        image::imageops::invert(&mut picture);
        decode(picture)
    }))
}

/// The text of the code in a picture, if there is one.
fn decode(picture: image::GrayImage) -> Option<Zeroizing<String>> {
    let mut prepared = rqrr::PreparedImage::prepare(picture);
    let (_, text) = prepared.detect_grids().first()?.decode().ok()?;
    Some(Zeroizing::new(text))
}

fn parse(text: &str) -> Result<Phrase, CliError> {
    Phrase::parse(text).map_err(wrong)
}

fn wrong(error: PhraseError) -> CliError {
    said_with_remedy(Kind::WrongPhrase, error)
}
