//! Every case through the programs in the kernel: the same bytes as on the host, the verdict that the kernel
//! acts on, and no counter moved but the right one.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::process::Command;

use ipip_common::abi::{Action, Reason, Tier};
use ipip_tests::case::{Case, Expected};
use ipip_tests::prog::{self, Outcome, World};
use ipip_tests::{cases, need, pcap};

/// What the kernel understands: go on as it is, end here, go where the program said.
fn verdict(tier: Tier, expected: &Expected) -> i32 {
    let [pass, drop, redirect] = match tier {
        Tier::Xdp => [2, 1, 4],
        Tier::Tc | Tier::Daemon => [-1, 2, 7],
    };
    match expected {
        Expected::Foreign | Expected::Pass(_) => pass,
        Expected::Drop(_) => drop,
        Expected::Carried(_) => redirect,
    }
}

fn check(case: &Case, tier: Tier, outcome: &Outcome) -> Result<(), String> {
    let expected = verdict(tier, case.expected(tier));
    let refused: Vec<Reason> = outcome.refused.iter().map(|(_, reason)| *reason).collect();
    if outcome.verdict != expected {
        return Err(format!("verdict {}, expected {expected}; refused {refused:?}", outcome.verdict));
    }
    let (link, packet) = outcome.bytes.split_at(14);
    if packet != case.result(tier) {
        return Err(format!("bytes\n     got {packet:02x?}\nexpected {:02x?}", case.result(tier)));
    }
    if case.result_link(tier).is_some_and(|expected| link != expected) {
        return Err(format!("Ethernet header {link:02x?}"));
    }
    let (traffic, reason) = case.counted(tier);
    if (outcome.traffic, refused.as_slice()) != (traffic, reason.as_slice()) {
        return Err(format!("counted {:?} and {refused:?}", outcome.traffic));
    }
    if outcome.refused.iter().any(|(by, _)| *by != tier) {
        return Err(format!("counted for another tier: {:?}", outcome.refused));
    }
    Ok(())
}

/// Runs every case and returns the frames that were carried.
fn run_all(world: &mut World, tier: Tier) -> Vec<(Case, Vec<u8>)> {
    let (mut carried, mut failures, mut refused) = (Vec::new(), Vec::new(), 0);
    let cases = cases::all();
    // The kernel's test run makes no socket buffer that ends inside its network header.
    let runs = |case: &&Case| tier == Tier::Xdp || case.packet().len() >= 20;
    for case in cases.iter().filter(runs) {
        let outcome = match world.run(case, tier) {
            Ok(outcome) => outcome,
            Err(error) => {
                failures.push(format!("{}: {error}", case.name));
                continue;
            }
        };
        pcap::write(&format!("{} {}", tier.name(), case.name), &[&case.input, &outcome.bytes]);
        if let Err(failure) = check(case, tier, &outcome) {
            failures.push(format!("{}: {failure}", case.name));
        }
        match case.expected(tier) {
            Expected::Carried(_) => carried.push((case.clone(), outcome.bytes)),
            Expected::Pass(reason) | Expected::Drop(reason) => {
                assert!(matches!(reason.action(), Action::Pass | Action::Drop));
                refused += 1;
            }
            Expected::Foreign => (),
        }
    }
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
    assert!(carried.len() > 50 && refused > 20, "{} carried, {refused} refused", carried.len());
    carried
}

/// A protocol analyser's opinion of what left.
fn analyse(tier: Tier, carried: &[(Case, Vec<u8>)]) {
    let sound: Vec<&(Case, Vec<u8>)> = carried.iter().filter(|(case, _)| !case.looks_broken).collect();
    let frames: Vec<&[u8]> = sound.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let file = pcap::write(&format!("carried {}", tier.name()), &frames);
    let checked = ["ip", "tcp", "udp"].map(|layer| format!("{layer}.check_checksum:TRUE"));
    let output = Command::new("tshark")
        .args(checked.iter().flat_map(|option| ["-o", option]))
        // The ports in the cases are chosen freely, and say nothing about the data.
        .args(["--disable-protocol", "dns", "--disable-protocol", "tls"])
        .args(["-n", "-T", "fields", "-E", "separator=;", "-e", "frame.number", "-e", "frame.protocols"])
        .args(["-e", "ip.checksum.status", "-e", "tcp.checksum.status", "-e", "udp.checksum.status"])
        .args(["-e", "_ws.malformed", "-e", "_ws.expert.message", "-r"])
        .arg(&file)
        .output()
        .expect("starting tshark");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.lines().count(), frames.len(), "{}", String::from_utf8_lossy(&output.stderr));
    let bad: Vec<String> = text
        .lines()
        .zip(&sound)
        .filter(|(line, _)| !looks_right(line))
        .map(|(line, (case, _))| format!("{}: {line}", case.name))
        .collect();
    assert!(
        bad.is_empty(),
        "{} of {} packets look wrong to tshark:\n{}",
        bad.len(),
        sound.len(),
        bad.join("\n")
    );
}

/// Nothing malformed, every IPv4 checksum right, no transport checksum wrong: 0 is bad, 1 is good, 2 is not checked.
fn looks_right(line: &str) -> bool {
    let fields: Vec<&str> = line.split(';').collect();
    let [_, protocols, ip, tcp, udp, malformed, ..] = fields.as_slice() else { return false };
    protocols.starts_with("eth:ethertype:ip")
        && ip.split(',').all(|status| status == "1")
        && !tcp.contains('0')
        && !udp.contains('0')
        && malformed.is_empty()
}

fn every_case(tier: Tier) {
    let Some(object) = need::bpf() else { return };
    let carried = prog::inside(&object, |world| run_all(world, tier));
    if need::program("tshark") {
        analyse(tier, &carried);
    }
}

#[test]
fn every_case_in_tier_1() {
    every_case(Tier::Xdp);
}

#[test]
fn every_case_in_tier_2() {
    every_case(Tier::Tc);
}
