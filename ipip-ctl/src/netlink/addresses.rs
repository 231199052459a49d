//! Addresses of this host.

use futures_util::TryStreamExt as _;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};

use super::{Netlink, failed};
use crate::alive::InterfaceAddress;
use crate::failure::Failure;

impl Netlink {
    /// The addresses of this network namespace, of both families and on any interface, that may be used.
    ///
    /// # Errors
    ///
    /// The kernel does not answer.
    pub async fn addresses(&self) -> Result<Vec<InterfaceAddress>, Failure> {
        let messages: Vec<AddressMessage> = self
            .handle
            .address()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(|error| failed("listing addresses", &error))?;
        Ok(messages.iter().filter(|message| is_usable(message)).filter_map(address).collect())
    }
}

/// Not one that another host may turn out to have (RFC 4862 5.4).
fn is_usable(message: &AddressMessage) -> bool {
    let flags = message.header.flags;
    let is_tentative = flags.contains(AddressHeaderFlags::Tentative)
        && !flags.contains(AddressHeaderFlags::Optimistic)
        && !flags_of(message).contains(AddressFlags::Optimistic);
    !is_tentative && !flags.contains(AddressHeaderFlags::Dadfailed)
}

fn flags_of(message: &AddressMessage) -> AddressFlags {
    let flags = message.attributes.iter().find_map(|attribute| {
        if let AddressAttribute::Flags(flags) = attribute { Some(*flags) } else { None }
    });
    flags.unwrap_or(AddressFlags::empty())
}

/// Of a point-to-point interface `IFA_LOCAL` is this end, and `IFA_ADDRESS` the other; IPv6 may have the latter alone.
fn address(message: &AddressMessage) -> Option<InterfaceAddress> {
    let (mut local, mut address) = (None, None);
    for attribute in &message.attributes {
        #[expect(clippy::wildcard_enum_match_arm, reason = "two of the kernel's many attributes")]
        match attribute {
            AddressAttribute::Local(found) => local = Some(*found),
            AddressAttribute::Address(found) => address = Some(*found),
            _ => {}
        }
    }
    Some(InterfaceAddress {
        ifindex: message.header.index,
        local: local.or(address)?,
        peer: local.and(address),
        prefix_len: message.header.prefix_len,
    })
}
