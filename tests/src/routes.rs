//! The routes and neighbours of the world that all cases happen in: for the kernel, and the same by hand for the host.

use std::net::{IpAddr, Ipv6Addr};

use crate::case::mac;
use crate::netns::Netns;

/// Destinations that the world has a special answer for.
pub mod to {
    use std::net::Ipv6Addr;

    /// Behind an interface that takes no redirected frames, neighbour known.
    pub const SLOW: [u8; 4] = [10, 4, 0, 2];
    /// On the client's network, neighbour unknown.
    pub const NOBODY: [u8; 4] = [10, 1, 0, 77];
    /// An unreachable route.
    pub const UNREACHABLE: [u8; 4] = [10, 5, 0, 2];
    /// By a route with an MTU of 1000, neighbour known.
    pub const NARROW: [u8; 4] = [10, 6, 0, 2];
    /// The host's own address on `lan0`.
    pub const SELF: [u8; 4] = [10, 1, 0, 1];
    /// Nowhere: no route at all.
    pub const NOWHERE: [u8; 4] = [203, 0, 113, 9];
    /// Back into the tunnel.
    pub const TUNNEL: [u8; 4] = [10, 2, 0, 99];
    /// A group, by a route into the tunnel.
    pub const GROUP: [u8; 4] = [239, 1, 2, 3];
    /// A group, by a route to the client, as all addresses above those of one host.
    pub const OTHER_GROUP: [u8; 4] = [238, 1, 2, 3];
    /// The last address of one host, by a route to the client.
    pub const LAST: [u8; 4] = [223, 255, 255, 255];

    const fn address(network: u16, host: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, network, 0, 0, 0, 0, host)
    }

    /// As [`SLOW`].
    pub const SLOW6: Ipv6Addr = address(4, 2);
    /// As [`NOBODY`].
    pub const NOBODY6: Ipv6Addr = address(1, 0x77);
    /// As [`UNREACHABLE`].
    pub const UNREACHABLE6: Ipv6Addr = address(5, 2);
    /// By a route with an MTU of 1300.
    pub const NARROW6: Ipv6Addr = address(6, 2);
    /// As [`SELF`].
    pub const SELF6: Ipv6Addr = address(1, 1);
    /// As [`NOWHERE`].
    pub const NOWHERE6: Ipv6Addr = address(0x99, 9);
    /// As [`TUNNEL`].
    pub const TUNNEL6: Ipv6Addr = address(2, 0x99);
    /// On the far side of the client.
    pub const ELSEWHERE6: Ipv6Addr = address(3, 2);
    /// The gateway.
    pub const GATEWAY6: Ipv6Addr = address(0xa, 0xfe);
}

/// What the kernel says of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// By `lan0`, to the client.
    Lan,
    /// By `wan0`, to the gateway.
    Wan,
    /// By an interface that takes no redirected frames, neighbour known.
    Slow,
    /// To somebody whose neighbour entry is missing.
    Nobody,
    /// Into the tunnel.
    Tunnel,
    /// Larger than the route's MTU.
    TooBig,
    /// For the host itself, or not to be forwarded.
    Local,
    /// Unreachable.
    None,
}

/// Gives the host its addresses, routes and neighbours. `lan0`, `wan0`, `slow0` and `ipip0` are up.
pub fn install(host: &Netns) {
    host.set("net.ipv6.conf.all.forwarding", "1");
    host.forward();
    let addresses = [
        ("lan0", "10.1.0.1/24", "2001:db8:1::1/64"),
        ("wan0", "192.0.2.1/24", "2001:db8:a::1/64"),
        ("slow0", "10.4.0.1/24", "2001:db8:4::1/64"),
    ];
    for (interface, over4, over6) in addresses {
        host.address(interface, over4);
        host.address(interface, &format!("{over6} nodad"));
    }
    let neighbours = [
        ("lan0", "10.1.0.2", mac::CLIENT),
        ("lan0", "2001:db8:1::2", mac::CLIENT),
        ("wan0", "192.0.2.254", mac::GATEWAY),
        ("wan0", "2001:db8:a::fe", mac::GATEWAY),
        ("slow0", "10.4.0.2", mac::CLIENT),
        ("slow0", "2001:db8:4::2", mac::CLIENT),
    ];
    for (interface, address, mac) in neighbours {
        let address: IpAddr = address.parse().expect("an address");
        host.neighbour(interface, address, mac);
    }
    for route in [
        "198.51.100.0/24 via 192.0.2.254",
        "10.2.0.0/16 dev ipip0",
        "10.3.0.0/16 via 10.1.0.2",
        "223.0.0.0/8 via 10.1.0.2",
        "224.0.0.0/3 via 10.1.0.2",
        "239.0.0.0/8 dev ipip0",
        "unreachable 10.5.0.0/24",
        "10.6.0.0/24 via 192.0.2.254 mtu lock 1000",
        "2001:db8:b::/48 via 2001:db8:a::fe",
        "2001:db8:2::/48 dev ipip0",
        "2001:db8:3::/48 via 2001:db8:1::2",
        "unreachable 2001:db8:5::/64",
        "2001:db8:6::/64 via 2001:db8:a::fe mtu lock 1300",
    ] {
        host.route(route);
    }
}

/// The kernel's answer, by hand. A `length` of 0 is not compared with an MTU.
pub fn lookup(source: IpAddr, destination: IpAddr, length: u32) -> Answer {
    let (answer, mtu) = match (source, destination) {
        (_, IpAddr::V4(destination)) => lookup4(destination.octets()),
        (IpAddr::V6(source), IpAddr::V6(destination)) => lookup6(source, destination),
        (IpAddr::V4(_), IpAddr::V6(_)) => (Answer::Local, 0),
    };
    let is_routed = !matches!(answer, Answer::Local | Answer::None);
    if is_routed && length > mtu { Answer::TooBig } else { answer }
}

fn lookup4(destination: [u8; 4]) -> (Answer, u32) {
    let answer = match destination {
        [10, 6, 0, _] => return (Answer::Wan, 1000),
        [10, 2, ..] | [239, ..] => return (Answer::Tunnel, 1480),
        [10, 1 | 4, 0, 1 | 255] | [192, 0, 2, 1 | 255] => Answer::Local,
        [10, 1, 0, 2] | [10, 3, ..] | [223..=255, ..] => Answer::Lan,
        [192, 0, 2, 254] | [198, 51, 100, _] => Answer::Wan,
        [10, 4, 0, 2] => Answer::Slow,
        [10, 1 | 4, 0, _] | [192, 0, 2, _] => Answer::Nobody,
        [10, 5, 0, _] => Answer::None,
        _ => Answer::Local,
    };
    (answer, 1500)
}

fn lookup6(source: Ipv6Addr, destination: Ipv6Addr) -> (Answer, u32) {
    // The kernel answers no question about them (`rt6_need_strict` in `bpf_ipv6_fib_lookup`).
    let is_strict = |address: Ipv6Addr| {
        address.is_multicast() || address.is_loopback() || address.is_unicast_link_local()
    };
    let [0x2001, 0xdb8, network, subnet, interface @ ..] = destination.segments() else {
        return (Answer::Local, 0);
    };
    if is_strict(source) || is_strict(destination) {
        return (Answer::Local, 0);
    }
    let answer = match (network, subnet, interface) {
        (6, 0, _) => return (Answer::Wan, 1300),
        (2, ..) => return (Answer::Tunnel, 1480),
        // The second is the anycast address of all routers (RFC 4291 2.6.1).
        (1 | 4 | 0xa, 0, [0, 0, 0, 0 | 1]) => Answer::Local,
        (1, 0, [0, 0, 0, 2]) | (3, ..) => Answer::Lan,
        (0xa, 0, [0, 0, 0, 0xfe]) | (0xb, ..) => Answer::Wan,
        (4, 0, [0, 0, 0, 2]) => Answer::Slow,
        (1 | 4 | 0xa, 0, _) => Answer::Nobody,
        (5, 0, _) => Answer::None,
        _ => Answer::Local,
    };
    (answer, 1500)
}
