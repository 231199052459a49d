//! What an interface is to the programs: a port of the host, or a tunnel.

use bytemuck::{Pod, Zeroable};

/// Value of the maps `PORTS` and `LOW_PORTS`: the role of one interface. Zeros are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct Port {
    tunnel: u32,
    flags: u32,
    mac: [u8; 6],
    reserved: [u8; 2],
}

const _: () = assert!(size_of::<Port>() == 16);

/// The port can take redirected XDP frames.
const FAST: u32 = 1;
/// The interface takes labelled packets.
const LABELS: u32 = 2;
/// The driver of the port turns frames around.
const TURNS: u32 = 8;
/// The interface has a role.
const ROLE: u32 = 4;
/// The tunnel's interface has been set up by the daemon.
const WAS_UP: u32 = 16;
/// Frames may arrive whose VLAN tag is not in their bytes.
const HIDES_TAGS: u32 = 32;

/// A hash of a tunnel's name: 48 bits of FNV-1a. Zeros are no name's that anybody has.
#[must_use]
pub fn name_mark(name: &str) -> [u8; 6] {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let [a, b, c, d, e, f, ..] = name.bytes().fold(0xcbf2_9ce4_8422_2325, step).to_le_bytes();
    [a, b, c, d, e, f]
}

impl Port {
    /// An Ethernet port with its own address. `fast`: a native XDP program is attached, so that the driver
    /// takes frames that another port's program redirects to it.
    #[must_use]
    pub const fn ethernet(mac: [u8; 6], fast: bool) -> Self {
        Self { tunnel: 0, flags: if fast { ROLE | FAST } else { ROLE }, mac, reserved: [0; 2] }
    }

    /// The interface of the tunnel with this ID.
    #[must_use]
    pub const fn tunnel(id: u32) -> Self {
        Self { tunnel: id, flags: ROLE, mac: [0; 6], reserved: [0; 2] }
    }

    /// The same, of a tunnel with this name, which tells whose the interface is when it has another one. The programs do not ask.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.mac = name_mark(name);
        self
    }

    /// What stands for the name of a tunnel, see [`name_mark`].
    #[must_use]
    pub const fn name(&self) -> [u8; 6] {
        self.mac
    }

    /// The same, but for whether the host takes labelled packets that arrive there (`net.mpls.conf.NAME.input`).
    #[must_use]
    pub const fn with_labels(mut self, takes_labels: bool) -> Self {
        self.flags = if takes_labels { self.flags | LABELS } else { self.flags & !LABELS };
        self
    }

    /// The same, but for whether the port's driver takes the tags out of frames for VLANs that stand on it. XDP cannot tell
    /// these from the port's own, and leaves all frames alone.
    #[must_use]
    pub const fn with_hidden_tags(mut self, hides_tags: bool) -> Self {
        self.flags = if hides_tags { self.flags | HIDES_TAGS } else { self.flags & !HIDES_TAGS };
        self
    }

    /// Whether frames may arrive whose VLAN tag is not in their bytes.
    #[must_use]
    #[inline(always)]
    pub const fn hides_tags(&self) -> bool {
        self.flags & HIDES_TAGS != 0
    }

    /// The same, but for whether the daemon has set the tunnel's interface up. Up and down are the user's from then on, also
    /// for the next daemon.
    #[must_use]
    pub const fn with_was_up(mut self, was_up: bool) -> Self {
        self.flags = if was_up { self.flags | WAS_UP } else { self.flags & !WAS_UP };
        self
    }

    /// Whether the daemon has set the tunnel's interface up.
    #[must_use]
    pub const fn was_up(&self) -> bool {
        self.flags & WAS_UP != 0
    }

    /// The same, but for whether the driver turns a frame around that is to leave by the port it came in by (`XDP_TX`). All can
    /// but veth: it leaves such frames lying in its peer's ring where that one polls for GRO and has no program of its own
    /// (`veth_xdp_flush` asks for the program, `veth_xdp_xmit` for the polling), until something else wakes the peer.
    #[must_use]
    pub const fn with_turning(mut self, turns: bool) -> Self {
        self.flags = if turns { self.flags | TURNS } else { self.flags & !TURNS };
        self
    }

    /// `ifindex`, which is the port's, where its driver turns frames around; 0 where they are redirected to it. Without a branch,
    /// behind which the verifier would have everything to walk through twice.
    #[must_use]
    #[inline(always)]
    pub const fn turned(&self, ifindex: u32) -> u32 {
        ifindex & ((self.flags / TURNS) & 1).wrapping_neg()
    }

    /// Whether the host takes labelled packets that arrive there. Who may not send them could choose any label, and
    /// with it where the packet goes (RFC 3031 3.15).
    #[must_use]
    #[inline(always)]
    pub const fn takes_labels(&self) -> bool {
        self.flags & LABELS != 0
    }

    /// Whether the interface has a role at all.
    #[must_use]
    #[inline(always)]
    pub const fn has_role(&self) -> bool {
        self.flags & ROLE != 0
    }

    /// The tunnel's ID; `None` for an Ethernet port.
    #[must_use]
    #[inline(always)]
    pub const fn tunnel_id(&self) -> Option<u32> {
        if self.tunnel == 0 { None } else { Some(self.tunnel) }
    }

    /// Whether redirected XDP frames may be sent to it.
    #[must_use]
    #[inline(always)]
    pub const fn is_fast(&self) -> bool {
        self.flags & FAST != 0
    }

    /// The port's own Ethernet address.
    #[must_use]
    #[inline(always)]
    pub const fn mac(&self) -> [u8; 6] {
        self.mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_turned_around_only_where_the_driver_can() {
        let port = Port::ethernet([2, 0, 0, 0, 0, 1], true);
        assert_eq!(port.turned(0x8000_0007), 0);
        assert_eq!(port.with_turning(true).turned(0x8000_0007), 0x8000_0007);
        assert_eq!(port.with_turning(true).with_turning(false), port);
        assert!(port.with_turning(true).is_fast(), "other flags stay");
    }

    /// Values of the hash's authors, for 64 bits.
    #[test]
    fn names_have_the_low_bits_of_fnv_1a() {
        for (name, hash) in
            [("", 0xcbf2_9ce4_8422_2325_u64), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            assert_eq!(name_mark(name), hash.to_le_bytes()[..6]);
        }
        assert_eq!(Port::tunnel(7).with_name("a").tunnel_id(), Some(7));
    }
}
