//! What the kernel tells of changes: where to look again. What there is now is asked for, not taken from the message,
//! since messages may get lost and come late.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use nix::libc;

/// So many destinations of routes are kept apart; with more of them every way is looked at again.
const HOSTS_MAX: usize = 65_536;
const PREFIXES_MAX: usize = 256;

const HEADER: usize = 16;
/// `IFA_ADDRESS` and `IFA_LOCAL`, `RTA_DST`, `NETCONFA_IFINDEX` (`linux/if_addr.h`, `rtnetlink.h`, `netconf.h`).
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const NETCONFA_IFINDEX: u16 = 1;
/// `RTM_NEWNETCONF`, `RTM_DELNETCONF`, `RTM_NEWNEXTHOP`, `RTM_DELNEXTHOP`.
const NEW_NETCONF: u16 = 80;
const DEL_NETCONF: u16 = 81;
const NEW_NEXTHOP: u16 = 104;
const DEL_NEXTHOP: u16 = 105;

/// Where something may be other than it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Messages were lost: everywhere.
    pub everything: bool,
    /// Every way to anywhere, as after a change of a rule.
    pub ways: bool,
    /// Interfaces that were made, changed or removed.
    pub links: BTreeSet<u32>,
    /// Interfaces from which somebody took a queueing discipline or a filter.
    pub hooks: BTreeSet<u32>,
    /// Interfaces whose settings (sysctl) changed; 0 stands for those of all.
    pub switches: BTreeSet<u32>,
    /// Addresses that came or went, each with its interface.
    pub addresses: HashSet<(u32, IpAddr)>,
    /// Destinations of routes that came or went.
    pub routes: Destinations,
    /// MPLS routes.
    pub labels: bool,
}

/// Destinations of routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations {
    hosts: HashSet<IpAddr>,
    prefixes: BTreeSet<IpNet>,
}

impl Destinations {
    /// Whether a route to one of them may be the way to this address.
    #[must_use]
    pub fn cover(&self, address: IpAddr) -> bool {
        self.hosts.contains(&address) || self.prefixes.iter().any(|prefix| prefix.contains(&address))
    }

    fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.prefixes.is_empty()
    }

    /// False if there are too many to keep.
    fn add(&mut self, prefix: IpNet) -> bool {
        if prefix.prefix_len() == prefix.max_prefix_len() {
            self.hosts.insert(prefix.addr());
        } else {
            self.prefixes.insert(prefix);
        }
        self.hosts.len() <= HOSTS_MAX && self.prefixes.len() <= PREFIXES_MAX
    }
}

impl Changes {
    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the way to somewhere may have changed.
    #[must_use]
    pub fn concern_ways(&self) -> bool {
        self.ways || !(self.links.is_empty() && self.addresses.is_empty() && self.routes.is_empty())
    }

    /// Takes in all messages of a datagram.
    pub(super) fn read(&mut self, mut datagram: &[u8]) {
        while !datagram.is_empty() {
            let length = word(datagram, 0).and_then(|length| usize::try_from(length).ok());
            let message = length.and_then(|length| datagram.get(..length));
            let Some(message) = message.filter(|message| message.len() >= HEADER) else {
                // Cut short.
                self.everything = true;
                return;
            };
            if self.message(message).is_none() {
                self.everything = true;
            }
            datagram = datagram.get(message.len().next_multiple_of(4)..).unwrap_or_default();
        }
    }

    /// `None` if the message is not whole.
    fn message(&mut self, message: &[u8]) -> Option<()> {
        let kind = half(message, 4)?;
        let body = message.get(HEADER..)?;
        match kind {
            libc::RTM_NEWLINK | libc::RTM_DELLINK => {
                self.links.insert(word(body, 4)?);
            }
            libc::RTM_DELQDISC | libc::RTM_DELTFILTER => {
                self.hooks.insert(word(body, 4)?);
            }
            libc::RTM_NEWADDR | libc::RTM_DELADDR => {
                let address = attribute(body, 8, IFA_LOCAL).or_else(|| attribute(body, 8, IFA_ADDRESS))?;
                self.addresses.insert((word(body, 4)?, ip(address)?));
            }
            libc::RTM_NEWROUTE | libc::RTM_DELROUTE => self.route(body)?,
            libc::RTM_NEWRULE | libc::RTM_DELRULE | NEW_NEXTHOP | DEL_NEXTHOP => self.ways = true,
            NEW_NETCONF | DEL_NETCONF => {
                let index = attribute(body, 4, NETCONFA_IFINDEX).and_then(|index| word(index, 0))?;
                // Negative are all interfaces, and those that will be made.
                self.switches.insert(if i32::try_from(index).is_ok() { index } else { 0 });
            }
            _ => {}
        }
        Some(())
    }

    fn route(&mut self, body: &[u8]) -> Option<()> {
        let (family, length) = (i32::from(*body.first()?), *body.get(1)?);
        let any = match family {
            libc::AF_INET => IpAddr::from([0; 4]),
            libc::AF_INET6 => IpAddr::from([0; 16]),
            libc::AF_MPLS => {
                self.labels = true;
                return Some(());
            }
            _ => return Some(()),
        };
        let address = attribute(body, 12, RTA_DST).map_or(Some(any), ip)?;
        if !self.routes.add(IpNet::new(address, length).ok()?.trunc()) {
            self.routes = Destinations::default();
            self.ways = true;
        }
        Some(())
    }
}

/// The value of the first attribute of a kind; they begin `after` the message's own fields.
fn attribute(body: &[u8], after: usize, kind: u16) -> Option<&[u8]> {
    let mut rest = body.get(after..)?;
    loop {
        let length = usize::from(half(rest, 0)?);
        if half(rest, 2)? == kind {
            return rest.get(4..length);
        }
        rest = rest.get(length.max(4).next_multiple_of(4)..)?;
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::NetlinkMessage;
    use netlink_packet_route::RouteNetlinkMessage as Message;
    use netlink_packet_route::address::{AddressAttribute, AddressMessage};
    use netlink_packet_route::link::{LinkAttribute, LinkMessage};
    use netlink_packet_route::route::{RouteAttribute, RouteMessage};
    use netlink_packet_route::rule::RuleMessage;
    use netlink_packet_route::{AddressFamily, tc::TcMessage};

    /// A datagram of these messages, as the netlink crates write them.
    fn datagram(messages: Vec<Message>) -> Vec<u8> {
        let mut datagram = Vec::new();
        for message in messages {
            let mut message = NetlinkMessage::from(message);
            message.finalize();
            let mut bytes = vec![0; message.buffer_len()];
            message.serialize(&mut bytes);
            datagram.extend(bytes);
        }
        datagram
    }

    fn read(messages: Vec<Message>) -> Changes {
        let mut changes = Changes::default();
        changes.read(&datagram(messages));
        changes
    }

    fn link(index: u32) -> LinkMessage {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.attributes = vec![LinkAttribute::IfName("eth0".to_owned()), LinkAttribute::Mtu(1500)];
        link
    }

    fn route(destination: &str) -> Message {
        let destination: IpNet = destination.parse().unwrap();
        let mut route = RouteMessage::default();
        let is_four = destination.addr().is_ipv4();
        route.header.address_family = if is_four { AddressFamily::Inet } else { AddressFamily::Inet6 };
        route.header.destination_prefix_length = destination.prefix_len();
        route.attributes.push(RouteAttribute::Oif(3));
        if destination.prefix_len() > 0 {
            route.attributes.push(RouteAttribute::Destination(destination.addr().into()));
        }
        Message::NewRoute(route)
    }

    #[test]
    fn messages_name_the_places_to_look_at() {
        let local: IpAddr = "198.51.100.1".parse().unwrap();
        let mut address = AddressMessage::default();
        address.header.index = 4;
        address.attributes =
            vec![AddressAttribute::Address("198.51.100.2".parse().unwrap()), AddressAttribute::Local(local)];
        let hooks = TcMessage::with_index(9);
        let changes = read(vec![
            Message::NewLink(link(7)),
            Message::DelLink(link(300)),
            Message::NewAddress(address),
            Message::DelQueueDiscipline(hooks.clone()),
            Message::NewQueueDiscipline(TcMessage::with_index(10)),
            Message::DelTrafficFilter(hooks),
        ]);
        assert_eq!(changes.links, [7, 300].into());
        assert_eq!(changes.addresses, [(4, local)].into());
        assert_eq!(changes.hooks, [9].into());
        assert!(!changes.everything && !changes.ways && !changes.labels && changes.concern_ways());
        assert!(read(vec![Message::NewRule(RuleMessage::default())]).ways);
        assert!(read(Vec::new()).is_empty());
    }

    #[test]
    fn routes_cover_what_they_may_lead_to() {
        let covers = |routes: &[&str], address: &str| {
            let changes = read(routes.iter().map(|route| self::route(route)).collect());
            assert!(!changes.everything && !changes.ways, "{routes:?}");
            changes.routes.cover(address.parse().unwrap())
        };
        for (routes, address, is_covered) in [
            (&["203.0.113.2/32"][..], "203.0.113.2", true),
            (&["203.0.113.2/32"], "203.0.113.3", false),
            (&["10.0.0.0/8", "203.0.112.0/23"], "203.0.113.3", true),
            (&["0.0.0.0/0"], "203.0.113.3", true),
            (&["0.0.0.0/0"], "2001:db8::1", false),
            (&["::/0"], "2001:db8::1", true),
            (&["2001:db8::/33"], "2001:db8:8000::1", false),
            (&["2001:db8::1/128"], "2001:db8::1", true),
        ] {
            assert_eq!(covers(routes, address), is_covered, "{routes:?} {address}");
        }
    }

    #[test]
    fn more_destinations_than_are_kept_are_all_ways() {
        let many =
            |count: u8| read((0..=count).map(|number| route(&format!("10.{number}.0.0/16"))).collect());
        assert!(!many(254).ways);
        let mut changes = many(255);
        changes.read(&datagram(vec![route("192.0.2.0/24")]));
        assert!(changes.ways && !changes.everything && changes.concern_ways());
    }

    #[test]
    fn a_message_that_is_not_whole_is_everything() {
        let whole = datagram(vec![Message::NewLink(link(7)), route("10.0.0.0/8")]);
        for length in 1..whole.len() {
            let mut changes = Changes::default();
            changes.read(&whole[..length]);
            let first_alone = changes == read(vec![Message::NewLink(link(7))]);
            assert!(changes.everything || first_alone, "{length} bytes: {changes:?}");
        }
    }
}
