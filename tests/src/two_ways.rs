//! A route that changes while packets of a known flow go by it.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::ctl::Daemon;
use crate::netns::{Netns, connect, connect_numbered};
use crate::{offload, wait};

/// A router with a client and two ways on; the tunnel's far end is behind both.
///
/// What leaves through the tunnel is told apart by where it arrives: at `left` or at `right`.
#[derive(Debug)]
pub struct TwoWays {
    /// Who sends.
    pub client: Netns,
    /// Where the tunnel begins.
    pub router: Netns,
    /// The next hops on the two ways.
    pub ways: [Netns; 2],
}

/// The way in which packets are outer ones: raw sockets of protocol 4 take them off the wire.
const PROTOCOL: i32 = 4;
const REMOTE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

impl TwoWays {
    /// Builds it; the first way is the one to the far end.
    pub fn new() -> Self {
        Self::numbered(None)
    }

    /// The same, where the router's interface towards the client has this number.
    pub fn numbered(index: Option<u32>) -> Self {
        let world = Self {
            client: Netns::new("client"),
            router: Netns::new("router"),
            ways: [Netns::new("left"), Netns::new("right")],
        };
        match index {
            Some(index) => connect_numbered((&world.router, "lan0", index), (&world.client, "eth0")),
            None => connect((&world.router, "lan0"), (&world.client, "eth0")),
        }
        world.client.address("eth0", "10.1.0.2/24");
        world.router.address("lan0", "10.1.0.1/24");
        world.client.route("default via 10.1.0.1");
        for (number, way) in world.ways.iter().enumerate() {
            let port = format!("wan{number}");
            connect((way, "eth0"), (&world.router, &port));
            world.router.address(&port, &format!("192.0.{number}.1/24"));
            way.address("eth0", &format!("192.0.{number}.2/24"));
            way.address("lo", &format!("{REMOTE}/32"));
            way.run("ip link set lo up");
            offload::receive_redirected(way, "eth0");
        }
        offload::receive_redirected(&world.client, "eth0");
        offload::send_complete_frames(&world.client, "eth0");
        world.router.forward();
        world.lead(0);
        world
    }

    /// The way to the far end, in one step.
    pub fn lead(&self, way: usize) {
        self.router.run(&format!("ip route replace {REMOTE}/32 via 192.0.{way}.2"));
    }

    /// Starts a daemon whose tunnel leads to the far end, and waits for tier 1.
    pub fn tunnel(&self, ctl: &Path) -> Daemon<'_> {
        let daemon = Daemon::start(ctl, &self.router);
        daemon.run(&format!("add ipip1 --local-address 192.0.0.1 --remote-address {REMOTE} --keepalive 0"));
        self.router.route("10.2.0.0/16 dev ipip1");
        daemon.wait_for_tier_1(&["lan0", "wan0", "wan1"]);
        wait::until_true("the tunnel runs", Duration::from_secs(20), || {
            daemon.tunnel("ipip1")["running"] == true
        });
        daemon
    }
}

/// Waits until all that was sent has arrived.
pub fn until_the_last_arrives(sent: &AtomicU64, takers: &[Taker; 2]) {
    let all = sent.load(Ordering::Relaxed);
    wait::until_true("the last packets arrive", Duration::from_secs(5), || {
        takers.iter().any(|taker| taker.last.load(Ordering::Relaxed) >= all)
    });
}

/// Kills the daemon and leads the route the other way. Returns how many packets, one each `pause`, still took the old way, and how
/// many arrived by each.
pub fn stale_without_daemon(world: &TwoWays, daemon: &mut Daemon<'_>, pause: Duration) -> (u64, [u64; 2]) {
    let mut stale = 0;
    let (_, arrived) = while_sending(world, pause, |sent, takers| {
        daemon.kill();
        // Enough packets that the flow is known again since then.
        let before = takers[0].count.load(Ordering::Relaxed);
        wait::until_true("packets go on", Duration::from_secs(5), || {
            takers[0].count.load(Ordering::Relaxed) > before + 200
        });
        world.lead(1);
        let changed = sent.load(Ordering::Relaxed);
        wait::until_true("packets take the new way", Duration::from_secs(5), || {
            takers[1].last.load(Ordering::Relaxed) > changed
        });
        stale = takers[0].last.load(Ordering::Relaxed).saturating_sub(changed);
    });
    (stale, arrived)
}

/// Takes outer packets off a wire, each with the number that the sender wrote into it.
#[derive(Debug)]
pub struct Taker {
    /// The number of the last packet.
    pub last: AtomicU64,
    /// How many have come.
    pub count: AtomicU64,
}

/// Runs `work` while the client sends a numbered packet every `pause`, and both ways take what arrives. Returns how many were
/// sent, and how many arrived by each way.
pub fn while_sending(
    world: &TwoWays,
    pause: Duration,
    work: impl FnOnce(&AtomicU64, &[Taker; 2]),
) -> (u64, [u64; 2]) {
    let takers = [(); 2].map(|()| Taker { last: AtomicU64::new(0), count: AtomicU64::new(0) });
    let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let sockets = world.ways.each_ref().map(|way| {
        way.enter(|| {
            let socket = socket2::Socket::new(
                socket2::Domain::IPV4,
                socket2::Type::RAW,
                Some(socket2::Protocol::from(PROTOCOL)),
            )
            .expect("a socket");
            socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket");
            socket.set_recv_buffer_size(8 << 20).expect("a socket");
            socket
        })
    });
    let sender = world.client.enter(|| UdpSocket::bind("10.1.0.2:4000").expect("a socket"));
    thread::scope(|threads| {
        for (socket, taker) in sockets.iter().zip(&takers) {
            let is_over = &is_over;
            threads.spawn(move || {
                let mut buffer = [std::mem::MaybeUninit::uninit(); 256];
                while !is_over.load(Ordering::Relaxed) {
                    let Ok(length) = socket.recv(&mut buffer) else { continue };
                    // Outer header, inner header, UDP header, and the number.
                    if length >= 56 {
                        // SAFETY: the kernel has written the first `length` bytes.
                        let bytes: [u8; 8] =
                            std::array::from_fn(|at| unsafe { buffer[48 + at].assume_init() });
                        taker.last.store(u64::from_be_bytes(bytes), Ordering::Relaxed);
                        taker.count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let (sent_now, over) = (&sent, &is_over);
        let sending = threads.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let number = sent_now.load(Ordering::Relaxed) + 1;
                sender.send_to(&number.to_be_bytes(), "10.2.0.2:4001").expect("a socket");
                sent_now.store(number, Ordering::Relaxed);
                thread::sleep(pause);
            }
        });
        wait::until_true("packets arrive", Duration::from_secs(10), || {
            takers[0].count.load(Ordering::Relaxed) > 10
        });
        work(&sent, &takers);
        is_over.store(true, Ordering::Relaxed);
        sending.join().expect("the sender ends");
    });
    (sent.into_inner(), takers.map(|taker| taker.count.into_inner()))
}

impl Default for TwoWays {
    fn default() -> Self {
        Self::new()
    }
}
