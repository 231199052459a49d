//! What became of a frame, on the host or in the kernel, and whether a case expects it.

use ipip_common::abi::{Reason, Tier, TierTraffic};
use ipip_common::verdict::Way;

use crate::bytes::ethernet;
use crate::case::{Case, Direction, Expected, MPLS, mac};

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// On, to the next tier or the host's stack.
    Passed,
    /// Nowhere.
    Dropped,
    /// Out of the tunnel, or into it.
    Carried,
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where it went.
    pub fate: Fate,
    /// The frame afterwards.
    pub bytes: Vec<u8>,
    /// What the tier's share of the tunnel's traffic grew by.
    pub traffic: TierTraffic,
    /// Refusals and notes that were counted.
    pub refused: Vec<Reason>,
}

impl Outcome {
    /// Compares with what the case expects of a tier.
    ///
    /// # Errors
    /// What is different.
    pub fn check(&self, case: &Case, tier: Tier) -> Result<(), String> {
        let expected = case.fate(tier);
        if self.fate != expected {
            return Err(format!("{:?}, expected {expected:?}; refused {:?}", self.fate, self.refused));
        }
        let (link, packet) = self.bytes.split_at(14);
        let wanted = case.result(tier);
        if packet != wanted && !(case.has_any_label && is_same_but_label(packet, wanted)) {
            return Err(format!("bytes\n     got {packet:02x?}\nexpected {wanted:02x?}"));
        }
        let is_right = match case.result_link(tier) {
            Link::Whole(expected) => link == expected,
            Link::Kind(ethertype) => link[12..] == ethertype.to_be_bytes(),
            Link::Unwritten => true,
        };
        if !is_right {
            return Err(format!("Ethernet header {link:02x?}"));
        }
        let (traffic, reason) = case.counted(tier);
        if (self.traffic, self.refused.as_slice()) != (traffic, reason.as_slice()) {
            return Err(format!("counted {:?} and {:?}", self.traffic, self.refused));
        }
        Ok(())
    }
}

/// What of an Ethernet header is known to be right.
enum Link {
    /// All of it.
    Whole(Vec<u8>),
    /// The EtherType; the kernel fills in the addresses.
    Kind(u16),
    /// Nothing: it is not looked at any more.
    Unwritten,
}

/// Whether two outer IPv6 headers, and all behind them, differ in the flow label alone, and there is one.
fn is_same_but_label(packet: &[u8], wanted: &[u8]) -> bool {
    let label = |bytes: &[u8]| u32::from_be_bytes([0, bytes[1] & 0x0f, bytes[2], bytes[3]]);
    packet.len() == wanted.len()
        && packet[0] == wanted[0]
        && packet[1] & 0xf0 == wanted[1] & 0xf0
        && packet[4..] == wanted[4..]
        && label(packet) != 0
}

impl Case {
    fn fate(&self, tier: Tier) -> Fate {
        match self.expected(tier) {
            Expected::Foreign | Expected::Pass(_) => Fate::Passed,
            Expected::Drop(_) => Fate::Dropped,
            Expected::Carried(_) => Fate::Carried,
        }
    }

    /// The bytes from the network header on that a tier leaves.
    fn result(&self, tier: Tier) -> &[u8] {
        match self.expected(tier) {
            Expected::Foreign | Expected::Pass(_) | Expected::Drop(_) => self.packet(),
            Expected::Carried(bytes) => bytes,
        }
    }

    /// The Ethernet header that a tier leaves.
    fn result_link(&self, tier: Tier) -> Link {
        let is_outwards = (self.direction == Direction::Encap) != self.is_reflected;
        let hop = if is_outwards { (mac::GATEWAY, mac::WAN) } else { (mac::CLIENT, mac::LAN) };
        match self.expected(tier) {
            Expected::Foreign | Expected::Pass(_) | Expected::Drop(_) => {
                Link::Whole(self.input[..14].to_vec())
            }
            Expected::Carried(_) => match self.way(tier) {
                Way::Wire => Link::Whole(ethernet(hop.0, hop.1, self.out_ethertype, &[])),
                Way::Neighbour => Link::Kind(self.out_ethertype),
                // The kernel makes labels visible by their EtherType, and needs it for nothing else.
                Way::Stack if self.out_ethertype == MPLS => Link::Kind(MPLS),
                Way::Stack => Link::Unwritten,
            },
        }
    }

    /// How a carried packet goes on: behind the stack, the kernel finds the neighbour of an IP packet, but not that of a
    /// labelled one.
    pub fn way(&self, tier: Tier) -> Way {
        match (tier, self.direction) {
            (Tier::Xdp, _) => Way::Wire,
            (Tier::Tc | Tier::Daemon, Direction::Encap) if self.ethertype() == MPLS => Way::Wire,
            (Tier::Tc | Tier::Daemon, Direction::Decap) if !self.is_reflected => Way::Stack,
            (Tier::Tc | Tier::Daemon, Direction::Encap | Direction::Decap) => Way::Neighbour,
        }
    }

    /// What a tier counts: traffic and the reason of a refusal.
    fn counted(&self, tier: Tier) -> (TierTraffic, Option<Reason>) {
        let mut traffic = TierTraffic::default();
        match (self.expected(tier), self.direction) {
            (Expected::Foreign, _) => return (traffic, None),
            (Expected::Pass(reason) | Expected::Drop(reason), _) => return (traffic, Some(*reason)),
            (Expected::Carried(_), Direction::Encap) => {
                (traffic.sent_packets, traffic.sent_bytes) = (1, self.inner_len.into());
            }
            (Expected::Carried(_), Direction::Decap) => {
                (traffic.received_packets, traffic.received_bytes) = (1, self.inner_len.into());
            }
        }
        (traffic, self.note)
    }
}
