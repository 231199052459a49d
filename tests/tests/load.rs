//! Every program loads on the running kernel, and gives its verifier no more work than `budgets.toml` allows.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

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

/// The budget of a program on this kernel; a kernel without an entry has the largest.
fn budget(budgets: &toml::Table, name: &str) -> u32 {
    let row = budgets[name].as_table().expect("a table of kernels");
    let (major, minor) = need::kernel();
    let number = |value: &toml::Value| value.as_integer().and_then(|value| u32::try_from(value).ok());
    row.get(&format!("{major}.{minor}"))
        .and_then(number)
        .or_else(|| row.values().filter_map(number).max())
        .expect("a budget")
}

#[test]
fn every_program_loads_within_its_budget() {
    let Some(object) = need::bpf() else { return };
    let budgets: toml::Table = include_str!("../budgets.toml").parse().expect("budgets.toml");
    let mut programs = EbpfLoader::new().load_file(&object).expect("loading the maps");
    let (major, minor) = need::kernel();
    let mut over = Vec::new();
    for name in program::ALL {
        let program = programs.program_mut(name).expect("the program is in the object");
        load(program).unwrap_or_else(|error| panic!("{name} on {major}.{minor}: {error:?}"));
        let info = program.info().expect("asking for the program");
        let instructions = info.verified_instruction_count().expect("kernels since 5.16 count");
        let budget = budget(&budgets, name);
        println!("{name} on {major}.{minor}: {instructions} verified instructions of {budget}");
        if instructions > budget {
            over.push(format!("{name}: {instructions} instructions, budget {budget}"));
        }
    }
    assert!(over.is_empty(), "{}", over.join(", "));
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
