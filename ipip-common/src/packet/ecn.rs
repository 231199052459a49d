//! Explicit congestion notification across a tunnel: RFC 6040.
//!
//! Encapsulation copies the inner field in normal mode and clears it in compatibility mode (figure 3).
//! Decapsulation combines both (figure 4): an outer CE must reach an ECN-capable inner packet, and a packet that
//! could not have been marked is dropped instead.

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

/// Figure 4 as numbers: two bits for the result of each pair, at twice the place that [`place`] gives it. A branch for
/// each pair would make the kernel's verifier check all that follows once for each.
const COMBINED: u32 = combined(0);
/// One bit for each pair that is dropped.
const DROPPED: u32 = 1 << place(Ecn::NotEct, Ecn::Ce);
/// One bit for each pair with an exclamation mark that lives.
const ODD: u32 = 1 << place(Ecn::NotEct, Ecn::Ect0)
    | 1 << place(Ecn::NotEct, Ecn::Ect1)
    | 1 << place(Ecn::Ect1, Ecn::Ect0)
    | 1 << place(Ecn::Ce, Ecn::Ect1);

#[inline(always)]
const fn place(inner: Ecn, outer: Ecn) -> u32 {
    (inner as u32) << 2 | outer as u32
}

/// The numbers from this place on.
const fn combined(place: u32) -> u32 {
    if place == 16 {
        return 0;
    }
    let (inner, outer) = ((place >> 2) as u8, (place & 3) as u8);
    let field = match (Ecn::of(inner), Ecn::of(outer)) {
        (Ecn::NotEct, _) => Ecn::NotEct,
        (Ecn::Ce, _) | (Ecn::Ect0 | Ecn::Ect1, Ecn::Ce) => Ecn::Ce,
        (Ecn::Ect1, _) | (Ecn::Ect0, Ecn::Ect1) => Ecn::Ect1,
        (Ecn::Ect0, Ecn::NotEct | Ecn::Ect0) => Ecn::Ect0,
    };
    (field as u32) << (place << 1) | combined(place.wrapping_add(1))
}

/// The place of the pair in two ToS bytes.
#[inline(always)]
const fn place_of(inner: u8, outer: u8) -> u32 {
    ((inner & 3) << 2 | outer & 3) as u32
}

/// The inner ToS byte after decapsulation from an outer one, `None` where the packet must be dropped (RFC 6040 4.2,
/// figure 4).
#[must_use]
#[inline(always)]
pub const fn combine(inner: u8, outer: u8) -> Option<u8> {
    let place = place_of(inner, outer);
    if DROPPED >> place & 1 == 1 {
        return None;
    }
    Some(inner & 0xfc | (COMBINED >> (place << 1) & 3) as u8)
}

/// Whether no sound path makes this pair, although the packet is carried: figure 4's cells with exclamation marks.
#[must_use]
#[inline(always)]
pub const fn is_odd(inner: u8, outer: u8) -> bool {
    ODD >> place_of(inner, outer) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::{Ecn::*, *};

    // conformance: E2
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
                let combined = combine(0xb8 | inner as u8, 0x28 | outer as u8);
                assert_eq!(
                    combined,
                    expected.map(|field| 0xb8 | field as u8),
                    "inner {inner:?}, outer {outer:?}"
                );
            }
        }
    }

    // conformance: E3
    #[test]
    fn odd_pairs_are_the_marked_cells_of_figure_4() {
        let all = [NotEct, Ect0, Ect1, Ce];
        let odd: std::vec::Vec<_> = all
            .into_iter()
            .flat_map(|inner| all.map(|outer| (inner, outer)))
            .filter(|(inner, outer)| is_odd(*inner as u8, *outer as u8))
            .collect();
        // The fifth, (Not-ECT, CE), is dropped.
        assert_eq!(odd, [(NotEct, Ect0), (NotEct, Ect1), (Ect1, Ect0), (Ce, Ect1)]);
    }

    #[test]
    fn codepoints_are_those_of_rfc_3168() {
        assert_eq!([Ecn::of(0b00), Ecn::of(0b01), Ecn::of(0b10), Ecn::of(0b11)], [NotEct, Ect1, Ect0, Ce]);
        assert_eq!(Ce.into_tos(0b1011_1000), 0b1011_1011);
    }
}
