//! The two sites with a tunnel between them, and a capture of what is on the wire.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::ctl::Daemon;
use crate::netns::Netns;
use crate::pcap;
use crate::process::Running;
use crate::topology::{Pair, Sites};
use crate::wait;

/// A capture that has not grown for so long is complete.
const SETTLED: Duration = Duration::from_millis(200);

/// A daemon at both ends, `ipip1` between them, and routes through it.
#[derive(Debug)]
pub struct Tunnelled<'a> {
    /// The namespaces.
    pub sites: &'a Sites,
    /// The daemon of host1.
    pub near: Daemon<'a>,
    /// The daemon of host2.
    pub far: Daemon<'a>,
}

/// Connects the sites by a tunnel, whose ends are added with `options`, and runs `work` on it.
pub fn tunnelled(ctl: &Path, options: &str, work: impl FnOnce(&mut Tunnelled<'_>)) {
    let sites = Sites::new();
    sites.complete_frames_on_the_wire();
    let near = Daemon::start(ctl, &sites.host1);
    let far = Daemon::start(ctl, &sites.host2);
    near.add(Sites::HOST1, Sites::HOST2, options);
    far.add(Sites::HOST2, Sites::HOST1, options);
    sites.route_through("ipip1");
    near.wait_for_tier_1(&["lan0", "wan0"]);
    far.wait_for_tier_1(&["lan0", "wan0"]);
    // The first packets resolve neighbours.
    sites.client.run("ping -c 3 -i 0.1 -W 2 192.168.20.2");
    sites.server.run("ping -c 3 -i 0.1 -W 2 192.168.10.2");
    work(&mut Tunnelled { sites: &sites, near, far });
}

/// Connects two hosts by a tunnel, over IPv4 and without options, and gives its ends 192.168.50.1 and .2.
pub fn connected<'a>(ctl: &Path, pair: &'a Pair) -> [Daemon<'a>; 2] {
    let daemons = [&pair.host1, &pair.host2].map(|host| Daemon::start(ctl, host));
    daemons[0].add(Pair::HOST1, Pair::HOST2, "");
    daemons[1].add(Pair::HOST2, Pair::HOST1, "");
    pair.host1.address("ipip1", "192.168.50.1/30");
    pair.host2.address("ipip1", "192.168.50.2/30");
    daemons
}

/// What a host's tunnel has carried: packets into it and out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// By tier 1.
    pub xdp: u64,
    /// By tier 2.
    pub tc: u64,
    /// By the daemon.
    pub daemon: u64,
}

impl Carried {
    /// Reads the counters of `ipip1`.
    pub fn read(daemon: &Daemon<'_>) -> Self {
        let both = |tier| {
            daemon.counter("ipip1", tier, "sent-packets") + daemon.counter("ipip1", tier, "received-packets")
        };
        Self { xdp: both("xdp"), tc: both("tc"), daemon: both("daemon") }
    }

    /// What has come since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self { xdp: self.xdp - earlier.xdp, tc: self.tc - earlier.tc, daemon: self.daemon - earlier.daemon }
    }

    /// All tiers together.
    pub fn all(&self) -> u64 {
        self.xdp + self.tc + self.daemon
    }
}

/// tcpdump on an interface, until it is read.
#[derive(Debug)]
pub struct Capture {
    running: Running,
    file: PathBuf,
}

impl Capture {
    /// Starts to capture what the filter matches, into `target/pcap/<name>.pcap`.
    pub fn start(namespace: &Netns, interface: &str, name: &str, filter: &str) -> Self {
        let file = pcap::write(name, &[]);
        let mut command = namespace.command("tcpdump");
        command
            .args(["-i", interface, "-U", "--immediate-mode", "-n", "-Z", "root"])
            // Slots of the kernel's ring are as large as the longest packet: few fit with tcpdump's default.
            .args(["-s", "2048", "-B", "65536", "-w"])
            .arg(&file)
            .arg(filter);
        let mut running = Running::start(&mut command);
        wait::until_true("tcpdump listens", Duration::from_secs(10), || {
            assert!(running.ended().is_none(), "tcpdump ended: {}", running.output());
            running.output().contains("listening on")
        });
        Self { running, file }
    }

    /// Stops and returns these fields of every packet, as tshark reads them, in the order of the packets.
    pub fn fields(mut self, fields: &[&str]) -> Vec<Vec<String>> {
        let mut seen = 0;
        wait::until_true("the capture is written", Duration::from_secs(10), || {
            std::thread::sleep(SETTLED);
            let length = self.file.metadata().map_or(0, |file| file.len());
            std::mem::replace(&mut seen, length) == length
        });
        self.running.stop();
        let mut command = Command::new("tshark");
        for layer in ["ip", "tcp", "udp"] {
            command.arg("-o").arg(format!("{layer}.check_checksum:TRUE"));
        }
        command.args(["-n", "-T", "fields", "-E", "separator=;", "-r"]).arg(&self.file);
        command.args(fields.iter().flat_map(|field| ["-e", field]));
        let output = command.output().expect("starting tshark");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| line.split(';').map(str::to_owned).collect()).collect()
    }
}
