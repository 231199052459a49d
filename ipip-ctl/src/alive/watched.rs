//! What the engine says of a tunnel.

use std::sync::Arc;

use ipip_common::abi::TunnelConfig;

use super::flag::Rule;
use crate::ipsec::Carrier;
use crate::tun::Tun;
use crate::tunnel::{Keepalive, KeepaliveMode};

/// What the engine says of a tunnel.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// Its interface.
    pub tun: Arc<Tun>,
    /// How often the far end is asked.
    pub keepalive: Keepalive,
    /// How it is asked.
    pub mode: KeepaliveMode,
    /// Its entry; `None` while there is no way to the remote.
    pub entry: Option<TunnelConfig>,
    /// What sends its packets where IPsec protects them.
    pub protected: Option<Arc<Carrier>>,
    /// What keeps it from running, whatever the far end does; empty where nothing does.
    pub obstacle: String,
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        let key = |it: &Self| (it.keepalive, it.mode, it.entry);
        let carrier = |it: &Self| it.protected.as_ref().map(Arc::as_ptr);
        Arc::ptr_eq(&self.tun, &other.tun)
            && carrier(self) == carrier(other)
            && key(self) == key(other)
            && self.obstacle == other.obstacle
            && self.name == other.name
    }
}

impl Watched {
    /// What answers and silence mean.
    pub(super) fn rule(&self) -> Rule {
        let needs_proof = self.mode == KeepaliveMode::Auto;
        match self.keepalive {
            Keepalive::Every { retries, answers, .. } => Rule { retries, answers, needs_proof },
            Keepalive::Off => Rule { retries: u32::MAX, answers: 1, needs_proof },
        }
    }
}
