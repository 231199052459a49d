//! Every case through the paths on the host: no root, no kernel.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use ipip_common::abi::{Tier, TierTraffic};
use ipip_common::path::{decap::decap, encap::encap};
use ipip_common::testing::{TableEnv, VecFrame};
use ipip_common::verdict::{Hop, Verdict};
use ipip_tests::case::{Case, Direction, Expected, IPV4, Reach, mac};
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
            verdict => verdict,
        },
        (_, Direction::Encap) => encap(frame, world),
        (_, Direction::Decap) => decap(frame, world),
    }
}

fn check(case: &Case, tier: Tier) -> Result<(), String> {
    let world = world(case, tier);
    let mut frame = VecFrame::new(&case.input);
    let verdict = run(case, tier, &mut frame, &world);
    let refused = world.refused.borrow().clone();
    let (expected_verdict, expected_bytes, expected_refusals) = match case.expected(tier) {
        Expected::Foreign => (matches!(verdict, Verdict::Foreign), case.packet().to_vec(), vec![]),
        Expected::Pass(reason) => (verdict == Verdict::Pass(*reason), case.packet().to_vec(), vec![*reason]),
        Expected::Drop(reason) => (verdict == Verdict::Drop(*reason), case.packet().to_vec(), vec![*reason]),
        Expected::Carried(bytes) => (matches!(verdict, Verdict::Forward(_)), bytes.clone(), vec![]),
    };
    let mut traffic = TierTraffic::default();
    if let Expected::Carried(_) = case.expected(tier) {
        let (packets, bytes) = match case.direction {
            Direction::Encap => (&mut traffic.sent_packets, &mut traffic.sent_bytes),
            Direction::Decap => (&mut traffic.received_packets, &mut traffic.received_bytes),
        };
        (*packets, *bytes) = (1, case.inner_len.into());
    }
    if !expected_verdict {
        return Err(format!("verdict {verdict:?}, expected {:?}", case.expected(tier)));
    }
    if frame.bytes[14..] != expected_bytes {
        return Err(format!("bytes\n     got {:02x?}\nexpected {expected_bytes:02x?}", &frame.bytes[14..]));
    }
    if (world.traffic.get(), &refused) != (traffic, &expected_refusals) {
        return Err(format!("counted {:?} and {refused:?}", world.traffic.get()));
    }
    check_link(case, tier, &verdict, &frame)
}

/// Tier 1 writes the Ethernet header of the next hop; refused frames keep theirs.
fn check_link(case: &Case, tier: Tier, verdict: &Verdict, frame: &VecFrame) -> Result<(), String> {
    let expected = match (verdict, case.direction) {
        (Verdict::Forward(_), _) if tier != Tier::Xdp => return Ok(()),
        (Verdict::Forward(_), Direction::Encap) => [mac::GATEWAY, mac::WAN],
        (Verdict::Forward(_), Direction::Decap) => [mac::CLIENT, mac::LAN],
        _ => [case.input[..6].try_into().expect("6"), case.input[6..12].try_into().expect("6")],
    }
    .concat();
    let ethertype =
        if matches!(verdict, Verdict::Forward(_)) { &IPV4.to_be_bytes() } else { &case.input[12..14] };
    if frame.bytes[..12] == expected && frame.bytes[12..14] == *ethertype {
        Ok(())
    } else {
        Err(format!("Ethernet header {:02x?}", &frame.bytes[..14]))
    }
}

fn every_case(tier: Tier) {
    let cases: Vec<Case> = cases::all().into_iter().filter(|case| case.reach == Reach::Everywhere).collect();
    assert!(cases.len() > 100, "only {} cases", cases.len());
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.name, check(case, tier).err()?)))
        .collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
    println!("{} cases", cases.len());
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
