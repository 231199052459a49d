//! What the daemon carried and refused of a tunnel's packets. It stands in the maps of the other tiers too, so that it
//! outlives the daemon; no program writes there for such a tunnel, and so nothing is lost to a race.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use ipip_common::abi::{Reason, TierTraffic};

/// A tunnel's counters.
#[derive(Debug, Default)]
pub(super) struct Counters {
    sent_packets: AtomicU64,
    sent_bytes: AtomicU64,
    received_packets: AtomicU64,
    received_bytes: AtomicU64,
    refused: [AtomicU64; Reason::ALL.len()],
    is_fresh: AtomicBool,
}

impl Counters {
    pub(super) fn sent(&self, bytes: u32) {
        self.sent_packets.fetch_add(1, Relaxed);
        self.sent_bytes.fetch_add(u64::from(bytes), Relaxed);
        self.is_fresh.store(true, Relaxed);
    }

    pub(super) fn received(&self, bytes: u32) {
        self.received_packets.fetch_add(1, Relaxed);
        self.received_bytes.fetch_add(u64::from(bytes), Relaxed);
        self.is_fresh.store(true, Relaxed);
    }

    pub(super) fn refuse(&self, reason: Reason) {
        if let Some(count) = self.refused.get(reason as usize) {
            count.fetch_add(1, Relaxed);
        }
        self.is_fresh.store(true, Relaxed);
    }

    /// What has come since the last time; `None` where nothing has.
    pub(super) fn take(&self) -> Option<(TierTraffic, Vec<(Reason, u64)>)> {
        if !self.is_fresh.swap(false, Relaxed) {
            return None;
        }
        let traffic = TierTraffic {
            sent_packets: self.sent_packets.swap(0, Relaxed),
            sent_bytes: self.sent_bytes.swap(0, Relaxed),
            received_packets: self.received_packets.swap(0, Relaxed),
            received_bytes: self.received_bytes.swap(0, Relaxed),
        };
        let refused = Reason::ALL.into_iter().zip(&self.refused);
        let refused = refused.map(|(reason, count)| (reason, count.swap(0, Relaxed)));
        Some((traffic, refused.filter(|(_, count)| *count > 0).collect()))
    }
}
