//! The values that a property holds besides yes, no and text, and how each is written.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Kind, usage};
use crate::failure::Failure;
use crate::spec::Word;

/// The values that the six bits of a DSCP hold.
pub const DSCP_RANGE: RangeInclusive<u8> = 0..=63;
/// The values of a TTL that gets anywhere.
pub const TTL_RANGE: RangeInclusive<u8> = 1..=255;

/// The TTL or hop limit of the outer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Word", try_from = "Word")]
pub enum Ttl {
    /// As the inner packet's.
    Inherit,
    /// Always this one.
    Fixed(u8),
}

impl Default for Ttl {
    /// RFC 2003 3.1 and RFC 2473 6.3 leave it to the configuration; 64 is IANA's default TTL.
    fn default() -> Self {
        Self::Fixed(64)
    }
}

/// The DSCP of the outer header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Word", try_from = "Word")]
pub enum Dscp {
    /// As the inner packet's.
    #[default]
    Inherit,
    /// Always this one.
    Fixed(u8),
}

/// What becomes of congestion marks at the entry (RFC 6040 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Word", try_from = "Word")]
pub enum Ecn {
    /// The outer field is the inner packet's.
    #[default]
    Normal,
    /// The outer field is always Not-ECT.
    Compatibility,
}

/// The flow label of the outer IPv6 header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Word", try_from = "Word")]
pub enum FlowLabel {
    /// Made from the inner flow (RFC 6438 3).
    #[default]
    Auto,
    /// Always zero.
    No,
}

/// Whether all CPUs share the decapsulation of what arrives in one receive queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Word", try_from = "Word")]
pub enum Spread {
    /// While one CPU alone is too slow.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// The Tunnel Encapsulation Limit that is sent (RFC 2473 4.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Word", try_from = "Word")]
pub enum EncapsulationLimit {
    /// None, unless the inner packet has one already.
    #[default]
    None,
    /// So many further encapsulations.
    Limit(u8),
}

/// The Don't Fragment bit of the outer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Word", try_from = "Word")]
pub enum DontFragment {
    /// Always clear.
    No,
    /// As the inner packet's.
    Inherit,
}

impl DontFragment {
    /// RouterOS' default; where MPLS is carried RFC 4023 5.1 asks for the bit.
    #[must_use]
    pub const fn default_of(kind: Kind) -> Self {
        if kind.carries(ipip_common::abi::Carried::Mpls) { Self::Inherit } else { Self::No }
    }
}

impl From<Ttl> for Word {
    fn from(ttl: Ttl) -> Self {
        match ttl {
            Ttl::Inherit => Self::Text("inherit".into()),
            Ttl::Fixed(value) => Self::Number(value.into()),
        }
    }
}

impl TryFrom<Word> for Ttl {
    type Error = Failure;

    fn try_from(word: Word) -> Result<Self, Failure> {
        match (word.to_string().as_str(), ranged(&word, &TTL_RANGE)) {
            ("inherit", _) => Ok(Self::Inherit),
            (_, Some(value)) => Ok(Self::Fixed(value)),
            (_, None) => Err(usage(format!("ttl `{word}`: neither inherit nor 1 to 255"))
                .with_hint("64 fits nearly always; inherit lets traceroute see the routers on the way")),
        }
    }
}

impl From<Dscp> for Word {
    fn from(dscp: Dscp) -> Self {
        match dscp {
            Dscp::Inherit => Self::Text("inherit".into()),
            Dscp::Fixed(value) => Self::Number(value.into()),
        }
    }
}

impl TryFrom<Word> for Dscp {
    type Error = Failure;

    fn try_from(word: Word) -> Result<Self, Failure> {
        match (word.to_string().as_str(), ranged(&word, &DSCP_RANGE)) {
            ("inherit", _) => Ok(Self::Inherit),
            (_, Some(value)) => Ok(Self::Fixed(value)),
            (_, None) => Err(usage(format!("dscp `{word}`: neither inherit nor 0 to 63"))
                .with_hint("give the DSCP alone, without the two bits of ECN: 46 is EF")),
        }
    }
}

impl From<Spread> for Word {
    fn from(spread: Spread) -> Self {
        let word = match spread {
            Spread::Auto => "auto",
            Spread::On => "on",
            Spread::Off => "off",
        };
        Self::Text(word.into())
    }
}

impl TryFrom<Word> for Spread {
    type Error = Failure;

    fn try_from(word: Word) -> Result<Self, Failure> {
        match word.to_string().as_str() {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(usage(format!("spread `{word}`: neither auto, on nor off"))
                .with_hint("auto shares the work among the CPUs while one alone is too slow")),
        }
    }
}

impl From<Ecn> for Word {
    fn from(ecn: Ecn) -> Self {
        Self::Text(if ecn == Ecn::Compatibility { "compatibility" } else { "normal" }.into())
    }
}

impl TryFrom<Word> for Ecn {
    type Error = Failure;

    fn try_from(word: Word) -> Result<Self, Failure> {
        match word.to_string().as_str() {
            "normal" => Ok(Self::Normal),
            "compatibility" => Ok(Self::Compatibility),
            other => Err(usage(format!("ecn `{other}`: neither normal nor compatibility"))
                .with_hint("normal is right unless the remote's decapsulator is older than RFC 6040")),
        }
    }
}

impl From<FlowLabel> for Word {
    fn from(label: FlowLabel) -> Self {
        Self::Text(if label == FlowLabel::No { "no" } else { "auto" }.into())
    }
}

impl TryFrom<Word> for FlowLabel {
    type Error = Failure;

    fn try_from(word: Word) -> Result<Self, Failure> {
        match word.to_string().as_str() {
            "auto" => Ok(Self::Auto),
            "no" | "false" => Ok(Self::No),
            other => Err(usage(format!("flow-label `{other}`: neither auto nor no"))
                .with_hint("auto lets routers on the way spread the inner flows, no sends 0")),
        }
    }
}

impl From<EncapsulationLimit> for Word {
    fn from(limit: EncapsulationLimit) -> Self {
        match limit {
            EncapsulationLimit::None => Self::Text("none".into()),
            EncapsulationLimit::Limit(value) => Self::Number(value.into()),
        }
    }
}

impl TryFrom<Word> for EncapsulationLimit {
    type Error = Failure;

    fn try_from(word: Word) -> Result<Self, Failure> {
        match (word.to_string().as_str(), ranged(&word, &(0..=u8::MAX))) {
            ("none", _) => Ok(Self::None),
            (_, Some(value)) => Ok(Self::Limit(value)),
            (_, None) => Err(usage(format!("encapsulation-limit `{word}`: neither none nor 0 to 255"))
                .with_hint("none saves 8 bytes a packet; RFC 2473 6.6 suggests 4")),
        }
    }
}

impl From<DontFragment> for Word {
    fn from(dont_fragment: DontFragment) -> Self {
        Self::Text(if dont_fragment == DontFragment::Inherit { "inherit" } else { "no" }.into())
    }
}

impl TryFrom<Word> for DontFragment {
    type Error = Failure;

    fn try_from(word: Word) -> Result<Self, Failure> {
        match word.to_string().as_str() {
            "no" | "false" => Ok(Self::No),
            "inherit" => Ok(Self::Inherit),
            other => Err(usage(format!("dont-fragment `{other}`: neither no nor inherit"))
                .with_hint("no lets the outer packet be fragmented, inherit copies the inner packet's bit")),
        }
    }
}

pub(super) fn ranged<T: TryFrom<i64> + PartialOrd>(word: &Word, range: &RangeInclusive<T>) -> Option<T> {
    let Word::Number(number) = word else { return None };
    T::try_from(*number).ok().filter(|number| range.contains(number))
}
