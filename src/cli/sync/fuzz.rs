//! Pictures of a phrase's code.

use std::io::Cursor;

use image::{GrayImage, ImageFormat, ImageReader, Luma};
use qrcode::{Color, QrCode};

use super::phrase_input::text_in;

const MODULE: u32 = 3;
const QUIET: u32 = 4;
/// Larger pictures take as long as many small ones.
const LARGEST: u32 = 512;

/// Of a code, once as it is printed and once light on dark.
pub(crate) fn pictures() -> Vec<Vec<u8>> {
    let Ok(code) = QrCode::new("abandon abandon about") else { return Vec::new() };
    let modules = u32::try_from(code.width()).unwrap_or(0);
    let side = (modules + 2 * QUIET) * MODULE;
    [(0, 255), (255, 0)]
        .into_iter()
        .map(|(dark, light)| {
            let picture = GrayImage::from_fn(side, side, |x, y| {
                let place = |at: u32| (at / MODULE).checked_sub(QUIET).filter(|at| *at < modules).map(|at| at as usize);
                let is_dark = place(x).zip(place(y)).is_some_and(|(x, y)| code[(x, y)] == Color::Dark);
                Luma([if is_dark { dark } else { light }])
            });
            let mut bytes = Cursor::new(Vec::new());
            let written = picture.write_to(&mut bytes, ImageFormat::Png);
            assert!(written.is_ok() && read(bytes.get_ref()).is_some(), "it can be read");
            bytes.into_inner()
        })
        .collect()
}

/// A picture shows a text, or none.
pub(crate) fn picture(bytes: &[u8]) {
    drop(read(bytes));
}

fn read(bytes: &[u8]) -> Option<String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    Some(text_in(reader, LARGEST).ok()??.to_string())
}
