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

/// Value of the map `TRAFFIC`: a tunnel's traffic on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct Traffic {
    /// By XDP.
    pub xdp: TierTraffic,
    /// By TC.
    pub tc: TierTraffic,
    /// By the daemon.
    pub daemon: TierTraffic,
}

const _: () = assert!(size_of::<Traffic>() == 96);

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

/// Where the map `REFUSALS` counts this reason for this tunnel and tier.
#[must_use]
#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "the three factors' maxima stay far below u32::MAX")]
pub const fn refusal_index(tunnel: u32, tier: Tier, reason: Reason) -> u32 {
    ((tunnel % super::MAX_TUNNELS) * Tier::ALL.len() as u32 + tier as u32) * Reason::SLOTS + reason as u32
}
