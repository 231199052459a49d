//! Every case through the programs in the kernel: the same bytes as on the host, the verdict that the kernel
//! acts on, and no counter moved but the right one.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::process::Command;

use ipip_common::abi::Tier;
use ipip_common::verdict::Way;
use ipip_tests::case::{Case, Direction, Expected, Reach};
use ipip_tests::outcome::Fate;
use ipip_tests::prog::{self, World};
use ipip_tests::{cases, host, need, pcap};

/// Runs every case and returns the frames that were carried.
fn run_all(world: &mut World, tier: Tier) -> Vec<(Case, Vec<u8>)> {
    let (mut carried, mut failures, mut refused) = (Vec::new(), Vec::new(), 0);
    let cases = cases::all();
    for case in cases.iter().filter(|case| prog::can_run(case, tier)) {
        let outcome = match world.run(case, tier) {
            Ok(outcome) => outcome,
            Err(error) => {
                failures.push(format!("{}: {error}", case.name));
                continue;
            }
        };
        pcap::write(&format!("{} {}", tier.name(), case.name), &[&case.input, &outcome.bytes]);
        if let Err(failure) = outcome.check(case, tier) {
            failures.push(format!("{}: {failure}", case.name));
        }
        match case.expected(tier) {
            Expected::Carried(_) => {
                let mut bytes = outcome.bytes;
                if case.way(tier) == Way::Stack {
                    // The kernel knows what it is, and nobody looks at the Ethernet header any more.
                    bytes[12..14].copy_from_slice(&case.out_ethertype.to_be_bytes());
                }
                carried.push((case.clone(), bytes));
            }
            Expected::Pass(_) | Expected::Drop(_) => refused += 1,
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
        .args(["-e", "icmpv6.checksum.status", "-e", "_ws.malformed", "-e", "_ws.expert.message", "-r"])
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
    let [_, protocols, ip, tcp, udp, icmp6, malformed, ..] = fields.as_slice() else { return false };
    let layers: Vec<&str> = protocols.split(':').collect();
    let is_known = layers.get(2).is_some_and(|layer| ["ip", "ipv6", "mpls"].contains(layer));
    is_known
        && ip.split(',').filter(|status| !status.is_empty()).all(|status| status == "1")
        && [tcp, udp, icmp6].into_iter().all(|statuses| !statuses.contains('0'))
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

/// Numbers that look random and are the same in every run (Marsaglia's xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).expect("48 bits") % limit
    }

    fn byte(&mut self) -> u8 {
        self.below(256).to_le_bytes()[0]
    }

    fn often(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// Changes a few bytes, the length and the settings. What is kept: whom the frame is for, and where an inner
/// packet goes on, because the host has no routes for any address.
fn mutate(case: &Case, chance: &mut Chance) -> Case {
    let mut case = case.clone();
    for _ in 0..chance.below(5) {
        let at = 12 + chance.below(case.input.len() - 12).min(chance.below(80));
        let kept = case.direction == Direction::Decap && (50..54).contains(&at);
        if let Some(byte) = case.input.get_mut(at).filter(|_| !kept) {
            *byte = if chance.often() { chance.byte() } else { *byte ^ 1 << chance.below(8) };
        }
    }
    match chance.below(8) {
        0 => case.input.truncate(34 + chance.below(case.input.len())),
        1 => case.input.extend(vec![chance.byte(); chance.below(64)]),
        _ => (),
    }
    let flags = &mut case.tunnel.flags;
    (flags.clamp_tcp_mss, flags.inherit_dont_fragment) = (chance.often(), chance.often());
    (flags.fixed_dscp, flags.allow_fast_path) = (chance.often(), chance.below(8) != 0);
    case.tunnel.dscp = chance.byte() & 0x3f;
    case
}

/// Thousands of packets that nobody thought of: the programs do what the same code does on the host.
fn differential(tier: Tier) {
    const PACKETS: usize = 6000;
    let Some(object) = need::bpf() else { return };
    let seeds: Vec<Case> = cases::all().into_iter().filter(|case| case.reach == Reach::Everywhere).collect();
    let (same, carried) = prog::inside(&object, |world| {
        let mut chance = Chance(0x0009_e377_9b97_f4a7);
        let (mut same, mut carried) = (0, 0);
        for _ in 0..PACKETS {
            let case = mutate(&seeds[chance.below(seeds.len())], &mut chance);
            // The kernel makes no socket buffer of a frame that ends inside its network header.
            let Ok(kernel) = world.run(&case, tier) else { continue };
            let mut host = host::run(&case, tier);
            if tier == Tier::Tc && kernel.fate == Fate::Carried {
                // The kernel writes the Ethernet header later.
                host.bytes[..14].copy_from_slice(&kernel.bytes[..14]);
            }
            assert_eq!(kernel, host, "left: kernel, right: host, from {} as {:02x?}", case.name, case.input);
            carried += usize::from(kernel.fate == Fate::Carried);
            same += 1;
        }
        (same, carried)
    });
    assert!(same > PACKETS * 9 / 10 && carried > PACKETS / 10, "{same} ran, {carried} were carried");
}

#[test]
fn mutated_packets_fare_as_on_the_host_in_tier_1() {
    differential(Tier::Xdp);
}

#[test]
fn mutated_packets_fare_as_on_the_host_in_tier_2() {
    differential(Tier::Tc);
}
