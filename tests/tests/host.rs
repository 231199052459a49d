//! Every case through the paths on the host: no root, no kernel.

use ipip_common::abi::Tier;
use ipip_common::path::known::Known;
use ipip_tests::case::{Case, Reach};
use ipip_tests::kind::Kind;
use ipip_tests::outcome::Outcome;
use ipip_tests::{cases, host};

fn every_case(tier: Tier, run: impl Fn(&Case) -> Outcome) {
    let cases: Vec<Case> = cases::all().into_iter().filter(|case| case.reach == Reach::Everywhere).collect();
    assert!(cases.len() > 1500, "only {} cases", cases.len());
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.name, run(case).check(case, tier).err()?)))
        .collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn every_case_in_tier_1() {
    every_case(Tier::Xdp, |case| host::run(case, Tier::Xdp));
}

#[test]
fn every_case_in_tier_1_where_the_flow_is_known() {
    every_case(Tier::Xdp, host::run_again);
}

#[test]
fn every_case_in_tier_1_on_the_cpu_that_it_was_handed_over_to() {
    every_case(Tier::Xdp, host::run_handed_over);
}

#[test]
fn every_case_in_tier_2() {
    every_case(Tier::Tc, |case| host::run(case, Tier::Tc));
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names: Vec<String> = cases::all().into_iter().map(|case| case.name).collect();
    names.sort();
    let twice: Vec<&[String]> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn the_next_packet_of_a_flow_takes_the_short_way() {
    let names =
        ["its checksum unchanged, ", "TCP under 1 labels, into", "TCP over IPv6 under 2 labels, out of"];
    let mut ordinary = cases::all();
    ordinary.retain(|case| names.iter().any(|name| case.name.contains(name)));
    for kind in Kind::ALL.map(|kind| kind.to_string()) {
        let of_kind = ordinary.iter().filter(|case| case.name.ends_with(&kind)).count();
        assert!(of_kind >= 2, "{kind}: {of_kind}");
    }
    for case in &ordinary {
        let known = host::carry_known(case);
        assert!(matches!(known, Known::Carried(_)), "{}: {known:?}", case.name);
    }
}
