//! TCP between two hosts through tier 2, against the bare underlay in the same run.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Options;
use super::rows::Rows;
use crate::ctl::Daemon;
use crate::netns::Netns;
use crate::process::Running;
use crate::topology::Pair;
use crate::{inside, wait};

/// What iperf3 measured.
struct Measured {
    gbits: f64,
    /// Share of a CPU that the processes at both ends used, for each Gbit/s. What the kernel did in interrupts is not in it.
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
            let (mut ratios, mut through, mut beside) = (Vec::new(), Vec::new(), Vec::new());
            let (mut cpu_through, mut cpu_beside) = (Vec::new(), Vec::new());
            for round in 0..rounds {
                // Both ways, one after the other.
                let way = round % 2;
                let client = hosts[way];
                let under = iperf(client, bare[1 - way], mss, streams, seconds)?;
                let over = iperf(client, tunnel[1 - way], mss, streams, seconds)?;
                ratios.push(over.gbits / under.gbits);
                through.push(over.gbits);
                beside.push(under.gbits);
                cpu_through.push(over.cpu);
                cpu_beside.push(under.cpu);
            }
            let what = format!("{family}, {streams} stream{}", if streams == 1 { "" } else { "s" });
            rows.add("tcp", &format!("tunnel / underlay, {what}"), "ratio", None, ratios);
            rows.add("tcp", &format!("tunnel, {what}"), "Gbit/s", None, through);
            rows.add("tcp", &format!("underlay, {what}"), "Gbit/s", None, beside);
            rows.add(
                "tcp",
                &format!("tunnel, {what}, CPU of iperf3"),
                "% for each Gbit/s",
                None,
                cpu_through,
            );
            rows.add(
                "tcp",
                &format!("underlay, {what}, CPU of iperf3"),
                "% for each Gbit/s",
                None,
                cpu_beside,
            );
        }
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
    let cpu = &end["cpu_utilization_percent"];
    let share = |name: &str| cpu[name].as_f64().unwrap_or(f64::NAN);
    let gbits = bits / 1e9;
    Ok(Measured { gbits, cpu: (share("host_total") + share("remote_total")) / gbits })
}
