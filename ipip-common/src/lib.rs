//! What the BPF programs and the daemon share: the layout of the maps ([`abi`]) and everything that decides
//! about a packet or builds its bytes ([`packet`], [`path`]).
//!
//! The crate knows neither the kernel nor a socket. A packet is a [`frame::Frame`], the world around it an
//! [`env::Env`]; XDP, TC and the tests each bring their own, and so the same code runs in all of them.
//! It needs no special toolchain: `cargo test -p ipip-common` is enough.
#![no_std]
#![deny(unsafe_code, clippy::arithmetic_side_effects, clippy::indexing_slicing)]
#![expect(clippy::cast_possible_truncation, reason = "fields are cut out of words by masks and shifts")]
#![expect(clippy::many_single_char_names, reason = "the words and bytes of addresses")]

#[cfg(any(test, feature = "testing"))]
extern crate std;

pub mod abi;
pub mod env;
pub mod frame;
pub mod packet;
pub mod path;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod verdict;
