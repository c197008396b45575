//! The transport over real sockets: what arrives, what is believed, and what a failure says.

mod buffers;
mod certificates;
mod failures;
mod frames;
pub mod peers;
mod proxies;
mod reconnection;
