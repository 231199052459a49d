//! The daemon's numbers for Prometheus: the ones that `print` and `status` show, at an address that only this host reaches.

mod address;
mod exposition;
mod server;

pub use self::address::Address;
pub use self::exposition::{Snapshot, exposition};
pub use self::server::{CLIENTS_MAX, PATIENCE, Server};
