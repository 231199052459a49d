//! Interfaces: what there is, and the few changes that the daemon makes to its own.

use futures_util::TryStreamExt as _;
use netlink_packet_route::link::{
    LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp, XdpAttached,
};
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use super::{Netlink, failed};
use crate::failure::Failure;

/// An interface of this network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Interface index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// MTU in bytes.
    pub mtu: u32,
    /// Ethernet address; `None` for anything that is not Ethernet.
    pub mac: Option<[u8; 6]>,
    /// Administratively up.
    pub is_up: bool,
    /// Up, with carrier.
    pub is_running: bool,
    /// The kind of a virtual interface, as `veth` or `vlan`; empty for hardware.
    pub kind: String,
    /// IDs of XDP programs of any mode; empty where none is attached.
    pub has_xdp: bool,
}

impl Netlink {
    /// All interfaces.
    ///
    /// # Errors
    ///
    /// The kernel does not answer.
    pub async fn links(&self) -> Result<Vec<Link>, Failure> {
        let messages: Vec<LinkMessage> = self
            .handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(|error| failed("listing interfaces", &error))?;
        Ok(messages.iter().map(link).collect())
    }

    /// Sets the MTU of an interface, bytes.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub async fn set_mtu(&self, index: u32, mtu: u16) -> Result<(), Failure> {
        let message = LinkMessageBuilder::<LinkUnspec>::new().index(index).mtu(u32::from(mtu)).build();
        self.set(format!("setting an MTU of {mtu}"), message).await
    }

    /// Sets an interface up.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub async fn set_up(&self, index: u32) -> Result<(), Failure> {
        let message = LinkMessageBuilder::<LinkUnspec>::new().index(index).up().build();
        self.set("setting the interface up".to_owned(), message).await
    }

    /// Removes an interface; that there is none is no error.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub async fn remove(&self, index: u32) -> Result<(), Failure> {
        match self.handle.link().del(index).execute().await {
            Err(rtnetlink::Error::NetlinkError(message)) if message.raw_code() == -nix::libc::ENODEV => {
                Ok(())
            }
            result => result.map_err(|error| failed("removing the interface".to_owned(), &error)),
        }
    }

    async fn set(&self, what: String, message: LinkMessage) -> Result<(), Failure> {
        self.handle.link().set(message).execute().await.map_err(|error| failed(what, &error))
    }
}

fn link(message: &LinkMessage) -> Link {
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mtu: 0,
        mac: None,
        is_up: flags.contains(LinkFlags::Up),
        is_running: flags.contains(LinkFlags::LowerUp),
        kind: String::new(),
        has_xdp: false,
    };
    let is_ethernet =
        message.header.link_layer_type == LinkLayerType::Ether && !flags.contains(LinkFlags::Loopback);
    for attribute in &message.attributes {
        #[expect(clippy::wildcard_enum_match_arm, reason = "some of the kernel's hundred attributes")]
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(address) if is_ethernet => link.mac = address.as_slice().try_into().ok(),
            LinkAttribute::LinkInfo(facts) => {
                for fact in facts {
                    if let LinkInfo::Kind(kind) = fact {
                        link.kind = kind.to_string();
                    }
                }
            }
            LinkAttribute::Xdp(facts) => {
                link.has_xdp = facts
                    .iter()
                    .any(|fact| matches!(fact, LinkXdp::Attached(mode) if *mode != XdpAttached::None));
            }
            _ => {}
        }
    }
    link
}
