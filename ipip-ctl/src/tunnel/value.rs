//! The values that a property holds besides yes, no and text, and how each is written.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::usage;
use crate::failure::Failure;
use crate::spec::Word;

/// What an inner packet may measure: from IPv4's least MTU (RFC 791) to what fits behind an outer header.
pub const MTU_RANGE: RangeInclusive<u16> = 68..=65515;
/// The values that the six bits of a DSCP hold.
pub const DSCP_RANGE: RangeInclusive<u8> = 0..=63;

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

/// The Don't Fragment bit of the outer header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Word", try_from = "Word")]
pub enum DontFragment {
    /// Always clear.
    #[default]
    No,
    /// As the inner packet's.
    Inherit,
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
            Word::Number(_) | Word::Truth(_) | Word::Text(_) => {
                ranged(&word, &MTU_RANGE).map(Self::Fixed).ok_or_else(|| {
                    let (least, most) = MTU_RANGE.into_inner();
                    usage(format!("mtu `{word}`: neither auto nor {least} to {most} bytes"))
                        .with_hint("auto fits nearly always")
                })
            }
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
        match &word {
            Word::Text(text) if text == "inherit" => Ok(Self::Inherit),
            Word::Number(_) | Word::Truth(_) | Word::Text(_) => {
                ranged(&word, &DSCP_RANGE).map(Self::Fixed).ok_or_else(|| {
                    usage(format!("dscp `{word}`: neither inherit nor 0 to 63"))
                        .with_hint("give the DSCP alone, without the two bits of ECN: 46 is EF")
                })
            }
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

fn ranged<T: TryFrom<i64> + PartialOrd>(word: &Word, range: &RangeInclusive<T>) -> Option<T> {
    let Word::Number(number) = word else { return None };
    T::try_from(*number).ok().filter(|number| range.contains(number))
}
