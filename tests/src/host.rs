//! One frame through the paths on the host, in a world that answers as the one of `prog` does.

use ipip_common::abi::{Action, Tier};
use ipip_common::path::{decap::decap, encap::encap};
use ipip_common::testing::{TableEnv, VecFrame};
use ipip_common::verdict::{Hop, Link, Verdict};

use crate::case::{Case, Direction, mac};
use crate::outcome::{Fate, Outcome};

/// The case's world: what is routed into the tunnel is 10.2.0.0/16.
fn world(case: &Case, tier: Tier) -> TableEnv {
    let mut world = TableEnv::new(tier, case.tunnel.entry(1, 9));
    if tier == Tier::Xdp {
        let (destination, source) = match case.direction {
            Direction::Encap => (mac::GATEWAY, mac::WAN),
            Direction::Decap => (mac::CLIENT, mac::LAN),
        };
        let hop = case.no_way.map_or(Ok(Hop::wire(1, Link::new(destination, source))), Err);
        (world.outer, world.inner) = (hop, hop);
        let is_ipv4 = case.input[12..14] == [8, 0];
        world.leads_to_tunnel = is_ipv4 && case.packet().get(16..18) == Some(&[10, 2]);
    }
    world.ident.set(case.ident);
    world
}

/// What the program of this tier and direction makes of the case's frame.
pub fn run(case: &Case, tier: Tier) -> Outcome {
    let world = world(case, tier);
    let mut frame = VecFrame::new(&case.input);
    let verdict = match (tier, case.direction) {
        (Tier::Xdp, _) => match decap(&mut frame, &world) {
            Verdict::Foreign => encap(&mut frame, &world),
            verdict @ (Verdict::Pass(_) | Verdict::Drop(_) | Verdict::Forward(_)) => verdict,
        },
        (Tier::Tc | Tier::Daemon, Direction::Encap) => encap(&mut frame, &world),
        (Tier::Tc | Tier::Daemon, Direction::Decap) => decap(&mut frame, &world),
    };
    let refused = world.refused.borrow().clone();
    match verdict {
        Verdict::Pass(reason) | Verdict::Drop(reason) => assert_eq!(refused, [reason], "{}", case.name),
        Verdict::Foreign => assert!(refused.is_empty(), "{}: {refused:?}", case.name),
        Verdict::Forward(_) => {
            assert!(
                refused.iter().all(|reason| reason.action() == Action::Note),
                "{}: {refused:?}",
                case.name
            );
        }
    }
    let fate = match verdict {
        Verdict::Foreign | Verdict::Pass(_) => Fate::Passed,
        Verdict::Drop(_) => Fate::Dropped,
        Verdict::Forward(_) => Fate::Carried,
    };
    Outcome { fate, bytes: frame.bytes, traffic: world.traffic.get(), refused }
}
