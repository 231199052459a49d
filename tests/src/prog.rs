//! One frame through the real programs, by the kernel's test run, in a namespace whose routes give the answers
//! that the cases expect.

use std::net::Ipv4Addr;
use std::path::Path;

use aya::maps::{Array, HashMap, PerCpuArray, PerCpuValues};
use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions, Xdp, xdp::XdpMode};
use aya::{Ebpf, EbpfLoader};
use ipip_common::abi::{
    PeerKey, Port, Reason, Tier, TierTraffic, Traffic, TunnelEntry, map, program, refusal_index,
};
use nix::sched::{CpuSet, sched_setaffinity};

use crate::case::{Case, Direction, mac};
use crate::netns::{Netns, connect};
use crate::outcome::{Fate, Outcome};

/// The one tunnel of the world.
const TUNNEL: u32 = 1;
/// Identifications of a processor: enough for every case, whatever the number of processors.
const IDENT_BLOCK: u32 = 32_768;
/// The largest frame that a test run returns.
const LARGEST: usize = 4096;

/// The counters of the world's tunnel.
#[derive(Clone, PartialEq, Eq)]
struct Counters {
    traffic: Traffic,
    refusals: Vec<(Tier, Reason, u64)>,
}

/// The loaded programs, their maps, and the namespace they run in.
#[derive(Debug)]
pub struct World {
    programs: Ebpf,
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
    for (interface, address, mac) in [("lan0", "10.1.0.1/24", mac::LAN), ("wan0", "192.0.2.1/24", mac::WAN)] {
        connect((host, interface), (around, interface));
        let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
        host.run(&format!("ip link set {interface} address {mac}"));
        host.address(interface, address);
    }
    connect((host, "slow0"), (around, "slow0"));
    host.address("slow0", "10.4.0.1/24");
    host.run("ip tuntap add dev ipip0 mode tun");
    host.run("ip link set ipip0 up mtu 1480");
    host.forward();
    host.neighbour("lan0", Ipv4Addr::new(10, 1, 0, 2), mac::CLIENT);
    host.neighbour("wan0", Ipv4Addr::new(192, 0, 2, 254), mac::GATEWAY);
    host.neighbour("slow0", Ipv4Addr::new(10, 4, 0, 2), mac::CLIENT);
    host.route("198.51.100.0/24 via 192.0.2.254");
    host.route("10.2.0.0/16 dev ipip0");
    host.route("10.3.0.0/16 via 10.1.0.2");
    host.route("unreachable 10.5.0.0/24");
    host.route("10.6.0.0/24 via 192.0.2.254 mtu lock 1000");
    ["lan0", "wan0", "slow0", "ipip0"].map(|interface| host.link(interface).index)
}

impl World {
    fn load(object: &Path, [lan, wan, slow, tunnel]: [u32; 4]) -> Self {
        let mut programs = EbpfLoader::new()
            .override_global("IDENT_BLOCK", &IDENT_BLOCK, true)
            .override_global("TUNNEL_LINK_HEADER", &14_u32, true)
            .load_file(object)
            .unwrap_or_else(|error| panic!("loading {}: {error:?}", object.display()));
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
        let mut world = Self { programs, lan, wan, tunnel };
        let mut ports: HashMap<_, u32, Port> = world.map(map::PORTS, HashMap::try_from);
        ports.insert(lan, Port::ethernet(mac::LAN, true), 0).unwrap();
        ports.insert(wan, Port::ethernet(mac::WAN, true), 0).unwrap();
        ports.insert(slow, Port::ethernet([2, 0, 0, 0, 0, 4], false), 0).unwrap();
        ports.insert(tunnel, Port::tunnel(TUNNEL), 0).unwrap();
        world
    }

    fn map<'a, M, E: std::fmt::Debug>(
        &'a mut self,
        name: &str,
        open: impl FnOnce(&'a mut aya::maps::Map) -> Result<M, E>,
    ) -> M {
        let found = self.programs.map_mut(name).unwrap_or_else(|| panic!("no map {name}"));
        open(found).unwrap_or_else(|error| panic!("map {name}: {error:?}"))
    }

    /// Writes the case's tunnel, the only one, and the next identification.
    fn prepare(&mut self, case: &Case) {
        let entry = case.tunnel.entry(TUNNEL, self.tunnel);
        self.map(map::TUNNELS, Array::<_, TunnelEntry>::try_from).set(TUNNEL, entry, 0).unwrap();
        let mut peers: HashMap<_, PeerKey, u32> = self.map(map::PEERS, HashMap::try_from);
        let old: Vec<PeerKey> = peers.keys().map(Result::unwrap).collect();
        for key in old {
            peers.remove(&key).unwrap();
        }
        peers.insert(PeerKey::of(entry.lift().ends, 4), TUNNEL, 0).unwrap();
        let processors = aya::util::nr_cpus().expect("counting processors");
        let idents = PerCpuValues::try_from(vec![u32::from(case.ident); processors]).unwrap();
        self.map(map::IDENTS, PerCpuArray::<_, u32>::try_from).set(0, idents, 0).unwrap();
    }

    fn counters(&mut self) -> Counters {
        let mut traffic = Traffic::default();
        let all = self.map(map::TRAFFIC, PerCpuArray::<_, Traffic>::try_from).get(&TUNNEL, 0).unwrap();
        all.iter().for_each(|share| traffic.add(share));
        let refusals: PerCpuArray<_, u64> = self.map(map::REFUSALS, PerCpuArray::try_from);
        let count = |tier, reason| {
            refusals.get(&refusal_index(TUNNEL, tier, reason), 0).unwrap().iter().copied().sum::<u64>()
        };
        let rows = Tier::ALL.into_iter().flat_map(|tier| Reason::ALL.map(|reason| (tier, reason)));
        let refusals = rows.map(|(tier, reason)| (tier, reason, count(tier, reason))).collect();
        Counters { traffic, refusals }
    }

    /// Runs the case's frame through the program that this tier has for its direction.
    ///
    /// # Errors
    /// The kernel refuses to run such a frame at all.
    pub fn run(&mut self, case: &Case, tier: Tier) -> Result<Outcome, String> {
        self.prepare(case);
        let before = self.counters();
        let (verdict, bytes) = match tier {
            Tier::Xdp => self.run_xdp(case),
            Tier::Tc | Tier::Daemon => self.run_tc(case),
        }
        .map_err(|error| format!("the kernel does not run this frame: {error:?}"))?;
        let after = self.counters();
        let traffic = only(tier, &before.traffic, &after.traffic);
        let fate = fate(tier, verdict).unwrap_or_else(|| panic!("{}: verdict {verdict}", case.name));
        Ok(Outcome { fate, bytes, traffic, refused: refused(tier, &before, &after) })
    }

    fn run_xdp(&self, case: &Case) -> Result<(i32, Vec<u8>), aya::programs::ProgramError> {
        let ingress = if case.direction == Direction::Encap { self.lan } else { self.wan };
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let end = u32::try_from(case.input.len()).unwrap();
        let context: Vec<u8> = [0, end, 0, ingress, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
        let program: &Xdp = self.programs.program(program::XDP_PORT).unwrap().try_into().unwrap();
        test_run(case, &context, |options| program.test_run(options))
    }

    fn run_tc(&self, case: &Case) -> Result<(i32, Vec<u8>), aya::programs::ProgramError> {
        let (name, interface) = match case.direction {
            Direction::Encap => (program::TC_TUNNEL, self.tunnel),
            Direction::Decap => (program::TC_PORT, self.wan),
        };
        // struct __sk_buff: of all its fields only ifindex, the eleventh word, may and must be set.
        let mut context = vec![0; 192];
        context[40..44].copy_from_slice(&interface.to_ne_bytes());
        let program: &SchedClassifier = self.programs.program(name).unwrap().try_into().unwrap();
        test_run(case, &context, |options| program.test_run(options))
    }
}

fn test_run(
    case: &Case,
    context: &[u8],
    run: impl FnOnce(TestRunOptions<'_>) -> Result<aya::programs::TestRunResult, aya::programs::ProgramError>,
) -> Result<(i32, Vec<u8>), aya::programs::ProgramError> {
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
        (Tier::Xdp, 4) | (Tier::Tc, 7) => Some(Fate::Carried),
        _ => None,
    }
}

/// The refusals that were counted in between; panics when one was counted for another tier.
fn refused(tier: Tier, before: &Counters, after: &Counters) -> Vec<Reason> {
    let mut refused = Vec::new();
    for ((by, reason, before), (_, _, after)) in before.refusals.iter().zip(&after.refusals) {
        assert!(*by == tier || before == after, "{reason:?} was counted for another tier");
        refused.extend(std::iter::repeat_n(*reason, usize::try_from(after - before).unwrap()));
    }
    refused
}

/// What one tier's share grew by; panics when another's did.
fn only(tier: Tier, before: &Traffic, after: &Traffic) -> TierTraffic {
    for other in Tier::ALL.into_iter().filter(|other| *other != tier) {
        assert_eq!(before.tier(other), after.tier(other), "another tier counted the packet");
    }
    let (before, after) = (before.tier(tier), after.tier(tier));
    TierTraffic {
        sent_packets: after.sent_packets - before.sent_packets,
        sent_bytes: after.sent_bytes - before.sent_bytes,
        received_packets: after.received_packets - before.received_packets,
        received_bytes: after.received_bytes - before.received_bytes,
    }
}
