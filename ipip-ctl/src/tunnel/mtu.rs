//! The largest inner packet, and what bounds it.

use std::ops::RangeInclusive;

use ipip_common::abi::Carried;
use serde::{Deserialize, Serialize};

use super::{Kind, usage};
use crate::failure::Failure;
use crate::spec::Word;

/// The least MTU of IPv4 (RFC 791).
const LEAST_IPV4: u16 = 68;
/// The least MTU of IPv6 (RFC 8200 5).
const LEAST_IPV6: u16 = 1280;

/// The largest inner packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Word", try_from = "Word")]
pub enum Mtu {
    /// What the underlay leaves.
    #[default]
    Auto,
    /// As many bytes.
    Fixed(u16),
}

impl Mtu {
    /// What an inner packet may measure behind an outer header of `overhead` bytes: from what each packet must
    /// be able to measure to what an IP packet holds.
    #[must_use]
    pub const fn range(kind: Kind, overhead: u16) -> RangeInclusive<u16> {
        let least = if kind.carries(Carried::Ipv6) { LEAST_IPV6 } else { LEAST_IPV4 };
        least..=u16::MAX.saturating_sub(overhead)
    }

    /// Reads what was written for a tunnel of this kind and overhead.
    pub(super) fn read(word: Option<Word>, kind: Kind, overhead: u16) -> Result<Self, Failure> {
        let Some(word) = word else { return Ok(Self::Auto) };
        let (least, most) = Self::range(kind, overhead).into_inner();
        match Self::try_from(word.clone()) {
            Ok(Self::Auto) => Ok(Self::Auto),
            Ok(Self::Fixed(bytes)) if (least..=most).contains(&bytes) => Ok(Self::Fixed(bytes)),
            Ok(Self::Fixed(_)) | Err(_) => {
                let why = if least == LEAST_IPV6 {
                    "IPv6 needs 1280 (RFC 8200 5)"
                } else {
                    "IPv4 needs 68 (RFC 791)"
                };
                let name = kind.name();
                Err(usage(format!(
                    "mtu `{word}`: neither auto nor {least} to {most} bytes, the range of kind {name}: {why}, and the \
                     outer header takes {overhead} of 65535"
                ))
                .with_hint("auto fits nearly always"))
            }
        }
    }
}

impl From<Mtu> for Word {
    fn from(mtu: Mtu) -> Self {
        match mtu {
            Mtu::Auto => Self::Text("auto".into()),
            Mtu::Fixed(bytes) => Self::Number(bytes.into()),
        }
    }
}

impl TryFrom<Word> for Mtu {
    type Error = Failure;

    fn try_from(word: Word) -> Result<Self, Failure> {
        match &word {
            Word::Text(text) if text == "auto" => Ok(Self::Auto),
            Word::Number(_) | Word::Truth(_) | Word::Text(_) => super::value::ranged(&word, &(1..=u16::MAX))
                .map(Self::Fixed)
                .ok_or_else(|| usage(format!("mtu `{word}`: neither auto nor a number of bytes"))),
        }
    }
}
