//! Traffic through a tunnel between two hosts, of every family that it carries.

use std::net::IpAddr;

use crate::netns::Netns;
use crate::traffic::tcp;

const MEGABYTE: usize = 1 << 20;
/// Addresses of the tunnel's interfaces.
const V4: [&str; 2] = ["192.168.50.1", "192.168.50.2"];
/// See [`V4`].
const V6: [&str; 2] = ["2001:db8:50::1", "2001:db8:50::2"];

/// An inner family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    const fn numbers(self) -> ([&'static str; 2], u8) {
        match self {
            Self::V4 => (V4, 30),
            Self::V6 => (V6, 64),
        }
    }
}

/// Gives the interfaces at both ends addresses of these families.
pub fn number(ends: [(&Netns, &str); 2], families: &[Family]) {
    for family in families {
        let (addresses, prefix) = family.numbers();
        for ((host, interface), address) in ends.into_iter().zip(addresses) {
            host.address(interface, &format!("{address}/{prefix}"));
        }
    }
}

/// Pings of every size, and a transfer each way.
pub fn exercise(hosts: [&Netns; 2], families: &[Family], mtu: u32) {
    for family in families {
        let ([near, far], _) = family.numbers();
        let headers = if *family == Family::V4 { 28 } else { 48 };
        // The smallest inner packets there are, middling ones, and the largest that fit.
        for size in [0, 500, mtu - headers] {
            for (host, to) in [(hosts[0], far), (hosts[1], near)] {
                let report = host.run(&format!("ping -c 2 -i 0.05 -W 4 -M do -s {size} {to}"));
                assert!(report.contains(" 0% packet loss"), "{size} bytes: {report}");
            }
        }
        let [near, far] = [near, far].map(|address| address.parse::<IpAddr>().unwrap());
        tcp(hosts[0], (hosts[1], far), MEGABYTE);
        tcp(hosts[1], (hosts[0], near), MEGABYTE);
    }
}
