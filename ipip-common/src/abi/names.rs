//! Names that both sides spell: maps and programs (at most 15 characters, the kernel's limit).

/// Map names.
pub mod map {
    /// Array: tunnel ID -> [`crate::abi::TunnelEntry`].
    pub const TUNNELS: &str = "TUNNELS";
    /// Hash: [`crate::abi::PeerKey`] -> tunnel ID (`u32`), one for each protocol that the tunnel carries.
    pub const PEERS: &str = "PEERS";
    /// Hash: interface index (`u32`) -> [`crate::abi::Port`].
    pub const PORTS: &str = "PORTS";
    /// Array: interface index -> [`crate::abi::Port`]. What [`PORTS`] says of the indices below
    /// [`crate::abi::LOW_PORTS`], for a lookup that costs next to nothing.
    pub const LOW_PORTS: &str = "LOW_PORTS";
    /// Per-CPU array: tunnel ID -> [`crate::abi::Traffic`].
    pub const TRAFFIC: &str = "TRAFFIC";
    /// Per-CPU hash: [`crate::abi::refusal_key`] -> packets (`u64`); a row comes with the first packet.
    pub const REFUSALS: &str = "REFUSALS";
    /// The programs' own variables, a map with one element: the number (`u32`) that the daemon raises when anything changed
    /// that flows depend on. Not pinned, as little as what the programs remember.
    pub const VARIABLES: &str = ".bss";
    /// Per-CPU array: [`crate::abi::KnownFlow`] by the flow's hash. Not pinned: it fills itself.
    pub const FLOWS: &str = "FLOWS";
    /// Hash: [`crate::abi::OwnAddress`] -> `u32`: addresses of this host.
    pub const ADDRESSES: &str = "ADDRESSES";
    /// LPM trie: [`crate::abi::AllowedInner`] -> `u32`: prefixes of inner addresses.
    pub const ALLOWED: &str = "ALLOWED";
    /// Hash: label (`u32`) -> [`crate::abi::LabelEntry`].
    pub const LABELS: &str = "LABELS";
    /// Array: tunnel ID -> [`crate::abi::Probing`].
    pub const PROBES: &str = "PROBES";
    /// Array: tunnel ID -> [`crate::abi::Answers`].
    pub const ANSWERS: &str = "ANSWERS";
    /// Program array: [`WHOLE`] -> the program [`crate::abi::program::XDP_WHOLE`].
    pub const STAGES: &str = "STAGES";
    /// The same for packets that were handed over to another CPU: [`WHOLE`] ->
    /// [`crate::abi::program::XDP_CPU_WHOLE`]. The kernel lets the two kinds of programs share no array.
    pub const CPU_STAGES: &str = "CPU_STAGES";
    /// CPU map: number of a CPU -> its queue and the program [`crate::abi::program::XDP_CPU`].
    pub const CPUS: &str = "CPUS";
    /// Array: how many CPUs share the packets of a tunnel (`u32`), and behind it their numbers (`u32`).
    pub const SHARING: &str = "SHARING";
    /// Where the program stands that decides about flows that are not known.
    pub const WHOLE: u32 = 0;
    /// All maps that are pinned, and so outlive the daemon.
    pub const PINNED: [&str; 13] = [
        TUNNELS, PEERS, PORTS, LOW_PORTS, TRAFFIC, REFUSALS, ADDRESSES, ALLOWED, LABELS, PROBES, ANSWERS,
        STAGES, CPU_STAGES,
    ];
}

/// Program names.
pub mod program {
    /// XDP on every port: carries packets of flows that have been decided about (tier 1).
    pub const XDP_PORT: &str = "xdp_port";
    /// Behind it: decapsulates and encapsulates all that is forwarded, and decides about flows (tier 1).
    pub const XDP_WHOLE: &str = "xdp_whole";
    /// [`XDP_PORT`] for packets that another CPU handed over (tier 1).
    pub const XDP_CPU: &str = "xdp_cpu";
    /// [`XDP_WHOLE`] behind it.
    pub const XDP_CPU_WHOLE: &str = "xdp_cpu_whole";
    /// TC ingress of every port: decapsulates (tier 2).
    pub const TC_PORT: &str = "tc_port";
    /// TC egress of a tunnel interface: encapsulates (tier 2).
    pub const TC_TUNNEL: &str = "tc_tunnel";
    /// TC ingress of a tunnel interface: decapsulates what came through it for another tunnel (tier 2).
    pub const TC_NESTED: &str = "tc_nested";
    /// All programs.
    pub const ALL: [&str; 7] = [XDP_PORT, XDP_WHOLE, XDP_CPU, XDP_CPU_WHOLE, TC_PORT, TC_TUNNEL, TC_NESTED];
}
