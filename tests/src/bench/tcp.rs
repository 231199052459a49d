//! TCP, and segmented UDP, between two hosts through tier 2, against the bare underlay in the same run.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::rows::Rows;
use super::{Options, udp};
use crate::ctl::Daemon;
use crate::netns::Netns;
use crate::process::Running;
use crate::topology::Pair;
use crate::{inside, wait};

/// What was measured.
struct Measured {
    gbits: f64,
    /// CPUs that were busy meanwhile with anything, both ends and the kernel's interrupts among it, in percent of one and
    /// for each Gbit/s.
    cpu: f64,
}

/// Hosts that do not forward have no program on their ports, so that segmentation offload stays on: what hosts are.
pub(super) fn measure(options: &Options, rows: &mut Rows) -> Result<()> {
    let (rounds, seconds) = if options.quick { (1, 1) } else { (5, 2) };
    let pair = Pair::new();
    let hosts = [&pair.host1, &pair.host2];
    let [near, far] = hosts.map(|host| Daemon::start(&options.ctl, host));
    for (is_v6, name, kind) in [(false, "ipip1", "ipip"), (true, "ipip2", "6in6")] {
        let [local, remote] = Pair::ends(is_v6);
        near.run(&format!("add {name} --local-address {local} --remote-address {remote} --kind {kind}"));
        far.run(&format!("add {name} --local-address {remote} --remote-address {local} --kind {kind}"));
        wait::until_true("both ends are running", Duration::from_secs(20), || {
            [&near, &far].iter().all(|daemon| daemon.tunnel(name)["running"] == true)
        });
        let family = if is_v6 { inside::Family::V6 } else { inside::Family::V4 };
        inside::number([(hosts[0], name), (hosts[1], name)], &[family]);
    }
    let _servers = [Server::start(hosts[1]), Server::start(hosts[0])];
    for (family, tunnel, mss) in [
        ("v4", [address("192.168.50.1"), address("192.168.50.2")], 1428),
        ("v6", [address("2001:db8:50::1"), address("2001:db8:50::2")], 1388),
    ] {
        let bare = Pair::ends(family == "v6");
        for streams in [1, 8] {
            let what = format!("{family}, {streams} stream{}", if streams == 1 { "" } else { "s" });
            beside(rows, &what, rounds, |way, is_through| {
                let server = if is_through { tunnel } else { bare }[1 - way];
                iperf(hosts[way], server, mss, streams, seconds)
            })?;
        }
        beside(rows, &format!("{family}, UDP segments"), rounds, |way, is_through| {
            let server = (hosts[1 - way], if is_through { tunnel } else { bare }[1 - way]);
            let (before, start) = (busy()?, Instant::now());
            let gbits = udp::gbits(hosts[way], server, Duration::from_secs(seconds.into()))?;
            Ok(Measured { gbits, cpu: share(before, start, gbits)? })
        })?;
    }
    Ok(())
}

/// Rows of the tunnel beside the bare underlay: both ways, one after the other, and each first in turn.
fn beside(
    rows: &mut Rows,
    what: &str,
    rounds: usize,
    mut measure: impl FnMut(usize, bool) -> Result<Measured>,
) -> Result<()> {
    let mut ratios = Vec::new();
    let mut both: [Vec<Measured>; 2] = Default::default();
    for round in 0..rounds {
        let is_first = round % 4 < 2;
        let mut pair = [measure(round % 2, is_first)?, measure(round % 2, !is_first)?];
        if is_first {
            pair.reverse();
        }
        let [under, over] = pair;
        ratios.push(over.gbits / under.gbits);
        both[0].push(under);
        both[1].push(over);
    }
    rows.add("tcp", &format!("tunnel / underlay, {what}"), "ratio", None, ratios);
    for (name, rounds) in ["underlay", "tunnel"].into_iter().zip(both) {
        let (gbits, cpu) = rounds.iter().map(|round| (round.gbits, round.cpu)).unzip();
        rows.add("tcp", &format!("{name}, {what}"), "Gbit/s", None, gbits);
        rows.add("tcp", &format!("{name}, {what}, CPU"), "% for each Gbit/s", None, cpu);
    }
    Ok(())
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// An iperf3 server, for as long as it is held.
struct Server(Running);

impl Server {
    fn start(host: &Netns) -> Self {
        let mut command = host.command("iperf3");
        let server = Self(Running::start(command.args(["--server", "--forceflush"])));
        wait::until_true("iperf3 listens", Duration::from_secs(10), || {
            server.0.output().contains("listening")
        });
        server
    }
}

fn iperf(client: &Netns, server: IpAddr, mss: u32, streams: u32, seconds: u32) -> Result<Measured> {
    let before = busy()?;
    let start = Instant::now();
    let output = client
        .command("iperf3")
        .args(["--client", &server.to_string(), "--json", "--set-mss", &mss.to_string()])
        .args(["--parallel", &streams.to_string(), "--time", &seconds.to_string(), "--omit", "1"])
        .output()
        .context("starting iperf3")?;
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("reading iperf3's report")?;
    ensure!(report["error"].is_null(), "iperf3: {}", report["error"]);
    let end = &report["end"];
    let bits = end["sum_received"]["bits_per_second"].as_f64().context("iperf3 measured nothing")?;
    let gbits = bits / 1e9;
    // The first second is in the CPU's time, which iperf3 leaves out of its own: the traffic is the same.
    Ok(Measured { gbits, cpu: share(before, start, gbits)? })
}

/// Percent of a CPU that were busy since `start`, when all were busy for `before` seconds, for each Gbit/s.
fn share(before: f64, start: Instant, gbits: f64) -> Result<f64> {
    Ok((busy()? - before) / start.elapsed().as_secs_f64() * 100.0 / gbits)
}

/// Seconds that all CPUs together were busy since the machine started (`/proc/stat`, in hundredths of a second).
fn busy() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let spent: Vec<f64> =
        line.split_ascii_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; what follows is in them already.
    let all: f64 = spent.iter().take(8).sum();
    let idle: f64 = spent.iter().skip(3).take(2).sum();
    Ok((all - idle) / 100.0)
}
