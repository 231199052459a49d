//! Names that both sides spell: maps and programs (at most 15 characters, the kernel's limit).

/// Map names.
pub mod map {
    /// Array: tunnel ID -> [`crate::abi::TunnelEntry`].
    pub const TUNNELS: &str = "TUNNELS";
    /// Hash: [`crate::abi::PeerKey`] -> tunnel ID (`u32`), one for each protocol that the tunnel carries.
    pub const PEERS: &str = "PEERS";
    /// Hash: interface index (`u32`) -> [`crate::abi::Port`].
    pub const PORTS: &str = "PORTS";
    /// Per-CPU array: tunnel ID -> [`crate::abi::Traffic`].
    pub const TRAFFIC: &str = "TRAFFIC";
    /// Per-CPU array: [`crate::abi::refusal_index`] -> packets (`u64`).
    pub const REFUSALS: &str = "REFUSALS";
    /// Per-CPU array with one element: the next IPv4 identification of this CPU's block (`u32`).
    pub const IDENTS: &str = "IDENTS";
    /// Hash: [`crate::abi::OwnAddress`] -> `u32`: addresses of this host.
    pub const ADDRESSES: &str = "ADDRESSES";
    /// LPM trie: [`crate::abi::AllowedInner`] -> `u32`: prefixes of inner addresses.
    pub const ALLOWED: &str = "ALLOWED";
    /// Hash: label (`u32`) -> [`crate::abi::LabelEntry`].
    pub const LABELS: &str = "LABELS";
    /// All maps that are pinned, and so outlive the daemon.
    pub const PINNED: [&str; 9] =
        [TUNNELS, PEERS, PORTS, TRAFFIC, REFUSALS, IDENTS, ADDRESSES, ALLOWED, LABELS];
}

/// Program names.
pub mod program {
    /// XDP on every port: decapsulates and encapsulates what is forwarded (tier 1).
    pub const XDP_PORT: &str = "xdp_port";
    /// TC ingress of every port: decapsulates (tier 2).
    pub const TC_PORT: &str = "tc_port";
    /// TC egress of a tunnel interface: encapsulates (tier 2).
    pub const TC_TUNNEL: &str = "tc_tunnel";
    /// TC ingress of a tunnel interface: decapsulates what came through it for another tunnel (tier 2).
    pub const TC_NESTED: &str = "tc_nested";
    /// All programs.
    pub const ALL: [&str; 4] = [XDP_PORT, TC_PORT, TC_TUNNEL, TC_NESTED];
}
