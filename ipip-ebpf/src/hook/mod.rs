//! Adapters from a BPF context to a frame: bounds, bytes, room, verdicts. The only place that touches memory.

pub(crate) mod fib;
mod memory;
pub(crate) mod tc;
pub(crate) mod xdp;
