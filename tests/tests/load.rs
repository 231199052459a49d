//! Every program loads on the running kernel, and gives its verifier no more work than `budgets.toml` allows.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;

use aya::EbpfLoader;
use aya::programs::{Program, ProgramError, SchedClassifier, Xdp};
use ipip_common::abi::program;
use ipip_tests::need;

fn load(program: &mut Program) -> Result<(), ProgramError> {
    if let Ok(xdp) = <&mut Xdp>::try_from(&mut *program) {
        return xdp.load();
    }
    <&mut SchedClassifier>::try_from(program)?.load()
}

/// What a program may cost on a kernel.
#[derive(Clone, Copy, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    /// Instructions that the verifier walks through.
    verified: u32,
    /// Bytes of machine code.
    jited: u32,
}

/// By program and kernel; a kernel without an entry has the largest of each.
type Budgets = BTreeMap<String, BTreeMap<String, Budget>>;

fn budget(budgets: &Budgets, name: &str) -> Budget {
    let row = &budgets[name];
    let (major, minor) = need::kernel();
    let largest = |part: fn(&Budget) -> u32| row.values().map(part).max().expect("a budget");
    row.get(&format!("{major}.{minor}")).copied().unwrap_or_else(|| Budget {
        verified: largest(|budget| budget.verified),
        jited: largest(|budget| budget.jited),
    })
}

#[test]
fn every_program_loads_within_its_budget() {
    let Some(object) = need::bpf() else { return };
    let budgets: Budgets = toml::from_str(include_str!("../budgets.toml")).expect("budgets.toml");
    let mut programs = EbpfLoader::new().load_file(&object).expect("loading the maps");
    let (major, minor) = need::kernel();
    let mut over = Vec::new();
    for name in program::ALL {
        let program = programs.program_mut(name).expect("the program is in the object");
        load(program).unwrap_or_else(|error| panic!("{name} on {major}.{minor}: {error:?}"));
        let info = program.info().expect("asking for the program");
        let verified = info.verified_instruction_count().expect("kernels since 5.16 count");
        let budget = budget(&budgets, name);
        println!(
            "{name} on {major}.{minor}: {verified} verified instructions of {}, {} bytes of {}",
            budget.verified,
            info.size_jitted(),
            budget.jited
        );
        if verified > budget.verified || info.size_jitted() > budget.jited {
            over.push(format!("{name}: {verified} instructions, {} bytes", info.size_jitted()));
        }
    }
    assert!(over.is_empty(), "over budget: {}", over.join(", "));
}

#[test]
fn the_object_has_no_program_without_a_budget() {
    let Some(object) = need::bpf() else { return };
    let programs = EbpfLoader::new().load_file(&object).expect("loading the maps");
    let mut names: Vec<&str> = programs.programs().map(|(name, _)| name).collect();
    names.sort_unstable();
    let mut expected = program::ALL;
    expected.sort_unstable();
    assert_eq!(names, expected);
}
