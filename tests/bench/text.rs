//! Contents for CoValues.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use caro::runtime::crypto;

/// Text like that of a sealed blob of so many bytes.
pub fn random_text(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    crypto::fill_random(&mut random).expect("random bytes");
    URL_SAFE_NO_PAD.encode(random)
}
