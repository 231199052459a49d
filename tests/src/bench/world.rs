//! A router in a network namespace, with the programs loaded, for timed test runs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray, PerCpuValues, ProgramArray};
use aya::programs::tc::TcAttachOptions;
use aya::programs::xdp::{XdpLinkId, XdpMode};
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType, TestRun as _, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use bytemuck::{Pod, Zeroable};
use ipip_common::abi::{
    Carried, Ends, LabelEntry, PeerKey, Port, Traffic, TunnelConfig, TunnelEntry, TunnelFlags, flow_bits,
    ident_block, map, program,
};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::sysinfo::sysinfo;
use nix::unistd::Pid;

use super::packet::{self, Kind, LABEL_INTO, LABEL_OUT};
use crate::case::mac;
use crate::netns::{Netns, connect};

/// `XDP_TX` and `XDP_REDIRECT`.
const ON_ITS_WAY: [u32; 2] = [3, 4];

/// Value of the benchmark's map `ORIGINAL`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(8))]
pub(super) struct Original([u64; 16]);

// SAFETY: plain numbers without padding.
unsafe impl aya::Pod for Original {}

/// Value of the benchmark's map `SETTING`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C, align(8))]
pub(super) struct Setting {
    pub(super) undo: i32,
    pub(super) ifindex: u32,
    pub(super) mask: u32,
    pub(super) stay: i32,
}

// SAFETY: plain numbers without padding.
unsafe impl aya::Pod for Setting {}

/// The router's namespaces; the programs live in its own.
pub(super) struct Place {
    pub(super) host: Netns,
    pub(super) around: Netns,
}

/// Works on a thread that is in the namespace and stays on the last processor, where interrupts are fewest.
pub(super) fn inside<T: Send>(place: &Netns, work: impl FnOnce() -> T + Send) -> T {
    place.enter(|| {
        let last = std::thread::available_parallelism().map_or(0, |count| count.get() - 1);
        let mut one = CpuSet::new();
        if one.set(last).is_ok() {
            // Where it is not allowed, the rounds are less alike.
            let _ = sched_setaffinity(Pid::from_raw(0), &one);
        }
        work()
    })
}

/// The programs and what they are told.
pub(super) struct World {
    programs: Ebpf,
    pub(super) lan: u32,
    pub(super) wan: u32,
    pub(super) tunnel: u32,
    spare: u32,
    loaded: BTreeSet<String>,
    /// Programs on interfaces, for as long as they are wanted.
    links: Vec<(String, XdpLinkId)>,
}

/// A tunnel for one measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tunnel {
    pub(super) id: u32,
    pub(super) local: IpAddr,
    pub(super) remote: IpAddr,
    pub(super) inner: Carried,
}

impl Tunnel {
    /// Of one kind between the usual ends.
    pub(super) fn of(kind: Kind) -> Self {
        Self {
            id: 1,
            local: packet::local(kind.is_over_v6),
            remote: packet::remote(kind.is_over_v6),
            inner: kind.inner,
        }
    }

    fn config(&self, ifindex: u32) -> Result<TunnelConfig> {
        Ok(TunnelConfig {
            id: self.id,
            flags: TunnelFlags {
                enabled: true,
                clamp_tcp_mss: true,
                allow_fast_path: true,
                flow_label: true,
                path_mtu: true,
                carries_ipv4: self.inner == Carried::Ipv4,
                carries_ipv6: self.inner == Carried::Ipv6,
                carries_mpls: self.inner == Carried::Mpls,
                ..TunnelFlags::default()
            },
            ifindex,
            underlay: 0,
            ends: Ends::new(self.local, self.remote).context("two families")?,
            mtu: if self.remote.is_ipv4() { 1480 } else { 1460 },
            ttl: 64,
            dscp: 0,
            encapsulation_limit: 0,
        })
    }
}

impl Place {
    /// A router with a client on `lan0`, a gateway on `wan0` and a tunnel interface, all resolved.
    pub(super) fn new() -> Self {
        let (host, around) = (Netns::new("bench"), Netns::new("around"));
        for (interface, mac) in
            [("lan0", mac::LAN), ("wan0", mac::WAN), ("spare0", mac::SLOW), ("spare1", mac::SPARE)]
        {
            connect((&host, interface), (&around, interface));
            let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
            host.run(&format!("ip link set {interface} address {mac}"));
        }
        host.forward();
        host.address("lan0", "10.1.0.1/24");
        host.address("lan0", "2001:db8:1::1/64");
        host.address("wan0", "192.0.2.1/24");
        host.address("wan0", "2001:db8:a::1/64");
        for (interface, mac, addresses) in [
            ("lan0", mac::CLIENT, ["10.1.0.2", "2001:db8:1::2"]),
            ("wan0", mac::GATEWAY, ["192.0.2.254", "2001:db8:a::fe"]),
        ] {
            for address in addresses {
                host.neighbour(interface, address.parse().expect("an address"), mac);
            }
        }
        host.run("ip tuntap add dev ipip0 mode tun");
        host.run("ip link set ipip0 up mtu 1480");
        host.route("10.2.0.0/16 dev ipip0");
        host.run("ip -6 route add 2001:db8:2::/48 dev ipip0");
        Self { host, around }
    }

    /// Sends the tunnel's packets by the port where their inner packets arrive, or by the other one.
    pub(super) fn lead(&self, is_same_port: bool) {
        let (inner, outer) = if is_same_port {
            // To the client's network for what is encapsulated, to the gateway for what is decapsulated.
            (["via 192.0.2.254", "via 2001:db8:a::fe"], ["via 10.1.0.2", "via 2001:db8:1::2"])
        } else {
            (["via 10.1.0.2", "via 2001:db8:1::2"], ["via 192.0.2.254", "via 2001:db8:a::fe"])
        };
        self.host.run(&format!("ip route replace 198.51.100.0/24 {}", outer[0]));
        self.host.run(&format!("ip -6 route replace 2001:db8:b::/48 {}", outer[1]));
        self.host.run(&format!("ip route replace 10.3.0.0/16 {}", inner[0]));
        self.host.run(&format!("ip -6 route replace 2001:db8:3::/48 {}", inner[1]));
    }
}

impl World {
    /// Loads the programs, with room for `tunnels`. To be called on a thread in the host's namespace.
    pub(super) fn load(object: &Path, place: &Place, tunnels: u32) -> Result<Self> {
        let cpus =
            u32::try_from(aya::util::nr_cpus().map_err(|(what, error)| anyhow::anyhow!("{what}: {error}"))?)?;
        let block = ident_block(cpus);
        let flow_bits = flow_bits(sysinfo()?.ram_total(), cpus);
        let shift = u64::BITS - flow_bits;
        let mut loader = EbpfLoader::new();
        loader.override_global("IDENT_BLOCK", &block, true);
        loader.override_global("FLOW_SHIFT", &shift, true);
        loader.map_max_entries(map::FLOWS, 1 << flow_bits);
        if tunnels > ipip_common::abi::MAX_TUNNELS {
            for name in [map::TUNNELS, map::TRAFFIC] {
                loader.map_max_entries(name, tunnels);
            }
            loader.map_max_entries(map::PEERS, 3 * tunnels);
        }
        loader.map_max_entries("PRICE", tunnels.max(1024));
        let mut programs =
            loader.load_file(object).with_context(|| format!("loading {}", object.display()))?;
        let whole: &mut Xdp = named(&mut programs, program::XDP_WHOLE)?;
        whole.load().context("loading xdp_whole")?;
        let whole = whole.fd()?.try_clone()?;
        let stages = programs.map_mut(map::STAGES).context("no map STAGES")?;
        ProgramArray::try_from(stages)?.set(map::WHOLE, &whole, 0)?;
        let index = |name: &str| place.host.link(name).index;
        let (lan, wan, tunnel, spare) = (index("lan0"), index("wan0"), index("ipip0"), index("spare0"));
        let mut world =
            Self { programs, lan, wan, tunnel, spare, loaded: BTreeSet::new(), links: Vec::new() };
        // A veth interface has the receive queue that the test run names only while a program is attached.
        for ifindex in [lan, wan] {
            world.attach(program::XDP_PORT, ifindex)?;
        }
        let mut ports: Array<_, Port> = world.map(map::LOW_PORTS)?;
        ports.set(lan, Port::ethernet(mac::LAN, true).with_turning(true).with_labels(true), 0)?;
        ports.set(wan, Port::ethernet(mac::WAN, true).with_turning(true).with_labels(true), 0)?;
        ports.set(tunnel, Port::tunnel(1).with_labels(true), 0)?;
        let mut labels: HashMap<_, u32, LabelEntry> = world.map(map::LABELS)?;
        labels.insert(LABEL_INTO, LabelEntry::into_tunnel(LABEL_INTO + 100, 1), 0)?;
        let gateway = "192.0.2.254".parse()?;
        labels.insert(LABEL_OUT, LabelEntry::to_neighbour(LABEL_OUT + 100, wan, gateway), 0)?;
        Ok(world)
    }

    /// Loads the programs of the ends of a rig. To be called on a thread in the namespace around the router.
    pub(super) fn ends(object: &Path) -> Result<Self> {
        let programs = Ebpf::load_file(object).with_context(|| format!("loading {}", object.display()))?;
        let (loaded, links) = (BTreeSet::new(), Vec::new());
        Ok(Self { programs, lan: 0, wan: 0, tunnel: 0, spare: 0, loaded, links })
    }

    /// Puts a program on an interface.
    pub(super) fn attach(&mut self, name: &str, ifindex: u32) -> Result<()> {
        let program = self.program(name)?;
        let link = program
            .attach_to_if_index(ifindex, XdpMode::Driver)
            .with_context(|| format!("attaching {name}"))?;
        self.links.push((name.to_owned(), link));
        Ok(())
    }

    /// Drops and counts all that comes to this hook of an interface, for as long as the world lives.
    pub(super) fn drop_at(&mut self, interface: &str, hook: TcAttachType) -> Result<()> {
        let program =
            self.programs.program_mut("sink_packet").context("the object has no program sink_packet")?;
        let program: &mut SchedClassifier = program.try_into().context("sink_packet is no classifier")?;
        program.load().context("loading sink_packet")?;
        program
            .attach_with_options(interface, hook, TcAttachOptions::TcxOrder(LinkOrder::default()))
            .context("attaching sink_packet")?;
        Ok(())
    }

    /// Takes one program off its interfaces.
    pub(super) fn take_off(&mut self, name: &str) -> Result<()> {
        let links = std::mem::take(&mut self.links);
        let (off, stay): (Vec<_>, Vec<_>) = links.into_iter().partition(|(other, _)| other == name);
        self.links = stay;
        for (name, link) in off {
            self.program(&name)?.detach(link).with_context(|| format!("detaching {name}"))?;
        }
        Ok(())
    }

    /// Takes all programs off their interfaces.
    pub(super) fn detach(&mut self) -> Result<()> {
        for (name, link) in std::mem::take(&mut self.links) {
            self.program(&name)?.detach(link).with_context(|| format!("detaching {name}"))?;
        }
        Ok(())
    }

    /// A map by name.
    pub(super) fn map<'a, M>(&'a mut self, name: &str) -> Result<M>
    where
        M: TryFrom<&'a mut Map>,
        M::Error: std::error::Error + Send + Sync + 'static,
    {
        let found = self.programs.map_mut(name).with_context(|| format!("no map {name}"))?;
        M::try_from(found).with_context(|| format!("opening map {name}"))
    }

    /// Writes a tunnel, its peers and its counters. What the programs remember is forgotten.
    pub(super) fn install(&mut self, tunnel: &Tunnel, ifindex: u32) -> Result<()> {
        let config = tunnel.config(ifindex)?;
        self.map::<Array<_, TunnelEntry>>(map::TUNNELS)?.set(tunnel.id, TunnelEntry::new(&config), 0)?;
        let mut peers: HashMap<_, PeerKey, u32> = self.map(map::PEERS)?;
        for kind in Carried::ALL.into_iter().filter(|kind| config.flags.carries(*kind)) {
            peers.insert(PeerKey::of(config.ends, kind.protocol()), tunnel.id, 0)?;
        }
        Ok(())
    }

    /// Gives every CPU its block of identifications.
    pub(super) fn start_idents(&mut self, id: u32) -> Result<()> {
        let cpus = aya::util::nr_cpus().map_err(|(what, error)| anyhow::anyhow!("{what}: {error}"))?;
        let block = ident_block(u32::try_from(cpus)?);
        let blocks = (0..cpus)
            .map(|cpu| Traffic { ident: u32::try_from(cpu).unwrap_or(0) * block, ..Traffic::default() });
        let blocks = PerCpuValues::try_from(blocks.collect::<Vec<_>>())?;
        self.map::<PerCpuArray<_, Traffic>>(map::TRAFFIC)?.set(id, blocks, 0)?;
        Ok(())
    }

    /// Makes the programs forget what they know of flows.
    pub(super) fn forget(&mut self) -> Result<()> {
        let mut generation: Array<&mut MapData, u32> = self.map(map::VARIABLES)?;
        // The benchmark's seed is a variable too, so that the section may hold more than the generation.
        let now = generation.get(&0, 0).context("reading the generation")?;
        generation.set(0, now.wrapping_add(1), 0)?;
        Ok(())
    }

    /// Says what the wrappers need to know.
    pub(super) fn set(&mut self, frame: &[u8], setting: Setting) -> Result<()> {
        let mut bytes = [0; 128];
        let length = frame.len().min(128);
        bytes[..length].copy_from_slice(&frame[..length]);
        self.map::<Array<_, Original>>("ORIGINAL")?.set(0, bytemuck::cast::<_, Original>(bytes), 0)?;
        self.map::<Array<_, Setting>>("SETTING")?.set(0, setting, 0)?;
        Ok(())
    }

    /// A program of the object, loaded.
    pub(super) fn program(&mut self, name: &str) -> Result<&mut Xdp> {
        let is_new = self.loaded.insert(name.to_owned());
        let program = named(&mut self.programs, name)?;
        if is_new {
            program.load().with_context(|| format!("loading {name}"))?;
        }
        Ok(program)
    }

    /// What the sink, or a wrapper with many packets, has counted.
    pub(super) fn arrived(&mut self) -> Result<u64> {
        self.map::<Array<_, u64>>("ARRIVED")?.get(&0, 0).context("reading what arrived")
    }

    /// The same with a packet that varies from run to run; nearly all of them must be carried.
    pub(super) fn time_many(&mut self, name: &str, ingress: u32, frame: &[u8], repeat: u32) -> Result<f64> {
        let before = self.arrived()?;
        let time = self.time(name, ingress, frame, repeat, true)?;
        let carried = self.arrived()? - before;
        ensure!(
            carried * 100 >= u64::from(repeat) * 99,
            "{name}: only {carried} of {repeat} packets were carried"
        );
        Ok(time)
    }

    /// Runs a program `repeat` times on the frame; nanoseconds for each. The program is on an interface meanwhile, so that
    /// the kernel does not wait for a grace period within the time that is taken. The frame must come out as it went in,
    /// unless it `varies`.
    pub(super) fn time(
        &mut self,
        name: &str,
        ingress: u32,
        frame: &[u8],
        repeat: u32,
        varies: bool,
    ) -> Result<f64> {
        let spare = self.spare;
        let program = self.program(name)?;
        let link = program
            .attach_to_if_index(spare, XdpMode::Driver)
            .with_context(|| format!("attaching {name}"))?;
        let end = u32::try_from(frame.len())?;
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let context: Vec<u8> = [0, end, 0, ingress, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
        let mut output = vec![0; frame.len() + 64];
        let start = Instant::now();
        let result = program.test_run(TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut output),
            ctx_in: Some(&context),
            repeat,
            ..TestRunOptions::default()
        });
        let elapsed = start.elapsed();
        program.detach(link)?;
        let result = result.with_context(|| format!("running {name}"))?;
        if !ON_ITS_WAY.contains(&result.return_value) {
            bail!("{name}: the packet is not carried (verdict {})", result.return_value);
        }
        output.truncate(usize::try_from(result.data_size_out)?);
        ensure!(varies || output == frame, "{name}: the packet was not put back as it was");
        Ok(elapsed.as_secs_f64() * 1e9 / f64::from(repeat))
    }
}

fn named<'a>(programs: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    let program = programs.program_mut(name).with_context(|| format!("the object has no program {name}"))?;
    program.try_into().with_context(|| format!("{name} is no XDP program"))
}
