//! Numbers as iproute2 reads them.

/// DSCPs that `rt_dsfield` of iproute2 has names for, with the two bits of ECN behind them.
const NAMES: [(&str, u8); 24] = [
    ("default", 0x00),
    ("CS0", 0x00),
    ("LE", 0x04),
    ("CS1", 0x20),
    ("AF11", 0x28),
    ("AF12", 0x30),
    ("AF13", 0x38),
    ("CS2", 0x40),
    ("AF21", 0x48),
    ("AF22", 0x50),
    ("AF23", 0x58),
    ("CS3", 0x60),
    ("AF31", 0x68),
    ("AF32", 0x70),
    ("AF33", 0x78),
    ("CS4", 0x80),
    ("AF41", 0x88),
    ("AF42", 0x90),
    ("AF43", 0x98),
    ("CS5", 0xa0),
    ("VOICE-ADMIT", 0xb0),
    ("EF", 0xb8),
    ("CS6", 0xc0),
    ("CS7", 0xe0),
];

/// A number in the base that its beginning says: `64`, `0x40`, `0100`.
pub(super) fn any_base(text: &str) -> Option<u32> {
    match text.strip_prefix('0') {
        Some(octal) if !octal.is_empty() && !octal.starts_with(['x', 'X']) => digits(octal, 8),
        Some(rest) if !rest.is_empty() => hexadecimal(text),
        Some(_) | None => digits(text, 10),
    }
}

/// A number in any base as a decimal one; what is none is left as it is, for others to refuse.
pub(super) fn decimal(text: &str) -> String {
    any_base(text).map_or_else(|| text.to_owned(), |number| number.to_string())
}

/// A hexadecimal number, with 0x or without.
pub(super) fn hexadecimal(text: &str) -> Option<u32> {
    digits(text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text), 16)
}

/// A `ToS` of an IPv4 header: a name just as `rt_dsfield` has it, or else a hexadecimal number. So `EF` is 0xb8, but
/// `ef` 0xef.
pub(super) fn tos(text: &str) -> Option<u8> {
    let named = NAMES.into_iter().find(|(name, _)| *name == text).map(|(_, value)| value);
    named.or_else(|| traffic_class(text))
}

/// A traffic class of an IPv6 header: a hexadecimal number. It has no names, so that `EF` is 0xef.
pub(super) fn traffic_class(text: &str) -> Option<u8> {
    hexadecimal(text).and_then(|number| number.try_into().ok())
}

fn digits(text: &str, base: u32) -> Option<u32> {
    // A sign is none of the digits.
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric())
        .then(|| u32::from_str_radix(text, base).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_and_names_are_those_of_iproute2() {
        for (text, number) in [
            ("0", Some(0)),
            ("64", Some(64)),
            ("0x40", Some(64)),
            ("0X40", Some(64)),
            ("0100", Some(64)),
            ("08", None),
            ("0x", None),
            ("", None),
            ("+5", None),
            ("0x+5", None),
            ("ff", None),
            ("4294967296", None),
        ] {
            assert_eq!(any_base(text), number, "{text}");
        }
        for (text, v4, v6) in [
            ("EF", Some(0xb8), Some(0xef)),
            ("ef", Some(0xef), Some(0xef)),
            ("AF43", Some(0x98), None),
            ("CS1", Some(0x20), None),
            ("cs1", None, None),
            ("10", Some(0x10), Some(0x10)),
            ("0xB8", Some(0xb8), Some(0xb8)),
            ("100", None, None),
            ("", None, None),
        ] {
            assert_eq!((tos(text), traffic_class(text)), (v4, v6), "{text}");
        }
    }
}
