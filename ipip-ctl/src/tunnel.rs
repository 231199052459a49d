//! The validated tunnel: every property has a value and keeps the rules that need no kernel to check.
//!
//! [`Tunnel::try_from`] is the only way from what was written to what the daemon works with, and
//! [`Tunnel::to_spec`] the way back. Whatever cannot be carried is refused here.

mod ends;
mod ipsec;
mod keepalive;
mod kind;
mod mtu;
mod prefixes;
mod value;

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

pub use self::keepalive::{Keepalive, KeepaliveMode};
pub use self::kind::Kind;
pub use self::mtu::Mtu;
pub use self::value::{
    DSCP_RANGE, DontFragment, Dscp, Ecn, EncapsulationLimit, FlowLabel, Spread, TTL_RANGE, Ttl,
};
use crate::failure::{Failure, FailureKind};
use crate::spec::{List, TunnelSpec, Word};

/// The longest name of an interface: the kernel's IFNAMSIZ without the closing zero.
pub const NAME_MAX: usize = 15;
/// The longest comment, in characters.
pub const COMMENT_MAX: usize = 255;
/// Bytes of an outer IPv4 header.
const OVERHEAD_IPV4: u16 = 20;
/// Bytes of an outer IPv6 header.
const OVERHEAD_IPV6: u16 = 40;
/// Bytes of the header that holds the encapsulation limit.
const OVERHEAD_LIMIT: u16 = 8;

/// A tunnel that may be set up as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own")]
pub struct Tunnel {
    /// The interface's name.
    pub name: String,
    /// What is carried, and over what.
    pub kind: Kind,
    /// The outer source; `None` is chosen by the route to the remote.
    pub local: Option<IpAddr>,
    /// The outer destination, of the same family.
    pub remote: IpAddr,
    /// The largest inner packet.
    pub mtu: Mtu,
    /// The TTL or hop limit of the outer header.
    pub ttl: Ttl,
    /// The DSCP of the outer header.
    pub dscp: Dscp,
    /// Whether the outer DSCP is copied inside at the exit.
    pub decap_dscp: bool,
    /// What becomes of congestion marks at the entry.
    pub ecn: Ecn,
    /// The flow label of the outer header; over IPv4 there is none.
    pub flow_label: FlowLabel,
    /// The encapsulation limit that is sent; over IPv4 there is none.
    pub encapsulation_limit: EncapsulationLimit,
    /// The Don't Fragment bit of the outer header.
    pub dont_fragment: DontFragment,
    /// Prefixes of the inner addresses at the far end, none of them twice; empty is everything.
    pub allowed_inner: Vec<IpNet>,
    /// Whether the MSS of TCP connections is lowered to what fits.
    pub clamp_tcp_mss: bool,
    /// How often the far end is asked whether it is there.
    pub keepalive: Keepalive,
    /// How it is asked.
    pub keepalive_mode: KeepaliveMode,
    /// Whether forwarded packets may bypass the host's stack.
    pub allow_fast_path: bool,
    /// Whether all CPUs share the decapsulation of one receive queue.
    pub spread: Spread,
    /// The file with the secret of IPsec; `None` is no IPsec.
    pub ipsec_secret_file: Option<PathBuf>,
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
        let kind = Kind::read(spec.kind, remote).map_err(wrong("kind"))?;
        let flow_label = only_ipv6("flow-label", spec.flow_label, remote)?.unwrap_or(FlowLabel::No);
        let encapsulation_limit =
            only_ipv6("encapsulation-limit", spec.encapsulation_limit, remote)?.unwrap_or_default();
        if let Some(text) = &spec.comment {
            comment(text).map_err(wrong("comment"))?;
        }
        let ipsec_secret_file =
            ipsec::secret_file(spec.ipsec_secret_file, kind).map_err(wrong("ipsec-secret-file"))?;
        let overhead = overhead(remote, encapsulation_limit);
        let dont_fragment =
            spec.dont_fragment.map_or(Ok(DontFragment::default_of(kind)), DontFragment::try_from);
        Ok(Self {
            name: name(spec.name).map_err(wrong("name"))?,
            kind,
            local,
            remote,
            mtu: Mtu::read(spec.mtu, kind, overhead).map_err(wrong("mtu"))?,
            ttl: value(spec.ttl).map_err(wrong("ttl"))?,
            dscp: value(spec.dscp).map_err(wrong("dscp"))?,
            decap_dscp: yes_no("decap-dscp", spec.decap_dscp, false)?,
            ecn: value(spec.ecn).map_err(wrong("ecn"))?,
            flow_label,
            encapsulation_limit,
            dont_fragment: dont_fragment.map_err(wrong("dont-fragment"))?,
            allowed_inner: prefixes::read(spec.allowed_inner, kind).map_err(wrong("allowed-inner"))?,
            clamp_tcp_mss: yes_no("clamp-tcp-mss", spec.clamp_tcp_mss, true)?,
            keepalive: value(spec.keepalive).map_err(wrong("keepalive"))?,
            keepalive_mode: KeepaliveMode::read(spec.keepalive_mode, kind)
                .map_err(wrong("keepalive-mode"))?,
            allow_fast_path: ipsec::fast_path(spec.allow_fast_path, ipsec_secret_file.is_some())?,
            ipsec_secret_file,
            spread: value(spec.spread).map_err(wrong("spread"))?,
            disabled: yes_no("disabled", spec.disabled, false)?,
            comment: spec.comment.filter(|text| !text.is_empty()),
        })
    }

    /// Bytes that the outer header takes.
    #[must_use]
    pub const fn overhead(&self) -> u16 {
        overhead(self.remote, self.encapsulation_limit)
    }

    /// Whether IPsec protects it.
    #[must_use]
    pub const fn has_ipsec(&self) -> bool {
        self.ipsec_secret_file.is_some()
    }

    /// The local address as it is written: 0.0.0.0 or :: is chosen by the route.
    #[must_use]
    pub fn written_local(&self) -> IpAddr {
        self.local.unwrap_or(ends::unspecified(self.remote.is_ipv4()))
    }

    /// Writes the tunnel out again, every property that it has with its value.
    #[must_use]
    pub fn to_spec(&self) -> TunnelSpec {
        let over_ipv6 = |word: Word| self.remote.is_ipv6().then_some(word);
        TunnelSpec {
            name: Some(self.name.clone()),
            kind: Some(self.kind.into()),
            local_address: Some(self.written_local().to_string()),
            remote_address: Some(self.remote.to_string()),
            mtu: Some(self.mtu.into()),
            ttl: Some(self.ttl.into()),
            dscp: Some(self.dscp.into()),
            decap_dscp: Some(Word::Truth(self.decap_dscp)),
            ecn: Some(self.ecn.into()),
            flow_label: over_ipv6(self.flow_label.into()),
            encapsulation_limit: over_ipv6(self.encapsulation_limit.into()),
            dont_fragment: Some(self.dont_fragment.into()),
            allowed_inner: Some(List(self.allowed_inner.iter().map(IpNet::to_string).collect())),
            clamp_tcp_mss: Some(Word::Truth(self.clamp_tcp_mss)),
            allow_fast_path: Some(Word::Truth(self.allow_fast_path)),
            spread: Some(self.spread.into()),
            ipsec_secret_file: self.ipsec_secret_file.as_ref().map(|path| path.display().to_string()),
            disabled: Some(Word::Truth(self.disabled)),
            keepalive: Some(self.keepalive.into()),
            keepalive_mode: Some(self.keepalive_mode.into()),
            comment: self.comment.clone(),
        }
    }

    /// Writes the tunnel out again, without what its properties are by themselves.
    #[must_use]
    pub fn to_short_spec(&self) -> TunnelSpec {
        let mut spec = self.to_spec();
        for property in TunnelSpec::PROPERTIES {
            // The default of one property may hang on another, so that each is tried.
            let shorter = spec.without(property).ok();
            if let Some(shorter) = shorter
                && Self::try_from(shorter.clone()).is_ok_and(|tunnel| tunnel == *self)
            {
                spec = shorter;
            }
        }
        spec
    }
}

const fn overhead(remote: IpAddr, limit: EncapsulationLimit) -> u16 {
    match (remote, limit) {
        (IpAddr::V4(_), _) => OVERHEAD_IPV4,
        (IpAddr::V6(_), EncapsulationLimit::None) => OVERHEAD_IPV6,
        (IpAddr::V6(_), EncapsulationLimit::Limit(_)) => OVERHEAD_IPV6 + OVERHEAD_LIMIT,
    }
}

/// A property of the outer IPv6 header: its value or default, and `None` over IPv4.
fn only_ipv6<T: TryFrom<Word, Error = Failure> + Default>(
    property: &'static str,
    word: Option<Word>,
    remote: IpAddr,
) -> Result<Option<T>, Wrong> {
    if remote.is_ipv6() {
        return value(word).map(Some).map_err(wrong(property));
    }
    let Some(word) = word else { return Ok(None) };
    let failure = usage(format!("{property} `{word}`: an outer IPv4 header has none"));
    Err(wrong(property)(failure.with_hint("leave it out, or give IPv6 addresses")))
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
    } else if name.contains([',', '=']) {
        "`,` stands between the names of tunnels, and `=` between a property and its value"
    } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
        "a number is a place in the list of tunnels, not a name"
    } else {
        return Ok(name);
    };
    Err(usage(format!("name `{name}`: {why}")).with_hint("choose another name, as ipip1"))
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
pub(crate) mod tests;
