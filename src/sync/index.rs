//! The index: what each segment holds, and which device writes it.
//!
//! One entry for each segment, keyed by the segment's id; written when a segment opens and when it
//! fills, not for each of its entries. A segment is in the index before anything is written to it, and stays there
//! as a short note when it is gone: so every ciphertext that ever left can be found, and erased.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SyncError;
use super::month::Month;
use super::vault::{Opening, Vault};
use crate::seal::Purpose;

/// What the index says of a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Description {
    /// The month of its records.
    #[serde(rename = "m")]
    pub month: Month,
    /// Entries, as of when this was written.
    #[serde(rename = "n")]
    pub entries: u64,
    /// Nothing will be added to it any more.
    #[serde(rename = "f")]
    pub full: bool,
    /// It holds what was gathered from other segments, or of a month that is over; new commands go elsewhere.
    #[serde(rename = "c", default, skip_serializing_if = "std::ops::Not::not")]
    pub compact: bool,
    /// When its newest record began, as of when this was written, nanoseconds since 1970.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<i64>,
    /// Why it is gone, [`ERASED`] or [`RETIRED`] (or a reason of a newer version); none: it is there.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<String>,
    /// A device has found what the relay holds of it damaged: whoever has it whole writes it anew.
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    pub damaged: bool,
    /// Where it is gone: the segments to which was written what stays of it.
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    pub replaced_by: Vec<String>,
    /// The device that wrote it, where another one wrote this line.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<Uuid>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, ciborium::Value>,
}

/// Its records lie in another segment now, or were deleted.
pub(super) const ERASED: &str = "erased";
/// All of its records were older than what is kept in sync.
pub(super) const RETIRED: &str = "retired";

impl Description {
    /// A segment that nothing was written to yet.
    pub(super) fn new(month: Month, compact: bool) -> Self {
        Self {
            month,
            entries: 0,
            full: false,
            compact,
            newest: None,
            gone: None,
            damaged: false,
            replaced_by: Vec::new(),
            writer: None,
            unknown: BTreeMap::new(),
        }
    }

    /// Whether nobody waits for its entries any more: it is gone, or was given up by its writer.
    pub(super) fn is_abandoned(&self) -> bool {
        self.full && self.entries == 0
    }
}

/// A segment in the index.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Segment {
    /// Its id.
    pub id: String,
    /// The device that alone writes it.
    pub device: Uuid,
    /// What the index says of it.
    pub description: Description,
}

impl Segment {
    /// What the index says of it when it is gone. An older version reads it as given up, and leaves it alone.
    pub(super) fn gone(&self, why: &str) -> Self {
        let description = Description {
            entries: 0,
            full: true,
            gone: Some(why.to_owned()),
            writer: Some(self.device),
            ..self.description.clone()
        };
        Self { description, ..self.clone() }
    }

    /// What the index says of it when another device has found it damaged.
    pub(super) fn found_damaged(&self) -> Self {
        let description = Description { damaged: true, writer: Some(self.device), ..self.description.clone() };
        Self { description, ..self.clone() }
    }
}

/// All segments that could be read, newest month first; and how many entries need a newer program.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The segments.
    pub segments: Vec<Segment>,
    /// Entries that this version does not understand.
    pub newer: u64,
}

impl Index {
    /// Opens the index.
    pub(super) fn open(vault: &Vault, map: &str, entries: BTreeMap<String, String>) -> Result<Self, SyncError> {
        let mut index = Self::default();
        for (id, value) in entries {
            match vault.open(Purpose::Index, &place(map, &id), &value)? {
                Opening::Opened { device, plaintext } => {
                    let description: Description = ciborium::from_reader(plaintext.as_slice())
                        .map_err(|_| SyncError::Damaged { what: "the index of the synced history".into() })?;
                    index.segments.push(Segment { id, device: description.writer.unwrap_or(device), description });
                }
                Opening::Newer => index.newer += 1,
                // The key's own entry has not arrived yet.
                Opening::KeyMissing => index.newer += 1,
            }
        }
        // The newest first: what is still written to, then by what it ends with.
        index.segments.sort_by_cached_key(|segment| {
            let Description { month, full, newest, .. } = segment.description;
            (Reverse(month), full, Reverse(newest), segment.id.clone())
        });
        Ok(index)
    }

    /// The segments that hold records.
    pub(super) fn live(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| !segment.description.is_abandoned())
    }

    /// The segment of this id.
    pub(super) fn get(&self, id: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.id == id)
    }

    /// Notes what was just written to the index.
    pub(super) fn note(&mut self, segment: Segment) {
        match self.segments.iter_mut().find(|known| known.id == segment.id) {
            Some(known) => *known = segment,
            None => self.segments.push(segment),
        }
    }

    /// Segments of this device and month that still take entries, of the one kind or the other.
    pub(super) fn open_segments(&self, device: Uuid, month: Month, compact: bool) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(move |segment| {
            let Description { month: of, full, compact: kind, .. } = segment.description;
            segment.device == device && of == month && !full && kind == compact
        })
    }
}

/// Seals a description as the index holds it.
pub(super) fn sealed(vault: &Vault, map: &str, segment: &str, description: &Description) -> Result<String, SyncError> {
    let mut plaintext = Vec::new();
    ciborium::into_writer(description, &mut plaintext)
        .map_err(|e| SyncError::Store(format!("a segment's description cannot be encoded ({e})")))?;
    vault.seal(Purpose::Index, &place(map, segment), &plaintext)
}

/// An entry of the index opens under its own key only: it cannot be moved to another segment.
fn place(map: &str, segment: &str) -> String {
    format!("{map}/{segment}")
}
