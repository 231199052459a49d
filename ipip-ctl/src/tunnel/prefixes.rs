//! The prefixes of `allowed-inner`.

use std::net::IpAddr;

use ipip_common::abi::Carried;
use ipnet::IpNet;

use super::{Kind, usage};
use crate::failure::Failure;
use crate::spec::List;

/// Reads the prefixes of a tunnel of this kind; none is everything.
pub(super) fn read(list: Option<List>, kind: Kind) -> Result<Vec<IpNet>, Failure> {
    let written = list.unwrap_or_default().0;
    let mut prefixes = Vec::with_capacity(written.len());
    if kind == Kind::Mpls && !written.is_empty() {
        return Err(usage("allowed-inner: kind mpls looks at labels, not at inner addresses")
            .with_hint("leave it out, or choose another kind"));
    }
    for text in &written {
        let prefix = prefix(text)?;
        let carried = if prefix.addr().is_ipv4() { Carried::Ipv4 } else { Carried::Ipv6 };
        if !kind.carries(carried) {
            let family = if prefix.addr().is_ipv4() { "IPv4" } else { "IPv6" };
            return Err(usage(format!("allowed-inner `{text}`: kind {} carries no {family}", kind.name()))
                .with_hint(format!("leave it out, or choose a kind that carries {family}")));
        }
        if prefixes.contains(&prefix) {
            return Err(
                usage(format!("allowed-inner `{text}`: written twice")).with_hint("leave one of them out")
            );
        }
        prefixes.push(prefix);
    }
    Ok(prefixes)
}

/// An address without a length is that of one host.
fn prefix(text: &str) -> Result<IpNet, Failure> {
    let prefix: IpNet = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        usage(format!("allowed-inner `{text}`: not a prefix"))
            .with_hint("write an address and a length, as 10.0.0.0/8 or 2001:db8::/32")
    })?;
    if prefix.trunc() != prefix {
        return Err(usage(format!("allowed-inner `{text}`: an address in a network, not the network"))
            .with_hint(format!("write {}", prefix.trunc())));
    }
    Ok(prefix)
}
