//! Checks the linked programs for what the compiler makes of careless code.
//!
//! A byte array of more than a word or two, when stored at once, becomes a call to a loop over its bytes, which is
//! several times as slow: no program may call one. That such functions are in the object means nothing: bpf-linker
//! always adds them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::{
    File, Object, ObjectSection, ObjectSymbol, RelocationTarget, Section, SectionIndex, SymbolKind,
};

const BYTE_LOOPS: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];

/// Size of a BPF instruction.
const INSTRUCTION: u64 = 8;
/// `call`, of a function in the object when the source register says so, else of a helper of the kernel.
const CALL: u8 = 0x85;
const PSEUDO_CALL: u8 = 1;

/// The programs that every packet meets: they call no function, look nothing up but in arrays, ask the kernel for no route,
/// and leave for another program by a constant alone.
const FAST: [&str; 2] = ["xdp_port", "xdp_cpu"];
/// The helpers that they may call, by their numbers: a lookup, the clock, moving head and tail, the frame's length, redirects
/// (two) and the tail call.
const FAST_HELPERS: [i32; 8] = [1, 118, 44, 65, 188, 23, 51, TAIL_CALL];
/// The maps and variables that they may touch: arrays, and what a redirect or a tail call names.
const FAST_MAPS: [&str; 8] =
    ["FLOWS", "TRAFFIC", "GENERATION", "FLOW_SHIFT", "IDENT_BLOCK", "STAGES", "CPU_STAGES", "CPUS"];
/// The helper `bpf_tail_call`, and the two ways to put a constant into its third register.
const TAIL_CALL: i32 = 12;
const CONSTANTS: [[u8; 2]; 2] = [[0xb7, 3], [0xb4, 3]];

/// Fails when a program calls a loop over bytes, or the fast one does what costs it; returns a line for each section of programs.
pub(crate) fn check(path: &Path) -> Result<Vec<String>> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let file = File::parse(&*bytes).with_context(|| format!("reading {} as ELF", path.display()))?;
    let mut lines = Vec::new();
    let mut slow = BTreeSet::new();
    for section in file.sections().filter(|section| section.kind() == object::SectionKind::Text) {
        let calls = calls(&file, &section)?;
        let (looping, other): (Vec<_>, Vec<_>) =
            calls.into_iter().partition(|call| BYTE_LOOPS.contains(&call.callee.as_str()));
        check_fast(&file, &section, &other)?;
        slow.extend(looping.into_iter().filter(|call| !BYTE_LOOPS.contains(&call.caller.as_str())));
        let name = section.name().unwrap_or("?");
        if section.size() > 0 && name != ".text" {
            let count = section.size() / INSTRUCTION;
            lines.push(format!("{name}: {count} instructions, {} calls of own functions", other.len()));
        }
    }
    if lines.is_empty() {
        bail!("{} holds no programs", path.display());
    }
    if !slow.is_empty() {
        let list: Vec<String> =
            slow.into_iter().map(|call| format!("{} calls {}", call.caller, call.callee)).collect();
        bail!(
            "{}. Some code there stores or compares an array of bytes at once: let it handle words instead (`llvm-objdump \
             -drS {}` shows where)",
            list.join(", "),
            path.display()
        );
    }
    Ok(lines)
}

/// Fails when a fast program calls a function of the object or a helper that costs it, looks into a map that is no array, or
/// goes on to a program that only a register knows, which costs it ten times as much as a constant.
fn check_fast(file: &File<'_>, section: &Section<'_, '_>, calls: &[Call]) -> Result<()> {
    if let Some(call) = calls.iter().find(|call| FAST.contains(&call.caller.as_str())) {
        let Call { caller, callee } = call;
        bail!("{caller} calls {callee}: let it be inlined, or move it behind the tail call");
    }
    let fast_at =
        |address| function_at(file, section.index(), address).filter(|name| FAST.contains(&name.as_str()));
    for (address, relocation) in section.relocations() {
        let RelocationTarget::Symbol(index) = relocation.target() else { continue };
        let symbol = file.symbol_by_index(index).context("reading a symbol")?;
        let (Some(program), Ok(name)) = (fast_at(address), symbol.name()) else { continue };
        if symbol.kind() != SymbolKind::Text && !FAST_MAPS.contains(&name) {
            bail!("{program} touches {name}: move that behind the tail call, or say in the lint why it may");
        }
    }
    let code = section.data().context("reading the code of a section")?;
    let instructions: Vec<&[u8]> = code.chunks_exact(8).collect();
    for (at, bytes) in instructions.iter().enumerate() {
        let &&[CALL, 0, _, _, ref immediate @ ..] = bytes else { continue };
        let helper = immediate.first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes));
        let address = INSTRUCTION * u64::try_from(at)?;
        let Some(program) = fast_at(address) else { continue };
        if !FAST_HELPERS.contains(&helper) {
            bail!("{program} calls the kernel's helper {helper}: move that behind the tail call");
        }
        if helper != TAIL_CALL {
            continue;
        }
        let before = &instructions[at.saturating_sub(5)..at];
        if !before.iter().any(|bytes| CONSTANTS.iter().any(|constant| bytes.starts_with(constant))) {
            bail!("{program} makes a tail call to a program that is not a constant");
        }
    }
    Ok(())
}

/// A function that calls another one of the object.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    caller: String,
    callee: String,
}

fn calls(file: &File<'_>, section: &Section<'_, '_>) -> Result<Vec<Call>> {
    let code = section.data().context("reading the code of a section")?;
    let mut calls = Vec::new();
    for (at, bytes) in (0u64..).step_by(8).zip(code.chunks_exact(8)) {
        let &[CALL, registers, _, _, ref immediate @ ..] = bytes else { continue };
        if registers >> 4 == PSEUDO_CALL {
            let immediate = immediate.first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes));
            let (target, address) = target(file, section, at, immediate);
            let name = |index, address| function_at(file, index, address).unwrap_or_else(|| "?".to_owned());
            calls.push(Call { caller: name(section.index(), at), callee: name(target, address) });
        }
    }
    Ok(calls)
}

/// Returns where a call goes: relative to the symbol of its relocation, or to itself where it has none.
fn target(file: &File<'_>, section: &Section<'_, '_>, at: u64, immediate: i32) -> (SectionIndex, u64) {
    let relative = (i64::from(immediate) + 1) * INSTRUCTION.cast_signed();
    let symbol = section.relocations().find(|(offset, _)| *offset == at).and_then(|(_, relocation)| {
        let RelocationTarget::Symbol(index) = relocation.target() else { return None };
        file.symbol_by_index(index).ok()
    });
    let start = symbol.and_then(|symbol| Some((symbol.section_index()?, symbol.address())));
    let (index, start) = start.unwrap_or((section.index(), at));
    (index, start.saturating_add_signed(relative))
}

fn function_at(file: &File<'_>, section: SectionIndex, address: u64) -> Option<String> {
    let symbol = file.symbols().find(|symbol| {
        symbol.kind() == SymbolKind::Text
            && symbol.section_index() == Some(section)
            && (symbol.address()..symbol.address().saturating_add(symbol.size().max(1))).contains(&address)
    })?;
    symbol.name().ok().map(str::to_owned)
}
