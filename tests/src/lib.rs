//! Test harness: what the tests and the lab build their worlds from.
//!
//! Everything here panics with the cause instead of returning an error, because a world that cannot be built
//! is a failed test.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

pub mod bench;
pub mod bpffs;
pub mod bytes;
pub mod case;
pub mod cases;
pub mod charon;
pub mod crowd;
pub mod ctl;
pub mod debian;
pub mod flows;
pub mod foreign;
pub mod fuzz;
pub mod host;
pub mod inside;
pub mod kind;
pub mod lab;
pub mod mutate;
pub mod need;
pub mod netns;
pub mod offload;
pub mod outcome;
pub mod pcap;
pub mod process;
pub mod prog;
pub mod pty;
pub mod raw;
pub mod reflector;
pub mod routes;
pub mod sites;
pub mod topology;
pub mod traffic;
pub mod tunnel;
pub mod two_ways;
pub mod wait;
