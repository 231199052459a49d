//! The rules for the two addresses of a tunnel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Wrong, usage, wrong};
use crate::failure::Failure;

/// Reads both ends; a local end of `None` is chosen by the route to the remote.
pub(super) fn check(local: Option<&str>, remote: Option<&str>) -> Result<(Option<IpAddr>, IpAddr), Wrong> {
    let local = local.map(|text| address("local-address", text)).transpose()?;
    let remote = remote.map(|text| address("remote-address", text)).transpose()?.ok_or_else(|| {
        let why = usage("remote-address: the tunnel has none");
        wrong("remote-address")(why.with_hint("give the address of the tunnel's other end"))
    })?;
    if local.is_some_and(|local| local.is_ipv4() != remote.is_ipv4()) {
        let why = usage("local-address and remote-address: one is IPv4 and the other IPv6");
        return Err(wrong("local-address")(why.with_hint("give two addresses of one family")));
    }
    let hint = "give the address of the tunnel's other end";
    end("remote-address", remote, hint)?;
    let local = local.filter(|local| !local.is_unspecified());
    if let Some(local) = local {
        let unspecified = unspecified(local.is_ipv4());
        let hint =
            format!("give an address of this host, or {unspecified} for the one that the route chooses");
        end("local-address", local, &hint)?;
    }
    if local == Some(remote) {
        let why = usage(format!("local-address {remote}: the same as remote-address"));
        return Err(wrong("local-address")(why.with_hint("give this host's own address as local-address")));
    }
    Ok((local, remote))
}

/// The address that stands for none.
pub(super) const fn unspecified(is_ipv4: bool) -> IpAddr {
    if is_ipv4 { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) }
}

fn address(property: &'static str, text: &str) -> Result<IpAddr, Wrong> {
    text.parse().map_err(|_| {
        let failure = usage(format!("{property} `{text}`: not an IP address"));
        let hint = "give one address without a prefix length, as 198.51.100.1 or 2001:db8::1";
        wrong(property)(failure.with_hint(hint))
    })
}

fn end(property: &'static str, address: IpAddr, hint: &str) -> Result<(), Wrong> {
    let Some(what) = class(address) else { return Ok(()) };
    let failure: Failure = usage(format!("{property} {address}: {what} is not the end of a tunnel"));
    Err(wrong(property)(if what == LINK_LOCAL {
        failure.with_hint("it needs an interface beside it; give a global or a unique local address")
    } else {
        failure.with_hint(hint)
    }))
}

const LINK_LOCAL: &str = "a link-local address";

/// Names what an address is if no host has it as its own, or not it alone.
pub(super) fn class(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) if address.octets()[0] == 0 => Some("an unspecified address"),
        IpAddr::V4(address) if address.is_broadcast() => Some("the broadcast address"),
        IpAddr::V6(address) if address.is_unspecified() => Some("the unspecified address"),
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => Some("an IPv4-mapped address"),
        IpAddr::V6(address) if address.is_unicast_link_local() => Some(LINK_LOCAL),
        address if address.is_loopback() => Some("a loopback address"),
        address if address.is_multicast() => Some("a multicast address"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}
