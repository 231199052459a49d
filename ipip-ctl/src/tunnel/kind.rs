//! What a tunnel carries, and over what: one word for the pair, as Linux and RouterOS have it.

use std::net::IpAddr;

use ipip_common::abi::{Carried, Family};
use serde::{Deserialize, Serialize};

use super::usage;
use crate::failure::Failure;
use crate::spec::Word;

/// The kind of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Word", try_from = "Word")]
pub enum Kind {
    /// IPv4 in IPv4 (RFC 2003).
    Ipip,
    /// IPv6 in IPv4 (RFC 4213).
    SixInFour,
    /// IPv4 in IPv6 (RFC 2473).
    FourInSix,
    /// IPv6 in IPv6 (RFC 2473).
    SixInSix,
    /// IPv4 and IPv6 in IPv6 (RFC 2473).
    Ipipv6,
    /// MPLS in IPv4 or IPv6 (RFC 4023).
    Mpls,
    /// IPv4, IPv6 and MPLS in IPv4 or IPv6.
    Any,
}

/// Other systems' words: iproute2's modes and modules, RouterOS' menus.
const ALIASES: [(&str, Kind); 6] = [
    ("sit", Kind::SixInFour),
    ("6to4", Kind::SixInFour),
    ("ipip6", Kind::FourInSix),
    ("ip6ip6", Kind::SixInSix),
    ("ip6tnl", Kind::Ipipv6),
    ("mplsip", Kind::Mpls),
];

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::Ipip, Self::SixInFour, Self::FourInSix, Self::SixInSix, Self::Ipipv6, Self::Mpls, Self::Any];

    /// Its name, as it is stored and printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipip => "ipip",
            Self::SixInFour => "6in4",
            Self::FourInSix => "4in6",
            Self::SixInSix => "6in6",
            Self::Ipipv6 => "ipipv6",
            Self::Mpls => "mpls",
            Self::Any => "any",
        }
    }

    /// Whether tunnels of this kind carry such packets.
    #[must_use]
    pub const fn carries(self, inner: Carried) -> bool {
        match inner {
            Carried::Ipv4 => matches!(self, Self::Ipip | Self::FourInSix | Self::Ipipv6 | Self::Any),
            Carried::Ipv6 => matches!(self, Self::SixInFour | Self::SixInSix | Self::Ipipv6 | Self::Any),
            Carried::Mpls => matches!(self, Self::Mpls | Self::Any),
        }
    }

    /// The family of addresses that it needs; `None` where either will do.
    #[must_use]
    pub const fn family(self) -> Option<Family> {
        match self {
            Self::Ipip | Self::SixInFour => Some(Family::V4),
            Self::FourInSix | Self::SixInSix | Self::Ipipv6 => Some(Family::V6),
            Self::Mpls | Self::Any => None,
        }
    }

    /// Reads what was written for a tunnel to `remote`, or takes the kind that such an address suggests.
    pub(super) fn read(word: Option<Word>, remote: IpAddr) -> Result<Self, Failure> {
        let family = if remote.is_ipv4() { Family::V4 } else { Family::V6 };
        let Some(word) = word else {
            return Ok(if remote.is_ipv4() { Self::Ipip } else { Self::Ipipv6 });
        };
        let kind = Self::try_from(word)?;
        match kind.family() {
            Some(needed) if needed != family => {
                let message = format!(
                    "kind {}: needs {} addresses, and {remote} is none",
                    kind.name(),
                    family_name(needed)
                );
                Err(usage(message).with_hint(format!(
                    "kinds for {} are {}",
                    family_name(family),
                    names(family)
                )))
            }
            Some(_) | None => Ok(kind),
        }
    }
}

impl From<Kind> for Word {
    fn from(kind: Kind) -> Self {
        Self::Text(kind.name().into())
    }
}

impl TryFrom<Word> for Kind {
    type Error = Failure;

    fn try_from(word: Word) -> Result<Self, Failure> {
        let text = word.to_string();
        let alias = ALIASES.into_iter().find(|(name, _)| *name == text).map(|(_, kind)| kind);
        Self::ALL.into_iter().find(|kind| kind.name() == text).or(alias).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            usage(format!("kind `{text}`: no kind of tunnel"))
                .with_hint(format!("write one of {}", known.join(", ")))
        })
    }
}

const fn family_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

fn names(family: Family) -> String {
    let fitting = Kind::ALL.into_iter().filter(|kind| kind.family().is_none_or(|needed| needed == family));
    fitting.map(Kind::name).collect::<Vec<_>>().join(", ")
}
