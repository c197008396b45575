//! The forms in which keys are kept. Sums are made right, so that what lies behind them is reached.

use super::Credentials;
use super::file::{Content, checksum};
use crate::fuzz::text;
use crate::identity::Phrase;

/// A file without its sum.
pub(crate) fn key_files() -> Vec<Vec<u8>> {
    let plain = [b"CAROKEYS\x01\x00".as_slice(), &credentials().map(|it| it.to_bytes().to_vec()).unwrap_or_default()];
    let sealed = [b"CAROKEYS\x01\x01".as_slice(), &[0, 0, 1, 0, 3, 0, 0, 0, 1, 0, 0, 0], &[7; 120]];
    vec![plain.concat(), sealed.concat()]
}

/// A file is one, or damaged; what is in it too.
pub(crate) fn key_file(bytes: &[u8]) {
    let whole = [bytes, &checksum(bytes)].concat();
    if let Ok(Content::Plain(inside)) = Content::parse(&whole) {
        let _ = Credentials::from_bytes(&inside);
    }
    drop(Content::parse(bytes));
}

/// What is kept in the system's key store; and bytes without their sum.
pub(crate) fn key_texts() -> Vec<Vec<u8>> {
    let Some(credentials) = credentials() else { return Vec::new() };
    let bytes = credentials.to_bytes();
    vec![credentials.to_text().as_bytes().to_vec(), bytes[..bytes.len() - 8].to_vec()]
}

/// What is read is written as it was.
pub(crate) fn key_text(bytes: &[u8]) {
    if text(bytes).is_some()
        && let Ok(read) = Credentials::from_text(bytes)
    {
        assert_eq!(
            Credentials::from_text(read.to_text().as_bytes()).map(|it| it.to_bytes()).ok(),
            Some(read.to_bytes())
        );
    }
    let whole = [bytes, &super::credentials::checksum(bytes)].concat();
    if let Ok(read) = Credentials::from_bytes(&whole) {
        assert_eq!(read.to_bytes().as_slice(), whole);
    }
}

fn credentials() -> Option<Credentials> {
    let phrase = Phrase::parse(&("abandon ".repeat(11) + "about")).ok()?;
    Credentials::from_bytes(&{
        // With keys that need no stretching of the phrase.
        let mut bytes = vec![1];
        bytes.extend_from_slice(&1_700_000_000_000_u64.to_le_bytes());
        bytes.extend_from_slice(&[9; 32]);
        bytes.push(16);
        bytes.extend_from_slice(phrase.expose_entropy());
        let sum = super::credentials::checksum(&bytes);
        bytes.extend_from_slice(&sum);
        bytes
    })
    .ok()
}
