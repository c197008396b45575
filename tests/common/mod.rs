//! What the tests of the program share.

pub mod home;
pub mod node;
pub mod sync;
pub mod wire;
