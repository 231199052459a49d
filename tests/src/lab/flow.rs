//! Who talks to whom, and whether the hosts at the tunnel's ends do so themselves or forward for others.

use std::net::Ipv4Addr;

/// Whose packets they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The hosts' at the tunnel's ends: tier 2 carries them.
    Hosts,
    /// Those of machines behind the hosts: tier 1 carries them.
    Forwarded,
}

/// The site in which a flow starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// The client's and host1's.
    One,
    /// The server's and host2's.
    Two,
}

/// One flow of packets with its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) kind: &'static str,
    pub(super) owner: Owner,
    pub(super) from: Site,
    pub(super) target: Ipv4Addr,
}

impl Flow {
    /// What it is and who talks to whom, in columns.
    pub(super) fn label(&self) -> String {
        let (near, far) = match (self.owner, self.from) {
            (Owner::Hosts, Site::One) => ("host1", "host2"),
            (Owner::Hosts, Site::Two) => ("host2", "host1"),
            (Owner::Forwarded, Site::One) => ("client", "server"),
            (Owner::Forwarded, Site::Two) => ("server", "client"),
        };
        format!("{:<4}  {near} -> {far}", self.kind)
    }
}

impl Site {
    /// The place of its direction in a pair: 0 is towards site two.
    pub(super) const fn direction(self) -> usize {
        match self {
            Self::One => 0,
            Self::Two => 1,
        }
    }

    /// The place of the answers' direction.
    pub(super) const fn back(self) -> usize {
        1 - self.direction()
    }
}
