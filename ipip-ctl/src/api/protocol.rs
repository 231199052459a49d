//! What is said over the socket: docs/api.md tells it to others.
//!
//! A request is `{"protocol":1,"request":...}`, a reply `{"protocol":1,"reply":...}` or
//! `{"protocol":1,"error":...}`. The number goes up when an older reader would misread a newer writer.

mod views;

use serde::{Deserialize, Serialize};

pub use self::views::{
    Action, DaemonStatus, MapView, PortView, ProgramView, Refused, TierTraffic, Traffic, TunnelView,
};
use super::change::{Change, PropertyChange};
use crate::events::Told;
use crate::failure::{Failure, FailureKind};
use crate::ipsec::Secret;
use crate::spec::TunnelSpec;

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
        /// The secret of IPsec, to be stored in a file that only root reads, which `ipsec-secret-file` names then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ipsec_secret: Option<Secret>,
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
        /// The secret of IPsec, as for `add`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ipsec_secret: Option<Secret>,
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
        /// What of the daemon's own settings is another.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        settings: Vec<PropertyChange>,
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
