//! Packets per second from port to port over veths, with generator, router and sink on one CPU.

use std::time::Duration;

use anyhow::{Context, Result};
use aya::programs::TcAttachType;
use ipip_common::abi::Carried;

use super::Options;
use super::packet::{IPIP, KINDS, Kind, Payload, into_tunnel, out_of_tunnel_from_lan};
use super::rig::{Rig, rounds};
use super::rows::Rows;
use super::world::{Place, Setting, Tunnel, World, inside};
use crate::offload::{Offload, set};

/// What stands between generator and sink.
#[derive(Clone, Copy)]
enum Router {
    /// A program of the benchmark on the port.
    Program(&'static str),
    /// The real programs, with a tunnel of this kind.
    Ours(Kind),
    /// The kernel, set up by these commands and taken down by those.
    Kernel { up: &'static [&'static str], down: &'static [&'static str], end: End },
}

/// Where packets of the kernel's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Where they leave the router: the kernel's best case.
    Egress,
    /// Behind the wire, as packets of the programs do.
    Wire,
}

/// One row.
struct Job {
    name: String,
    router: Router,
    frame: Vec<u8>,
}

/// A packet out of a tunnel, as it arrives where the generator is.
fn out(kind: Kind) -> Vec<u8> {
    out_of_tunnel_from_lan(kind, Payload::Udp, if kind.inner == Carried::Ipv6 { 68 } else { 64 })
}

/// Stands for the file of the program for lightweight tunnels.
const LWT: &str = "LWT";

/// The kernel's own ways: name, what to do, how to undo it, and whether the packet comes out of a tunnel.
const KERNEL: [(&str, &[&str], &[&str]); 7] = [
    ("kernel, no tunnel", &["ip route replace 10.2.0.0/16 via 192.0.2.254"], &[]),
    (
        "kernel VXLAN into",
        &[
            "ip link add vx0 type vxlan id 7 local 192.0.2.1 remote 198.51.100.2 dstport 4789 dev wan0",
            "ip link set vx0 up",
            "ip neighbour replace 172.31.0.2 lladdr 02:00:00:00:09:09 nud permanent dev vx0",
            "ip route replace 10.2.0.0/16 via 172.31.0.2 dev vx0 onlink",
        ],
        &["ip link del vx0"],
    ),
    (
        "kernel SRv6 reduced into",
        &["ip route replace 10.2.0.0/16 encap seg6 mode encap.red segs 2001:db8:b::2 dev wan0"],
        &[],
    ),
    (
        "kernel LWT-BPF into",
        &["ip route replace 10.2.0.0/16 encap bpf xmit obj LWT section lwt_xmit headroom 20 dev wan0"],
        &[],
    ),
    (
        "kernel ipip into",
        &[
            "ip link add t0 type ipip local 192.0.2.1 remote 198.51.100.2",
            "ip link set t0 up",
            "ip route replace 10.2.0.0/16 dev t0",
        ],
        &["ip link del t0"],
    ),
    (
        "kernel sit into",
        &[
            "ip link add t0 type sit local 192.0.2.1 remote 198.51.100.2",
            "ip link set t0 up",
            "ip -6 route replace 2001:db8:2::/48 dev t0",
        ],
        &["ip link del t0"],
    ),
    (
        "kernel ip6tnl into",
        &[
            "ip link add t0 type ip6tnl mode any local 2001:db8:a::1 remote 2001:db8:b::2",
            "ip link set t0 up",
            "ip route replace 10.2.0.0/16 dev t0",
        ],
        &["ip link del t0"],
    ),
];

fn jobs() -> Vec<Job> {
    let plain = into_tunnel(Carried::Ipv4, Payload::Udp, 64);
    let mut jobs = vec![
        Job { name: "drop".to_owned(), router: Router::Program("sink"), frame: plain.clone() },
        Job { name: "redirect".to_owned(), router: Router::Program("redirect"), frame: plain.clone() },
        Job { name: "floor into".to_owned(), router: Router::Program("push_redirect"), frame: plain.clone() },
        Job { name: "floor out".to_owned(), router: Router::Program("pull_redirect"), frame: out(IPIP) },
    ];
    for kind in KINDS {
        let (name, router) = (kind.name, Router::Ours(kind));
        let frame = into_tunnel(kind.inner, Payload::Udp, 64);
        jobs.push(Job { name: format!("{name} into"), router, frame });
        jobs.push(Job { name: format!("{name} out"), router, frame: out(kind) });
    }
    for (name, up, down) in KERNEL {
        let inner = if name.contains("sit") { Carried::Ipv6 } else { Carried::Ipv4 };
        let frame = into_tunnel(inner, Payload::Udp, 64);
        for (name, end) in
            [(name.to_owned(), End::Wire), (format!("{name}, to the egress hook"), End::Egress)]
        {
            jobs.push(Job { name, router: Router::Kernel { up, down, end }, frame: frame.clone() });
        }
    }
    jobs
}

/// Measures every row, pass by pass.
pub(super) fn measure(options: &Options, rows: &mut Rows) -> Result<()> {
    let (passes, time) = match (options.counting, options.quick) {
        (true, _) => (1, Duration::from_millis(60)),
        (false, true) => (1, Duration::from_millis(200)),
        (false, false) => (4, Duration::from_millis(1200)),
    };
    let place = Place::new();
    place.lead(false);
    // What comes out of a tunnel leaves by the sink too.
    place.host.run("ip route replace 10.3.0.0/16 via 192.0.2.254");
    place.host.run("ip -6 route replace 2001:db8:3::/48 via 2001:db8:a::fe");
    for (namespace, interface) in [(&place.host, "lan0"), (&place.host, "wan0"), (&place.around, "wan0")] {
        // A veth takes redirected frames while it has a program or GRO.
        set(namespace, interface, Offload::GenericReceive, true);
    }
    let index = |interface: &str| place.around.link(interface).index;
    let rig =
        Rig { generator: index("lan0"), spare: [index("spare0"), index("spare1")], sink: index("wan0") };
    let mut results: Vec<(Job, Vec<f64>, String)> =
        jobs().into_iter().map(|job| (job, Vec::new(), String::new())).collect();
    inside(&place.around, || -> Result<()> {
        let mut ends = World::ends(&options.object)?;
        rig.open(&mut ends)?;
        for _ in 0..passes {
            for (job, mpps, note) in &mut results {
                match one(options, &place, &rig, &mut ends, job, time) {
                    Ok((more, void)) => {
                        mpps.extend(more);
                        if void > 0 {
                            *note = format!("{void} rounds void: too many packets lost");
                        }
                    }
                    Err(error) => *note = format!("not measured: {error:#}"),
                }
            }
        }
        Ok(())
    })?;
    for (job, mpps, note) in results {
        if mpps.is_empty() {
            rows.leave_out(&format!("veth: {}", job.name), &note);
            continue;
        }
        if options.counting {
            let name = match job.router {
                Router::Ours(_) if job.name == "ipip into" => "rig: ours into".to_owned(),
                Router::Program(_) | Router::Ours(_) | Router::Kernel { .. } => {
                    format!("rig: {}", job.name)
                }
            };
            let each: Vec<f64> = mpps.iter().map(|mpps| 1e3 / mpps).collect();
            rows.add("veth", &name, "instructions", (job.name != "drop").then_some("rig: drop"), each);
        } else {
            rows.add("veth", &job.name, "Mpps", None, mpps);
        }
        rows.note(note);
    }
    Ok(())
}

/// Sets a router up, sends through it, and takes it down.
fn one(
    options: &Options,
    place: &Place,
    rig: &Rig,
    ends: &mut World,
    job: &Job,
    time: Duration,
) -> Result<(Vec<f64>, usize)> {
    match job.router {
        Router::Kernel { up, down, end } => {
            let (namespace, hook) = match end {
                End::Egress => (&place.host, TcAttachType::Egress),
                End::Wire => (&place.around, TcAttachType::Ingress),
            };
            let mut behind = namespace.enter(|| World::ends(&options.object))?;
            namespace.enter(|| behind.drop_at("wan0", hook))?;
            // A program in the driver would turn every packet of the stack into a frame first.
            ends.take_off("sink")?;
            let lwt = options.object.with_file_name("ipip-lwt.o").display().to_string();
            let ready = up.iter().try_for_each(|command| try_run(place, &command.replace(LWT, &lwt)));
            let result =
                ready.and_then(|()| rounds(1, || rig.run(ends, &job.frame, time, &mut |_| behind.arrived())));
            let back =
                ["ip route replace 10.2.0.0/16 dev ipip0", "ip -6 route replace 2001:db8:2::/48 dev ipip0"];
            for command in down.iter().chain(&back) {
                let _ = try_run(place, command);
            }
            rig.take_sink(ends)?;
            result
        }
        Router::Program(_) | Router::Ours(_) => {
            // The programs live as long as their world, in the router's namespace.
            let mut router = place.host.enter(|| World::load(&options.object, place, 1))?;
            if let Router::Program(name) = job.router {
                router.detach()?;
                let (wan, lan) = (router.wan, router.lan);
                router.set(&[], Setting { ifindex: wan, ..Setting::default() })?;
                place.host.enter(|| router.attach(name, lan))?;
            } else if let Router::Ours(kind) = job.router {
                let (tunnel, ifindex) = (Tunnel::of(kind), router.tunnel);
                router.install(&tunnel, ifindex)?;
                router.start_idents(tunnel.id)?;
            }
            let is_drop = job.name == "drop";
            let result = rounds(1, || {
                rig.run(ends, &job.frame, time, &mut |ends| {
                    if is_drop { router.arrived() } else { ends.arrived() }
                })
            });
            router.detach()?;
            result
        }
    }
}

fn try_run(place: &Place, line: &str) -> Result<()> {
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty command")?;
    let output =
        place.host.command(program).args(words).output().with_context(|| format!("starting {program}"))?;
    anyhow::ensure!(
        output.status.success(),
        "`{line}`: {}",
        String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")
    );
    Ok(())
}
