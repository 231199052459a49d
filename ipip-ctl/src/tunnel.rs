//! The validated tunnel: every property has a value and keeps the rules that need no kernel to check.
//!
//! [`Tunnel::try_from`] is the only way from what was written to what the daemon works with, and
//! [`Tunnel::to_spec`] the way back. This version carries IPv4 in IPv4; whatever it cannot carry is refused here.

mod ends;
mod value;

use std::net::Ipv4Addr;

pub use self::value::{DSCP_RANGE, DontFragment, Dscp, MTU_RANGE, Mtu};
use crate::failure::{Failure, FailureKind};
use crate::spec::{TunnelSpec, Word};

/// The longest name of an interface: the kernel's IFNAMSIZ without the closing zero.
pub const NAME_MAX: usize = 15;
/// The longest comment, in characters.
pub const COMMENT_MAX: usize = 255;

/// A tunnel that may be set up as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The interface's name.
    pub name: String,
    /// The outer source; `None` is chosen by the route to the remote.
    pub local: Option<Ipv4Addr>,
    /// The outer destination.
    pub remote: Ipv4Addr,
    /// The largest inner packet.
    pub mtu: Mtu,
    /// The DSCP of the outer header.
    pub dscp: Dscp,
    /// The Don't Fragment bit of the outer header.
    pub dont_fragment: DontFragment,
    /// Whether the MSS of TCP connections is lowered to what fits.
    pub clamp_tcp_mss: bool,
    /// Whether forwarded packets may bypass the host's stack.
    pub allow_fast_path: bool,
    /// Whether the tunnel is defined, but carries nothing.
    pub disabled: bool,
    /// Anything that helps people.
    pub comment: Option<String>,
}

/// A refused property, so that the reader of a file can say where it is written.
pub(crate) struct Wrong {
    pub(crate) property: &'static str,
    pub(crate) failure: Failure,
}

impl TryFrom<TunnelSpec> for Tunnel {
    type Error = Failure;

    fn try_from(spec: TunnelSpec) -> Result<Self, Failure> {
        Self::check(spec).map_err(|wrong| wrong.failure)
    }
}

impl Tunnel {
    /// Checks what was written and fills in the defaults.
    pub(crate) fn check(spec: TunnelSpec) -> Result<Self, Wrong> {
        let (local, remote) = ends::check(spec.local_address.as_deref(), spec.remote_address.as_deref())?;
        if let Some(word) = spec.keepalive {
            keepalive(&word).map_err(wrong("keepalive"))?;
        }
        if let Some(text) = &spec.comment {
            comment(text).map_err(wrong("comment"))?;
        }
        Ok(Self {
            name: name(spec.name).map_err(wrong("name"))?,
            local,
            remote,
            mtu: value(spec.mtu).map_err(wrong("mtu"))?,
            dscp: value(spec.dscp).map_err(wrong("dscp"))?,
            dont_fragment: value(spec.dont_fragment).map_err(wrong("dont-fragment"))?,
            clamp_tcp_mss: yes_no("clamp-tcp-mss", spec.clamp_tcp_mss, true)?,
            allow_fast_path: yes_no("allow-fast-path", spec.allow_fast_path, true)?,
            disabled: yes_no("disabled", spec.disabled, false)?,
            comment: spec.comment.filter(|text| !text.is_empty()),
        })
    }

    /// Writes the tunnel out again, every property with its value.
    #[must_use]
    pub fn to_spec(&self) -> TunnelSpec {
        TunnelSpec {
            name: Some(self.name.clone()),
            local_address: Some(self.local.unwrap_or(Ipv4Addr::UNSPECIFIED).to_string()),
            remote_address: Some(self.remote.to_string()),
            mtu: Some(self.mtu.into()),
            dscp: Some(self.dscp.into()),
            dont_fragment: Some(self.dont_fragment.into()),
            clamp_tcp_mss: Some(Word::Truth(self.clamp_tcp_mss)),
            allow_fast_path: Some(Word::Truth(self.allow_fast_path)),
            disabled: Some(Word::Truth(self.disabled)),
            keepalive: None,
            comment: self.comment.clone(),
        }
    }
}

fn value<T: TryFrom<Word, Error = Failure> + Default>(word: Option<Word>) -> Result<T, Failure> {
    word.map_or_else(|| Ok(T::default()), T::try_from)
}

fn yes_no(property: &'static str, word: Option<Word>, default: bool) -> Result<bool, Wrong> {
    let Some(word) = word else { return Ok(default) };
    match word.to_string().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        other => {
            let failure =
                usage(format!("{property} `{other}`: neither yes nor no")).with_hint("write yes or no");
            Err(Wrong { property, failure })
        }
    }
}

fn name(written: Option<String>) -> Result<String, Failure> {
    let name =
        written.ok_or_else(|| usage("name: the tunnel has none").with_hint("give it a name, as ipip1"))?;
    let why = if name.is_empty() {
        "an interface's name is not empty"
    } else if name.len() > NAME_MAX {
        "an interface's name has 15 bytes at most"
    } else if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        "an interface's name has no spaces and nothing but ASCII"
    } else if name.contains(['/', ':', '%']) || name.starts_with('-') {
        "an interface's name has no `/`, `:` or `%`, and no `-` in front"
    } else if matches!(name.as_str(), "." | ".." | "all" | "default") {
        "the kernel keeps this name for itself"
    } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
        "a number is a place in the list of tunnels, not a name"
    } else {
        return Ok(name);
    };
    Err(usage(format!("name `{name}`: {why}")).with_hint("choose another name, as ipip1"))
}

fn keepalive(word: &Word) -> Result<(), Failure> {
    match word.to_string().as_str() {
        "0" | "0s" => Ok(()),
        other => Err(Failure::new(
            FailureKind::Unsupported,
            format!("keepalive `{other}`: probes are not in this version"),
        )
        .with_hint("leave it out, or set 0")),
    }
}

fn comment(text: &str) -> Result<(), Failure> {
    if text.chars().count() > COMMENT_MAX || text.chars().any(char::is_control) {
        return Err(usage(format!("comment: more than one line of {COMMENT_MAX} characters"))
            .with_hint("shorten it to one line"));
    }
    Ok(())
}

fn usage(message: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Usage, message)
}

fn wrong(property: &'static str) -> impl Fn(Failure) -> Wrong {
    move |failure| Wrong { property, failure }
}

#[cfg(test)]
mod tests;
