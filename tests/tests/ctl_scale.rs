//! Hundreds of tunnels; as many as `IPIP_TUNNELS` says. What each costs does not grow with their number.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a panic is how a test fails, and figures are told"
)]

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use ipip_tests::crowd::{crowd, size};
use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::topology::Pair;
use ipip_tests::wait;

/// A daemon that starts with thousands of tunnels takes a while until all of them run.
const FOLLOW: Duration = Duration::from_mins(1);
/// What is too little to be compared.
const LITTLE: Duration = Duration::from_millis(200);

/// Applies a text and gives what it took of processors' time; tells it too.
fn apply(daemon: &mut Daemon<'_>, what: &str, text: &str) -> Duration {
    let file = daemon.config().with_extension("new");
    fs::write(&file, text).expect("writing a file");
    measured(daemon, what, |daemon| daemon.run(&format!("apply {}", file.display())))
}

fn measured(daemon: &mut Daemon<'_>, what: &str, work: impl FnOnce(&mut Daemon<'_>) -> String) -> Duration {
    let (before, started) = (daemon.cpu_time(), Instant::now());
    work(daemon);
    let took = daemon.cpu_time().saturating_sub(before);
    println!("{what}: {:?}, of the processors {took:?}", started.elapsed());
    took
}

fn all_run(daemon: &Daemon<'_>, count: usize) {
    wait::until_true("all of them run", FOLLOW, || {
        let status: serde_json::Value = serde_json::from_str(&daemon.run("status --json")).expect("JSON");
        assert_eq!(status["tunnels"], count);
        status["running"] == count
    });
}

/// The interfaces of tunnels, with their indices.
fn interfaces(namespace: &Netns) -> BTreeMap<String, u32> {
    let list = namespace.run("ip -oneline link show type tun");
    let one = |line: &str| {
        let mut words = line.split(": ");
        let index = words.next()?.parse().ok()?;
        Some((words.next()?.to_owned(), index))
    };
    list.lines().filter_map(one).collect()
}

#[test]
fn what_a_tunnel_costs_does_not_grow_with_their_number() {
    let Some(ctl) = need::ctl() else { return };
    let count = size(400);
    let few = count / 4;
    let pair = Pair::new();
    let namespace = &pair.host1;
    namespace.route("default via 10.9.0.2");
    let mut daemon = Daemon::start(&ctl, namespace);

    let first = apply(&mut daemon, &format!("{few} new"), &crowd(few, ""));
    all_run(&daemon, few);
    let rest = apply(&mut daemon, &format!("{} more", count - few), &crowd(count, ""));
    all_run(&daemon, count);
    let each = |all: Duration, count: usize| all.as_micros() / u128::try_from(count).unwrap();
    let (first_each, rest_each) = (each(first.max(LITTLE), few), each(rest, count - few));
    assert!(rest_each < first_each * 3, "each took {first_each} us among few, and {rest_each} us among many");

    let indices = interfaces(namespace);
    assert_eq!(indices.len(), count);
    apply(&mut daemon, "nothing to change", &crowd(count, ""));
    let one = crowd(count, "").replacen("10.64.0.7\"", "10.64.0.7\"\nmtu = 1400", 1);
    apply(&mut daemon, "one change", &one);
    wait::until_true("it has its MTU", FOLLOW, || namespace.link("c6").mtu == 1400);
    measured(&mut daemon, "set", |daemon| daemon.run("set c7 mtu=1300 comment=seventh"));
    assert_eq!(namespace.link("c7").mtu, 1300);
    measured(&mut daemon, "print", |daemon| daemon.run("print"));

    daemon.kill();
    let started = Instant::now();
    daemon.restart();
    all_run(&daemon, count);
    println!("a start that takes over {count}: {:?}", started.elapsed());
    assert_eq!(interfaces(namespace), indices, "interfaces are the same");
    assert_eq!(daemon.tunnel("c7")["comment"], "seventh");

    let half = (0..count / 2).map(|number| format!("c{number}")).collect::<Vec<_>>().join(",");
    measured(&mut daemon, "disable half", |daemon| daemon.run(&format!("disable {half}")));
    all_run_but(&daemon, count / 2);
    measured(&mut daemon, "remove half", |daemon| daemon.run(&format!("remove {half}")));
    all_run(&daemon, count - count / 2);
    apply(&mut daemon, "remove the rest", "");
    assert_eq!(interfaces(namespace), BTreeMap::new());
    assert!(daemon.tunnels().is_empty());
}

fn all_run_but(daemon: &Daemon<'_>, disabled: usize) {
    let status: serde_json::Value = serde_json::from_str(&daemon.run("status --json")).expect("JSON");
    assert_eq!((&status["disabled"], &status["invalid"]), (&disabled.into(), &0.into()));
}

#[test]
fn a_burst_of_routes_is_one_piece_of_work() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let namespace = &pair.host1;
    namespace.route("default via 10.9.0.2");
    let mut daemon = Daemon::prepare(&ctl, namespace, &crowd(size(400), ""));
    daemon.restart();
    all_run(&daemon, size(400));
    // Ways to everywhere else, twenty thousand at once: for each tunnel each of them would be eight million.
    let routes = |verb: &str| {
        let route = |at: usize| format!("route {verb} 10.{}.{}.0/26 via 10.9.0.2", 128 + at / 250, at % 250);
        (0..20_000).map(route).collect::<Vec<_>>().join("\n")
    };
    let folder = tempfile::tempdir().expect("a directory");
    let took = measured(&mut daemon, "20000 routes come and go", |daemon| {
        for verb in ["add", "del"] {
            let file = folder.path().join(verb);
            fs::write(&file, routes(verb)).expect("writing a file");
            namespace.run(&format!("ip -batch {}", file.display()));
        }
        daemon.run("status")
    });
    assert!(took < Duration::from_secs(20), "{took:?}");
    // What happens afterwards is still heard of.
    namespace.run("ip route replace default via 10.9.0.2 mtu 1300");
    wait::until_true("the route's MTU", FOLLOW, || namespace.link("c9").mtu == 1280);
}
