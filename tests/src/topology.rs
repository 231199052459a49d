//! Worlds of several namespaces that are ready for a tunnel.
//!
//! Interfaces have the same names in all of them: `lan0` towards a private network, `wan0` towards the
//! underlay.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::netns::{Netns, connect};
use crate::offload;

/// The tunnel address of host1, with the length of its prefix.
pub const TUNNEL1: &str = "192.168.50.1/30";
/// The tunnel address of host2, with the length of its prefix.
pub const TUNNEL2: &str = "192.168.50.2/30";

/// Two hosts with one wire between them: `10.9.0.1` and `2001:db8:9::1`, `10.9.0.2` and `2001:db8:9::2`.
#[derive(Debug)]
pub struct Pair {
    /// 10.9.0.1 on `wan0`.
    pub host1: Netns,
    /// 10.9.0.2 on `wan0`.
    pub host2: Netns,
}

impl Pair {
    /// Address of host1 on the wire.
    pub const HOST1: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
    /// Address of host2 on the wire.
    pub const HOST2: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

    /// The IPv6 address of host1 on the wire.
    pub const HOST1_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 1);
    /// The IPv6 address of host2 on the wire.
    pub const HOST2_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 2);

    /// Builds it.
    pub fn new() -> Self {
        let pair = Self::unnumbered();
        pair.number("wan0");
        pair
    }

    /// The wire alone.
    pub fn unnumbered() -> Self {
        let pair = Self { host1: Netns::new("host1"), host2: Netns::new("host2") };
        connect((&pair.host1, "wan0"), (&pair.host2, "wan0"));
        pair
    }

    /// Gives both hosts their addresses, on interfaces of this name.
    pub fn number(&self, interface: &str) {
        for (host, address, address_v6) in
            [(&self.host1, Self::HOST1, Self::HOST1_V6), (&self.host2, Self::HOST2, Self::HOST2_V6)]
        {
            host.address(interface, &format!("{address}/24"));
            host.address(interface, &format!("{address_v6}/64"));
        }
    }

    /// The hosts' addresses of one family, host1's first.
    pub fn ends(is_v6: bool) -> [IpAddr; 2] {
        if is_v6 {
            [Self::HOST1_V6.into(), Self::HOST2_V6.into()]
        } else {
            [Self::HOST1.into(), Self::HOST2.into()]
        }
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

/// The numbers of one site: addresses with the lengths of their prefixes, of either family.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// Of the machine behind the tunnel's end.
    pub machine: &'static [&'static str],
    /// Of the tunnel's end towards the machine, one for each of the machine's.
    pub lan: &'static [&'static str],
    /// Of the tunnel's end on the underlay.
    pub wan: &'static str,
    /// Of the router towards it.
    pub gateway: &'static str,
}

/// The numbers of two sites.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first.
    pub near: Site,
    /// The second.
    pub far: Site,
    /// MTU of the underlay, bytes.
    pub mtu: u32,
}

/// The plan that most tests use.
pub const PLAN: Plan = Plan {
    near: Site {
        machine: &["192.168.10.2/24"],
        lan: &["192.168.10.1/24"],
        wan: "172.16.10.2/24",
        gateway: "172.16.10.1/24",
    },
    far: Site {
        machine: &["192.168.20.2/24"],
        lan: &["192.168.20.1/24"],
        wan: "152.16.10.2/24",
        gateway: "152.16.10.1/24",
    },
    mtu: 1500,
};

/// Two sites with a router between them:
///
/// ```text
/// client ------ host1 ------ router ------ host2 ------ server
/// 192.168.10.2  .10.1        172.16.10.1   152.16.10.2  192.168.20.2
///               172.16.10.2  152.16.10.1   192.168.20.1
/// ```
///
/// The router knows nothing of the private networks, so that nothing but a tunnel connects them. Client, server and
/// router send complete frames, as a network card would; every end that is to receive redirected frames does.
#[derive(Debug)]
pub struct Sites {
    /// A machine behind host1.
    pub client: Netns,
    /// The first tunnel end, a router for its site.
    pub host1: Netns,
    /// The underlay, with the interfaces `wan1` and `wan2`.
    pub router: Netns,
    /// The second tunnel end, a router for its site.
    pub host2: Netns,
    /// A machine behind host2.
    pub server: Netns,
}

impl Sites {
    /// Address of host1 on the underlay.
    pub const HOST1: Ipv4Addr = Ipv4Addr::new(172, 16, 10, 2);
    /// Address of host2 on the underlay.
    pub const HOST2: Ipv4Addr = Ipv4Addr::new(152, 16, 10, 2);
    /// Address of the client.
    pub const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 10, 2);
    /// Address of the server.
    pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 20, 2);
    /// The client's network.
    pub const CLIENTS: &str = "192.168.10.0/24";
    /// The server's network.
    pub const SERVERS: &str = "192.168.20.0/24";

    /// Builds it with the numbers above.
    pub fn new() -> Self {
        Self::of(&PLAN)
    }

    /// Builds it with other numbers.
    pub fn of(plan: &Plan) -> Self {
        let [client, host1, router, host2, server] =
            ["client", "host1", "router", "host2", "server"].map(Netns::new);
        let sites = Self { client, host1, router, host2, server };
        sites.wire(plan.mtu);
        for router in [&sites.host1, &sites.router, &sites.host2] {
            router.forward();
        }
        number(&plan.near, [&sites.client, &sites.host1, &sites.router], "wan1");
        number(&plan.far, [&sites.server, &sites.host2, &sites.router], "wan2");
        sites
    }

    fn wire(&self, mtu: u32) {
        connect((&self.client, "lan0"), (&self.host1, "lan0"));
        connect((&self.host1, "wan0"), (&self.router, "wan1"));
        connect((&self.router, "wan2"), (&self.host2, "wan0"));
        connect((&self.host2, "lan0"), (&self.server, "lan0"));
        for end in [&self.client, &self.server] {
            offload::send_complete_frames(end, "lan0");
            offload::receive_redirected(end, "lan0");
        }
        for port in ["wan1", "wan2"] {
            offload::receive_redirected(&self.router, port);
            // What it has merged on the way in is complete again on the way out.
            offload::send_complete_frames(&self.router, port);
            self.router.run(&format!("ip link set {port} mtu {mtu}"));
        }
        for host in [&self.host1, &self.host2] {
            host.run(&format!("ip link set wan0 mtu {mtu}"));
        }
    }

    /// Gives both ends of a tunnel interface named `tunnel` its address, and routes each site's network to the
    /// other through it.
    pub fn route_through(&self, tunnel: &str) {
        self.host1.address(tunnel, TUNNEL1);
        self.host1.route(&format!("{} dev {tunnel}", Self::SERVERS));
        self.host2.address(tunnel, TUNNEL2);
        self.host2.route(&format!("{} dev {tunnel}", Self::CLIENTS));
    }

    /// Makes the hosts' own packets leave complete too, where a capture is to show valid checksums.
    pub fn complete_frames_on_the_wire(&self) {
        offload::send_complete_frames(&self.host1, "wan0");
        offload::send_complete_frames(&self.host2, "wan0");
    }
}

/// Gives a machine, the tunnel's end and the router's `port` towards it their addresses.
fn number(site: &Site, [machine, host, router]: [&Netns; 3], port: &str) {
    for (address, gateway) in site.machine.iter().zip(site.lan) {
        machine.address("lan0", address);
        host.address("lan0", gateway);
        machine.route(&format!("default via {}", bare(gateway)));
    }
    host.address("wan0", site.wan);
    router.address(port, site.gateway);
    host.route(&format!("default via {}", bare(site.gateway)));
}

/// An address without the length of its prefix.
pub fn bare(address: &str) -> &str {
    address.split('/').next().unwrap_or(address)
}

impl Default for Sites {
    fn default() -> Self {
        Self::new()
    }
}
