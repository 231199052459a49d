//! `ICMPv6` errors that the daemon sends: what it says about which packets, and how it is sent.

mod problem;
mod socket;

pub use self::problem::{Problem, nesting_limit};
pub use self::socket::Sender;
