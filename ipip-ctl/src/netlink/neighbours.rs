//! Link-layer addresses of neighbours.

use std::net::IpAddr;

use netlink_packet_route::neighbour::{NeighbourFlags, NeighbourState};

use super::Netlink;

impl Netlink {
    /// Has the kernel resolve a neighbour, or check one that it has not heard of lately, as sending to it would. What
    /// an administrator has set stays. That it cannot be resolved is known from packets, and no error here.
    pub async fn resolve(&self, ifindex: u32, neighbour: IpAddr) {
        let request = self.handle.neighbours().add(ifindex, neighbour);
        let request = request.state(NeighbourState::None).flags(NeighbourFlags::Use).replace();
        if let Err(error) = request.execute().await {
            log::debug!("resolving {neighbour}: {error}");
        }
    }
}
