//! What the tests of the program share.

pub mod home;
pub mod node;

pub use home::{Run, TestHome};
