//! Interfaces: what there is, and the few changes that the daemon makes to its own.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use netlink_packet_route::link::{
    LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp, XdpAttached,
};
use nix::libc;
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
    /// The interface that this one stands on, as a VLAN's on its port's.
    pub lower: Option<u32>,
    /// The interface that it is a part of, as a bond's or a bridge's ports are.
    pub master: Option<u32>,
    /// An XDP program of any mode is attached.
    pub has_xdp: bool,
    /// The number of the group that it is in, 0 unless somebody has put it in another.
    pub group: u32,
}

impl Link {
    /// Whether it is made of others, whose packets are its own. No interface can join some of these while XDP is attached.
    #[must_use]
    pub fn is_made_of_others(&self) -> bool {
        ["bond", "team", "bridge", "openvswitch"].contains(&self.kind.as_str())
    }
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

    /// One interface; `None` if there is none of this index.
    ///
    /// # Errors
    ///
    /// The kernel does not answer.
    pub async fn link(&self, index: u32) -> Result<Option<Link>, Failure> {
        let mut answers = pin!(self.handle.link().get().match_index(index).execute());
        match answers.try_next().await {
            Ok(message) => Ok(message.as_ref().map(link)),
            Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -libc::ENODEV => Ok(None),
            Err(error) => Err(failed("looking at an interface", &error)),
        }
    }

    /// Sets the MTU of an interface, bytes, and sets it up if `up`.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub async fn set_mtu(&self, index: u32, mtu: u16, up: bool) -> Result<(), Failure> {
        let builder = LinkMessageBuilder::<LinkUnspec>::new().index(index).mtu(u32::from(mtu));
        let builder = if up { builder.up() } else { builder };
        self.set(format!("setting an MTU of {mtu}"), builder.build()).await
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

    /// Gives an interface another name.
    ///
    /// # Errors
    ///
    /// The kernel refuses: the name is another interface's; before Linux 6.2 the interface is up.
    pub async fn rename(&self, index: u32, name: &str) -> Result<(), Failure> {
        let message = LinkMessageBuilder::<LinkUnspec>::new().index(index).name(name.to_owned()).build();
        self.set(format!("giving the interface the name {name}"), message).await
    }

    /// Removes interfaces all at once, which takes the kernel hardly longer than one. `group` is the number of a group
    /// that no interface is in.
    ///
    /// # Errors
    ///
    /// The kernel refuses; that one of them is gone is no error.
    pub async fn remove(&self, indices: &[u32], group: u32) -> Result<(), Failure> {
        match indices {
            [] => return Ok(()),
            [index] => return unless_gone(self.handle.link().del(*index).execute().await),
            _ => {}
        }
        let Err(failure) = self.remove_group(indices, group).await else { return Ok(()) };
        log::warn!("{failure}; one by one then");
        let mut result = Ok(());
        for index in indices {
            let removed = unless_gone(self.handle.link().del(*index).execute().await);
            result = result.and(removed);
        }
        result
    }

    async fn remove_group(&self, indices: &[u32], group: u32) -> Result<(), Failure> {
        for index in indices {
            let message = LinkMessageBuilder::<LinkUnspec>::new().index(*index).link_group(group).build();
            unless_gone(self.handle.link().set(message).execute().await)?;
        }
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::Group(group));
        unless_gone(self.handle.link().del_with_message(message).execute().await)
    }

    /// Takes an interface's carrier away, whoever holds its descriptor.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub async fn drop_carrier(&self, index: u32) -> Result<(), Failure> {
        let mut message = LinkMessageBuilder::<LinkUnspec>::new().index(index).build();
        message.attributes.push(LinkAttribute::Carrier(0));
        self.set("taking the carrier away".to_owned(), message).await
    }

    async fn set(&self, what: String, message: LinkMessage) -> Result<(), Failure> {
        self.handle.link().set(message).execute().await.map_err(|error| failed(what, &error))
    }
}

/// Somebody may have removed it already.
fn unless_gone(result: Result<(), rtnetlink::Error>) -> Result<(), Failure> {
    match result {
        Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -libc::ENODEV => Ok(()),
        result => result.map_err(|error| failed("removing interfaces", &error)),
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
        lower: None,
        master: None,
        has_xdp: false,
        group: 0,
    };
    let is_ethernet =
        message.header.link_layer_type == LinkLayerType::Ether && !flags.contains(LinkFlags::Loopback);
    for attribute in &message.attributes {
        #[expect(clippy::wildcard_enum_match_arm, reason = "some of the kernel's hundred attributes")]
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Group(group) => link.group = *group,
            LinkAttribute::Link(lower) => link.lower = Some(*lower),
            LinkAttribute::Controller(master) => link.master = Some(*master),
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
