//! The committed corpus of the fuzz targets through the same checks, without a fuzzer.

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use ipip_tests::fuzz::{self, Seen, TARGETS, seeds};

/// Every file of a target's corpus.
fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = seeds::folder().join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    files.sort();
    files
}

fn replay(target: &str) {
    let mut seen = Vec::new();
    for file in corpus(target) {
        let bytes = fs::read(&file).unwrap_or_default();
        let one = catch_unwind(|| fuzz::run(target, &bytes));
        let one = one.unwrap_or_else(|_| panic!("{} breaks a law", file.display()));
        assert_ne!(one, Seen::Nothing, "{} is no input", file.display());
        seen.push(one);
    }
    for needed in [Seen::Refusal, Seen::Success] {
        assert!(seen.contains(&needed), "no input of {target} is a {needed:?}");
    }
}

// conformance: H1 H2 H3 H4 H5 H6 H7 H8 H9 H13 T1 T2 T4 E1 E4 E5 L1 L2 L3 L4 L5 C1 C3
#[test]
fn encap() {
    replay("encap");
}

// conformance: H14 T2 T3 E2 D1 D2 D3 D4 D8 D9 D12 C3
#[test]
fn decap() {
    replay("decap");
}

// conformance: M13 C2
#[test]
fn mss() {
    replay("mss");
}

#[test]
fn config() {
    replay("config");
}

#[test]
fn every_target_has_a_corpus_and_every_seed_is_in_it() {
    for (target, _) in TARGETS {
        assert!(!corpus(target).is_empty(), "no corpus for {target}");
    }
    for (target, name, bytes) in seeds::all() {
        let written = fs::read(seeds::folder().join(target).join(name)).unwrap_or_default();
        assert!(written == bytes, "{target}/{name} is not fresh: cargo run -p ipip-tests --bin ipip-corpus");
    }
}
