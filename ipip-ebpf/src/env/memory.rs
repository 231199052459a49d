//! What tier 1 remembers of flows, as the short way sees it.

use aya_ebpf::bindings::xdp_md;
use ipip_common::{
    abi::{KnownFlow, Traffic},
    env::Memory,
};

use super::tables;
use crate::maps;

/// This CPU's memory, for the packet at hand.
pub(crate) struct XdpMemory {
    ctx: *const xdp_md,
}

impl XdpMemory {
    /// # Safety
    /// `ctx` is the context of the running program.
    #[inline(always)]
    pub(crate) unsafe fn new(ctx: *const xdp_md) -> Self {
        Self { ctx }
    }
}

impl Memory for XdpMemory {
    #[inline(always)]
    fn known(&self, place: u64) -> Option<&KnownFlow> {
        maps::FLOWS.get(tables::index(place))
    }

    #[inline(always)]
    fn epoch(&self) -> u32 {
        tables::epoch()
    }

    #[inline(always)]
    fn now(&self) -> u32 {
        tables::now()
    }

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: the context is valid for the program's whole run.
        unsafe { (*self.ctx).ingress_ifindex }
    }

    #[inline(always)]
    fn ident_block(&self) -> u32 {
        maps::IDENT_BLOCK.load()
    }

    #[inline(always)]
    fn with_traffic<R>(&self, tunnel: u32, change: impl FnOnce(&mut Traffic) -> R) -> Option<R> {
        // SAFETY: the element is this CPU's own, and a program is not interrupted by another on its CPU.
        maps::TRAFFIC.get_ptr_mut(tunnel).map(|traffic| change(unsafe { &mut *traffic }))
    }
}
