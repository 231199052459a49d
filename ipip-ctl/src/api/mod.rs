//! The socket between the daemon and its clients: one JSON object a line, each way.

pub mod bind;
pub mod change;
pub mod client;
mod feed;
pub mod protocol;
pub mod server;
