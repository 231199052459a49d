//! What is said over the socket: docs/api.md tells it to others.
//!
//! A request is `{"protocol":1,"request":...}`, a reply `{"protocol":1,"reply":...}` or
//! `{"protocol":1,"error":...}`. The number goes up when an older reader would misread a newer writer.

use ipip_common::abi;
use serde::{Deserialize, Serialize};

use super::change::Change;
use crate::alive::Liveness;
use crate::events::Told;
use crate::failure::{Failure, FailureKind};
use crate::spec::TunnelSpec;
use crate::tunnel::{
    DontFragment, Dscp, Ecn, EncapsulationLimit, FlowLabel, KeepaliveMode, Kind, Mtu, Spread, Ttl,
};

/// The protocol that this program speaks.
pub const PROTOCOL: u32 = 1;

/// What a client may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Set up a tunnel and write it to the configuration file.
    Add {
        /// The tunnel as written.
        tunnel: TunnelSpec,
    },
    /// Set up tunnels and write them to the configuration file: all of them, or none.
    Import {
        /// The tunnels as written; those that are there already just so are left alone.
        tunnels: Vec<TunnelSpec>,
        /// Only tell what would change.
        dry_run: bool,
    },
    /// Give tunnels other properties, here and in the configuration file: all of them, or none.
    Set {
        /// Names, numbers in the list, or the beginnings of names.
        tunnels: Vec<String>,
        /// The properties to set; one that is empty takes its default again.
        properties: TunnelSpec,
    },
    /// Let tunnels carry traffic, and make their interfaces again where they are gone.
    Enable {
        /// Names, numbers in the list, or the beginnings of names.
        tunnels: Vec<String>,
    },
    /// Keep tunnels defined, but let them carry nothing.
    Disable {
        /// Names, numbers in the list, or the beginnings of names.
        tunnels: Vec<String>,
    },
    /// Take tunnels down and out of the configuration file.
    Remove {
        /// Names, numbers in the list, or the beginnings of names.
        tunnels: Vec<String>,
    },
    /// Put a text in the place of the configuration file, and change what differs: all of it, or nothing.
    Apply {
        /// The text.
        text: String,
        /// Where it is from, for the places of mistakes.
        origin: String,
        /// Only tell what would change.
        dry_run: bool,
    },
    /// Read the configuration file again, and change what differs: all of it, or nothing.
    Reload,
    /// Give the tunnels as they would be written.
    Export,
    /// List the tunnels.
    Print,
    /// Tell how the daemon itself does.
    Status,
    /// Tell what happens from now on: the connection carries events and nothing else until one side closes it.
    Events {
        /// Begin with what is kept of the events after this number; 0 is all of them, and none only what comes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<u64>,
    },
    /// End the daemon.
    Stop {
        /// Take everything out of the kernel first; otherwise tunnels go on without a daemon.
        purge: bool,
    },
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// The tunnel is set up.
    Added {
        /// Its name, also where the daemon chose it.
        name: String,
    },
    /// The tunnels are as they were asked to be.
    Changed {
        /// What that took; nothing where it was so already.
        changes: Vec<Change>,
    },
    /// The tunnels with what differs from the defaults.
    Specs {
        /// One a tunnel, in their order.
        tunnels: Vec<TunnelSpec>,
    },
    /// The tunnels in their order.
    Tunnels {
        /// One view a tunnel.
        tunnels: Vec<TunnelView>,
    },
    /// How the daemon does.
    Status(DaemonStatus),
    /// Events follow, one reply each.
    Events {
        /// How many of them are kept ones, which come first.
        kept: u64,
        /// The number of the last event until now; 0 before the first.
        last: u64,
    },
    /// Something happened.
    Event(Told),
    /// The daemon ends now.
    Stopped,
}

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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    protocol: u32,
    request: Request,
}

#[derive(Serialize, Deserialize)]
struct Answered {
    protocol: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply: Option<Reply>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Version {
    protocol: u32,
}

impl Version {
    fn check(&self, what: &str, hint: &str) -> Result<(), Failure> {
        if self.protocol == PROTOCOL {
            return Ok(());
        }
        let message = format!("{what}: protocol {} where protocol {PROTOCOL} is spoken", self.protocol);
        Err(Failure::new(FailureKind::Unsupported, message).with_hint(hint))
    }
}

/// Writes a request as one line, with its end.
///
/// # Errors
///
/// It cannot be written as JSON.
pub fn write_request(request: &Request) -> Result<String, Failure> {
    to_line(&Asked { protocol: PROTOCOL, request: request.clone() })
}

/// Reads a request from one line.
///
/// # Errors
///
/// It is not a request, or one of another protocol.
pub fn read_request(line: &[u8]) -> Result<Request, Failure> {
    let version: Version = serde_json::from_slice(line).map_err(|error| bad_request(&error))?;
    version.check("request", "use an ipip-ctl of the daemon's version")?;
    let asked: Asked = serde_json::from_slice(line).map_err(|error| bad_request(&error))?;
    Ok(asked.request)
}

/// Writes an answer as one line, with its end.
///
/// # Errors
///
/// It cannot be written as JSON.
pub fn write_reply(answer: Result<Reply, Failure>) -> Result<String, Failure> {
    let (reply, error) = match answer {
        Ok(reply) => (Some(reply), None),
        Err(failure) => (None, Some(failure)),
    };
    to_line(&Answered { protocol: PROTOCOL, reply, error })
}

/// Reads an answer from one line.
///
/// # Errors
///
/// The daemon's own failure; or the line is no answer, or one of another protocol.
pub fn read_reply(line: &[u8]) -> Result<Reply, Failure> {
    let version: Version = serde_json::from_slice(line).map_err(|error| bad_answer(&error))?;
    version.check("answer", "restart the daemon, so that it has the version of ipip-ctl")?;
    let answered: Answered = serde_json::from_slice(line).map_err(|error| bad_answer(&error))?;
    match (answered.reply, answered.error) {
        (_, Some(failure)) => Err(failure),
        (Some(reply), None) => Ok(reply),
        (None, None) => Err(Failure::new(FailureKind::Failed, "answer: neither a reply nor an error")),
    }
}

fn to_line(message: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(message)
        .map(|line| line + "\n")
        .map_err(|error| Failure::new(FailureKind::Failed, format!("writing JSON: {error}")))
}

fn bad_request(error: &serde_json::Error) -> Failure {
    Failure::new(FailureKind::Usage, format!("request: not understood: {error}"))
        .with_hint("write one JSON object a line, as {\"protocol\":1,\"request\":\"print\"}")
}

fn bad_answer(error: &serde_json::Error) -> Failure {
    Failure::new(FailureKind::Failed, format!("answer: not understood: {error}"))
        .with_hint("is this the socket of an ipip daemon?")
}

#[cfg(test)]
mod tests;
