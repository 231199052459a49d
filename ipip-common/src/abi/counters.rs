//! What is counted: traffic per tunnel and tier, refusals per tunnel, tier and reason.

use bytemuck::{Pod, Zeroable};

use super::Reason;

/// Where a packet was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Tier {
    /// XDP on a port.
    Xdp = 0,
    /// TC on a port's ingress or a tunnel's egress.
    Tc = 1,
    /// The daemon, behind the tunnel's file descriptor.
    Daemon = 2,
}

impl Tier {
    /// All tiers, fastest first.
    pub const ALL: [Self; 3] = [Self::Xdp, Self::Tc, Self::Daemon];

    /// The name in tables and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Tc => "tc",
            Self::Daemon => "daemon",
        }
    }
}

/// One tier's share of a tunnel's traffic. A segmentation-offload packet counts as the segments it will
/// become; bytes are those of the inner packets, as the stack sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct TierTraffic {
    /// Packets encapsulated.
    pub sent_packets: u64,
    /// Inner bytes encapsulated.
    pub sent_bytes: u64,
    /// Packets decapsulated.
    pub received_packets: u64,
    /// Inner bytes decapsulated.
    pub received_bytes: u64,
}

/// Value of the map `TRAFFIC`: a tunnel's traffic on one CPU, and what else a program keeps for each packet of it. What
/// tier 1 touches stands in the first cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct Traffic {
    /// By XDP.
    pub xdp: TierTraffic,
    /// The next IPv4 identification, in this CPU's own block of them.
    pub ident: u32,
    /// When the last packet was decapsulated: the lower half of the kernel's `jiffies64`, 0 for never.
    pub heard: u32,
    /// Zero.
    pub reserved: [u32; 6],
    /// By TC.
    pub tc: TierTraffic,
    /// By the daemon.
    pub daemon: TierTraffic,
}

const _: () = assert!(size_of::<Traffic>() == 128);

impl Traffic {
    /// The share of one tier.
    #[must_use]
    pub const fn tier(&self, tier: Tier) -> &TierTraffic {
        match tier {
            Tier::Xdp => &self.xdp,
            Tier::Tc => &self.tc,
            Tier::Daemon => &self.daemon,
        }
    }

    /// Adds the counters of another CPU.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in
            [(&mut self.xdp, &other.xdp), (&mut self.tc, &other.tc), (&mut self.daemon, &other.daemon)]
        {
            mine.sent_packets = mine.sent_packets.wrapping_add(theirs.sent_packets);
            mine.sent_bytes = mine.sent_bytes.wrapping_add(theirs.sent_bytes);
            mine.received_packets = mine.received_packets.wrapping_add(theirs.received_packets);
            mine.received_bytes = mine.received_bytes.wrapping_add(theirs.received_bytes);
        }
    }
}

/// The identifications that each of so many CPUs has for itself: a power of two, so that a CPU's first one is a multiple
/// of it (RFC 6864 4.3 wants them not to repeat for as long as can be).
#[must_use]
pub const fn ident_block(cpus: u32) -> u32 {
    const ALL: u32 = 1 << 16;
    match cpus.checked_next_power_of_two() {
        Some(shares) if shares <= ALL && shares > 0 => ALL >> shares.trailing_zeros(),
        Some(_) | None => 1,
    }
}

impl Traffic {
    /// The same as [`Self::take_idents`] for one packet.
    #[inline(always)]
    pub const fn take_ident(&mut self, block: u32) -> u16 {
        let taken = self.ident;
        let mask = block.wrapping_sub(1);
        self.ident = taken ^ (taken ^ taken.wrapping_add(1)) & mask;
        taken as u16
    }

    /// Takes the identifications of `segments` packets that belong together from this CPU's block of `block`, and
    /// returns the first.
    #[inline(always)]
    pub const fn take_idents(&mut self, segments: u32, block: u32) -> u16 {
        let mask = block.wrapping_sub(1);
        let (base, used) = (self.ident & !mask, self.ident & mask);
        let start = if used.wrapping_add(segments) > block { 0 } else { used };
        self.ident = base | start.wrapping_add(segments) & mask;
        (base | start) as u16
    }
}

/// Key of the map `REFUSALS`, which counts this reason for this tunnel and tier.
#[must_use]
#[inline(always)]
pub const fn refusal_key(tunnel: u32, tier: Tier, reason: Reason) -> u32 {
    tunnel << 8 | (tier as u32) << 6 | reason as u32
}

/// The tunnel, tier and reason of a key of the map `REFUSALS`; `None` where it is none.
#[must_use]
pub fn refusal_of(key: u32) -> Option<(u32, Tier, Reason)> {
    let tier = Tier::ALL.into_iter().find(|tier| *tier as u32 == key >> 6 & 3)?;
    let reason = Reason::ALL.into_iter().find(|reason| *reason as u32 == key & 0x3f)?;
    Some((key >> 8, tier, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_refusals_lead_back() {
        for tunnel in [1, 4096, super::super::MAX_TUNNELS - 1, 1 << 20] {
            for tier in Tier::ALL {
                for reason in Reason::ALL {
                    assert_eq!(refusal_of(refusal_key(tunnel, tier, reason)), Some((tunnel, tier, reason)));
                }
            }
        }
        assert_eq!(refusal_of(3 << 6), None);
        assert_eq!(refusal_of(0x3f), None);
    }

    #[test]
    fn blocks_of_identifications_do_not_overlap() {
        for (cpus, block) in
            [(1, 65_536), (2, 32_768), (3, 16_384), (64, 1024), (65, 512), (65_536, 1), (u32::MAX, 1)]
        {
            assert_eq!(ident_block(cpus), block, "{cpus} CPUs");
        }
    }

    // conformance: H11
    #[test]
    fn identifications_of_two_cpus_do_not_repeat_within_a_block() {
        let block = ident_block(2);
        let mut seen = std::collections::BTreeSet::new();
        for base in [0, block] {
            let mut traffic = Traffic { ident: base, ..Traffic::default() };
            for _ in 0..block {
                assert!(seen.insert(traffic.take_idents(1, block)));
            }
            assert_eq!(u32::from(traffic.take_idents(1, block)), base);
        }
        assert_eq!(seen.len(), 65_536);
    }

    #[test]
    fn one_is_taken_as_many_are() {
        for block in [65_536, 0x8000, 4, 1] {
            for ident in [0, 1, 0x7ffe, 0x7fff, 0x8000, 0x8003, 0xfffe, 0xffff] {
                let mut one = Traffic { ident, ..Traffic::default() };
                let mut many = one;
                assert_eq!(one.take_ident(block), many.take_idents(1, block), "{ident:#x} of {block:#x}");
                assert_eq!(one, many, "{ident:#x} of {block:#x}");
            }
        }
    }

    #[test]
    fn segments_stay_together() {
        let mut traffic = Traffic { ident: 0x8000 | 0x7ffe, ..Traffic::default() };
        assert_eq!(traffic.take_idents(2, 0x8000), 0xfffe);
        assert_eq!(traffic.take_idents(3, 0x8000), 0x8000);
        traffic.ident = 0x8000 | 0x7ffe;
        assert_eq!(traffic.take_idents(3, 0x8000), 0x8000);
        assert_eq!(traffic.ident, 0x8003);
    }
}
