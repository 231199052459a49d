//! From when on events are told: all that are kept, since a time ago, or after a number.

use std::str::FromStr;
use std::time::Duration;

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// All that are kept.
    All,
    /// Since this long ago.
    Ago(Duration),
    /// After the event with this number.
    After(u64),
}

impl When {
    /// The number after which to ask for events.
    #[must_use]
    pub const fn after(self) -> u64 {
        match self {
            Self::All | Self::Ago(_) => 0,
            Self::After(number) => number,
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Self::All);
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::After(number));
        }
        duration(text)
            .map(Self::Ago)
            .ok_or_else(|| "neither all, nor a time such as 90s, 10m, 2h or 1d, nor a number".to_owned())
    }
}

/// A time with its unit: `500ms`, `2s`, `10m`, `2h`, `1d`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(milliseconds).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_is_all_a_time_ago_or_a_number() {
        for (text, when) in [
            ("all", Some(When::All)),
            ("42", Some(When::After(42))),
            ("0", Some(When::After(0))),
            ("90s", Some(When::Ago(Duration::from_secs(90)))),
            ("10m", Some(When::Ago(Duration::from_mins(10)))),
            ("2h", Some(When::Ago(Duration::from_hours(2)))),
            ("1d", Some(When::Ago(Duration::from_hours(24)))),
            ("500ms", Some(When::Ago(Duration::from_millis(500)))),
            ("", None),
            ("s", None),
            ("-1", None),
            ("1w", None),
            ("1h30m", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(When::from_str(text).ok(), when, "{text}");
        }
    }
}
