//! The bytes of a report and of its revocation: one line of JSON, and spaces up to one size.
//!
//! Both have [`BODY_BYTES`] bytes and go to paths of one length, so that whoever sees the encrypted traffic cannot tell them
//! apart. There is one way to write each: what is read is written again, and taken only where that gives the same bytes. So
//! nothing else can be hidden in them, neither by a sender's mistake nor on purpose.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of the format and of the questions; a report names it.
pub const FORMAT: u32 = 1;
/// How long the body of a request is, in bytes.
pub const BODY_BYTES: usize = 512;
/// Where reports are sent, below the collector's address.
pub const REPORT_PATH: &str = "/v1/report";
/// Where revocations are sent.
pub const REVOKE_PATH: &str = "/v1/revoke";

/// Why bytes are no report or revocation; the words are for whoever sent them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They are not what this format writes.
    #[error("this is not a report of this format")]
    Format,
    /// It names another format.
    #[error("this is of another version of the format")]
    Version,
    /// There is no such question, or no such answer to it.
    #[error("there is no such question, or no such answer")]
    Unknown,
    /// The signature is not by the key.
    #[error("the signature is wrong")]
    Signature,
    /// The number does not show that work was done.
    #[error("the work was not done")]
    Work,
}

/// A value as its body.
pub(super) fn write(value: &impl Serialize) -> Vec<u8> {
    // Structs of strings and numbers can be written.
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.resize(BODY_BYTES, b' ');
    bytes
}

/// The value of a body, if these are its only bytes.
pub(super) fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        format: u32,
    }
    if bytes.len() != BODY_BYTES {
        return Err(Malformed::Format);
    }
    let Versioned { format } = serde_json::from_slice(bytes).map_err(|_| Malformed::Format)?;
    if format != FORMAT {
        return Err(Malformed::Version);
    }
    let value: T = serde_json::from_slice(bytes).map_err(|_| Malformed::Format)?;
    if write(&value) == bytes { Ok(value) } else { Err(Malformed::Format) }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) mod hex {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::community) fn encode(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(in crate::community) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
        let digits = text.as_bytes();
        if digits.len() != 2 * N {
            return None;
        }
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16);
            let [high, low] = [value(*pair.first()?)?, value(*pair.last()?)?];
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        Some(bytes)
    }

    pub(in crate::community) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(bytes))
    }

    pub(in crate::community) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        decode(&text).ok_or_else(|| D::Error::custom("not as many hexadecimal digits as there should be"))
    }
}
