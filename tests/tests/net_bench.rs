//! The benchmark works: every row of its first part is there, in a report that can be read again. No figure is looked at.

use std::path::PathBuf;

use ipip_tests::bench::{Options, Part, report, run};
use ipip_tests::need;

#[test]
fn the_benchmark_leaves_a_report() {
    let (Some(object), Some(ctl)) = (need::bench_object(), need::ctl()) else { return };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let options = Options {
        object,
        ctl,
        folder: folder.path().into(),
        quick: true,
        counting: false,
        compare: None,
        parts: vec![Part::Ns],
    };
    let made = run(&options).expect("the benchmark runs");
    let read = report::read(&folder.path().join("report.json")).expect("the report is there");
    assert_eq!(made.rows.all.len(), read.rows.all.len());
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
    for (name, is_measured) in
        [("encapsulate, complete, known flow / floor", true), ("Mpps, ours / VXLAN", false)]
    {
        let gate = read.gates.iter().find(|gate| gate.name == name).expect("the goal is there");
        assert_eq!(gate.value.is_some(), is_measured, "{name}");
    }
    let pictures: Vec<PathBuf> = ["ns.svg", "report.md"].map(|name| folder.path().join(name)).into();
    assert!(pictures.iter().all(|file| file.exists()));
}
