//! What a path function asks of the world around it.

use crate::{
    abi::{PeerKey, Reason, TunnelEntry},
    packet::ipv4::Ipv4,
    verdict::Hop,
};

/// Ports of a packet whose transport has them; zero otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
}

/// Maps, routes and counters as one tier sees them.
pub trait Env {
    /// Whether this tier stands in for the stack's forwarding step: it decrements the inner TTL, and it
    /// leaves to the stack what only the stack can do.
    fn forwards(&self) -> bool;
    /// The tunnel that `inner` is to be sent through. `None`: none, a foreign packet.
    fn tunnel_to(&self, inner: &Ipv4, ports: Ports) -> Option<&TunnelEntry>;
    /// The enabled tunnel that accepts this outer packet. `None`: none, a foreign packet.
    fn tunnel_from(&self, peer: &PeerKey) -> Option<&TunnelEntry>;
    /// The way to the tunnel's remote for an outer packet with this ToS byte and length.
    ///
    /// # Errors
    /// The reason why there is none.
    fn route_outer(&self, tunnel: &TunnelEntry, tos: u8, length: u32) -> Result<Hop, Reason>;
    /// The way on for a packet that came out of the tunnel.
    ///
    /// # Errors
    /// The reason why there is none.
    fn route_inner(&self, tunnel: &TunnelEntry, inner: &Ipv4, ports: Ports) -> Result<Hop, Reason>;
    /// An IPv4 identification that is free for this packet and its `segments - 1` successors.
    fn next_ident(&self, segments: u32) -> u16;
    /// Counts an encapsulated packet.
    fn count_sent(&self, tunnel: &TunnelEntry, packets: u32, bytes: u32);
    /// Counts a decapsulated packet.
    fn count_received(&self, tunnel: &TunnelEntry, packets: u32, bytes: u32);
    /// Counts a refused packet.
    fn count_refused(&self, tunnel: &TunnelEntry, reason: Reason);
}
