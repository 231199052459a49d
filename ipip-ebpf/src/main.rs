//! The BPF programs: a thin shell around the paths of `ipip-common`.
//!
//! Each program turns its context into a frame and a world, asks a path for a verdict and carries it out.
//! Decisions belong in `ipip-common`; here are only reads, writes, map lookups and helper calls.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]
#![cfg_attr(
    target_arch = "bpf",
    expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "the kernel's interfaces mix widths and signs; the values are small"
    ),
    expect(clippy::many_single_char_names, reason = "the six bytes of an Ethernet address")
)]

#[cfg(all(target_arch = "bpf", feature = "bench"))]
mod bench;
#[cfg(target_arch = "bpf")]
mod ending;
#[cfg(target_arch = "bpf")]
mod env;
#[cfg(target_arch = "bpf")]
mod hook;
#[cfg(target_arch = "bpf")]
mod maps;

#[cfg(target_arch = "bpf")]
#[expect(clippy::needless_pass_by_value, reason = "the macros of aya hand the context over")]
pub(crate) mod programs {
    use aya_ebpf::{
        btf_maps::ProgramArray,
        macros::{classifier, xdp},
        programs::{TcContext, XdpContext},
    };
    use ipip_common::{
        abi::map,
        path::{decap::decap, encap::encap},
        verdict::Verdict,
    };

    use crate::{
        env::Stage,
        hook::{tc, xdp},
        maps,
    };

    /// With the feature `trace`: tells the daemon's log which packet was refused, by the number of the reason.
    macro_rules! trace {
        ($ctx:expr, $program:literal, $verdict:expr) => {
            #[cfg(feature = "trace")]
            if let Verdict::Pass(reason) | Verdict::Drop(reason) = $verdict {
                aya_log_ebpf::debug!($ctx, "{}: refused, reason {}", $program, *reason as u32);
            }
        };
    }

    /// Tier 1, on every port: a packet of a tunnel is decapsulated, a packet that is routed into one is
    /// encapsulated. An interface has room for one XDP program, so it does both.
    #[xdp(frags)]
    #[inline(always)]
    fn xdp_port(ctx: XdpContext) -> u32 {
        port(&ctx)
    }

    #[inline(always)]
    pub(crate) fn port(ctx: &XdpContext) -> u32 {
        known(ctx, &maps::STAGES, Stage::Port)
    }

    /// Tier 1 on another CPU than the one where the packet came in: tunnels with `spread` share the work of one receive
    /// queue by their inner flows.
    #[xdp(frags, map = "cpumap")]
    #[inline(always)]
    fn xdp_cpu(ctx: XdpContext) -> u32 {
        known(&ctx, &maps::CPU_STAGES, Stage::Cpu)
    }

    #[inline(always)]
    fn known(ctx: &XdpContext, next: &ProgramArray<1>, stage: Stage) -> u32 {
        if let Some(action) = xdp::carry_known(ctx, stage) {
            return action;
        }
        // SAFETY: nothing here needs to be dropped. Where there is no such program, the packet is tier 2's.
        unsafe { next.tail_call(ctx, map::WHOLE) };
        xdp::PASS
    }

    /// The whole of tier 1, for a packet of a flow that is not known, or that has anything about it. A program of its own,
    /// so that it neither takes registers from the short way above nor makes the kernel's verifier walk both at once.
    #[xdp(frags)]
    #[inline(always)]
    fn xdp_whole(ctx: XdpContext) -> u32 {
        whole(&ctx, Stage::Port)
    }

    /// The whole of tier 1 behind `xdp_cpu`.
    #[xdp(frags, map = "cpumap")]
    #[inline(always)]
    fn xdp_cpu_whole(ctx: XdpContext) -> u32 {
        whole(&ctx, Stage::Cpu)
    }

    #[inline(always)]
    fn whole(ctx: &XdpContext, stage: Stage) -> u32 {
        let Some((mut frame, mut env)) = xdp::start(ctx, stage) else { return xdp::PASS };
        if !env.is_for_port() {
            return xdp::PASS;
        }
        let verdict = match decap(&mut frame, &env) {
            Verdict::Foreign => encap(&mut frame, &env),
            verdict @ (Verdict::Pass(_)
            | Verdict::Drop(_)
            | Verdict::Taken
            | Verdict::Forward(_)
            | Verdict::HandOver(_)) => verdict,
        };
        trace!(ctx, "xdp_whole", &verdict);
        xdp::finish(verdict, &env)
    }

    /// Tier 2, on the ingress of every port: decapsulates what tier 1 left.
    #[classifier]
    #[inline(always)]
    fn tc_port(ctx: TcContext) -> i32 {
        let Some((mut frame, env)) = tc::start_port(&ctx) else { return tc::NEXT };
        let verdict = decap(&mut frame, &env);
        trace!(&ctx, "tc_port", &verdict);
        tc::finish(verdict)
    }

    /// Tier 2, on the egress of every tunnel interface: encapsulates what the host's stack sends into it.
    #[classifier]
    #[inline(always)]
    fn tc_tunnel(ctx: TcContext) -> i32 {
        let (mut frame, env) = tc::start_tunnel(&ctx);
        let verdict = encap(&mut frame, &env);
        trace!(&ctx, "tc_tunnel", &verdict);
        tc::finish(verdict)
    }

    /// Tier 2, on the ingress of every tunnel interface: decapsulates what came through this tunnel for another one.
    #[classifier]
    #[inline(always)]
    fn tc_nested(ctx: TcContext) -> i32 {
        let (mut frame, env) = tc::start_tunnel(&ctx);
        let verdict = decap(&mut frame, &env);
        trace!(&ctx, "tc_nested", &verdict);
        tc::finish(verdict)
    }
}

/// On the host there is nothing to run; the crate only type-checks.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
