//! The policy of a socket: everything is protected by ESP in transport mode, with the keys of one tunnel. Pure.
//!
//! A socket with such a policy is closed by itself: without keys nothing leaves, and what came in the clear is dropped.

use std::net::IpAddr;

use ipip_common::abi::{Ends, Family};

/// `struct xfrm_userpolicy_info` (`linux/xfrm.h`) with the one `struct xfrm_user_tmpl` behind it.
pub(super) const POLICY: usize = INFO + 64;
pub(super) const INFO: usize = 168;

/// `IPPROTO_ESP`.
const ESP: u8 = 50;

/// `XFRM_POLICY_BLOCK`.
const BLOCK: u8 = 1;

/// Which packets of the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Direction {
    /// Those that it receives (`XFRM_POLICY_IN`).
    In = 0,
    /// Those that it sends (`XFRM_POLICY_OUT`).
    Out = 1,
}

/// The policy as `setsockopt` takes it.
pub(super) fn policy(direction: Direction, family: Family, request_id: u32) -> [u8; POLICY] {
    let mut bytes = [0; POLICY];
    let mut put = |at: usize, value: &[u8]| {
        if let Some(place) = bytes.get_mut(at..at + value.len()) {
            place.copy_from_slice(value);
        }
    };
    let family = u16::from(family as u8).to_ne_bytes();
    // The selector: all packets of the socket, which is bound and connected.
    put(40, &family);
    // No lifetime ends it: bytes and packets, soft and hard.
    put(56, &[0xff; 32]);
    put(160, &[direction as u8]);
    // The template: any ESP key of this number, for the addresses of the packet itself.
    put(INFO + 20, &[ESP]);
    put(INFO + 24, &family);
    put(INFO + 44, &request_id.to_ne_bytes());
    // Transport mode and "required" are zeros. Which algorithms: whatever IKE has agreed on.
    put(INFO + 52, &[0xff; 12]);
    bytes
}

/// An ICMP message that is not to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocked {
    /// ICMP, of either version.
    pub(super) protocol: u8,
    /// Its type.
    pub(super) kind: u16,
    /// Its code.
    pub(super) code: u16,
}

/// The policy that blocks such messages from one end to the other, ahead of any other.
pub(super) fn blocking(ends: &Ends, blocked: Blocked) -> [u8; INFO] {
    let mut bytes = [0; INFO];
    let mut put = |at: usize, value: &[u8]| {
        if let Some(place) = bytes.get_mut(at..at + value.len()) {
            place.copy_from_slice(value);
        }
    };
    for (at, length_at, end) in [(0, 42, ends.remote()), (16, 43, ends.local())] {
        match end {
            IpAddr::V4(end) => {
                put(at, &end.octets());
                put(length_at, &[32]);
            }
            IpAddr::V6(end) => {
                put(at, &end.octets());
                put(length_at, &[128]);
            }
        }
    }
    // Type and code stand where other protocols have their ports.
    put(32, &blocked.code.to_be_bytes());
    put(34, &[0xff; 2]);
    put(36, &blocked.kind.to_be_bytes());
    put(38, &[0xff; 2]);
    put(40, &u16::from(ends.family() as u8).to_ne_bytes());
    put(44, &[blocked.protocol]);
    put(56, &[0xff; 32]);
    put(160, &[Direction::Out as u8, BLOCK]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    /// Field by field, by hand from `linux/xfrm.h`, on a machine with the low byte first.
    #[test]
    #[cfg(target_endian = "little")]
    fn a_policy_is_what_the_kernels_header_says() {
        let zeros = |count: usize| "00".repeat(count);
        let hex = [
            zeros(32),                           // selector: addresses
            zeros(8),                            // ports and their masks
            "0a00 00 00 00 000000".into(),       // family, prefixes, protocol, padding
            zeros(8),                            // interface, user
            "ff".repeat(32),                     // limits of bytes and packets
            zeros(32),                           // limits of time
            zeros(32),                           // what was used
            zeros(8),                            // priority, index
            "01 00 00 00 00000000".into(),       // out, allow, flags, share, padding
            zeros(16),                           // template: destination
            "00000000 32 000000".into(),         // SPI, ESP, padding
            "0a00 0000".into(),                  // family, padding
            zeros(16),                           // source
            "07005049 00 00 00 00".into(),       // request, transport, share, required, padding
            "ffffffff ffffffff ffffffff".into(), // algorithms
        ];
        assert_eq!(
            policy(Direction::Out, Family::V6, super::super::request_id(7)).to_vec(),
            bytes(&hex.concat())
        );
        let inward = policy(Direction::In, Family::V4, 1);
        assert_eq!((inward[40], inward[160], inward[INFO + 24]), (2, 0, 2));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_blocked_message_is_selected_by_type_and_code() {
        let zeros = |count: usize| "00".repeat(count);
        let hex = [
            "cb007102".into(), // to 203.0.113.2
            zeros(12),
            "c6336401".into(), // from 198.51.100.1
            zeros(12),
            "0003 ffff 0003 ffff".into(),  // code and type 3, all their bits
            "0200 20 20 01 000000".into(), // IPv4, whole addresses, ICMP, padding
            zeros(8),                      // interface, user
            "ff".repeat(32),               // limits of bytes and packets
            zeros(32 + 32 + 8),            // limits of time, what was used, priority, index
            "01 01 00 00 00000000".into(), // out, block, flags, share, padding
        ];
        let ends =
            Ends::V4 { local: "198.51.100.1".parse().unwrap(), remote: "203.0.113.2".parse().unwrap() };
        let blocked = Blocked { protocol: 1, kind: 3, code: 3 };
        assert_eq!(blocking(&ends, blocked).to_vec(), bytes(&hex.concat()));
    }
}
