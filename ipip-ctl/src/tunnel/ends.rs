//! The rules for the two addresses of a tunnel.

use std::net::{IpAddr, Ipv4Addr};

use super::{Wrong, usage, wrong};
use crate::failure::{Failure, FailureKind};

pub(super) const NOT_THIS_VERSION: &str = "this version carries IPv4 in IPv4 only";

/// Reads both ends; a local end of `None` is chosen by the route to the remote.
pub(super) fn check(
    local: Option<&str>,
    remote: Option<&str>,
) -> Result<(Option<Ipv4Addr>, Ipv4Addr), Wrong> {
    let local = local.map(|text| address("local-address", text)).transpose()?;
    let remote = remote.map(|text| address("remote-address", text)).transpose()?.ok_or_else(|| {
        let why = usage("remote-address: the tunnel has none");
        wrong("remote-address")(why.with_hint("give the IPv4 address of the tunnel's other end"))
    })?;
    if local.is_some_and(|local| local.is_ipv4() != remote.is_ipv4()) {
        let why = usage("local-address and remote-address: one is IPv4 and the other IPv6");
        return Err(wrong("local-address")(why.with_hint("give two addresses of one family")));
    }
    let remote = remote_end(remote).map_err(wrong("remote-address"))?;
    let local = local.map(local_end).transpose().map_err(wrong("local-address"))?.flatten();
    if local == Some(remote) {
        let why = usage(format!("local-address {remote}: the same as remote-address"));
        return Err(wrong("local-address")(why.with_hint("give this host's own address as local-address")));
    }
    Ok((local, remote))
}

fn address(property: &'static str, text: &str) -> Result<IpAddr, Wrong> {
    text.parse().map_err(|_| {
        let failure = usage(format!("{property} `{text}`: not an IP address"));
        wrong(property)(failure.with_hint("give one address without a prefix length, as 198.51.100.1"))
    })
}

fn remote_end(address: IpAddr) -> Result<Ipv4Addr, Failure> {
    let address = ipv4("remote-address", address)?;
    match class(address) {
        None => Ok(address),
        Some(what) => Err(usage(format!("remote-address {address}: {what} is not the end of a tunnel"))
            .with_hint("give the address of the tunnel's other end")),
    }
}

fn local_end(address: IpAddr) -> Result<Option<Ipv4Addr>, Failure> {
    let address = ipv4("local-address", address)?;
    if address.is_unspecified() {
        return Ok(None);
    }
    match class(address) {
        None => Ok(Some(address)),
        Some(what) => Err(usage(format!("local-address {address}: {what} is not the end of a tunnel"))
            .with_hint("give an address of this host, or 0.0.0.0 for the one that the route chooses")),
    }
}

fn ipv4(property: &str, address: IpAddr) -> Result<Ipv4Addr, Failure> {
    match address {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(address) => {
            Err(Failure::new(FailureKind::Unsupported, format!("{property} {address}: {NOT_THIS_VERSION}"))
                .with_hint("give IPv4 addresses"))
        }
    }
}

/// Names what an address is if no host has it as its own.
pub(super) fn class(address: Ipv4Addr) -> Option<&'static str> {
    if address.octets()[0] == 0 {
        Some("an unspecified address")
    } else if address.is_loopback() {
        Some("a loopback address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address.is_broadcast() {
        Some("the broadcast address")
    } else {
        None
    }
}
