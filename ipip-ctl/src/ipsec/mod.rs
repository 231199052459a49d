//! Tunnels with `ipsec-secret`: the daemon carries their packets (tier 3) through raw sockets that the kernel's IPsec
//! protects, and has the IKE daemon of the host agree on the keys (docs/adr/0020).

mod charon;
mod connection;
mod control;
mod counters;
mod guard;
mod ike;
mod link;
mod message;
mod packet;
mod policy;
mod secret;
mod socket;
mod vici;
mod world;

use ipip_common::abi::Carried;

pub use self::connection::Connection;
pub use self::ike::Ike;
pub use self::link::{Carrier, Carriers, Link};
pub use self::secret::{Secret, Stored, is_stored_as, path_for};

/// Where strongSwan's daemon takes orders.
pub const DEFAULT_VICI: &str = "/run/charon.vici";

/// The number by which the kernel's policies and keys of a tunnel find each other, of the tunnel with this ID. Those that
/// an IKE daemon gives out itself begin at 1.
#[must_use]
pub const fn request_id(tunnel: u32) -> u32 {
    const OURS: u32 = 0x4950_0000;
    OURS | tunnel
}

/// Whether what a tunnel carries can go through the daemon: nothing tells it apart on the interface's descriptor but the
/// version that an IP header begins with.
#[must_use]
pub const fn can_carry(kind: Carried) -> bool {
    !matches!(kind, Carried::Mpls)
}
