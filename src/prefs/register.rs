//! A preference as it follows the user: its value, when it was set, and by which device.
//!
//! Of two registers of one name the later one wins, then the one of the greater device id, then the greater value:
//! a total order, so devices that meet them in any order keep the same one.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The value of a preference, and who set it when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Register {
    /// The preference.
    pub name: String,
    /// Its value in the one form that [`Preference::parse`](super::Preference::parse) gives; none: unset.
    #[serde(default)]
    pub value: Option<String>,
    /// When it was set, nanoseconds since 1970. 0: before this device knew of it.
    pub changed_at: i64,
    /// The device that set it.
    pub device: Uuid,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, ciborium::Value>,
}

impl Register {
    /// What decides which of two registers wins.
    pub(super) fn rank(&self) -> (i64, Uuid, Option<&str>) {
        (self.changed_at, self.device, self.value.as_deref())
    }
}

/// A register as `preferences.json` keeps it, under its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub value: Option<String>,
    pub changed_at: i64,
    pub device: Uuid,
    /// [`Register::unknown`] as CBOR in Base64: JSON has no byte strings.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub newer: String,
}

impl Kept {
    pub fn from_register(register: &Register) -> Self {
        let mut newer = Vec::new();
        if !register.unknown.is_empty() && ciborium::into_writer(&register.unknown, &mut newer).is_err() {
            newer.clear();
        }
        Self {
            value: register.value.clone(),
            changed_at: register.changed_at,
            device: register.device,
            newer: BASE64.encode(newer),
        }
    }

    pub fn register(&self, name: &str) -> Register {
        let newer = BASE64.decode(&self.newer).unwrap_or_default();
        Register {
            name: name.to_owned(),
            value: self.value.clone(),
            changed_at: self.changed_at,
            device: self.device,
            unknown: ciborium::from_reader(newer.as_slice()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Register {
        Register {
            name: "safety_level".into(),
            value: Some("strict".into()),
            changed_at: 7,
            device: Uuid::from_u128(3),
            unknown: BTreeMap::from([("newer".into(), ciborium::Value::Bytes(vec![1, 2]))]),
        }
    }

    #[test]
    fn fields_of_a_newer_version_survive_both_forms() {
        let mut bytes = Vec::new();
        ciborium::into_writer(&sample(), &mut bytes).unwrap();
        assert_eq!(ciborium::from_reader::<Register, _>(bytes.as_slice()).unwrap(), sample());
        let json = serde_json::to_string(&Kept::from_register(&sample())).unwrap();
        assert_eq!(serde_json::from_str::<Kept>(&json).unwrap().register("safety_level"), sample());
    }

    #[test]
    fn the_order_is_total() {
        let mut other = sample();
        other.value = None;
        assert!(sample().rank() > other.rank());
        other.device = Uuid::from_u128(4);
        assert!(other.rank() > sample().rank());
        let mut later = sample();
        later.changed_at = 8;
        assert!(later.rank() > other.rank());
    }
}
