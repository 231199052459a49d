//! MPLS routes that only swap one label: what the programs can do by themselves.

use std::net::IpAddr;
use std::path::Path;

use futures_util::TryStreamExt as _;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteType, RouteVia,
};

use super::Netlink;

/// There where the kernel routes MPLS.
const MPLS: &str = "/proc/sys/net/mpls";

/// A route that swaps a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelRoute {
    /// The label that comes in.
    pub label: u32,
    /// The label that goes out.
    pub out: u32,
    /// The interface that it goes out by.
    pub ifindex: u32,
    /// The neighbour there; `None` on an interface that needs none.
    pub via: Option<IpAddr>,
}

impl Netlink {
    /// The routes that swap one label and nothing else; none where the kernel routes no MPLS.
    pub async fn label_routes(&self) -> Vec<LabelRoute> {
        // A kernel without MPLS would list the routes of all other families instead.
        if !Path::new(MPLS).exists() {
            return Vec::new();
        }
        let mut request = RouteMessage::default();
        request.header.address_family = AddressFamily::Mpls;
        let routes: Result<Vec<RouteMessage>, _> =
            self.handle.route().get(request).execute().try_collect().await;
        routes.unwrap_or_default().iter().filter_map(swap).collect()
    }
}

fn swap(message: &RouteMessage) -> Option<LabelRoute> {
    let header = &message.header;
    let is_usable = header.kind == RouteType::Unicast && !header.flags.contains(RouteFlags::Dead);
    if header.address_family != AddressFamily::Mpls || !is_usable {
        return None;
    }
    let (mut label, mut out, mut ifindex, mut via) = (None, None, 0, None);
    for attribute in &message.attributes {
        #[expect(clippy::wildcard_enum_match_arm, reason = "some of the kernel's many attributes")]
        match attribute {
            RouteAttribute::Destination(RouteAddress::Mpls(entry)) => label = Some(entry.label),
            RouteAttribute::NewDestination(stack) => match stack.as_slice() {
                [entry] => out = Some(entry.label),
                _ => return None,
            },
            RouteAttribute::Oif(index) => ifindex = *index,
            RouteAttribute::Via(RouteVia::Inet(address)) => via = Some(IpAddr::V4(*address)),
            RouteAttribute::Via(RouteVia::Inet6(address)) => via = Some(IpAddr::V6(*address)),
            RouteAttribute::Via(_) | RouteAttribute::MultiPath(_) => return None,
            _ => {}
        }
    }
    (ifindex != 0).then_some(LabelRoute { label: label?, out: out?, ifindex, via })
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_route::route::MplsLabel;

    fn label(label: u32) -> MplsLabel {
        MplsLabel { label, traffic_class: 0, bottom_of_stack: true, ttl: 0 }
    }

    fn route(more: Vec<RouteAttribute>) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Mpls;
        message.header.kind = RouteType::Unicast;
        message.attributes = vec![RouteAttribute::Destination(label(100).into()), RouteAttribute::Oif(7)];
        message.attributes.extend(more);
        message
    }

    #[test]
    fn only_swaps_of_one_label_are_taken() {
        let to = |stack: &[u32]| RouteAttribute::NewDestination(stack.iter().copied().map(label).collect());
        let via = RouteAttribute::Via(RouteVia::Inet([192, 0, 2, 1].into()));
        let swapped = LabelRoute { label: 100, out: 200, ifindex: 7, via: None };
        assert_eq!(swap(&route(vec![to(&[200])])), Some(swapped));
        let neighbour = Some([192, 0, 2, 1].into());
        assert_eq!(
            swap(&route(vec![to(&[200]), via.clone()])),
            Some(LabelRoute { via: neighbour, ..swapped })
        );
        let packet = RouteAttribute::Via(RouteVia::Packet(vec![2, 0, 0, 0, 0, 1]));
        for more in [
            vec![],
            vec![via],
            vec![to(&[200, 300])],
            vec![to(&[200]), RouteAttribute::MultiPath(Vec::new())],
            vec![to(&[200]), packet],
        ] {
            assert_eq!(swap(&route(more.clone())), None, "{more:?}");
        }
        let mut foreign = route(vec![to(&[200])]);
        foreign.header.address_family = AddressFamily::Inet;
        assert_eq!(swap(&foreign), None);
        let mut dead = route(vec![to(&[200])]);
        dead.header.flags = RouteFlags::Dead;
        assert_eq!(swap(&dead), None);
    }
}
