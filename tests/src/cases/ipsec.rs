//! Tunnels with IPsec, which are the daemon's alone: the programs neither send nor take anything in the clear.

use super::{refused, rejected};
use crate::case::{Case, Expected};
use crate::kind::Kind;
use ipip_common::abi::Reason;

pub(super) fn cases() -> Vec<Case> {
    Kind::IP.into_iter().flat_map(of_kind).collect()
}

fn of_kind(kind: Kind) -> Vec<Case> {
    let (there, back) = (kind.udp(b"hush"), kind.reply(b"hush"));
    let drop = Expected::Drop(Reason::Unprotected);
    let arriving = kind.arriving(&back);
    let malformed = arriving
        .clone()
        .with_v4(|outer| outer.more_fragments = true)
        .with_v6(|outer| outer.payload_len = Some(9));
    let all = [
        // Tier 2 leaves it to the interface's descriptor, uncounted.
        refused(kind, "what is forwarded waits for the daemon", &there, &Expected::Foreign)
            .xdp(Expected::Pass(Reason::FastPathOff)),
        rejected(kind, "what comes in the clear is dropped", &arriving, &drop),
        rejected(kind, "so is what is not whole", &malformed, &drop),
    ];
    all.map(|case| case.tunnel(|tunnel| tunnel.flags.ipsec = true)).into()
}
