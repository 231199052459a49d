//! The way to a tunnel's remote, as the kernel would route the tunnel's own packets.

use std::net::IpAddr;

use futures_util::TryStreamExt as _;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType, RouteVia,
};
use rtnetlink::RouteMessageBuilder;

use super::Netlink;

/// A route's answer for one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The interface that leads there.
    pub ifindex: u32,
    /// The source address that the kernel would choose; one that is good on its link only is none.
    pub source: Option<IpAddr>,
    /// The router on the way; `None` where the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// MTU of the route where it has one of its own, bytes.
    pub mtu: Option<u32>,
}

impl Netlink {
    /// The way to `remote` for packets from `local`; `None` where there is no route, or where `remote` is this
    /// host itself.
    pub async fn way_to(&self, remote: IpAddr, local: Option<IpAddr>) -> Option<Way> {
        let length = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let mut request =
            RouteMessageBuilder::<IpAddr>::new().destination_prefix(remote, length(remote)).ok()?;
        if let Some(local) = local {
            request = request.source_prefix(local, length(local)).ok()?;
        }
        let answers: Vec<RouteMessage> =
            self.handle.route().get(request.build()).execute().try_collect().await.ok()?;
        way(answers.first()?)
    }
}

fn way(message: &RouteMessage) -> Option<Way> {
    if message.header.kind != RouteType::Unicast {
        return None;
    }
    let mut way = Way { ifindex: 0, source: None, gateway: None, mtu: None };
    for attribute in &message.attributes {
        #[expect(clippy::wildcard_enum_match_arm, reason = "some of the kernel's many attributes")]
        match attribute {
            RouteAttribute::Oif(index) => way.ifindex = *index,
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => way.source = Some((*address).into()),
            RouteAttribute::PrefSource(RouteAddress::Inet6(address)) if !address.is_unicast_link_local() => {
                way.source = Some((*address).into());
            }
            RouteAttribute::Gateway(RouteAddress::Inet(address))
            | RouteAttribute::Via(RouteVia::Inet(address)) => {
                way.gateway = Some((*address).into());
            }
            RouteAttribute::Gateway(RouteAddress::Inet6(address))
            | RouteAttribute::Via(RouteVia::Inet6(address)) => way.gateway = Some((*address).into()),
            RouteAttribute::Metrics(metrics) => {
                way.mtu = metrics
                    .iter()
                    .find_map(|metric| if let RouteMetric::Mtu(mtu) = metric { Some(*mtu) } else { None });
            }
            _ => {}
        }
    }
    (way.ifindex != 0).then_some(way)
}
