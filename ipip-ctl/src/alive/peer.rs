//! Which far end it is that something is known of, and the key that only its answers can have.

use std::net::IpAddr;

use ipip_common::abi::TunnelConfig;
use ipip_common::packet::probe::Key;

/// Bits of a far end's number.
const PEER_BITS: u32 = 28;

/// A number for the far end: one that is another has another, nearly always.
pub(super) fn peer(entry: &TunnelConfig) -> u32 {
    let octets = match entry.ends.remote() {
        IpAddr::V4(remote) => remote.octets().to_vec(),
        IpAddr::V6(remote) => remote.octets().to_vec(),
    };
    // FNV-1a, of which the upper bits are the mixed ones.
    let mix = |number: u64, octet: u8| (number ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
    (octets.into_iter().fold(0xcbf2_9ce4_8422_2325, mix) >> (64 - PEER_BITS)) as u32
}

/// A key that nobody can guess.
pub(super) fn fresh_key() -> Key {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        log::error!("making a key for probes: {error}");
    }
    if bytes == [0; 16] {
        // None: no answer counts.
        return [0; 2];
    }
    let [first, second] = [0, 8].map(|at| {
        let half = bytes.get(at..at + 8).and_then(|half| half.try_into().ok());
        u64::from_ne_bytes(half.unwrap_or_default())
    });
    // Zeros would mean that there is none.
    [first | 1, second]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use ipip_common::abi::{Ends, TunnelFlags};

    use super::*;

    #[test]
    fn far_ends_next_to_each_other_are_told_apart() {
        let entry = |local: IpAddr, remote: IpAddr| TunnelConfig {
            id: 1,
            flags: TunnelFlags::default(),
            ifindex: 0,
            underlay: 0,
            ends: Ends::new(local, remote).unwrap(),
            mtu: 1480,
            ttl: 64,
            dscp: 0,
            encapsulation_limit: 0,
        };
        let v4 = (0..4096).map(|number| {
            entry(Ipv4Addr::LOCALHOST.into(), Ipv4Addr::from_bits(0xcb00_7100 + number).into())
        });
        let v6 = (0..4096).map(|number| {
            let remote = Ipv6Addr::from_bits(0x2001_0db8 << 96 | number);
            entry(Ipv6Addr::LOCALHOST.into(), remote.into())
        });
        let all: HashSet<u32> = v4.chain(v6).map(|entry| peer(&entry)).collect();
        assert_eq!(all.len(), 8192);
        assert!(all.iter().all(|peer| peer >> PEER_BITS == 0), "there is room for the bits below");
    }
}
