//! What a path function asks of the world around it.

use crate::{
    abi::{Course, Family, KnownFlow, PeerKey, Reason, Role, TunnelEntry},
    packet::{flow::Flow, outer::Outer},
    verdict::Hop,
};

/// Maps, routes and counters as one tier sees them.
pub trait Env {
    /// Whether this tier stands in for the stack's forwarding step: it decrements the inner TTL, and it
    /// leaves to the stack what only the stack can do.
    fn forwards(&self) -> bool;
    /// The tunnel that the flow is to be sent through. `None`: none, a foreign packet.
    fn tunnel_to(&self, flow: &Flow) -> Option<&TunnelEntry>;
    /// The tunnel that packets with this label on top are to be sent through, and the label that they leave with.
    /// `None`: none, a foreign packet.
    fn tunnel_of_label(&self, label: u32) -> Option<(u32, &TunnelEntry)>;
    /// The enabled tunnel that accepts this outer packet. `None`: none, a foreign packet.
    fn tunnel_from(&self, peer: &PeerKey) -> Option<&TunnelEntry>;
    /// The tunnel with this ID.
    fn tunnel(&self, id: u32) -> Option<&TunnelEntry>;
    /// What was decided about the flow, if that still holds for the packet at hand. A tier that remembers nothing keeps
    /// this one.
    fn recall(&self, _role: Role, _flow: &Flow) -> Option<&KnownFlow> {
        None
    }
    /// Remembers what was decided about the flow of the packet at hand.
    fn remember(&self, _role: Role, _flow: &Flow, _course: &Course) {}
    /// Whether the address is one of this host.
    fn is_own(&self, family: Family, address: [u32; 4]) -> bool;
    /// Whether the tunnel's `allowed-inner` prefixes hold the address.
    fn is_allowed(&self, tunnel: &TunnelEntry, family: Family, address: [u32; 4]) -> bool;
    /// The way to the tunnel's remote for this outer packet; a `length` of 0 is not compared with the route's MTU.
    ///
    /// # Errors
    /// The reason why there is none.
    fn route_outer(&self, tunnel: &TunnelEntry, outer: &Outer, length: u32) -> Result<Hop, Reason>;
    /// The way on for a packet that came out of the tunnel.
    ///
    /// # Errors
    /// The reason why there is none.
    fn route_inner(&self, tunnel: &TunnelEntry, flow: &Flow, length: u32) -> Result<Hop, Reason>;
    /// The way on for a labelled packet that came out of the tunnel, and the label that it leaves with.
    ///
    /// # Errors
    /// The reason why there is none.
    fn route_label(&self, tunnel: &TunnelEntry, label: u32, length: u32) -> Result<(u32, Hop), Reason>;
    /// An IPv4 identification of the tunnel that is free for this packet and its `segments - 1` successors.
    fn next_ident(&self, tunnel: &TunnelEntry, segments: u32) -> u16;
    /// Counts an encapsulated packet, and gives it an identification of the tunnel where `needs_ident`: what
    /// [`Env::next_ident`] and [`Env::count_sent`] do, with one look at the tunnel's counters.
    fn send_one(&self, tunnel: &TunnelEntry, needs_ident: bool, bytes: u32) -> u16 {
        self.count_sent(tunnel, 1, bytes);
        if needs_ident { self.next_ident(tunnel, 1) } else { 0 }
    }
    /// Counts an encapsulated packet.
    fn count_sent(&self, tunnel: &TunnelEntry, packets: u32, bytes: u32);
    /// Counts a decapsulated packet.
    fn count_received(&self, tunnel: &TunnelEntry, packets: u32, bytes: u32);
    /// Counts a refused packet, or a note about a carried one.
    fn count_refused(&self, tunnel: &TunnelEntry, reason: Reason);
}
