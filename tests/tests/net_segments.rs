//! UDP that is handed over in one piece, to be cut into datagrams by whoever sends it on (`UDP_SEGMENT`): the tunnel carries it
//! whole through tier 2, and what arrives are the datagrams.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use ipip_tests::ctl::Daemon;
use ipip_tests::inside::{Family, number};
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::topology::Pair;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{UdpGroSegment, UdpGsoSegment};

/// Bytes of a datagram, and of the last one, which is shorter.
const SEGMENT: usize = 1000;
const LAST: usize = 300;
/// Datagrams of a piece, and how many pieces there are.
const DATAGRAMS: usize = 40;
const PIECES: usize = 50;

/// The bytes of a piece: each datagram tells its place, and no two are alike.
fn piece(number: usize) -> Vec<u8> {
    let length = SEGMENT * (DATAGRAMS - 1) + LAST;
    (0..length).map(|at| (at / SEGMENT * 7 + at % SEGMENT * 31 + number * 13).to_le_bytes()[0]).collect()
}

/// Sends all pieces, one after the other, and compares what arrives with what was sent.
fn send(client: &Netns, (server, address): (&Netns, IpAddr), is_merged: bool) {
    let receiver = server.enter(|| UdpSocket::bind((address, 0))).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    if is_merged {
        setsockopt(&receiver, UdpGroSegment, &true).unwrap();
    }
    let anywhere = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let sender = client.enter(|| UdpSocket::bind(anywhere)).unwrap();
    setsockopt(&sender, UdpGsoSegment, &i32::try_from(SEGMENT).unwrap()).unwrap();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    let (mut buffer, mut longest) = (vec![0; 1 << 16], 0);
    for number in 0..PIECES {
        let sent = piece(number);
        sender.send(&sent).unwrap();
        let mut arrived: Vec<u8> = Vec::new();
        while arrived.len() < sent.len() {
            let length = receiver.recv(&mut buffer).unwrap();
            assert!(is_merged || length == SEGMENT || length == LAST, "{length}");
            longest = longest.max(length);
            arrived.extend(&buffer[..length]);
        }
        assert_eq!(arrived, sent, "piece {number}");
    }
    // Nobody on the way has cut it.
    assert!(!is_merged || longest == piece(0).len(), "{longest}");
}

#[test]
fn pieces_of_udp_arrive_as_the_datagrams_that_they_are() {
    let Some(ctl) = need::ctl() else { return };
    for is_v6 in [false, true] {
        let pair = Pair::new();
        let daemons = [&pair.host1, &pair.host2].map(|host| Daemon::start(&ctl, host));
        let [local, remote] = Pair::ends(is_v6);
        let kind = if is_v6 { "6in6" } else { "ipip" };
        daemons[0].add(local, remote, &format!("--kind {kind}"));
        daemons[1].add(remote, local, &format!("--kind {kind}"));
        let family = if is_v6 { Family::V6 } else { Family::V4 };
        number([(&pair.host1, "ipip1"), (&pair.host2, "ipip1")], &[family]);
        let server: IpAddr = if is_v6 { "2001:db8:50::2" } else { "192.168.50.2" }.parse().unwrap();
        for is_merged in [false, true] {
            let counters = || {
                let of = |daemon: &Daemon<'_>, name| daemon.counter("ipip1", "tc", name);
                (of(&daemons[0], "sent-packets"), of(&daemons[1], "received-packets"))
            };
            let before = counters();
            send(&pair.host1, (&pair.host2, server), is_merged);
            let after = counters();
            // Each datagram counts, in whatever pieces they come.
            let all = u64::try_from(PIECES * DATAGRAMS).unwrap();
            let grown = (after.0 - before.0, after.1 - before.1);
            assert!(grown.0 >= all && grown.0 < all + 50 && grown.1 >= all, "{grown:?} of {all}");
        }
    }
}
