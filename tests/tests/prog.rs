//! Every case through the programs in the kernel: the same bytes as on the host, the verdict that the kernel
//! acts on, and no counter moved but the right one.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::process::Command;
use std::time::Instant;

use ipip_common::abi::{Reason, Tier, TierTraffic};
use ipip_common::verdict::Way;
use ipip_tests::case::{Case, Expected, MPLS, Reach};
use ipip_tests::mutate::{self, Chance};
use ipip_tests::outcome::{Fate, Outcome};
use ipip_tests::prog::{self, World};
use ipip_tests::{cases, flows, host, need, pcap};

/// Runs every case and returns the frames that were carried.
fn run_all(world: &mut World, tier: Tier) -> Vec<(Case, Vec<u8>)> {
    let (mut carried, mut failures, mut refused) = (Vec::new(), Vec::new(), 0);
    let cases = cases::all();
    for case in cases.iter().filter(|case| prog::can_run(case, tier)) {
        if tier == Tier::Xdp {
            // Once without anything that the programs remember of the flow, and then with it.
            world.forget_flows();
            let known = world.run(case, tier).and_then(|outcome| outcome.check(case, tier));
            if let Err(failure) = known {
                failures.push(format!("{}, unknown flow: {failure}", case.name));
            }
        }
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

/// What the host says of a frame, as far as the kernel can be compared with it.
fn on_host(case: &Case, tier: Tier, kernel: (Fate, &[u8])) -> Outcome {
    let (mut host, way) = host::run_and_tell(case, tier);
    if tier != Tier::Tc || kernel.1.len() < 14 {
        return host;
    }
    // Of the Ethernet header, the kernel writes what it needs, and the rest later.
    match way {
        Some(Way::Neighbour) => host.bytes[..12].copy_from_slice(&kernel.1[..12]),
        Some(Way::Stack) if host.bytes[12..14] == MPLS.to_be_bytes() => {
            host.bytes[..12].copy_from_slice(&kernel.1[..12]);
        }
        Some(Way::Stack) => host.bytes[..14].copy_from_slice(&kernel.1[..14]),
        Some(Way::Wire) | None => (),
    }
    // It takes no header away in front of less than an IPv4 header.
    let is_tiny = way == Some(Way::Stack) && host.bytes.len() < 14 + 20;
    if is_tiny && kernel.0 == Fate::Passed {
        let refused = vec![Reason::NoRoom];
        return Outcome {
            fate: Fate::Passed,
            bytes: case.input.clone(),
            traffic: TierTraffic::default(),
            refused,
        };
    }
    host
}

/// Frames for so many tunnels, one after the other; counters are compared after all of them.
const TUNNELS: usize = 32;
/// Frames for each tunnel.
const FRAMES: usize = 32;

/// Runs frames and returns how many ran and how many were carried.
fn compare(world: &mut World, seeds: &[Case], chance: &mut Chance, tier: Tier) -> [usize; 2] {
    let mut again = chance.clone();
    let mut expected = world.counters();
    let (mut ran, mut carried) = (0, 0);
    for _ in 0..TUNNELS {
        for case in mutate::batch(&seeds[chance.below(seeds.len())], FRAMES, chance) {
            // The kernel makes no socket buffer of a frame that ends inside its network header.
            let Ok((fate, bytes)) = world.send(&case, tier) else { continue };
            let host = on_host(&case, tier, (fate, &bytes));
            assert!(
                (fate, &bytes) == (host.fate, &host.bytes),
                "{tier:?}: kernel {fate:?} {bytes:02x?}\nhost {host:02x?}\nfrom {case:02x?}"
            );
            expected.add(tier, &host);
            carried += usize::from(fate == Fate::Carried);
            ran += 1;
        }
    }
    if expected != world.counters() {
        find_miscounted(world, seeds, &mut again, tier);
    }
    [ran, carried]
}

/// Runs the same frames one by one, to see which counts differently.
fn find_miscounted(world: &mut World, seeds: &[Case], chance: &mut Chance, tier: Tier) {
    for _ in 0..TUNNELS {
        for case in mutate::batch(&seeds[chance.below(seeds.len())], FRAMES, chance) {
            let Ok(kernel) = world.run(&case, tier) else { continue };
            let host = on_host(&case, tier, (kernel.fate, &kernel.bytes));
            assert_eq!(kernel, host, "left: kernel, right: host, from {case:02x?}");
        }
    }
    panic!("frames count differently together");
}

/// Thousands of packets that nobody thought of: the programs do what the same code does on the host. `IPIP_PACKETS`
/// says how many, for a run of hours.
#[expect(clippy::print_stdout, reason = "the rate is what a long run is about")]
fn differential(tier: Tier) {
    let Some(object) = need::bpf() else { return };
    let packets =
        std::env::var("IPIP_PACKETS").map_or(16_384_usize, |count| count.parse().expect("IPIP_PACKETS"));
    let mut seeds = cases::all();
    seeds.retain(|case| case.reach == Reach::Everywhere && case.input.len() < 600);
    // Another number of packets is another row of them.
    let mut chance = Chance::new(0x0009_e377_9b97_f4a7 ^ packets as u64);
    let start = Instant::now();
    let [ran, carried] = prog::inside(&object, |world| {
        let mut sum = [0, 0];
        for _ in 0..packets.div_ceil(TUNNELS * FRAMES) {
            let [ran, carried] = compare(world, &seeds, &mut chance, tier);
            sum = [sum[0] + ran, sum[1] + carried];
        }
        sum
    });
    let rate = ran * 1000 / usize::try_from(start.elapsed().as_millis()).expect("not so long").max(1);
    println!("{}: {ran} packets, {carried} carried, {rate} packets/s", tier.name());
    assert!(ran > packets * 8 / 10 && carried > packets / 10, "{ran} ran, {carried} were carried");
}

#[test]
fn mutated_packets_fare_as_on_the_host_in_tier_1() {
    differential(Tier::Xdp);
}

#[test]
fn mutated_packets_fare_as_on_the_host_in_tier_2() {
    differential(Tier::Tc);
}

#[test]
fn flow_labels_are_stable_and_spread_in_both_tiers() {
    let Some(object) = need::bpf() else { return };
    prog::inside(&object, |world| {
        for tier in [Tier::Xdp, Tier::Tc] {
            flows::check(|case| {
                let (fate, bytes) = world.send(case, tier).expect("the kernel runs such a frame");
                (fate == Fate::Carried).then(|| bytes[14..].to_vec())
            });
        }
    });
}
