//! How the protocol writes bytes: `prefix ‖ base58` for keys, ids, hashes and signatures, and
//! `prefix ‖ base64url` for ciphertexts, plus JSON strings as `JSON.stringify` writes them.
//!
//! Decoders know the size they want beforehand. Base58 takes quadratic time, so a text that is too long
//! for that size is refused before it is decoded: a hostile peer cannot buy work with a long id.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::CryptoError;

/// A kind of base58 value: how it is called in messages, and the prefix that marks it.
pub(super) struct Kind {
    what: &'static str,
    prefix: &'static str,
}

pub(super) const SIGNER_SECRET: Kind = Kind { what: "the signer secret", prefix: "signerSecret_z" };
pub(super) const SIGNER_ID: Kind = Kind { what: "the signer ID", prefix: "signer_z" };
pub(super) const SEALER_SECRET: Kind = Kind { what: "the sealer secret", prefix: "sealerSecret_z" };
pub(super) const SEALER_ID: Kind = Kind { what: "the sealer ID", prefix: "sealer_z" };
pub(super) const KEY_SECRET: Kind = Kind { what: "the key secret", prefix: "keySecret_z" };
pub(super) const SIGNATURE: Kind = Kind { what: "the signature", prefix: "signature_z" };
pub(super) const HASH: Kind = Kind { what: "the hash", prefix: "hash_z" };
pub(super) const SHORT_HASH: Kind = Kind { what: "the short hash", prefix: "shortHash_z" };
pub(super) const CO_ID: Kind = Kind { what: "the CoValue ID", prefix: "co_z" };

pub(super) const ENCRYPTED: Kind = Kind { what: "the encrypted text", prefix: "encrypted_U" };
pub(super) const SEALED: Kind = Kind { what: "the sealed message", prefix: "sealed_U" };
pub(super) const SEALED_FOR_GROUP: Kind = Kind { what: "the message sealed for a group", prefix: "sealedForGroup_U" };

/// Reads ciphertexts that travel outside of transactions: padding may be missing and spare bits set,
/// since the SDK's own decoder in JavaScript takes both.
const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Writes ciphertexts, and reads those inside of transactions: there is one spelling for each.
const STRICT_BASE64: GeneralPurpose = base64::engine::general_purpose::URL_SAFE;

impl Kind {
    /// The text after the prefix.
    fn body<'a>(&self, text: &'a str) -> Result<&'a str, CryptoError> {
        text.strip_prefix(self.prefix).ok_or(CryptoError::WrongPrefix { what: self.what, prefix: self.prefix })
    }

    /// `prefix ‖ base58(bytes)`.
    pub(super) fn encode58(&self, bytes: &[u8]) -> String {
        format!("{}{}", self.prefix, bs58::encode(bytes).into_string())
    }

    /// The `N` bytes of a base58 value, wiped when dropped.
    pub(super) fn decode58<const N: usize>(&self, text: &str) -> Result<Zeroizing<[u8; N]>, CryptoError> {
        let wrong_length = CryptoError::WrongLength { what: self.what, expected: N };
        let body = self.body(text)?;
        // N bytes never take more than 1.37 N + 1 characters.
        if body.len() > N + N / 2 + 1 {
            return Err(wrong_length);
        }
        let mut bytes = Zeroizing::new([0_u8; N]);
        match bs58::decode(body).onto(bytes.as_mut_slice()) {
            Ok(length) if length == N => Ok(bytes),
            Ok(_) | Err(bs58::decode::Error::BufferTooSmall) => Err(wrong_length),
            Err(_) => Err(CryptoError::NotBase58 { what: self.what }),
        }
    }

    /// `prefix ‖ base64url(bytes)`, padded.
    pub(super) fn encode64(&self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity(self.prefix.len() + bytes.len() / 3 * 4 + 4);
        text.push_str(self.prefix);
        STRICT_BASE64.encode_string(bytes, &mut text);
        text
    }

    /// The bytes of a base64url value, padded or not.
    pub(super) fn decode64(&self, text: &str) -> Result<Vec<u8>, CryptoError> {
        self.decode64_with(&LENIENT_BASE64, text)
    }

    /// The bytes of a base64url value in its one canonical spelling.
    pub(super) fn decode64_strict(&self, text: &str) -> Result<Vec<u8>, CryptoError> {
        self.decode64_with(&STRICT_BASE64, text)
    }

    fn decode64_with(&self, engine: &GeneralPurpose, text: &str) -> Result<Vec<u8>, CryptoError> {
        engine.decode(self.body(text)?).map_err(|_| CryptoError::NotBase64 { what: self.what })
    }
}

/// Appends `text` as a JSON string: quotes, backslashes and control characters are escaped, all else
/// stays as it is.
pub(super) fn push_json_string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[copied..at]);
        if short.is_empty() {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        } else {
            out.push_str(short);
        }
        copied = at + 1;
    }
    out.push_str(&text[copied..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_strings_are_those_of_serde_json() {
        let mut all: String = (0_u32..0x300).filter_map(char::from_u32).collect();
        all.push_str("\u{2028}\u{2029}\u{feff}😀 end");
        for text in ["", "plain", "\"", "\\", "a\nb", &all] {
            let mut out = String::from("x");
            push_json_string(&mut out, text);
            assert_eq!(out[1..], serde_json::to_string(text).unwrap());
        }
    }

    #[test]
    fn base58_of_another_length_is_refused() {
        for length in [0, 1, 31, 33, 40, 64, 4096] {
            let text = KEY_SECRET.encode58(&vec![7; length]);
            let expected = CryptoError::WrongLength { what: "the key secret", expected: 32 };
            assert_eq!(KEY_SECRET.decode58::<32>(&text).unwrap_err(), expected, "{length}");
            let zeros = KEY_SECRET.encode58(&vec![0; length]);
            assert_eq!(KEY_SECRET.decode58::<32>(&zeros).unwrap_err(), expected, "{length} zeros");
        }
        for byte in [0, 1, 255] {
            let text = KEY_SECRET.encode58(&[byte; 32]);
            assert_eq!(*KEY_SECRET.decode58::<32>(&text).unwrap(), [byte; 32]);
        }
    }

    #[test]
    fn damaged_base58_and_prefixes_are_told_apart() {
        let not58 = CryptoError::NotBase58 { what: "the key secret" };
        assert_eq!(KEY_SECRET.decode58::<32>("keySecret_z0OIl").unwrap_err(), not58);
        assert_eq!(KEY_SECRET.decode58::<32>("keySecret_zé").unwrap_err(), not58);
        for text in ["", "keySecret_", "signerSecret_z1", " keySecret_z1", "é"] {
            assert!(matches!(
                KEY_SECRET.decode58::<32>(text).unwrap_err(),
                CryptoError::WrongPrefix { prefix: "keySecret_z", .. }
            ));
        }
    }

    #[test]
    fn only_the_lenient_decoder_takes_sloppy_base64() {
        for text in ["encrypted_UAA", "encrypted_UAB==", "encrypted_UAAA"] {
            assert!(ENCRYPTED.decode64(text).is_ok(), "{text}");
            assert!(ENCRYPTED.decode64_strict(text).is_err(), "{text}");
        }
        for text in ["encrypted_U!", "encrypted_UAAAA=A", "encrypted_UA", "encrypted_U+/==", "sealed_UAAAA"] {
            assert!(ENCRYPTED.decode64(text).is_err(), "{text}");
            assert!(ENCRYPTED.decode64_strict(text).is_err(), "{text}");
        }
        assert_eq!(ENCRYPTED.encode64(&[251, 255]), "encrypted_U-_8=");
        assert_eq!(ENCRYPTED.decode64_strict("encrypted_U-_8=").unwrap(), [251, 255]);
    }
}
