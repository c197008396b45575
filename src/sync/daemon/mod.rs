//! The background process that keeps a device in step: live while there is a connection, patient while there is
//! none.
//!
//! It is found by its socket ([`socket`]). Nothing depends on it: every command does its own work where
//! no daemon answers.

pub mod socket;
