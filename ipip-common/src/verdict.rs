//! What becomes of a packet.

use crate::abi::Reason;

/// How a carried packet goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Onto a wire, with both link-layer addresses known.
    Wire,
    /// Onto a wire whose neighbour the kernel resolves.
    Neighbour,
    /// Into the host's stack, as if it had arrived on the interface.
    Stack,
}

/// Where a carried packet goes next.
///
/// All fields are set for every way: what an enum's variant leaves unset is a register that nobody wrote, and the
/// kernel's verifier does not let it be stored ("invalid size of register spill").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// How it goes.
    pub way: Way,
    /// Interface index: of the port, or of the tunnel for [`Way::Stack`].
    pub ifindex: u32,
    /// Ethernet addresses for [`Way::Wire`], zeros otherwise.
    pub link: Link,
    /// The largest packet that the route takes, for [`Way::Wire`], bytes; 0 where that was not asked.
    pub mtu: u32,
}

impl Hop {
    /// Onto the wire of a port.
    #[must_use]
    #[inline(always)]
    pub const fn wire(ifindex: u32, link: Link, mtu: u32) -> Self {
        Self { way: Way::Wire, ifindex, link, mtu }
    }

    /// Onto the wire of a port, to the neighbour that the kernel finds.
    #[must_use]
    #[inline(always)]
    pub const fn neighbour(ifindex: u32) -> Self {
        Self { way: Way::Neighbour, ifindex, link: Link([0; 3]), mtu: 0 }
    }

    /// Into the stack, from a tunnel's interface.
    #[must_use]
    #[inline(always)]
    pub const fn stack(ifindex: u32) -> Self {
        Self { way: Way::Stack, ifindex, link: Link([0; 3]), mtu: 0 }
    }
}

/// The two addresses of an Ethernet header as three words in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link([u32; 3]);

impl Link {
    /// From the addresses.
    #[must_use]
    #[inline(always)]
    pub const fn new(destination: [u8; 6], source: [u8; 6]) -> Self {
        let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (destination, source);
        Self([
            u32::from_be_bytes([a, b, c, d]),
            u32::from_be_bytes([e, f, g, h]),
            u32::from_be_bytes([i, j, k, l]),
        ])
    }

    /// From the first twelve bytes of an Ethernet header.
    #[must_use]
    #[inline(always)]
    pub const fn from_words(words: [u32; 3]) -> Self {
        Self(words)
    }

    /// The first twelve bytes of the Ethernet header.
    #[must_use]
    #[inline(always)]
    pub const fn words(self) -> [u32; 3] {
        self.0
    }
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
    /// A packet for the tunnel itself, which ends here and is counted elsewhere.
    Taken,
    /// Encapsulated or decapsulated, and on its way.
    Forward(Hop),
    /// A tunnel's packet that another CPU, of this number, is to decapsulate; untouched and uncounted.
    HandOver(u32),
}
