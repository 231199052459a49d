//! Why a packet of a tunnel was not carried by a tier: one enum for the counter, the name and the document.

/// What happens to a packet that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes on as it arrived, to the next tier or to the host's stack.
    Pass,
    /// It ends here.
    Drop,
    /// It is carried all the same; the counter is a note.
    Note,
}

/// Declares [`Reason`] with the four facts that belong to each row side by side.
macro_rules! reasons {
    ($($(#[$meta:meta])* $variant:ident = $number:literal, $name:literal, $action:ident, $meaning:literal;)*) => {
        /// Why a packet that belongs to a tunnel was refused. Numbers are never reused; docs/reasons.md is
        /// made from this list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Reason {
            $(#[doc = $meaning] $variant = $number,)*
        }

        impl Reason {
            /// Every reason, in the order of the numbers.
            pub const ALL: [Self; [$($number),*].len()] = [$(Self::$variant),*];

            /// Its name in tables, JSON and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What was true of the packet, in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }

            /// What becomes of such a packet.
            #[must_use]
            #[inline(always)]
            pub const fn action(self) -> Action {
                match self { $(Self::$variant => Action::$action),* }
            }
        }
    };
}

reasons! {
    Malformed = 0, "malformed", Pass, "A header is cut short or contradicts itself; the host's stack decides.";
    Fragment = 1, "fragment", Pass, "An IP fragment, which tier 1 leaves to the stack and tier 2 to its reassembly.";
    Options = 2, "options", Pass, "The IPv4 header has options, which only the host's stack interprets.";
    TtlExpired = 3, "ttl-expired", Pass, "The TTL would reach zero here; the host's stack answers with Time Exceeded.";
    TooBig = 4, "too-big", Pass, "Larger than the tunnel's MTU; the host's stack fragments it or answers.";
    NoRoute = 5, "no-route", Pass, "No usable route to the next hop.";
    NoNeighbour = 6, "no-neighbour", Pass, "The next hop's link-layer address is not resolved; the stack resolves it.";
    FastPathOff = 7, "fast-path-off", Pass, "allow-fast-path=no: forwarded packets take the host's full stack.";
    PartialChecksum = 8, "partial-checksum", Pass, "The transport checksum is left to an offload that XDP does not have.";
    SlowPort = 9, "slow-port", Pass, "The way out is an interface that takes no redirected XDP frames.";
    Local = 10, "local", Pass, "The inner packet is for this host itself; tier 2 delivers it.";
    Martian = 11, "martian", Pass, "No router forwards to or from one of the inner addresses; the host's stack decides.";
    NoRoom = 12, "no-room", Pass, "The kernel gave no room for, or kept, the outer header.";
    OuterChecksum = 13, "outer-checksum", Pass, "The outer IPv4 header checksum is wrong; the host's stack drops it.";
    Loop = 14, "loop", Drop, "The packet or its outer header would go around through the tunnel (RFC 2003 3.2).";
    NotCarried = 15, "not-carried", Drop, "A protocol that this kind of tunnel does not carry.";
    TtlZero = 16, "ttl-zero", Drop, "The inner TTL is zero (RFC 2003 3.1).";
    BadEcn = 17, "bad-ecn", Drop, "The outer header says CE, the inner is not ECN-capable (RFC 6040 4.2).";
    BadLength = 18, "bad-length", Drop, "The inner packet is longer than what the outer packet holds.";
    Torn = 19, "torn", Drop, "The kernel refused a step after the packet was changed.";
    NoSlowPath = 20, "no-slow-path", Drop, "Only the daemon could carry it, and it has no way to.";
    InnerVersion = 21, "inner-version", Drop, "The inner header's version is not the one that the protocol number says.";
    NotForwarding = 22, "not-forwarding", Pass, "The host does not forward where the packet came from; tier 2 serves it.";
    OwnSource = 23, "own-source", Drop, "A packet that came in to be forwarded has an address of this host as its source (RFC 2003 3.2, RFC 1812 5.3.8).";
    NotAllowed = 24, "not-allowed", Drop, "The inner address is outside of the tunnel's allowed-inner prefixes.";
    BadSource = 25, "bad-source", Drop, "The inner IPv6 source is multicast, loopback, IPv4-compatible or IPv4-mapped (RFC 4213 3.6).";
    NestingLimit = 26, "nesting-limit", Pass, "The inner packet's encapsulation limit is 0; the daemon answers with Parameter Problem (RFC 2473 4.1.1).";
    OddEcn = 27, "odd-ecn", Note, "Carried, but the outer and inner ECN fields are a pair that no sound path makes (RFC 6040 4.2).";
    BadAnswer = 28, "bad-answer", Drop, "An answer to a keepalive probe that does not count: forged, repeated, or too late.";
    Unprotected = 29, "unprotected", Drop, "A packet in the clear for a tunnel with ipsec-secret, which takes only what came by IPsec.";
    NoKeys = 30, "no-keys", Drop, "The kernel has no IPsec keys for the tunnel: IKE has not agreed on any, or they have expired.";
}

impl Reason {
    /// Room in the counters: numbers stay below this.
    pub const SLOTS: u32 = 32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_fit_the_counters() {
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
            assert!((reason as u32) < Reason::SLOTS);
        }
    }

    #[test]
    fn names_are_unique_kebab_case() {
        for (at, reason) in Reason::ALL.iter().enumerate() {
            assert!(reason.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
            assert!(Reason::ALL[..at].iter().all(|other| other.name() != reason.name()));
        }
    }
}
