//! Explicit congestion notification across a tunnel: RFC 6040, normal mode.
//!
//! Encapsulation copies the inner field (figure 3). Decapsulation combines both (figure 4): an outer CE must
//! reach an ECN-capable inner packet, and a packet that could not have been marked is dropped instead.

/// The two ECN bits of a ToS byte or traffic class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ecn {
    /// Not ECN-capable transport.
    NotEct = 0,
    /// ECT(1).
    Ect1 = 1,
    /// ECT(0).
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

impl Ecn {
    /// The field of a ToS byte.
    #[must_use]
    #[inline(always)]
    pub const fn of(tos: u8) -> Self {
        match tos & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// `tos` with this field.
    #[must_use]
    #[inline(always)]
    pub const fn into_tos(self, tos: u8) -> u8 {
        tos & 0xfc | self as u8
    }
}

/// The inner field after decapsulation, `None` where the packet must be dropped (RFC 6040 4.2, figure 4).
#[must_use]
#[inline(always)]
pub const fn combine(inner: Ecn, outer: Ecn) -> Option<Ecn> {
    match (inner, outer) {
        (Ecn::NotEct, Ecn::Ce) => None,
        (Ecn::NotEct, Ecn::NotEct | Ecn::Ect0 | Ecn::Ect1) => Some(Ecn::NotEct),
        (Ecn::Ce, _) | (Ecn::Ect0 | Ecn::Ect1, Ecn::Ce) => Some(Ecn::Ce),
        (Ecn::Ect1, _) | (Ecn::Ect0, Ecn::Ect1) => Some(Ecn::Ect1),
        (Ecn::Ect0, Ecn::NotEct | Ecn::Ect0) => Some(Ecn::Ect0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Ecn::*, *};

    #[test]
    fn decapsulation_is_figure_4_of_rfc_6040() {
        let columns = [NotEct, Ect0, Ect1, Ce];
        let rows = [
            (NotEct, [Some(NotEct), Some(NotEct), Some(NotEct), None]),
            (Ect0, [Some(Ect0), Some(Ect0), Some(Ect1), Some(Ce)]),
            (Ect1, [Some(Ect1), Some(Ect1), Some(Ect1), Some(Ce)]),
            (Ce, [Some(Ce), Some(Ce), Some(Ce), Some(Ce)]),
        ];
        for (inner, expected) in rows {
            for (outer, expected) in columns.into_iter().zip(expected) {
                assert_eq!(combine(inner, outer), expected, "inner {inner:?}, outer {outer:?}");
            }
        }
    }

    #[test]
    fn codepoints_are_those_of_rfc_3168() {
        assert_eq!([Ecn::of(0b00), Ecn::of(0b01), Ecn::of(0b10), Ecn::of(0b11)], [NotEct, Ect1, Ect0, Ce]);
        assert_eq!(Ce.into_tos(0b1011_1000), 0b1011_1011);
    }
}
