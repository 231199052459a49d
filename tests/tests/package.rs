//! The Debian package in a Debian of its own, with systemd: it installs, runs, upgrades, and goes without a trace.

use std::path::Path;
use std::time::Duration;

use ipip_tests::debian::Debian;
use ipip_tests::{need, wait};

const LIMIT: Duration = Duration::from_secs(20);
/// The groups stay, and the files that are copies of them.
const GROUPS: [&str; 2] = ["/etc/group-", "/etc/gshadow-"];
/// How often carrier has come or gone, and whether it is there.
const CARRIER: &str = "cat /sys/class/net/t1/carrier_changes /sys/class/net/t1/carrier";
/// Of `systemd-analyze security`: what is called OK ends at 4.9.
const EXPOSURE_MAX: f32 = 3.0;

#[test]
fn package_installs_runs_upgrades_and_leaves_nothing() {
    let Some([base, old, new]) = need::packages() else { return };
    let debian = Debian::boot(&base);
    let before = debian.files();
    let [old, new] = [old, new].map(|package| debian.take(&package));

    install(&debian, &old);
    everything_is_in_its_place(&debian);
    let tunnel = &a_tunnel_runs(&debian);
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

    debian.run("apt-get purge --yes ipip");
    assert!(debian.try_run("ip link show t1").code != Some(0), "the interface has stayed");
    assert_eq!(debian.run("ls /sys/fs/bpf /run | grep ipip || true"), "");
    let left: Vec<_> = debian.files().into_iter().filter(|path| !before.contains(path)).collect();
    let left: Vec<_> = left.iter().filter(|path| !GROUPS.contains(&path.as_str())).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn install(debian: &Debian, package: &Path) {
    debian.run(&format!("apt-get install --yes {}", package.display()));
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
    debian.run("ipip-ctl check /usr/share/doc/ipip/examples/ipip.toml");
    assert_eq!(debian.run("stat --format '%a %G' /run/ipip/ipip.sock"), "660 ipip\n");
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

fn daemon_comes_back(debian: &Debian, tunnel: &str) {
    debian.run("systemctl kill --signal KILL ipip");
    wait::until_true("systemd starts it again", LIMIT, || {
        debian.run("systemctl show --property NRestarts --value ipip").trim() == "1"
            && debian.try_run("ipip-ctl status").code == Some(0)
    });
    assert_eq!(debian.run("cat /sys/class/net/t1/ifindex"), tunnel);
}
