//! What replies show: tunnels, the daemon and its ports.

use ipip_common::abi;
use serde::{Deserialize, Serialize};

use crate::alive::Liveness;
use crate::tunnel::{
    DontFragment, Dscp, Ecn, EncapsulationLimit, FlowLabel, KeepaliveMode, Kind, Mtu, Spread, Ttl,
};

/// A tunnel and how it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own")]
pub struct TunnelView {
    /// The interface's name.
    pub name: String,
    /// What is carried, and over what.
    pub kind: Kind,
    /// The outer source; 0.0.0.0 or :: is chosen by the route.
    pub local_address: String,
    /// The outer destination.
    pub remote_address: String,
    /// The largest inner packet as set.
    pub mtu: Mtu,
    /// The largest inner packet in force; nothing while there is no interface.
    pub actual_mtu: Option<u16>,
    /// The TTL or hop limit of the outer header.
    pub ttl: Ttl,
    /// The DSCP of the outer header.
    pub dscp: Dscp,
    /// Whether the outer DSCP is copied inside at the exit.
    pub decap_dscp: bool,
    /// What becomes of congestion marks at the entry.
    pub ecn: Ecn,
    /// The flow label of the outer header; nothing over IPv4.
    pub flow_label: Option<FlowLabel>,
    /// The encapsulation limit that is sent; nothing over IPv4.
    pub encapsulation_limit: Option<EncapsulationLimit>,
    /// The Don't Fragment bit of the outer header.
    pub dont_fragment: DontFragment,
    /// Prefixes of the inner addresses at the far end; empty is everything.
    pub allowed_inner: Vec<String>,
    /// Whether the MSS of TCP connections is lowered.
    pub clamp_tcp_mss: bool,
    /// The interval of the probes, and the counts; "0" is off.
    pub keepalive: String,
    /// How the far end is asked.
    pub keepalive_mode: KeepaliveMode,
    /// Whether forwarded packets may bypass the host's stack.
    pub allow_fast_path: bool,
    /// Whether all CPUs share the decapsulation of one receive queue, as set.
    pub spread: Spread,
    /// Whether they do so now.
    pub spreading: bool,
    /// Whether IPsec protects the tunnel; the secret is shown nowhere.
    #[serde(default)]
    pub ipsec: bool,
    /// Whether the tunnel is switched off.
    pub disabled: bool,
    /// Anything that helps people; may be empty.
    pub comment: String,
    /// How the far end does; nothing while there is no interface.
    pub liveness: Option<Liveness>,
    /// Whether the tunnel carries traffic.
    pub running: bool,
    /// Why it does not; empty while it does.
    pub reason: String,
    /// What it carried, by tier.
    pub traffic: Traffic,
    /// What was refused, by tier and reason.
    pub refused: Vec<Refused>,
}

/// What a tunnel carried, by tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Past the host's stack, at the driver.
    pub xdp: TierTraffic,
    /// Below the host's stack.
    pub tc: TierTraffic,
    /// Through the daemon.
    pub daemon: TierTraffic,
}

/// What one tier carried of a tunnel's packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TierTraffic {
    /// Packets into the tunnel.
    pub sent_packets: u64,
    /// Their bytes, without the outer header.
    pub sent_bytes: u64,
    /// Packets out of the tunnel.
    pub received_packets: u64,
    /// Their bytes, without the outer header.
    pub received_bytes: u64,
}

/// How many packets a tier refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// xdp, tc or daemon.
    pub tier: String,
    /// The reason's name.
    pub reason: String,
    /// What becomes of such a packet.
    pub action: Action,
    /// How many.
    pub packets: u64,
}

/// What becomes of a packet that a tier refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It goes on as it came, to the next tier or to the host's stack.
    Pass,
    /// It ends there.
    Drop,
    /// It is carried all the same; the number is a note.
    Note,
}

impl Action {
    /// Its name, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
            Self::Note => "note",
        }
    }
}

impl From<abi::Action> for Action {
    fn from(action: abi::Action) -> Self {
        match action {
            abi::Action::Pass => Self::Pass,
            abi::Action::Drop => Self::Drop,
            abi::Action::Note => Self::Note,
        }
    }
}

/// How the daemon does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DaemonStatus {
    /// The daemon's version.
    pub version: String,
    /// The number of tunnels.
    pub tunnels: u64,
    /// How many of them run.
    pub running: u64,
    /// How many are switched off.
    pub disabled: u64,
    /// How many do not run though they should.
    pub invalid: u64,
    /// The interfaces that it is attached to.
    pub ports: Vec<PortView>,
    /// How often and how long the programs ran; empty while the kernel does not measure it.
    #[serde(default)]
    pub programs: Vec<ProgramView>,
    /// How full the maps are.
    #[serde(default)]
    pub maps: Vec<MapView>,
    /// Who keeps carrier when the daemon ends: systemd, process, or nobody.
    #[serde(default)]
    pub carrier_kept_by: String,
    /// The daemon's capabilities, as the kernel names them.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Whether files that are not the daemon's are out of its reach: yes, partly, no.
    #[serde(default)]
    pub files_closed: String,
}

/// How often and how long a program ran since this daemon loaded it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProgramView {
    /// The program's name.
    pub name: String,
    /// How often.
    pub run_count: u64,
    /// How long in all, in nanoseconds.
    pub run_time_ns: u64,
}

/// How full a map is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MapView {
    /// The map's name.
    pub name: String,
    /// How many entries it has.
    pub entries: u64,
    /// How many it has room for.
    pub entries_max: u64,
}

/// An interface that the daemon is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortView {
    /// The interface's name.
    pub name: String,
    /// The tiers that work on it: xdp, tc.
    pub tiers: Vec<String>,
    /// Why a tier is missing; empty while none is.
    pub reason: String,
}
