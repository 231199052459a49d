//! The topology, for people.

use anyhow::Result;

use super::text::Style;
use super::world::{TUNNEL, World};

const PICTURE: &str = "  client           host1                          host2           server
  192.168.10.2 --- 192.168.10.1                   192.168.20.1 --- 192.168.20.2
                   192.168.50.1 ==== ipip1 ====== 192.168.50.2
                   172.16.10.2 ----- router ----- 152.16.10.2
                       172.16.10.1 | 152.16.10.1";

/// The sites, before they are there.
pub(super) fn lines(style: Style) -> Vec<String> {
    let mut lines =
        vec![style.bold("Two sites in network namespaces, and an IPv4-in-IPv4 tunnel between them")];
    lines.push(String::new());
    lines.extend(PICTURE.lines().map(str::to_owned));
    lines.push(String::new());
    lines
}

/// What has been set up, and how to look inside while it runs.
pub(super) fn world(world: &World) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (end, daemon) in ["host1", "host2"].iter().zip(&world.daemons) {
        for (port, reason) in daemon.ports()? {
            if !reason.is_empty() {
                lines.push(format!("{end}: {port}: {reason}"));
            }
        }
    }
    let inside = world.sites.host1.path();
    lines.push(format!("{TUNNEL} runs at both ends; to look inside, in another terminal as root:"));
    lines.push(format!("  nsenter --net={} ip address", inside.display()));
    lines.push(String::new());
    Ok(lines)
}
