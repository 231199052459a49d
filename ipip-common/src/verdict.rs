//! What becomes of a packet.

use crate::abi::Reason;

/// Where a carried packet goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// Onto a wire, with both link-layer addresses known.
    Wire {
        /// The port's interface index.
        ifindex: u32,
        /// Ethernet destination.
        destination: [u8; 6],
        /// Ethernet source.
        source: [u8; 6],
    },
    /// Onto a wire whose neighbour the kernel resolves.
    Neighbour {
        /// The port's interface index.
        ifindex: u32,
    },
    /// Into the host's stack, as if it had arrived on this interface.
    Stack {
        /// The tunnel's interface index.
        ifindex: u32,
    },
}

/// The result of a path function, to be carried out by the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Not a tunnel's packet: goes on untouched and uncounted.
    Foreign,
    /// A tunnel's packet that this tier leaves to the next one, untouched.
    Pass(Reason),
    /// A tunnel's packet that ends here.
    Drop(Reason),
    /// Encapsulated or decapsulated, and on its way.
    Forward(Hop),
}
