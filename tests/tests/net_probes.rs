//! What the probes of many tunnels cost: hundreds, or as many as `IPIP_TUNNELS` says, over `IPIP_SECONDS`.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ipip_tests::crowd::{crowd, size};
use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::offload;
use ipip_tests::reflector::Reflector;
use ipip_tests::topology::Pair;

/// What each tunnel has.
const KEEPALIVE: &str = "local-address = \"10.9.0.1\"\nkeepalive = \"1s,10\"\n";
/// A daemon that starts with thousands of tunnels takes a while until all of them are answered.
const START: Duration = Duration::from_mins(2);
/// How long probes are counted, unless `IPIP_SECONDS` says otherwise.
const SECONDS: u64 = 5;

/// What was counted of a tunnel.
#[derive(Clone, Copy, Debug)]
struct Count {
    probes: u64,
    answers: u64,
    downs: u64,
}

/// What was counted of every tunnel, and how many are answered.
fn counts(daemon: &Daemon<'_>) -> (BTreeMap<String, Count>, usize) {
    let mut alive = 0;
    let mut one = |tunnel: &serde_json::Value| {
        let liveness = &tunnel["liveness"];
        let number = |name: &str| liveness[name].as_u64().unwrap_or_else(|| panic!("no {name}: {tunnel}"));
        alive += usize::from(liveness["state"] == "alive" && tunnel["running"] == true);
        let name = tunnel["name"].as_str().expect("a name").to_owned();
        (name, Count { probes: number("probes"), answers: number("answers"), downs: number("downs") })
    };
    let counts = daemon.tunnels().iter().map(&mut one).collect();
    (counts, alive)
}

#[test]
fn k1_probes_of_many_tunnels_are_sent_in_time_and_cost_little() {
    let Some(ctl) = need::ctl() else { return };
    let count = size(200);
    let seconds = std::env::var("IPIP_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let pair = Pair::new();
    pair.host1.route("default via 10.9.0.2");
    pair.host2.run("ip route add local 10.64.0.0/10 dev lo");
    // What arrives there costs the far end, as it does behind a wire, and not whoever sent it.
    offload::send_complete_frames(&pair.host1, "wan0");
    offload::receive_in_a_thread(&pair.host2, "wan0");
    let _far = Reflector::start(&pair.host2, Pair::HOST1);
    let mut daemon = Daemon::prepare(&ctl, &pair.host1, &crowd(count, KEEPALIVE));
    daemon.restart();
    let until = Instant::now() + START;
    loop {
        let (all, alive) = counts(&daemon);
        assert_eq!(all.len(), count);
        if alive == count {
            break;
        }
        assert!(Instant::now() < until, "{alive} of {count} are answered");
        std::thread::sleep(Duration::from_secs(1));
    }

    let (before, _) = counts(&daemon);
    let (started, cpu, threads) = (Instant::now(), daemon.cpu_time(), daemon.thread_times());
    std::thread::sleep(Duration::from_secs(seconds));
    let took = started.elapsed();
    let (cpu, threads_now) = (daemon.cpu_time().saturating_sub(cpu), daemon.thread_times());
    let (after, alive) = counts(&daemon);

    let share = |time: Duration| time.as_secs_f64() / took.as_secs_f64() * 100.0;
    let [probes, answers] = [|count: &Count| count.probes, |count: &Count| count.answers].map(|of| {
        let sum = |counts: &BTreeMap<String, Count>| counts.values().map(of).sum::<u64>();
        sum(&after) - sum(&before)
    });
    println!("{count} tunnels: {probes} probes and {answers} answers in {took:?}");
    println!("the daemon: {cpu:?} of the processors, {:.2} % of one", share(cpu));
    for (name, time) in threads_now {
        let time = time.saturating_sub(threads.get(&name).copied().unwrap_or_default());
        println!("thread {name}: {time:?}, {:.2} %", share(time));
    }

    assert_eq!(alive, count);
    for (name, after) in after {
        let before = before[&name];
        let (sent, answered) = (after.probes - before.probes, after.answers - before.answers);
        // Once each interval; the counters are read a while before and after. The wire loses a few when it is busy.
        assert!((seconds / 2..=seconds * 2 + 5).contains(&sent), "{name}: {before:?}, {after:?}");
        assert!(answered * 4 >= sent * 3, "{name}: {before:?}, {after:?}");
        assert_eq!(after.downs, 0, "{name}");
    }
}
