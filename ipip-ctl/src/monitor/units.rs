//! Numbers as people read them: three digits that count, and a decimal prefix.

/// Prefixes of a thousand, a million, and so on.
const PREFIXES: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
/// Levels of a bar of one character.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A rate or an amount: `0`, `7`, `0.5`, `999`, `1.23k`, `12.3M`.
#[must_use]
pub fn short(value: f64) -> String {
    let (digits, prefix) = scaled(value);
    format!("{digits}{prefix}")
}

/// A rate with its unit: `12.3 Mbit/s`.
#[must_use]
pub fn rate(value: f64, unit: &str) -> String {
    let (digits, prefix) = scaled(value);
    format!("{digits} {prefix}{unit}")
}

/// A time: `999 us`, `1.23 ms`, `12.3 s`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn delay(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..10_000 => format!("{:.2} ms", us as f64 / 1e3),
        10_000..100_000 => format!("{:.1} ms", us as f64 / 1e3),
        100_000..1_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

fn scaled(value: f64) -> (String, &'static str) {
    if value <= 0.0 {
        return ("0".to_owned(), "");
    }
    if value < 9.95 && value.fract().abs() > 0.05 {
        return (format!("{value:.1}"), "");
    }
    let mut value = value;
    for prefix in PREFIXES {
        // What rounds up to a thousand takes the next prefix.
        if value < 999.5 {
            let digits = match prefix {
                "" => 0,
                _ if value < 9.995 => 2,
                _ if value < 99.95 => 1,
                _ => 0,
            };
            return (format!("{value:.digits$}"), prefix);
        }
        value /= 1000.0;
    }
    (format!("{value:.0}"), "Z")
}

/// A line of bars, the newest value at the right end. Values that are there are never invisible.
#[must_use]
pub fn spark(values: impl DoubleEndedIterator<Item = f64>, most: f64, width: usize) -> String {
    let mut bars: Vec<char> = values.rev().take(width).map(|value| bar(value, most)).collect();
    bars.resize(width, ' ');
    bars.into_iter().rev().collect()
}

fn bar(value: f64, most: f64) -> char {
    if value <= 0.0 || most <= 0.0 {
        return BARS[1];
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 8")]
    let level = (value / most * 8.0).ceil().clamp(1.0, 8.0) as usize;
    BARS[level]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        for (value, text) in [
            (0.0, "0"),
            (-1.0, "0"),
            (0.04, "0"),
            (0.5, "0.5"),
            (7.0, "7"),
            (9.9, "9.9"),
            (10.4, "10"),
            (999.0, "999"),
            (999.7, "1.00k"),
            (1234.0, "1.23k"),
            (12_345.0, "12.3k"),
            (123_456.0, "123k"),
            (999_600.0, "1.00M"),
            (1e9, "1.00G"),
            (2.5e12, "2.50T"),
        ] {
            assert_eq!(short(value), text, "{value}");
        }
        assert_eq!(rate(12_345_678.0, "bit/s"), "12.3 Mbit/s");
        assert_eq!(rate(0.0, "pkt/s"), "0 pkt/s");
    }

    #[test]
    fn bars_grow_with_values_and_end_at_the_right() {
        assert_eq!(spark([0.0, 1.0, 4.0, 8.0].into_iter(), 8.0, 6), "  ▁▁▄█");
        assert_eq!(spark([1.0, 2.0, 8.0].into_iter(), 8.0, 2), "▂█");
        assert_eq!(spark([0.0].into_iter(), 0.0, 1), "▁");
        assert_eq!(spark([0.001].into_iter(), 8.0, 1), "▁");
    }
}
