//! One event: what happened, to which tunnel or port, and why.

use std::fmt::{self, Display};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::change::PropertyChange;

/// What happened. Its name in `kebab-case` is the member `kind` of the JSON (docs/api.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A daemon has set up, or taken over, what the configuration says.
    Started {
        /// The daemon's version.
        version: String,
    },
    /// The programs of an earlier daemon were replaced by this one's, under traffic.
    ProgramsReplaced {
        /// On how many interfaces.
        interfaces: usize,
    },
    /// A configuration file is in force that was read again, or applied.
    Reloaded,
    /// The configuration file was to be read again, and all stays as it was.
    ReloadFailed {
        /// Why.
        reason: String,
    },
    /// There is a new tunnel.
    Added {
        /// Its name.
        tunnel: String,
    },
    /// A tunnel has other properties.
    Changed {
        /// Its name.
        tunnel: String,
        /// What differs.
        properties: Vec<PropertyChange>,
    },
    /// A tunnel is gone.
    Removed {
        /// Its name.
        tunnel: String,
    },
    /// A tunnel's interface, which was gone, is there again.
    Restored {
        /// Its name.
        tunnel: String,
    },
    /// A tunnel was switched on.
    Enabled {
        /// Its name.
        tunnel: String,
    },
    /// A tunnel was switched off.
    Disabled {
        /// Its name.
        tunnel: String,
    },
    /// A tunnel carries traffic now.
    Running {
        /// Its name.
        tunnel: String,
    },
    /// A tunnel that is switched on carries nothing now, or carries nothing for another reason than before.
    Invalid {
        /// Its name.
        tunnel: String,
        /// Why.
        reason: String,
    },
    /// The daemon has attached to an interface.
    PortCame {
        /// The interface's name.
        port: String,
        /// The tiers that work on it: xdp, tc.
        tiers: Vec<String>,
        /// Why one is missing; empty while none is.
        reason: String,
    },
    /// Other tiers work on an interface than before, or one is missing for another reason.
    PortChanged {
        /// The interface's name.
        port: String,
        /// The tiers that work on it: xdp, tc.
        tiers: Vec<String>,
        /// Why one is missing; empty while none is.
        reason: String,
    },
    /// An interface is gone, or the daemon has let go of it.
    PortWent {
        /// The interface's name.
        port: String,
    },
}

/// An event with its place in the order of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its number: 1 for a daemon's first, and one more for each.
    pub sequence: u64,
    /// When it was told, to the millisecond.
    pub time: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The tunnel of this name.
    Tunnel(&'a str),
    /// The interface of this name, that the daemon is attached to.
    Port(&'a str),
    /// The daemon, and all that it does.
    Daemon,
}

impl Event {
    /// The name of its kind, as in JSON.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::ProgramsReplaced { .. } => "programs-replaced",
            Self::Reloaded => "reloaded",
            Self::ReloadFailed { .. } => "reload-failed",
            Self::Added { .. } => "added",
            Self::Changed { .. } => "changed",
            Self::Removed { .. } => "removed",
            Self::Restored { .. } => "restored",
            Self::Enabled { .. } => "enabled",
            Self::Disabled { .. } => "disabled",
            Self::Running { .. } => "running",
            Self::Invalid { .. } => "invalid",
            Self::PortCame { .. } => "port-came",
            Self::PortChanged { .. } => "port-changed",
            Self::PortWent { .. } => "port-went",
        }
    }

    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Self::Added { tunnel }
            | Self::Changed { tunnel, .. }
            | Self::Removed { tunnel }
            | Self::Restored { tunnel }
            | Self::Enabled { tunnel }
            | Self::Disabled { tunnel }
            | Self::Running { tunnel }
            | Self::Invalid { tunnel, .. } => Subject::Tunnel(tunnel),
            Self::PortCame { port, .. } | Self::PortChanged { port, .. } | Self::PortWent { port } => {
                Subject::Port(port)
            }
            Self::Started { .. }
            | Self::ProgramsReplaced { .. }
            | Self::Reloaded
            | Self::ReloadFailed { .. } => Subject::Daemon,
        }
    }

    /// The tunnel that it is about, if it is about one.
    #[must_use]
    pub fn tunnel(&self) -> Option<&str> {
        if let Subject::Tunnel(name) = self.subject() { Some(name) } else { None }
    }

    /// The port that it is about, if it is about one.
    #[must_use]
    pub fn port(&self) -> Option<&str> {
        if let Subject::Port(name) = self.subject() { Some(name) } else { None }
    }

    /// Whether something is not as it should be.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        matches!(self, Self::Invalid { .. } | Self::ReloadFailed { .. })
    }

    /// What there is to say beside kind and name: the reason, or what differs. Empty where that is nothing.
    #[must_use]
    pub fn details(&self) -> String {
        match self {
            Self::Started { version } => format!("version {version}"),
            Self::ProgramsReplaced { interfaces: 1 } => "on 1 interface".to_owned(),
            Self::ProgramsReplaced { interfaces } => format!("on {interfaces} interfaces"),
            Self::ReloadFailed { reason } | Self::Invalid { reason, .. } => reason.clone(),
            Self::Changed { properties, .. } => {
                let all: Vec<String> = properties.iter().map(ToString::to_string).collect();
                all.join(", ")
            }
            Self::PortCame { tiers, reason, .. } | Self::PortChanged { tiers, reason, .. } => {
                let tiers = if tiers.is_empty() { "no tier".to_owned() } else { tiers.join(", ") };
                if reason.is_empty() { tiers } else { format!("{tiers} ({reason})") }
            }
            Self::Reloaded
            | Self::Added { .. }
            | Self::Removed { .. }
            | Self::Restored { .. }
            | Self::Enabled { .. }
            | Self::Disabled { .. }
            | Self::Running { .. }
            | Self::PortWent { .. } => String::new(),
        }
    }
}

/// As the log has it.
impl Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject() {
            Subject::Tunnel(name) => write!(f, "tunnel {name}: ")?,
            Subject::Port(name) => write!(f, "port {name}: ")?,
            Subject::Daemon => {}
        }
        f.write_str(self.kind())?;
        let details = self.details();
        if details.is_empty() { Ok(()) } else { write!(f, ": {details}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_number_time_kind_and_what_it_is_about() {
        let event = Event::Invalid { tunnel: "ipip1".into(), reason: "no route to 10.0.0.2".into() };
        let told = Told { sequence: 7, time: Timestamp::from_millisecond(1_764_000_000_123).unwrap(), event };
        let text = serde_json::to_string(&told).unwrap();
        assert_eq!(
            text,
            r#"{"sequence":7,"time":"2025-11-24T16:00:00.123Z","kind":"invalid","tunnel":"ipip1","reason":"no route to 10.0.0.2"}"#
        );
        assert_eq!(serde_json::from_str::<Told>(&text).unwrap(), told);
    }

    #[test]
    fn kinds_have_the_names_of_the_json() {
        let (tunnel, port, reason) = (|| "t".to_owned(), || "eth0".to_owned(), || "r".to_owned());
        for event in [
            Event::Started { version: "1".into() },
            Event::ProgramsReplaced { interfaces: 2 },
            Event::Reloaded,
            Event::ReloadFailed { reason: reason() },
            Event::Added { tunnel: tunnel() },
            Event::Changed { tunnel: tunnel(), properties: Vec::new() },
            Event::Removed { tunnel: tunnel() },
            Event::Restored { tunnel: tunnel() },
            Event::Enabled { tunnel: tunnel() },
            Event::Disabled { tunnel: tunnel() },
            Event::Running { tunnel: tunnel() },
            Event::Invalid { tunnel: tunnel(), reason: reason() },
            Event::PortCame { port: port(), tiers: Vec::new(), reason: reason() },
            Event::PortChanged { port: port(), tiers: vec!["tc".into()], reason: String::new() },
            Event::PortWent { port: port() },
        ] {
            let json = serde_json::to_value(&event).unwrap();
            assert_eq!(json["kind"], event.kind());
            assert_eq!(json["tunnel"].as_str(), event.tunnel());
            assert_eq!(json["port"].as_str(), event.port());
        }
    }

    #[test]
    fn the_log_says_what_happened_to_whom_and_why() {
        let changed =
            PropertyChange { property: "mtu".into(), from: Some("auto".into()), to: Some("1400".into()) };
        for (event, line) in [
            (Event::Running { tunnel: "a".into() }, "tunnel a: running"),
            (Event::Invalid { tunnel: "a".into(), reason: "no way".into() }, "tunnel a: invalid: no way"),
            (
                Event::Changed { tunnel: "a".into(), properties: vec![changed] },
                "tunnel a: changed: mtu auto -> 1400",
            ),
            (
                Event::PortCame {
                    port: "eth0".into(),
                    tiers: vec!["tc".into()],
                    reason: "XDP is occupied".into(),
                },
                "port eth0: port-came: tc (XDP is occupied)",
            ),
            (Event::Reloaded, "reloaded"),
        ] {
            assert_eq!(event.to_string(), line);
        }
    }
}
