//! The world of an input: a tunnel and a frame, and the accounts that every verdict must leave right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipip_common::abi::{
    Action, Ends, Family, LabelEntry, Reason, Tier, TunnelConfig, TunnelEntry, TunnelFlags,
};
use ipip_common::testing::{ETHERNET, TableEnv, VecFrame};
use ipip_common::verdict::Verdict;

use super::Seen;
use super::packet::{LOCAL_V6, REMOTE_V6};
use crate::bytes::{LOCAL, REMOTE};

/// Bytes in front of the frame: the first has a bit for each of [`knob`], two are the tunnel's switches, two its MTU,
/// the last three TTL, DSCP and encapsulation limit.
pub(crate) const KNOBS: usize = 8;

/// Bits of the first byte.
pub(crate) mod knob {
    /// Tier 2 instead of tier 1.
    pub(crate) const TC: u8 = 1;
    /// The tunnel is over IPv6.
    pub(crate) const OVER_IPV6: u8 = 2;
    /// The frame stands for two packets.
    pub(crate) const SEGMENTS: u8 = 4;
    /// No route leads on.
    pub(crate) const NO_WAY: u8 = 8;
    /// The packet goes out of the tunnel, where the target does not say so itself.
    pub(crate) const OUT: u8 = 16;
}

/// An address of the host.
pub(crate) const OWN: [u8; 4] = [10, 1, 0, 1];

/// Labels of the world, each swapped for the next: the first leads into the tunnel, the second to a neighbour.
pub(crate) const LABELS: [u32; 3] = [16, 17, 18];

/// An input, understood.
pub(crate) struct World {
    /// The tunnel, before it becomes an entry.
    pub(crate) config: TunnelConfig,
    /// Everything around the packet.
    pub(crate) env: TableEnv,
    /// The frame as it arrives.
    pub(crate) frame: VecFrame,
    /// Whether the packet goes out of the tunnel.
    pub(crate) is_out: bool,
}

impl World {
    /// Reads an input; `None` where it is too short for a frame.
    pub(crate) fn read(input: &[u8]) -> Option<Self> {
        let (&[knobs, switches @ .., limit], bytes) = input.split_first_chunk::<KNOBS>()?;
        let [high, low, mtu @ .., ttl, dscp] = switches;
        if bytes.len() < ETHERNET {
            return None;
        }
        let config = TunnelConfig {
            id: 1,
            flags: flags(u16::from_be_bytes([high, low])),
            ifindex: 9,
            underlay: 0,
            ends: ends(knobs & knob::OVER_IPV6 != 0),
            mtu: u16::from_be_bytes(mtu),
            ttl: ttl.max(1),
            dscp: dscp & 0x3f,
            encapsulation_limit: limit,
        };
        let tier = if knobs & knob::TC != 0 { Tier::Tc } else { Tier::Xdp };
        let mut env = env(tier, &config);
        if knobs & knob::NO_WAY != 0 {
            (env.outer, env.inner) = (Err(Reason::NoNeighbour), Err(Reason::NoRoute));
        }
        let mut frame = VecFrame::new(bytes);
        frame.segments = if knobs & knob::SEGMENTS != 0 { 2 } else { 1 };
        Some(Self { config, env, frame, is_out: knobs & knob::OUT != 0 })
    }

    /// Whether the frame is one packet, whose lengths are all right in the end.
    pub(crate) fn is_single(&self) -> bool {
        self.frame.segments == 1
    }

    /// The packet, as it arrives.
    pub(crate) fn packet(&self) -> &[u8] {
        &self.frame.bytes[ETHERNET..]
    }

    /// Checks that the verdict was counted once and that a refusal left every byte.
    pub(crate) fn judge(&self, verdict: Verdict, after: &VecFrame) -> Seen {
        let (refused, traffic) = (self.env.refused.borrow(), self.env.traffic.get());
        let carried = traffic.sent_packets + traffic.received_packets;
        if matches!(verdict, Verdict::Forward(_)) {
            assert!(refused.iter().all(|reason| reason.action() == Action::Note), "carried, but {refused:?}");
            assert_eq!(carried, u64::from(self.frame.segments));
            return Seen::Success;
        }
        let (reason, action) = match verdict {
            Verdict::Pass(reason) => (Some(reason), Action::Pass),
            Verdict::Drop(reason) => (Some(reason), Action::Drop),
            Verdict::Taken => (None, Action::Drop),
            Verdict::Foreign | Verdict::Forward(_) | Verdict::HandOver(_) => (None, Action::Pass),
        };
        assert_eq!(*refused, reason.into_iter().collect::<Vec<Reason>>());
        assert!(reason.is_none_or(|reason| reason.action() == action));
        assert_eq!(carried, 0);
        assert_eq!(*after, self.frame, "{verdict:?} touched the packet");
        Seen::Refusal
    }
}

/// A world with this tunnel, in which some prefixes and labels are known.
pub(crate) fn env(tier: Tier, config: &TunnelConfig) -> TableEnv {
    let mut env = TableEnv::new(tier, TunnelEntry::new(config));
    env.own = vec![(Family::V4, [u32::from_be_bytes(OWN), 0, 0, 0])];
    env.allowed = vec![
        (Family::V4, [0x0a00_0000, 0, 0, 0], [0xff00_0000, 0, 0, 0]),
        (Family::V6, [0x2001_0db8, 0, 0, 0], [u32::MAX, 0, 0, 0]),
    ];
    let neighbour = LabelEntry::to_neighbour(LABELS[2], 2, IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2)));
    env.labels = vec![(LABELS[0], LabelEntry::into_tunnel(LABELS[1], config.id)), (LABELS[1], neighbour)];
    env
}

fn ends(is_v6: bool) -> Ends {
    if is_v6 {
        Ends::V6 { local: Ipv6Addr::from(LOCAL_V6), remote: Ipv6Addr::from(REMOTE_V6) }
    } else {
        Ends::V4 { local: Ipv4Addr::from(LOCAL), remote: Ipv4Addr::from(REMOTE) }
    }
}

/// Switches of an enabled tunnel: what a disabled one does needs no fuzzing.
fn flags(bits: u16) -> TunnelFlags {
    let bit = |at: u16| bits & 1 << at != 0;
    TunnelFlags {
        enabled: true,
        clamp_tcp_mss: bit(0),
        inherit_dont_fragment: bit(1),
        allow_fast_path: bit(2),
        fixed_dscp: bit(3),
        inherit_ttl: bit(4),
        ecn_compatibility: bit(5),
        decap_dscp: bit(6),
        flow_label: bit(7),
        encapsulation_limit: bit(8),
        path_mtu: bit(9),
        allowed_inner: bit(10),
        carries_ipv4: bit(11),
        carries_ipv6: bit(12),
        carries_mpls: bit(13),
        spread: bit(14),
        ipsec: bit(15),
    }
}

/// Bits of the switches that seeds set: see `flags`.
pub(crate) mod switch {
    /// `dont-fragment=inherit`.
    pub(crate) const DONT_FRAGMENT: u16 = 1 << 1;
    /// `allow-fast-path=yes`.
    pub(crate) const FAST_PATH: u16 = 1 << 2;
    /// `dscp=N`.
    pub(crate) const FIXED_DSCP: u16 = 1 << 3;
    /// `ttl=inherit`.
    pub(crate) const INHERIT_TTL: u16 = 1 << 4;
    /// `ecn=compatibility`.
    pub(crate) const COMPATIBILITY: u16 = 1 << 5;
    /// `decap-dscp=yes`.
    pub(crate) const DECAP_DSCP: u16 = 1 << 6;
    /// `flow-label=auto`.
    pub(crate) const FLOW_LABEL: u16 = 1 << 7;
    /// `encapsulation-limit=N`.
    pub(crate) const LIMIT: u16 = 1 << 8;
    /// `mtu=auto`.
    pub(crate) const PATH_MTU: u16 = 1 << 9;
    /// `allowed-inner` prefixes.
    pub(crate) const ALLOWED: u16 = 1 << 10;
    /// Everything is carried.
    pub(crate) const CARRIES_ALL: u16 = 7 << 11;
}
