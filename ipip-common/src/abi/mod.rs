//! The contract between the programs and the daemon: map values, map names, counters.
//!
//! Every type is `repr(C)`, 8-aligned where it is a value, without padding. Addresses are kept as they
//! stand on the wire; numbers are in host order. A change here is a change of [`ABI_VERSION`].

mod carried;
mod counters;
mod ends;
mod key;
mod label;
mod names;
#[cfg(feature = "user")]
mod pod;
mod port;
mod reason;
mod tunnel;

pub use carried::Carried;
pub use counters::{Tier, TierTraffic, Traffic, refusal_index};
pub use ends::{Ends, address, words};
pub use key::{AllowedInner, Family, OwnAddress, PeerKey};
pub use label::{LabelEntry, MAX_LABEL};
pub use names::{map, program};
pub use port::Port;
pub use reason::{Action, Reason};
pub use tunnel::{TunnelConfig, TunnelEntry, TunnelFlags};

/// The layout's number: part of the pin directory's name, so that a daemon never reuses maps of another layout.
pub const ABI_VERSION: u32 = 2;

/// Tunnel IDs are below this number; 0 is never a tunnel.
pub const MAX_TUNNELS: u32 = 4096;

/// Addresses of this host that the maps have room for.
pub const MAX_ADDRESSES: u32 = 65_536;

/// `allowed-inner` prefixes of all tunnels that the maps have room for.
pub const MAX_ALLOWED: u32 = 65_536;

/// MPLS labels that the maps have room for.
pub const MAX_LABELS: u32 = 65_536;

/// Interfaces (ports and tunnels together) that the maps have room for.
pub const MAX_PORTS: u32 = 8192;
