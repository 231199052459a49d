//! What became of a frame, on the host or in the kernel, and whether a case expects it.

use ipip_common::abi::{Reason, Tier, TierTraffic};

use crate::bytes::ethernet;
use crate::case::{Case, Direction, Expected, IPV4, mac};

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
        if packet != case.result(tier) {
            return Err(format!("bytes\n     got {packet:02x?}\nexpected {:02x?}", case.result(tier)));
        }
        if case.result_link(tier).is_some_and(|expected| link != expected) {
            return Err(format!("Ethernet header {link:02x?}"));
        }
        let (traffic, reason) = case.counted(tier);
        if (self.traffic, self.refused.as_slice()) != (traffic, reason.as_slice()) {
            return Err(format!("counted {:?} and {:?}", self.traffic, self.refused));
        }
        Ok(())
    }
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

    /// The Ethernet header that a tier leaves: the next hop's, or the old one where nothing is carried. `None`
    /// where the kernel fills it in later.
    fn result_link(&self, tier: Tier) -> Option<Vec<u8>> {
        let hop = match self.direction {
            Direction::Encap => (mac::GATEWAY, mac::WAN),
            Direction::Decap => (mac::CLIENT, mac::LAN),
        };
        match (self.expected(tier), tier) {
            (Expected::Carried(_), Tier::Xdp) => Some(ethernet(hop.0, hop.1, IPV4, &[])),
            (Expected::Carried(_), Tier::Tc | Tier::Daemon) => None,
            (Expected::Foreign | Expected::Pass(_) | Expected::Drop(_), _) => Some(self.input[..14].to_vec()),
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
