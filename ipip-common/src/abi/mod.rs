//! The contract between the programs and the daemon: map values, map names, counters.
//!
//! Every type is `repr(C)`, 8-aligned where it is a value, without padding. Addresses are kept as they
//! stand on the wire; numbers are in host order. A change here is a change of [`ABI_VERSION`].

mod counters;
mod key;
mod names;
#[cfg(feature = "user")]
mod pod;
mod port;
mod reason;
mod tunnel;

pub use counters::{Tier, TierTraffic, Traffic, refusal_index};
pub use key::{OuterFamily, PeerKey};
pub use names::{map, program};
pub use port::Port;
pub use reason::{Action, Reason};
pub use tunnel::{Ipv4Tunnel, TunnelEntry, TunnelFlags};

/// The layout's number: part of the pin directory's name, so that a daemon never reuses maps of another layout.
pub const ABI_VERSION: u32 = 1;

/// Tunnel IDs are below this number; 0 is never a tunnel.
pub const MAX_TUNNELS: u32 = 4096;

/// Interfaces (ports and tunnels together) that the maps have room for.
pub const MAX_PORTS: u32 = 8192;
