//! The index: what each segment holds, and which device writes it.
//!
//! One entry for each segment, keyed by the segment's id; written when a segment opens and when it
//! fills, not for each of its entries.

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
    /// Fields of a newer version.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, ciborium::Value>,
}

impl Description {
    /// The same for a segment that is lost: nobody waits for its entries any more.
    pub(super) fn abandoned(&self) -> Self {
        Self { entries: 0, full: true, ..self.clone() }
    }

    /// Whether the segment was given up by its writer.
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
                    let description = ciborium::from_reader(plaintext.as_slice())
                        .map_err(|_| SyncError::Damaged { what: "the index of the synced history".into() })?;
                    index.segments.push(Segment { id, device, description });
                }
                Opening::Newer => index.newer += 1,
                // The key's own entry has not arrived yet.
                Opening::KeyMissing => index.newer += 1,
            }
        }
        index.segments.sort_by(|a, b| (b.description.month, &a.id).cmp(&(a.description.month, &b.id)));
        Ok(index)
    }

    /// Notes what was just written to the index.
    pub(super) fn note(&mut self, segment: Segment) {
        match self.segments.iter_mut().find(|known| known.id == segment.id) {
            Some(known) => *known = segment,
            None => self.segments.push(segment),
        }
    }

    /// Segments of this device and month that still take entries.
    pub(super) fn open_segments(&self, device: Uuid, month: Month) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(move |s| s.device == device && s.description.month == month && !s.description.full)
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
