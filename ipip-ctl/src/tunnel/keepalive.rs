//! How often the far end is asked whether it is there, and how.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::time::Duration;

use ipip_common::abi::Carried;
use serde::{Deserialize, Serialize};

use super::{Kind, usage};
use crate::failure::Failure;
use crate::spec::Word;

/// What an interval may be.
const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_hours(1);
/// How many probes in a row may go unanswered, and how many answers it may take.
const COUNTS: RangeInclusive<u32> = 1..=100;
/// The longest time that a dead far end may go unnoticed.
const LONGEST: Duration = Duration::from_hours(24);

/// How often the far end is asked, and what silence and answers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Word", try_from = "Word")]
pub enum Keepalive {
    /// Never: whether it is there is not known, and the tunnel runs.
    Off,
    /// Again and again.
    Every {
        /// The time from one probe to the next.
        interval: Duration,
        /// So many probes in a row without an answer, and the tunnel does not run.
        retries: u32,
        /// So many answers in a row, and it runs again.
        answers: u32,
    },
}

impl Default for Keepalive {
    /// `RouterOS`' default.
    fn default() -> Self {
        Self::Every { interval: Duration::from_secs(10), retries: 10, answers: 1 }
    }
}

impl Display for Keepalive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("0"),
            Self::Every { interval, retries, answers } => {
                if interval.subsec_millis() == 0 {
                    write!(f, "{}s,{retries}", interval.as_secs())?;
                } else {
                    write!(f, "{}ms,{retries}", interval.as_millis())?;
                }
                if *answers == 1 { Ok(()) } else { write!(f, ",{answers}") }
            }
        }
    }
}

impl From<Keepalive> for Word {
    fn from(keepalive: Keepalive) -> Self {
        Self::from(keepalive.to_string().as_str())
    }
}

impl TryFrom<Word> for Keepalive {
    type Error = Failure;

    fn try_from(word: Word) -> Result<Self, Failure> {
        let written = word.to_string();
        let wrong = |why: &str| {
            usage(format!("keepalive `{written}`: {why}"))
                .with_hint("write interval,retries, as 10s,10 or 500ms,3; 0 is off")
        };
        let mut parts = written.split(',').map(str::trim);
        let interval = parts
            .next()
            .and_then(time)
            .ok_or_else(|| wrong("not a time, with a number of probes behind a comma"))?;
        let counts: Option<Vec<u32>> = parts.map(|part| part.parse().ok()).collect();
        let counts = counts.filter(|counts| counts.len() <= 2).ok_or_else(|| {
            wrong("behind the interval stand the number of probes, and of answers, and no more")
        })?;
        if interval.is_zero() {
            return Ok(Self::Off);
        }
        let (retries, answers) = (counts.first().copied().unwrap_or(10), counts.get(1).copied().unwrap_or(1));
        if !INTERVALS.contains(&interval) || !interval.as_nanos().is_multiple_of(1_000_000) {
            return Err(wrong("the interval is 50 ms to 1 h, in whole milliseconds"));
        }
        if !COUNTS.contains(&retries) || !COUNTS.contains(&answers) {
            return Err(wrong("the number of probes is 1 to 100, and so is that of answers"));
        }
        if interval * retries > LONGEST {
            return Err(wrong("interval times retries is 24 h at most"));
        }
        Ok(Self::Every { interval, retries, answers })
    }
}

/// A time: seconds, or a number with a unit; also as `RouterOS` writes it, `00:00:10`.
fn time(written: &str) -> Option<Duration> {
    if let Ok(seconds) = written.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    if let [hours, minutes, seconds] = written.split(':').collect::<Vec<_>>().as_slice() {
        let number = |part: &str| part.parse::<u16>().ok().map(u64::from);
        let minutes = number(hours)? * 60 + number(minutes)?;
        return Some(Duration::from_secs(minutes * 60 + number(seconds)?));
    }
    humantime::parse_duration(written).ok()
}

/// How the far end is made to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Word", try_from = "Word")]
pub enum KeepaliveMode {
    /// By whichever way it answers; until it has answered once, its silence means nothing.
    #[default]
    Auto,
    /// It forwards packets back that are addressed to this host.
    Reflect,
    /// It answers echo requests.
    Echo,
    /// It is not asked: whatever comes from it shows that it is there.
    Passive,
}

impl KeepaliveMode {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Reflect => "reflect",
            Self::Echo => "echo",
            Self::Passive => "passive",
        }
    }

    /// Reads what was written for a tunnel of this kind.
    pub(super) fn read(word: Option<Word>, kind: Kind) -> Result<Self, Failure> {
        let mode = word.map_or(Ok(Self::Auto), Self::try_from)?;
        let carries_ip = kind.carries(Carried::Ipv4) || kind.carries(Carried::Ipv6);
        if carries_ip || matches!(mode, Self::Auto | Self::Passive) {
            return Ok(mode);
        }
        let (mode, kind) = (mode.name(), kind.name());
        Err(usage(format!("keepalive-mode `{mode}`: probes are IP packets, and kind {kind} carries none"))
            .with_hint("write passive, or choose kind any"))
    }
}

impl From<KeepaliveMode> for Word {
    fn from(mode: KeepaliveMode) -> Self {
        Self::Text(mode.name().into())
    }
}

impl TryFrom<Word> for KeepaliveMode {
    type Error = Failure;

    fn try_from(word: Word) -> Result<Self, Failure> {
        let written = word.to_string();
        [Self::Auto, Self::Reflect, Self::Echo, Self::Passive]
            .into_iter()
            .find(|mode| mode.name() == written)
            .ok_or_else(|| {
                usage(format!("keepalive-mode `{written}`: neither auto, reflect, echo nor passive"))
                    .with_hint("auto fits nearly always")
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Keepalive, Failure> {
        Keepalive::try_from(Word::from(text))
    }

    fn every(millis: u64, retries: u32, answers: u32) -> Keepalive {
        Keepalive::Every { interval: Duration::from_millis(millis), retries, answers }
    }

    #[test]
    fn intervals_and_counts_are_read_as_people_write_them() {
        for (text, keepalive, written) in [
            ("10s,10", every(10_000, 10, 1), "10s,10"),
            ("10", every(10_000, 10, 1), "10s,10"),
            ("500ms,3", every(500, 3, 1), "500ms,3"),
            ("50ms,1,2", every(50, 1, 2), "50ms,1,2"),
            ("1m30s, 5", every(90_000, 5, 1), "90s,5"),
            ("00:01:30,5", every(90_000, 5, 1), "90s,5"),
            ("1h,24", every(3_600_000, 24, 1), "3600s,24"),
            ("1500ms", every(1500, 10, 1), "1500ms,10"),
            ("0", Keepalive::Off, "0"),
            ("0s,0", Keepalive::Off, "0"),
            ("0,0", Keepalive::Off, "0"),
        ] {
            let found = read(text).unwrap();
            assert_eq!((found, found.to_string().as_str()), (keepalive, written), "{text}");
        }
        assert_eq!(Keepalive::default(), read("10s,10").unwrap());
    }

    #[test]
    fn limits_are_named() {
        for (text, why) in [
            ("49ms,3", "50 ms to 1 h"),
            ("3601s", "50 ms to 1 h"),
            ("50ms1us,3", "whole milliseconds"),
            ("10s,0", "1 to 100"),
            ("10s,101", "1 to 100"),
            ("10s,10,0", "1 to 100"),
            ("1h,25", "24 h at most"),
            ("10s,10,1,1", "no more"),
            ("10s,-1", "no more"),
            ("10s,many", "no more"),
            ("", "not a time"),
            ("-1", "not a time"),
            ("soon,3", "not a time"),
            ("99999999999999999999", "not a time"),
            ("00:10", "not a time"),
        ] {
            let failure = read(text).unwrap_err();
            assert!(failure.message.contains(why), "{text}: {failure}");
            assert!(failure.hint.is_some_and(|hint| hint.contains("10s,10")));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(millis in 50..=3_600_000_u64, retries in 1..=24_u32, answers in 1..=100_u32) {
            let keepalive = every(millis, retries, answers);
            prop_assert_eq!(read(&keepalive.to_string()).unwrap(), keepalive);
        }

        #[test]
        fn no_text_panics(text in "[0-9smhu:,. -]{0,24}") {
            if let Ok(Keepalive::Every { interval, retries, .. }) = read(&text) {
                prop_assert!(INTERVALS.contains(&interval) && interval * retries <= LONGEST);
            }
        }
    }
}
