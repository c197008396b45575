//! The isolate: what its script can reach, what it cannot, and that nothing it does ends the process.
//!
//! Two ways in: [`bare::Bare`] boots the engine from the shipped snapshot and runs a test's script in
//! it; [`caro::runtime::Isolate`] is what the program uses, with a test's script inside where something
//! has to go wrong there.

pub mod bare;
mod faults;
mod globals;
mod memory;
mod ops;
mod protocol;
mod store;
mod turns;
