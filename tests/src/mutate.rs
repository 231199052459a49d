//! Packets and tunnels that nobody thought of, made from those of the cases.

use ipip_common::abi::TunnelFlags;

use crate::case::{Case, IPV4, IPV6, MPLS};
use crate::tunnel::Tunnel;

/// Numbers that look random and are the same in every run (Marsaglia's xorshift).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From a seed that is not zero.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).expect("48 bits") % limit
    }

    /// True once in `count` times.
    fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn half(&mut self) -> u16 {
        let [low, high, ..] = self.next().to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// So many frames for one tunnel, which is the case's with other settings.
pub fn batch(case: &Case, count: usize, chance: &mut Chance) -> Vec<Case> {
    let mut case = case.clone();
    change_tunnel(&mut case.tunnel, chance);
    case.ident = chance.half() & 0x7fff;
    let frame = |_| {
        let mut case = case.clone();
        change_frame(&mut case.input, chance);
        case.is_transit = chance.once_in(2);
        case
    };
    (0..count).map(frame).collect()
}

/// Changes a few bytes, the length and the EtherType. Whom the frame is for is kept.
fn change_frame(frame: &mut Vec<u8>, chance: &mut Chance) {
    if chance.once_in(16) {
        let ethertype = chance.one_of(&[IPV4, IPV6, MPLS, 0x8848, 0x8100]);
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
    }
    for _ in 0..chance.below(5) {
        let room = (frame.len() - 14).min(chance.one_of(&[20, 48, 88, 128]));
        if room == 0 {
            break;
        }
        let at = 14 + chance.below(room);
        frame[at] = match chance.below(4) {
            0 => chance.byte(),
            1 => chance.one_of(&[0, 1, 4, 6, 41, 43, 44, 60, 137, 255]),
            _ => frame[at] ^ 1 << chance.below(8),
        };
    }
    match chance.below(12) {
        0 => frame.truncate(14 + chance.below(frame.len())),
        1 => frame.extend(vec![chance.byte(); chance.below(64)]),
        _ => (),
    }
}

fn change_tunnel(tunnel: &mut Tunnel, chance: &mut Chance) {
    let mut flip = |setting: &mut bool, once_in: usize| *setting ^= chance.once_in(once_in);
    let TunnelFlags {
        enabled,
        clamp_tcp_mss,
        inherit_dont_fragment,
        allow_fast_path,
        fixed_dscp,
        inherit_ttl,
        ecn_compatibility,
        decap_dscp,
        flow_label,
        encapsulation_limit,
        path_mtu,
        allowed_inner,
        carries_ipv4,
        carries_ipv6,
        carries_mpls,
        spread,
        ipsec,
    } = &mut tunnel.flags;
    flip(enabled, 64);
    flip(allow_fast_path, 16);
    flip(allowed_inner, 8);
    flip(ipsec, 32);
    for setting in [carries_ipv4, carries_ipv6, carries_mpls] {
        flip(setting, 8);
    }
    for setting in [clamp_tcp_mss, inherit_dont_fragment, fixed_dscp, inherit_ttl, ecn_compatibility] {
        flip(setting, 2);
    }
    for setting in [decap_dscp, flow_label, encapsulation_limit, path_mtu, spread] {
        flip(setting, 2);
    }
    tunnel.dscp = chance.byte() & 0x3f;
    tunnel.ttl = chance.byte().max(1);
    tunnel.encapsulation_limit = chance.one_of(&[0, 1, 4, 255]);
    if chance.once_in(4) {
        tunnel.mtu = chance.one_of(&[0, 21, 68, 1279, 1280, 1444, 1500, 65_535]);
    }
    if chance.once_in(4) {
        tunnel.own = vec![chance.one_of(&[[10, 1, 0, 2], [10, 2, 0, 2], [192, 0, 2, 1]]).into()];
    }
    let prefixes =
        [("10.2.0.0", 16), ("10.2.0.2", 32), ("2001:db8:2::", 48), ("2001:db8:2::2", 128), ("::", 1)];
    for (network, length) in prefixes {
        let network = network.parse().expect("an address");
        if chance.once_in(3) && !tunnel.allowed.contains(&(network, length)) {
            tunnel.allowed.push((network, length));
        }
    }
}
