//! The benchmark works: every row is there, in a report that can be read again. No figure is looked at.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::path::PathBuf;

use ipip_tests::bench::report::Report;
use ipip_tests::bench::{Options, Part, report, run};
use ipip_tests::need;
use tempfile::TempDir;

/// The report as it was written, and where.
fn reported(object: PathBuf, ctl: PathBuf, parts: &[Part]) -> (Report, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let options = Options {
        object,
        ctl,
        folder: folder.path().into(),
        quick: true,
        counting: false,
        compare: None,
        parts: parts.to_vec(),
    };
    let made = run(&options).expect("the benchmark runs");
    let read = report::read(&folder.path().join("report.json")).expect("the report is there");
    assert_eq!(made.rows.all.len(), read.rows.all.len());
    (read, folder)
}

/// The gates that have a value.
fn measured(report: &Report) -> Vec<&str> {
    report.gates.iter().filter(|gate| gate.value.is_some()).map(|gate| gate.name.as_str()).collect()
}

#[test]
fn the_benchmark_leaves_a_report() {
    let (Some(object), Some(ctl)) = (need::bench_object(), need::ctl()) else { return };
    let (read, folder) = reported(object, ctl, &[Part::Ns]);
    for direction in ["into", "out"] {
        for kind in ["ipip", "6in4", "4in6", "6in6", "mpls4", "mpls6"] {
            for flow in ["", ", unknown flow"] {
                let name = format!("{kind} {direction}{flow}");
                let row = read.rows.find("ns", &name).unwrap_or_else(|| panic!("no row {name}"));
                assert_eq!(row.rounds.len(), 3, "{name}");
            }
        }
    }
    let missing: Vec<&String> = read.rows.left_out.keys().collect();
    assert_eq!(missing, ["insn", "scale", "tcp", "veth"]);
    let gates = measured(&read);
    assert!(gates.contains(&"encapsulate, complete, known flow / floor"), "{gates:?}");
    assert!(!gates.contains(&"Mpps, ours / VXLAN"), "{gates:?}");
    let pictures: Vec<PathBuf> = ["ns.svg", "report.md"].map(|name| folder.path().join(name)).into();
    assert!(pictures.iter().all(|file| file.exists()));
}

/// What needs network namespaces, daemons and peers.
#[test]
fn every_other_part_but_the_emulated_one_leaves_its_rows() {
    let (Some(object), Some(ctl)) = (need::bench_object(), need::ctl()) else { return };
    let (read, folder) = reported(object, ctl, &[Part::Veth, Part::Tcp, Part::Scale]);
    // This kernel may lack a peer, which is said row by row.
    let parts = read.rows.left_out.iter().filter(|(name, _)| !name.contains(": kernel "));
    assert_eq!(parts.map(|(name, _)| name).collect::<Vec<_>>(), ["insn", "ns"], "{:?}", read.rows.left_out);
    for (part, name) in [
        ("veth", "redirect"),
        ("veth", "kernel VXLAN into"),
        ("veth", "kernel LWT-BPF into"),
        ("tcp", "tunnel / underlay, v4, 1 stream"),
        ("tcp", "tunnel / underlay, v6, UDP segments"),
        ("scale", "out, 64k tunnels, uniform"),
        ("scale", "into, 100k routes, hot"),
        ("scale", "setting up, 100 interfaces"),
    ] {
        let row = read.rows.find(part, name).unwrap_or_else(|| panic!("no row {name}"));
        assert!(row.rounds.iter().all(|value| *value > 0.0), "{name}: {:?}", row.rounds);
    }
    let gates = measured(&read);
    for name in [
        "Mpps, ours / VXLAN",
        "Mpps, ours / plain redirect",
        "tier 2 TCP / bare underlay, equal MSS",
        "seconds until a changed route is taken, daemon dead",
    ] {
        assert!(gates.contains(&name), "{name}: {gates:?}");
    }
    assert!(read.command.ends_with("bench veth tcp scale --quick"), "{}", read.command);
    for picture in ["veth.svg", "tcp-ratio.svg", "scale-ns.svg"] {
        assert!(folder.path().join(picture).exists(), "{picture}");
    }
}
