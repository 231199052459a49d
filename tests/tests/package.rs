//! The Debian package in a Debian of its own, with systemd: it installs, runs, upgrades, and goes without a trace.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ipip_tests::ctl::Daemon;
use ipip_tests::debian::Debian;
use ipip_tests::netns::Netns;
use ipip_tests::process::Running;
use ipip_tests::sites::Carried;
use ipip_tests::topology::Sites;
use ipip_tests::traffic::paced_udp;
use ipip_tests::{need, wait};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);
/// The groups stay, and the files that are copies of them.
const GROUPS: [&str; 2] = ["/etc/group-", "/etc/gshadow-"];
/// How often carrier has come or gone, and whether it is there.
const CARRIER: &str = "cat /sys/class/net/t1/carrier_changes /sys/class/net/t1/carrier";
/// Of `systemd-analyze security`: what is called OK ends at 4.9.
const EXPOSURE_MAX: f32 = 3.0;

/// Datagrams, their size and pace: for longer than a package takes.
const STREAM: (u32, usize, Duration) = (7000, 200, Duration::from_millis(3));
const LENGTH: Duration = Duration::from_secs(21);
/// The address of host2 in the tunnel.
const SERVER_END: Ipv4Addr = Ipv4Addr::new(192, 168, 50, 2);

#[test]
fn package_installs_runs_upgrades_and_leaves_nothing() {
    let Some([base, old, new]) = need::packages() else { return };
    let network = Netns::new("debian");
    let debian = Debian::boot(&base, &network);
    let before = debian.files();
    let [old, new] = [old, new].map(|package| debian.take(&package));

    install(&debian, &old);
    everything_is_in_its_place(&debian);
    let tunnel = &a_tunnel_runs(&debian);
    networkd_leaves_tunnels_alone(&debian);
    let carrier = debian.run(CARRIER);
    daemon_comes_back(&debian, tunnel);
    assert_eq!(debian.run(CARRIER), carrier, "carrier has changed");

    let config = debian.run("cat /etc/ipip/ipip.toml");
    let daemon = debian.run("systemctl show --property MainPID --value ipip");
    install(&debian, &new);
    assert_ne!(debian.run("systemctl show --property MainPID --value ipip"), daemon, "it was not restarted");
    assert_eq!(debian.run("cat /sys/class/net/t1/ifindex"), *tunnel, "the interface is another");
    assert_eq!(debian.run(CARRIER), carrier, "carrier has changed");
    assert_eq!(debian.run("cat /etc/ipip/ipip.toml"), config);
    assert!(debian.run("ipip-ctl print").contains("t1"));
    a_daemon_by_hand_is_relieved(&debian, tunnel);

    debian.run("apt-get purge --yes ipip");
    assert!(debian.try_run("ip link show t1").code != Some(0), "the interface has stayed");
    assert_eq!(debian.run("ls /sys/fs/bpf /run | grep ipip || true"), "");
    let left: Vec<_> = debian.files().into_iter().filter(|path| !before.contains(path)).collect();
    let left: Vec<_> = left.iter().filter(|path| !GROUPS.contains(&path.as_str())).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The older package has programs and a daemon of another build than the newer one, the maps are the same.
#[test]
fn an_upgrade_and_a_downgrade_under_traffic_lose_nothing() {
    let (Some([base, old, new]), Some(ctl)) = (need::packages(), need::ctl()) else { return };
    let sites = Sites::new();
    sites.complete_frames_on_the_wire();
    let debian = Debian::boot(&base, &sites.host1);
    let [old, new] = [old, new].map(|package| debian.take(&package));
    install(&debian, &old);
    debian.run(&format!("ipip-ctl add ipip1 local-address={} remote-address={}", Sites::HOST1, Sites::HOST2));
    let far = Daemon::start(&ctl, &sites.host2);
    far.add(Sites::HOST2, Sites::HOST1, "");
    sites.route_through("ipip1");
    far.wait_for_tier_1(&["lan0", "wan0"]);
    wait::until_true("tier 1 serves", LIMIT, || {
        let status = debian.run("ipip-ctl --json status");
        ["lan0", "wan0"]
            .iter()
            .all(|port| status.contains(&format!("{{\"name\":\"{port}\",\"tiers\":[\"xdp\",\"tc\"]")))
    });
    sites.client.run("ping -c 3 -i 0.1 -W 2 192.168.20.2");
    let program = || debian.run("sha256sum /usr/bin/ipip-ctl");
    // Through tier 1, and through tier 2.
    for (client, server) in
        [(&sites.client, (&sites.server, Sites::SERVER)), (&sites.host1, (&sites.host2, SERVER_END))]
    {
        for package in [&new, &old] {
            let (before, carried, started) = (program(), Carried::read(&far), Instant::now());
            let lost = paced_udp(client, server, STREAM, || {
                install(&debian, package);
                assert!(started.elapsed() < LENGTH, "installing took longer than the stream");
            });
            assert_eq!(lost, [0; 0], "{}", debian.run("ipip-ctl print detail"));
            assert!(Carried::read(&far).since(&carried).all() >= u64::from(STREAM.0));
            assert_ne!(program(), before, "it is the same build");
        }
        iperf3(client, server, || install(&debian, &new));
        install(&debian, &old);
    }
}

/// Sends for as long as a package takes; in no second nothing arrives.
fn iperf3(client: &Netns, (server, address): (&Netns, Ipv4Addr), meanwhile: impl FnOnce()) {
    let listener = Running::start(server.command("iperf3").args(["--server", "--one-off", "--forceflush"]));
    wait::until_true("iperf3 listens", LIMIT, || listener.output().contains("listening"));
    let mut sender = client.command("iperf3");
    sender.args(["--client", &address.to_string(), "--time", "12", "--json"]);
    let sender = sender.stdout(Stdio::piped()).spawn().unwrap();
    meanwhile();
    let output = sender.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let seconds = report["intervals"].as_array().unwrap();
    assert!(seconds.len() >= 12, "{report}");
    assert!(seconds.iter().all(|second| second["sum"]["bytes"].as_u64() > Some(0)), "{report}");
}

fn install(debian: &Debian, package: &Path) {
    debian.run(&format!("apt-get install --yes --allow-downgrades {}", package.display()));
    wait::until_true("the daemon serves", LIMIT, || debian.try_run("ipip-ctl status").code == Some(0));
    assert_eq!(debian.run("systemctl is-active ipip").trim(), "active");
}

fn everything_is_in_its_place(debian: &Debian) {
    assert_eq!(debian.run("systemd-analyze verify ipip.service 2>&1"), "");
    let security = debian.run("systemd-analyze security --no-pager ipip.service");
    let exposure = security
        .split("exposure level for ipip.service: ")
        .nth(1)
        .and_then(|text| text.split_whitespace().next()?.parse::<f32>().ok());
    assert!(exposure.is_some_and(|exposure| exposure < EXPOSURE_MAX), "{security}");
    for page in ["ipip-ctl", "ipip-ctl-add"] {
        assert!(debian.run(&format!("man --where {page}")).contains("/usr/share/man/man1/"), "{page}");
    }
    let warnings =
        "for page in /usr/share/man/man1/ipip-ctl*; do zcat -f $page | groff -man -Tutf8 -ww -z; done 2>&1";
    assert_eq!(debian.run(warnings), "", "the pages are well-formed");
    debian.run("ipip-ctl check /usr/share/doc/ipip/examples/ipip.toml");
    assert_eq!(debian.run("stat --format '%a %G' /run/ipip/ipip.sock"), "660 ipip\n");
}

/// Another file of systemd-networkd's matches a tunnel's interface and one that is none. Where /sys is read-only it does not
/// wait for udev, which is not there.
fn networkd_leaves_tunnels_alone(debian: &Debian) {
    debian.run(
        "printf '[Match]\\nName=ipip* plain\\n[Network]\\nAddress=10.77.0.1/24\\n' >/etc/systemd/network/90-all.network
         ip link add plain type veth peer name other && ip link set plain up && ip link set other up
         ipip-ctl add ipip7 remote-address=198.51.100.7 && ip address add 10.78.0.1/30 dev ipip7
         mount -o remount,ro /sys && systemctl start systemd-networkd",
    );
    let addresses = |interface: &str| debian.run(&format!("ip -oneline -4 address show dev {interface}"));
    wait::until_true("networkd works", LIMIT, || addresses("plain").contains("10.77.0.1/24"));
    let state = debian.run("cat /run/systemd/netif/links/$(cat /sys/class/net/ipip7/ifindex)");
    assert!(state.contains("ADMIN_STATE=unmanaged"), "{state}");
    assert!(addresses("ipip7").contains("10.78.0.1/30") && !addresses("ipip7").contains("10.77"));
    debian.run(
        "systemctl stop systemd-networkd.socket systemd-networkd && mount -o remount,rw /sys
         rm /etc/systemd/network/90-all.network
         ip link del plain && ipip-ctl remove ipip7",
    );
}

/// Returns its interface's index.
fn a_tunnel_runs(debian: &Debian) -> String {
    debian.run(
        "ip link add wan0 type veth peer name wan1 && ip address add 198.51.100.1/24 dev wan0 && \
         ip link set wan0 up && ip link set wan1 up",
    );
    debian.run("ipip-ctl add t1 remote-address=198.51.100.2");
    wait::until_true("the tunnel runs", LIMIT, || {
        debian.run("ipip-ctl --json print").contains("\"running\":true")
    });
    // The second word may be a tunnel, the third a property.
    for (words, at, offered) in
        [("disable ''", 2, "t1"), ("set t1 allowed", 3, "allowed-inner="), ("rel", 1, "reload")]
    {
        let complete = format!(
            ". /usr/share/bash-completion/completions/ipip-ctl; COMP_WORDS=(ipip-ctl {words}); COMP_CWORD={at}; \
             _clap_complete_ipip_ctl ipip-ctl \"${{COMP_WORDS[{at}]}}\" 2>/dev/null; echo \"${{COMPREPLY[@]}}\""
        );
        assert!(debian.run(&complete).contains(offered), "{words}: {}", debian.run(&complete));
    }
    debian.run("systemctl reload ipip");
    debian.run("cat /sys/class/net/t1/ifindex")
}

/// Started by hand, it has a process that keeps its descriptors; the service takes them over.
fn a_daemon_by_hand_is_relieved(debian: &Debian, tunnel: &str) {
    let kept_by = |who: &str| debian.run("ipip-ctl status").contains(who);
    let serves = || debian.try_run("ipip-ctl status").code == Some(0);
    debian.run("systemctl stop ipip");
    debian.run("setsid ipip-ctl daemon </dev/null >/tmp/by-hand 2>&1 &");
    wait::until_true("the daemon serves", LIMIT, serves);
    assert!(kept_by("process"), "{}", debian.run("ipip-ctl status"));
    wait::until_true("the tunnel runs", LIMIT, || {
        debian.run("ipip-ctl --json print").contains("\"running\":true")
    });
    let carrier = debian.run(CARRIER);
    debian.run("ipip-ctl stop");
    debian.run("systemctl start ipip");
    wait::until_true("the service serves", LIMIT, serves);
    assert!(kept_by("systemd"), "{}", debian.run("ipip-ctl status"));
    assert!(debian.run("ipip-ctl --json print").contains("\"running\":true"));
    assert_eq!(debian.run("cat /sys/class/net/t1/ifindex"), tunnel, "the interface is another");
    assert_eq!(debian.run(CARRIER), carrier, "carrier has changed");
    debian.run("rm /tmp/by-hand");
}

fn daemon_comes_back(debian: &Debian, tunnel: &str) {
    debian.run("systemctl kill --signal KILL ipip");
    wait::until_true("systemd starts it again", LIMIT, || {
        debian.run("systemctl show --property NRestarts --value ipip").trim() == "1"
            && debian.try_run("ipip-ctl status").code == Some(0)
    });
    assert_eq!(debian.run("cat /sys/class/net/t1/ifindex"), tunnel);
}
