//! What a path function asks of the world around it.

use crate::{
    abi::{Course, Family, KnownFlow, Labels, PeerKey, Reason, Traffic, TunnelEntry, Worth},
    packet::{flow::Flow, outer::Outer, probe::Probe},
    verdict::Hop,
};

/// Maps, routes and counters as one tier sees them.
pub trait Env {
    /// Whether this tier stands in for the stack's forwarding step: it decrements the inner TTL, and it
    /// leaves to the stack what only the stack can do.
    fn forwards(&self) -> bool;
    /// Whether this tier sends and receives behind the kernel's IPsec. The others leave tunnels with IPsec to it.
    fn is_behind_ipsec(&self) -> bool {
        false
    }
    /// Whether the packet at hand came in by IPsec, and the kernel has taken that off.
    fn came_by_ipsec(&self) -> bool {
        false
    }
    /// The tunnel that the flow is to be sent through. `None`: none, a foreign packet.
    fn tunnel_to(&self, flow: &Flow) -> Option<&TunnelEntry>;
    /// The tunnel that packets with this label on top are to be sent through, and the label that they leave with.
    /// `None`: none, a foreign packet.
    fn tunnel_of_label(&self, label: u32) -> Option<(u32, &TunnelEntry)>;
    /// The enabled tunnel that accepts this outer packet. `None`: none, a foreign packet.
    fn tunnel_from(&self, peer: &PeerKey) -> Option<&TunnelEntry>;
    /// The CPU that decapsulates this flow of the tunnel, in a tier that hands packets over, and where it is not this one.
    fn other_cpu(&self, _tunnel: &TunnelEntry, _flow: &Flow) -> Option<u32> {
        None
    }
    /// Remembers what was decided about the flow of the packet at hand, and about its labels, in a tier that remembers.
    fn remember(&self, _flow: &Flow, _labels: &Labels, _course: &Course<'_>) {}
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
    /// Notes the answer to a keepalive probe, with this nonce. Only a tier that does not forward is asked.
    fn take_answer(&self, tunnel: &TunnelEntry, probe: &Probe, nonce: u64) -> Worth;
    /// Counts an encapsulated packet.
    fn count_sent(&self, tunnel: &TunnelEntry, packets: u32, bytes: u32);
    /// Counts a decapsulated packet.
    fn count_received(&self, tunnel: &TunnelEntry, packets: u32, bytes: u32);
    /// Counts a refused packet, or a note about a carried one.
    fn count_refused(&self, tunnel: &TunnelEntry, reason: Reason);
}

/// What [`crate::path::known`] asks of a tier that remembers flows.
pub trait Memory {
    /// The flow that stands at this place of the table (see [`crate::abi::place`]), whichever it is.
    fn known(&self, place: u64) -> Option<&KnownFlow>;
    /// The present epoch (see [`crate::abi::epoch`]).
    fn epoch(&self) -> u32;
    /// Now, in the kernel's jiffies.
    fn now(&self) -> u32;
    /// The interface that the packet arrived on.
    fn ifindex(&self) -> u32;
    /// Identifications of a CPU (see [`crate::abi::ident_block`]).
    fn ident_block(&self) -> u32;
    /// Changes a tunnel's counters on this CPU. `None`: there are none.
    fn with_traffic<R>(&self, tunnel: u32, change: impl FnOnce(&mut Traffic) -> R) -> Option<R>;
}
