//! What the fuzz targets check. The packages `fuzz` (libFuzzer) and `tests/tests/corpus.rs` (the committed corpus)
//! run the same functions.
//!
//! The input of `encap`, `decap` and `mss` begins with eight bytes (see `world`) that set up a tunnel; the rest is a
//! frame. The input of `config` is the text of a configuration file.

mod config;
mod decap;
mod encap;
mod mss;
mod packet;
pub mod seeds;
mod world;

/// What an input led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is no input: too short, or no text.
    Nothing,
    /// It was refused, or left as it is.
    Refusal,
    /// It was carried, clamped, or read.
    Success,
}

/// A target: its name and what it does with an input. It panics when a law is broken.
pub type Target = (&'static str, fn(&[u8]) -> Seen);

/// Every target.
pub const TARGETS: [Target; 4] =
    [("encap", encap::run), ("decap", decap::run), ("mss", mss::run), ("config", config::run)];

/// Runs one input of the target with this name.
pub fn run(target: &str, input: &[u8]) -> Seen {
    let (_, run) = TARGETS.into_iter().find(|(name, _)| *name == target).expect("the name of a target");
    run(input)
}
