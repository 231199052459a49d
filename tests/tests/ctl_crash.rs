//! The daemon is killed in the middle of changes, at random points: what is in the file, in the kernel and in the maps
//! agrees when it is back, nothing is left over, and a tunnel that was not touched loses no packet.
//!
//! `IPIP_CRASHES` says how often.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aya::maps::{HashMap, Map, MapData};
use ipip_common::abi::{PeerKey, Port, map};
use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::sites::tunnelled;
use ipip_tests::topology::Sites;
use ipip_tests::traffic::paced_udp;
use ipip_tests::wait;

/// How often the daemon is killed unless `IPIP_CRASHES` says otherwise.
const CRASHES: usize = 30;
/// Four thousand datagrams in eight seconds.
const STREAM: (u32, usize, Duration) = (4000, 200, Duration::from_millis(2));
/// The last crash of a stream comes well before its end.
const ROOM: Duration = Duration::from_secs(6);
/// A change is over before; the kill comes at any point of it.
const CHANGE: u64 = 40_000;

/// Numbers that look random (xorshift), so that a failure can be had again by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// The file with `ipip1`, which is never touched, and some of eight others with one of two MTUs.
fn config(ipip1: &str, which: u64, mtu: u64) -> String {
    let others = (0..8).filter(|number| which >> number & 1 == 1).map(|number| {
        let remote = 100 + number;
        format!("\n[[tunnel]]\nname = \"t{number}\"\nremote-address = \"152.16.10.{remote}\"\nmtu = {mtu}\n")
    });
    std::iter::once(ipip1.to_owned()).chain(others).collect()
}

/// A pinned map, by name.
fn pinned(folder: &Path, name: &str) -> PathBuf {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("listing pins").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() == name {
                return entry.path();
            }
        }
    }
    panic!("no map {name} is pinned");
}

fn map_of(daemon: &Daemon<'_>, name: &str) -> Map {
    Map::HashMap(MapData::from_pin(pinned(&daemon.pins(), name)).expect("opening a pinned map"))
}

/// Configuration, list, interfaces and maps name the same tunnels.
fn agrees(daemon: &Daemon<'_>, namespace: &Netns) {
    let tunnels = daemon.tunnels();
    let names: BTreeSet<String> =
        tunnels.iter().map(|tunnel| tunnel["name"].as_str().unwrap_or_default().to_owned()).collect();
    let text = fs::read_to_string(daemon.config()).expect("the configuration");
    let written: BTreeSet<String> = text
        .lines()
        .filter_map(|line| Some(line.strip_prefix("name = \"")?.trim_end_matches('"').to_owned()))
        .collect();
    assert_eq!(names, written, "the list and the file");
    let interfaces = namespace.run("ip -oneline link show type tun");
    let interfaces: BTreeSet<String> =
        interfaces.lines().filter_map(|line| Some(line.split(": ").nth(1)?.to_owned())).collect();
    assert_eq!(interfaces, names, "interfaces and the list");
    let ports: HashMap<_, u32, Port> = map_of(daemon, map::PORTS).try_into().expect("the map of ports");
    let ids: BTreeSet<u32> = ports.iter().filter_map(|port| port.ok()?.1.tunnel_id()).collect();
    assert_eq!(ids.len(), names.len(), "ports that are tunnels");
    let peers: HashMap<_, PeerKey, u32> = map_of(daemon, map::PEERS).try_into().expect("the map of peers");
    let owners: Vec<u32> = peers.iter().filter_map(|peer| Some(peer.ok()?.1)).collect();
    let running = tunnels.iter().filter(|tunnel| tunnel["running"] == true).count();
    assert!(
        owners.iter().all(|owner| ids.contains(owner)) && owners.len() == running,
        "{owners:?} of {ids:?}"
    );
    let mtus =
        tunnels.iter().filter(|tunnel| tunnel["mtu"].is_number()).map(|tunnel| tunnel["mtu"].to_string());
    let written = text.lines().filter_map(|line| Some(line.strip_prefix("mtu = ")?.to_owned()));
    assert_eq!(mtus.collect::<Vec<_>>(), written.collect::<Vec<_>>(), "values in the list and the file");
}

#[test]
fn a_daemon_that_is_killed_in_a_change_leaves_nothing_half_done() {
    let Some(ctl) = need::ctl() else { return };
    let crashes = std::env::var("IPIP_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(CRASHES);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").subsec_nanos();
    let mut random = Random(u64::from(now) | 1);
    println!("seed {}", random.0);
    tunnelled(&ctl, "", |world| {
        let (sites, near) = (world.sites, &mut world.near);
        let ipip1 = fs::read_to_string(near.config()).expect("the configuration");
        let file = near.config().with_extension("new");
        let index = sites.host1.link("ipip1").index;
        let mut done = 0;
        while done < crashes {
            let started = Instant::now();
            let lost = paced_udp(&sites.client, (&sites.server, Sites::SERVER), STREAM, || {
                while done < crashes && started.elapsed() < ROOM {
                    let line = if done % 4 == 3 {
                        format!("set ipip1 comment={done}")
                    } else {
                        let text = config(&ipip1, random.below(256), 1300 + random.below(2));
                        fs::write(&file, text).expect("writing a file");
                        format!("apply {}", file.display())
                    };
                    let mut command = sites.host1.command(&ctl);
                    command.arg("--socket").arg(near.socket()).args(line.split_whitespace());
                    let mut client = command
                        .stdout(Stdio::null())
                        .stderr(Stdio::null())
                        .spawn()
                        .expect("starting ipip-ctl");
                    thread::sleep(Duration::from_micros(random.below(CHANGE)));
                    near.kill();
                    client.wait().expect("waiting for ipip-ctl");
                    near.restart();
                    wait::until_true("ipip1 runs", Duration::from_secs(10), || {
                        near.tunnel("ipip1")["running"] == true
                    });
                    agrees(near, &sites.host1);
                    done += 1;
                }
            });
            assert_eq!(lost, [0; 0], "{}", near.run("print detail"));
        }
        assert_eq!(sites.host1.link("ipip1").index, index, "its interface is the same");
    });
}
