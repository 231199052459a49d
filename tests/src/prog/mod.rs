//! One frame through the real programs, by the kernel's test run, in a namespace whose routes give the answers
//! that the cases expect.

mod counters;
mod tables;

use std::path::Path;

use aya::maps::{Array, Map, ProgramArray};
use aya::programs::{
    ProgramError, SchedClassifier, TestRun as _, TestRunOptions, TestRunResult, Xdp, xdp::XdpMode,
};
use aya::{Ebpf, EbpfLoader};
pub use counters::Counters;
use ipip_common::abi::{Answers, Port, Probing, Tier, map, program};
use nix::sched::{CpuSet, sched_setaffinity};
use tables::Installed;

use crate::case::{Case, Direction, IPV4, IPV6, mac};
use crate::netns::{Netns, connect};
use crate::outcome::{Fate, Outcome};
use crate::routes;

/// The one tunnel of the world.
const TUNNEL: u32 = 1;
/// Identifications of a processor: enough for every case, whatever the number of processors.
const IDENT_BLOCK: u32 = 32_768;
/// The largest frame that a test run returns.
const LARGEST: usize = 4096;

/// The loaded programs, their maps, and the namespace they run in.
#[derive(Debug)]
pub struct World {
    programs: Ebpf,
    installed: Installed,
    /// The counters as they are, when they are known.
    counted: Option<Counters>,
    lan: u32,
    wan: u32,
    tunnel: u32,
}

/// Builds the world and runs `work` inside it, on one thread that stays on processor 0.
pub fn inside<T: Send>(object: &Path, work: impl FnOnce(&mut World) -> T + Send) -> T {
    let (host, around) = (Netns::new("prog"), Netns::new("around"));
    let ports = build(&host, &around);
    host.enter(|| {
        let mut first = CpuSet::new();
        first.set(0).expect("processor 0");
        sched_setaffinity(nix::unistd::Pid::from_raw(0), &first).expect("staying on processor 0");
        work(&mut World::load(object, ports))
    })
}

/// Interfaces `lan0`, `wan0`, `slow0` and the tunnel's, with routes as the cases need them.
fn build(host: &Netns, around: &Netns) -> [u32; 4] {
    for (interface, mac) in [("lan0", mac::LAN), ("wan0", mac::WAN), ("slow0", mac::SLOW)] {
        connect((host, interface), (around, interface));
        let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
        host.run(&format!("ip link set {interface} address {mac}"));
    }
    host.run("ip tuntap add dev ipip0 mode tun");
    host.run("ip link set ipip0 up mtu 1480");
    routes::install(host);
    ["lan0", "wan0", "slow0", "ipip0"].map(|interface| host.link(interface).index)
}

impl World {
    fn load(object: &Path, [lan, wan, slow, tunnel]: [u32; 4]) -> Self {
        let mut programs = EbpfLoader::new()
            .override_global("IDENT_BLOCK", &IDENT_BLOCK, true)
            .override_global("TUNNEL_LINK_HEADER", &14_u32, true)
            .load_file(object)
            .unwrap_or_else(|error| panic!("loading {}: {error:?}", object.display()));
        let whole: &mut Xdp = programs.program_mut(program::XDP_WHOLE).unwrap().try_into().unwrap();
        whole.load().expect("loading xdp_whole");
        let whole = whole.fd().unwrap().try_clone().unwrap();
        let mut stages = open(&mut programs, map::STAGES, ProgramArray::try_from);
        stages.set(map::WHOLE, &whole, 0).unwrap();
        let xdp: &mut Xdp = programs.program_mut(program::XDP_PORT).unwrap().try_into().unwrap();
        xdp.load().expect("loading xdp_port");
        // A veth interface has the receive queue that the test run names only while a program is attached.
        for port in [lan, wan] {
            xdp.attach_to_if_index(port, XdpMode::Driver).expect("attaching xdp_port");
        }
        for name in [program::TC_PORT, program::TC_TUNNEL] {
            let classifier: &mut SchedClassifier = programs.program_mut(name).unwrap().try_into().unwrap();
            classifier.load().unwrap_or_else(|error| panic!("loading {name}: {error:?}"));
        }
        let mut ports: Array<_, Port> = open(&mut programs, map::LOW_PORTS, Array::try_from);
        ports.set(lan, Port::ethernet(mac::LAN, true).with_turning(true).with_labels(true), 0).unwrap();
        ports.set(wan, Port::ethernet(mac::WAN, true).with_turning(true).with_labels(true), 0).unwrap();
        ports.set(slow, Port::ethernet(mac::SLOW, false), 0).unwrap();
        ports.set(tunnel, Port::tunnel(TUNNEL).with_labels(true), 0).unwrap();
        Self { programs, installed: Installed::default(), counted: None, lan, wan, tunnel }
    }

    /// Runs the case's frame through the program that this tier has for its direction, and sees what it counted.
    ///
    /// # Errors
    /// The kernel refuses to run such a frame at all.
    pub fn run(&mut self, case: &Case, tier: Tier) -> Result<Outcome, String> {
        let before = self.counted.take().unwrap_or_else(|| self.counters());
        let (fate, bytes) = self.send(case, tier)?;
        let after = self.counters();
        let (traffic, refused) = (before.traffic(tier, &after), before.refused(tier, &after));
        self.counted = Some(after);
        Ok(Outcome { fate, bytes, traffic, refused })
    }

    /// Sends probes, as far as the programs know.
    pub fn set_probing(&mut self, probing: Probing) {
        open(&mut self.programs, map::PROBES, Array::<_, Probing>::try_from).set(TUNNEL, probing, 0).unwrap();
    }

    /// What was answered.
    pub fn answers(&mut self) -> Answers {
        open(&mut self.programs, map::ANSWERS, Array::<_, Answers>::try_from).get(&TUNNEL, 0).unwrap()
    }

    /// The same without a look at the counters.
    ///
    /// # Errors
    /// The kernel refuses to run such a frame at all.
    pub fn send(&mut self, case: &Case, tier: Tier) -> Result<(Fate, Vec<u8>), String> {
        self.counted = None;
        self.installed.install(&mut self.programs, &case.tunnel, [self.tunnel, self.lan]);
        if case.tunnel.local.is_ipv4() {
            self.installed.set_ident(&mut self.programs, case.ident);
        }
        let (verdict, bytes) = match tier {
            Tier::Xdp => self.run_xdp(case),
            Tier::Tc | Tier::Daemon => self.run_tc(case),
        }
        .map_err(|error| format!("the kernel does not run this frame: {error:?}"))?;
        let fate = fate(tier, verdict).unwrap_or_else(|| panic!("{}: verdict {verdict}", case.name));
        if fate == Fate::Carried || tier == Tier::Tc {
            self.installed.forget_ident();
        }
        Ok((fate, bytes))
    }

    /// Makes the programs forget what they know of flows.
    pub fn forget_flows(&mut self) {
        self.installed.forget_flows(&mut self.programs);
    }

    /// What has been counted.
    pub fn counters(&mut self) -> Counters {
        Counters::read(&mut self.programs)
    }

    fn run_xdp(&self, case: &Case) -> Result<(i32, Vec<u8>), ProgramError> {
        let ingress = if case.direction == Direction::Encap { self.lan } else { self.wan };
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let end = u32::try_from(case.input.len()).unwrap();
        let context: Vec<u8> = [0, end, 0, ingress, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
        let program: &Xdp = self.programs.program(program::XDP_PORT).unwrap().try_into().unwrap();
        test_run(case, &context, |options| program.test_run(options))
    }

    fn run_tc(&self, case: &Case) -> Result<(i32, Vec<u8>), ProgramError> {
        let (name, interface) = match case.direction {
            Direction::Encap => (program::TC_TUNNEL, self.tunnel),
            Direction::Decap => (program::TC_PORT, self.wan),
        };
        let ingress = if case.is_transit { self.lan } else { 0 };
        // struct __sk_buff: ingress_ifindex and ifindex, the tenth and eleventh word; most other fields must be zero.
        let mut context = vec![0; 192];
        context[36..40].copy_from_slice(&ingress.to_ne_bytes());
        context[40..44].copy_from_slice(&interface.to_ne_bytes());
        let program: &SchedClassifier = self.programs.program(name).unwrap().try_into().unwrap();
        test_run(case, &context, |options| program.test_run(options))
    }
}

fn test_run(
    case: &Case,
    context: &[u8],
    run: impl FnOnce(TestRunOptions<'_>) -> Result<TestRunResult, ProgramError>,
) -> Result<(i32, Vec<u8>), ProgramError> {
    let mut output = vec![0; LARGEST];
    let result = run(TestRunOptions {
        data_in: Some(&case.input),
        data_out: Some(&mut output),
        ctx_in: Some(context),
        ..TestRunOptions::default()
    })?;
    output.truncate(usize::try_from(result.data_size_out).unwrap());
    Ok((result.return_value.cast_signed(), output))
}

/// What the kernel does after a return value: `XDP_*`, or `TC_ACT_*` (-1 is unspecified: on to the next program).
fn fate(tier: Tier, verdict: i32) -> Option<Fate> {
    match (tier, verdict) {
        (Tier::Xdp, 2) | (Tier::Tc, -1) => Some(Fate::Passed),
        (Tier::Xdp, 1) | (Tier::Tc, 2) => Some(Fate::Dropped),
        // XDP_TX, XDP_REDIRECT, TC_ACT_REDIRECT.
        (Tier::Xdp, 3 | 4) | (Tier::Tc, 7) => Some(Fate::Carried),
        _ => None,
    }
}

fn open<'a, M, E: std::fmt::Debug>(
    programs: &'a mut Ebpf,
    name: &str,
    open: impl FnOnce(&'a mut Map) -> Result<M, E>,
) -> M {
    let found = programs.map_mut(name).unwrap_or_else(|| panic!("no map {name}"));
    open(found).unwrap_or_else(|error| panic!("map {name}: {error:?}"))
}

/// Whether the kernel's test run makes a socket buffer of the frame: not of one that ends inside its network header.
pub fn can_run(case: &Case, tier: Tier) -> bool {
    let least = match case.ethertype() {
        IPV4 => 20,
        IPV6 => 40,
        _ => 1,
    };
    tier == Tier::Xdp || case.packet().len() >= least
}
