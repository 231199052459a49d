//! A packet out of the tunnel: see `ipip_tests::fuzz`.
#![no_main]

use ipip_tests::fuzz::{self, Seen};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|input: &[u8]| -> Corpus {
    match fuzz::run("decap", input) {
        Seen::Nothing => Corpus::Reject,
        Seen::Refusal | Seen::Success => Corpus::Keep,
    }
});
