//! Who else may have hold of a tunnel's interface, and what the daemon does then.

use std::time::Duration;

use ipip_tests::ctl::{Daemon, pid};
use ipip_tests::netns::Netns;
use ipip_tests::process::Running;
use ipip_tests::sites::connected;
use ipip_tests::topology::Pair;
use ipip_tests::{need, wait};
use nix::sys::signal::{Signal, kill};

const FOLLOW: Duration = Duration::from_secs(10);
const HELD: &str = "interface ipip1: another process has it open";

fn pings(from: &Netns) -> bool {
    let ping = from.command("ping").args(["-c", "3", "-i", "0.1", "-W", "1", "192.168.50.2"]).output();
    ping.is_ok_and(|ping| ping.status.success())
}

/// Another process has hold of an interface, and the daemon starts again.
fn hold_anew(near: &mut Daemon<'_>, host: &Netns, interface: &str) -> Running {
    near.kill();
    near.try_end_keeper();
    let hold = format!(
        "import fcntl, struct, time\n\
         tun = open('/dev/net/tun', 'r+b', buffering=0)\n\
         fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH22x', b'{interface}', 0x5001))\n\
         print('held', flush=True)\n\
         time.sleep(600)"
    );
    let holder = Running::start(host.command("python3").args(["-c", &hold]));
    wait::until_true("it is held", FOLLOW, || holder.output().contains("held"));
    near.restart();
    holder
}

/// The process that keeps descriptors does not answer, and holds what it has.
#[test]
fn an_interface_that_another_process_holds_is_left_alone_until_it_is_free() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let [mut near, _far] = connected(&ctl, &pair);
    near.run("add ipip2 --local-address 10.9.0.1 --remote-address 10.9.0.77 --keepalive 0");
    assert!(pings(&pair.host1));
    let index = pair.host1.link("ipip1").index;

    let keeper = pid(near.keeper().expect("a process keeps descriptors"));
    kill(keeper, Signal::SIGSTOP).expect("stopping it");
    near.kill();
    near.restart();
    let tunnel = near.tunnel("ipip1");
    assert_eq!((&tunnel["reason"], &tunnel["running"]), (&HELD.into(), &false.into()), "{tunnel}");
    assert_eq!(pair.host1.link("ipip1").index, index, "the interface is the same");
    let addresses = || pair.host1.run("ip -oneline address show dev ipip1");
    assert!(addresses().contains("192.168.50.1/30"), "{}", addresses());
    // Nobody looks after it.
    assert!(!pings(&pair.host1));
    assert!(!pair.host1.link("ipip1").flags.iter().any(|flag| flag == "LOWER_UP"), "it has carrier");
    near.refuses("enable ipip1", 7);
    // What is not about it goes on.
    near.run("reload");
    near.run("remove ipip2");
    assert_eq!(pair.host1.find_link("ipip2"), None);

    // One of two is free: the whole command fails, and what it has taken hold of stays.
    near.end_keeper();
    near.run("add ipip3 --local-address 10.9.0.1 --remote-address 10.9.0.78 --keepalive 0");
    let mut holder = hold_anew(&mut near, &pair.host1, "ipip3");
    near.refuses("enable ipip1 ipip3", 7);
    assert_eq!(pair.host1.link("ipip1").index, index, "the interface is the same");
    holder.kill();
    near.run("enable ipip1 ipip3");
    wait::until_true("it runs", FOLLOW, || near.tunnel("ipip1")["running"] == true);
    assert_eq!(pair.host1.link("ipip1").index, index, "the interface is the same");
    assert!(addresses().contains("192.168.50.1/30"), "{}", addresses());
    assert!(pings(&pair.host1));
}

#[test]
fn nobody_but_root_takes_an_interface_that_no_process_holds() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let mut daemon = Daemon::start(&ctl, &pair.host1);
    daemon.add(Pair::HOST1, Pair::HOST2, "");
    daemon.kill();
    daemon.end_keeper();
    let is_removed_by = |user: u32| {
        let mut command = pair.host1.command("setpriv");
        command.args([&format!("--reuid={user}"), "--clear-groups", "ip", "tuntap", "del", "mode", "tun"]);
        command.arg("ipip1").output().expect("starting it").status.success()
    };
    assert!(!is_removed_by(65534));
    assert!(pair.host1.find_link("ipip1").is_some());
    assert!(is_removed_by(0));
    assert_eq!(pair.host1.find_link("ipip1"), None);
}
