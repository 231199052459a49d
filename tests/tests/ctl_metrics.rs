//! Metrics: real scrapes of a daemon, over a Unix socket and over a loopback port.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::topology::Pair;
use ipip_tests::wait;

const FOLLOW: Duration = Duration::from_secs(10);
const USAGE: i32 = 2;
const CONFLICT: i32 = 7;

/// What a scrape answers, and the samples in it.
fn scrape(socket: &Path) -> (String, BTreeMap<String, f64>) {
    let mut stream = UnixStream::connect(socket).unwrap_or_else(|error| panic!("no metrics: {error}"));
    let asked = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ipip\r\n\r\n");
    let mut answer = String::new();
    asked
        .and_then(|()| stream.read_to_string(&mut answer))
        .unwrap_or_else(|error| panic!("scraping: {error}"));
    let samples = answer.lines().filter(|line| line.starts_with("ipip_")).map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        (name.to_owned(), value.parse().unwrap_or_else(|error| panic!("{error}: {line}")))
    });
    let samples = samples.collect();
    (answer, samples)
}

#[test]
fn a_scrape_has_the_numbers_that_print_has() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let folder = tempfile::tempdir().expect("a directory");
    let socket = folder.path().join("metrics.sock");
    let config = format!("metrics = \"unix:{}\"\n", socket.display());
    let mut near = Daemon::prepare(&ctl, &pair.host1, &config);
    near.restart();
    let far = Daemon::start(&ctl, &pair.host2);
    near.add(Pair::HOST1, Pair::HOST2, "");
    far.add(Pair::HOST2, Pair::HOST1, "");
    near.run("add lost remote-address=192.0.2.77");
    near.run("add off remote-address=192.0.2.78 disabled=yes");
    pair.host1.address("ipip1", "192.168.50.1/30");
    pair.host2.address("ipip1", "192.168.50.2/30");
    pair.host1.run("ping -c 3 -i 0.1 -W 1 192.168.50.2");
    let file = std::fs::metadata(&socket).expect("a socket");
    assert_eq!(file.mode() & 0o7777, 0o660);
    let (text, samples) = scrape(&socket);
    assert!(
        text.contains("200 OK") && text.contains("openmetrics-text") && text.ends_with("# EOF\n"),
        "{text}"
    );
    let value = |name: &str| samples.get(name).copied().unwrap_or_else(|| panic!("no {name} in {text}"));
    let sent = near.counter("ipip1", "tc", "sent-packets");
    assert!(sent >= 3);
    let close =
        |left: f64, right: u64| (left - f64::from(u32::try_from(right).unwrap_or(u32::MAX))).abs() < 0.5;
    assert!(close(value("ipip_tunnel_sent_packets_total{tunnel=\"ipip1\",tier=\"tc\"}"), sent));
    let bytes = near.counter("ipip1", "tc", "received-bytes");
    assert!(close(value("ipip_tunnel_received_bytes_total{tunnel=\"ipip1\",tier=\"tc\"}"), bytes));
    for (name, expected) in [
        ("ipip_tunnels{state=\"running\"}", 1),
        ("ipip_tunnels{state=\"invalid\"}", 1),
        ("ipip_tunnels{state=\"disabled\"}", 1),
        ("ipip_tunnel_running{tunnel=\"ipip1\"}", 1),
        ("ipip_tunnel_invalid{tunnel=\"lost\"}", 1),
        ("ipip_tunnel_enabled{tunnel=\"off\"}", 0),
        ("ipip_tunnel_mtu_bytes{tunnel=\"ipip1\"}", 1480),
        ("ipip_map_entries{map=\"TUNNELS\"}", 3),
        ("ipip_map_entries{map=\"PEERS\"}", 1),
    ] {
        assert!(close(value(name), expected), "{name}: {text}");
    }
    assert!(value("ipip_map_entries_max{map=\"TUNNELS\"}") > 16_000.0);
    near.stop();
    assert!(!socket.exists(), "it is gone with its daemon");
}

#[test]
fn the_command_line_goes_before_the_file_and_a_port_is_the_hosts_alone() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("metrics");
    namespace.run("ip link set lo up");
    let mut daemon = Daemon::prepare(&ctl, &namespace, "metrics = \"127.0.0.1:9001\"\n");
    daemon.restart();
    let scrape = |port: u16| {
        let get = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; timeout 5 cat <&3"
        );
        let output = namespace.command("bash").args(["-c", &get]).output().expect("bash");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(scrape(9001).contains("ipip_build_info{version="), "{}", scrape(9001));
    // A change of the file waits for the next start, and the log says so.
    std::fs::write(daemon.config(), "metrics = \"127.0.0.1:9002\"\n").expect("writing the file");
    daemon.run("reload");
    wait::until_true("it is told", FOLLOW, || {
        daemon.log().contains("takes effect when the daemon starts again")
    });
    assert!(scrape(9001).contains("# EOF"));
    daemon.stop();
    let refused = |line: &str, code: i32, words: &str| {
        let answer = ipip_tests::ctl::answer(daemon.command().args(line.split_whitespace()));
        assert_eq!(answer.code, Some(code), "{line}: {answer:?}");
        assert!(answer.errors.contains(words), "{line}: {answer:?}");
    };
    refused("--metrics 0.0.0.0:9003", USAGE, "no loopback address");
    refused("--metrics unix:relative.sock", USAGE, "begins with /");
    let listener = "import socket,time; s=socket.create_server(('127.0.0.1',9004)); print('up',flush=True); time.sleep(30)";
    let holder = ipip_tests::process::Running::start(namespace.command("python3").args(["-c", listener]));
    wait::until_true("the port is taken", FOLLOW, || holder.output().contains("up"));
    refused("--metrics 127.0.0.1:9004", CONFLICT, "metrics: address 127.0.0.1:9004");
}
