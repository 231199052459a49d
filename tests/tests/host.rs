//! Every case through the paths on the host: no root, no kernel.

use ipip_common::abi::Tier;
use ipip_common::path::{decap::decap, encap::encap};
use ipip_common::testing::{TableEnv, VecFrame};
use ipip_common::verdict::{Hop, Verdict};
use ipip_tests::case::{Case, Direction, Expected, Reach, mac};
use ipip_tests::cases;

/// The case's world: as in the kernel, what is routed into the tunnel is 10.2.0.0/16.
fn world(case: &Case, tier: Tier) -> TableEnv {
    let mut world = TableEnv::new(tier, case.tunnel.entry(1, 9));
    if tier == Tier::Xdp {
        let (destination, source) = match case.direction {
            Direction::Encap => (mac::GATEWAY, mac::WAN),
            Direction::Decap => (mac::CLIENT, mac::LAN),
        };
        let hop = case.no_way.map_or(Ok(Hop::Wire { ifindex: 1, destination, source }), Err);
        (world.outer, world.inner) = (hop, hop);
        world.leads_to_tunnel = case.packet().get(16..18) == Some(&[10, 2]);
    }
    world.ident.set(case.ident);
    world
}

/// What the program for this tier and direction does.
fn run(case: &Case, tier: Tier, frame: &mut VecFrame, world: &TableEnv) -> Verdict {
    match (tier, case.direction) {
        (Tier::Xdp, _) => match decap(frame, world) {
            Verdict::Foreign => encap(frame, world),
            verdict @ (Verdict::Pass(_) | Verdict::Drop(_) | Verdict::Forward(_)) => verdict,
        },
        (_, Direction::Encap) => encap(frame, world),
        (_, Direction::Decap) => decap(frame, world),
    }
}

fn check(case: &Case, tier: Tier) -> Result<(), String> {
    let world = world(case, tier);
    let mut frame = VecFrame::new(&case.input);
    let verdict = run(case, tier, &mut frame, &world);
    let is_expected = match case.expected(tier) {
        Expected::Foreign => verdict == Verdict::Foreign,
        Expected::Pass(reason) => verdict == Verdict::Pass(*reason),
        Expected::Drop(reason) => verdict == Verdict::Drop(*reason),
        Expected::Carried(_) => matches!(verdict, Verdict::Forward(_)),
    };
    if !is_expected {
        return Err(format!("verdict {verdict:?}, expected {:?}", case.expected(tier)));
    }
    let (link, packet) = frame.bytes.split_at(14);
    if packet != case.result(tier) {
        return Err(format!("bytes\n     got {packet:02x?}\nexpected {:02x?}", case.result(tier)));
    }
    if case.result_link(tier).is_some_and(|expected| link != expected) {
        return Err(format!("Ethernet header {link:02x?}"));
    }
    let refused = world.refused.borrow().clone();
    let (traffic, reason) = case.counted(tier);
    if (world.traffic.get(), refused.as_slice()) != (traffic, reason.as_slice()) {
        return Err(format!("counted {:?} and {refused:?}", world.traffic.get()));
    }
    Ok(())
}

fn every_case(tier: Tier) {
    let cases: Vec<Case> = cases::all().into_iter().filter(|case| case.reach == Reach::Everywhere).collect();
    assert!(cases.len() > 100, "only {} cases", cases.len());
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.name, check(case, tier).err()?)))
        .collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn every_case_in_tier_1() {
    every_case(Tier::Xdp);
}

#[test]
fn every_case_in_tier_2() {
    every_case(Tier::Tc);
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names: Vec<String> = cases::all().into_iter().map(|case| case.name).collect();
    names.sort();
    let twice: Vec<&[String]> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
