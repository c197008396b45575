//! The optional anonymous report: one question about how caro is used, answered with a die in between.
//!
//! A [`Report`] answers one of the fixed [`questions`], drawn by chance, through [`noise`], so that whoever reads it cannot
//! tell what was true of the one who sent it. [`estimate`] gives what is true of many. It is signed with a key of its own,
//! by which it can be [revoked](Revocation), and carries some work, so that nobody can send very many.
//!
//! The collector ([`collect`]) reads the same types: [`Report::read`] takes nothing but the exact bytes that [`Report::bytes`] gives.
//! `docs/community.md` has the format, the reasons and the proof.

pub mod answers;
pub mod collect;
pub mod estimate;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
pub mod journal;
pub mod noise;
pub mod questions;
mod report;
pub mod schedule;
#[cfg(test)]
mod simulation;
mod wire;
mod work;

pub use noise::NoRandom;
pub use report::{Key, KeyId, Report, Revocation};
pub use wire::{BODY_BYTES, FORMAT, Malformed, REPORT_PATH, REVOKE_PATH};
