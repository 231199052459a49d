//! The contract between the programs and the daemon: map values, map names, counters.
//!
//! Every type is `repr(C)`, 8-aligned where it is a value, without padding. Addresses are kept as they
//! stand on the wire; numbers are in host order. A change here is a change of [`ABI_VERSION`].

mod answers;
mod carried;
mod counters;
mod ends;
mod key;
mod known;
mod label;
mod names;
#[cfg(feature = "user")]
mod pod;
mod port;
mod reason;
mod tunnel;

pub use answers::{Answers, Probing, Worth};
pub use carried::Carried;
pub use counters::{Tier, TierTraffic, Traffic, ident_block, refusal_key, refusal_of};
pub use ends::{Ends, address, words};
pub use key::{AllowedInner, Family, OwnAddress, PeerKey};
pub use known::{
    Arrival, Course, DECAPSULATED, KnownFlow, LABELLED, LABELLED_DECAPSULATED, LEAST_FLOW_BITS, Labels,
    epoch, first_mask, flow_bits, place, place_of,
};
pub use label::{LabelEntry, MAX_LABEL};
pub use names::{map, program};
pub use port::{Port, name_mark};
pub use reason::{Action, Reason};
pub use tunnel::{TunnelConfig, TunnelEntry, TunnelFlags};

/// The layout's number: part of the pin directory's name, so that a daemon never reuses maps of another layout.
pub const ABI_VERSION: u32 = 5;

/// Tunnel IDs are below this number; 0 is never a tunnel.
pub const MAX_TUNNELS: u32 = 16_384;

/// Reasons of all tunnels and tiers that packets were refused for, as far as the maps have room for their counters.
pub const MAX_REFUSALS: u32 = 131_072;

/// Addresses of this host that the maps have room for.
pub const MAX_ADDRESSES: u32 = 65_536;

/// `allowed-inner` prefixes of all tunnels that the maps have room for.
pub const MAX_ALLOWED: u32 = 65_536;

/// MPLS labels that the maps have room for.
pub const MAX_LABELS: u32 = 65_536;

/// CPUs that may share the packets of a tunnel, at most.
pub const MAX_SHARING: u32 = 256;

/// Interfaces (ports and tunnels together) that the maps have room for.
pub const MAX_PORTS: u32 = 32_768;

/// Interface indices that an array holds; those above are looked up in a hash.
pub const LOW_PORTS: u32 = 32_768;
