//! What the tests of the program share.

pub mod authority;
pub mod daemon;
pub mod home;
pub mod line;
#[allow(dead_code, reason = "the benchmarks use more of the peers")]
pub mod node;
pub mod peers;
pub mod postgres;
pub mod pty;
pub mod random;
pub mod secret_set;
pub mod sync;
pub mod tmux;
pub mod wire;
