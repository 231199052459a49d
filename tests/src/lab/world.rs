//! The two sites with a daemon at both ends of the tunnel, taken down when dropped.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::counters::Counters;
use super::daemon::Daemon;
use super::{leftovers, stop};
use crate::netns::Netns;
use crate::topology::Sites;

/// The tunnel's name at both ends.
pub(super) const TUNNEL: &str = "ipip1";

/// Everything that the lab sets up.
pub(super) struct World {
    pub(super) sites: Sites,
    /// Host1's and host2's.
    pub(super) daemons: [Daemon; 2],
}

impl World {
    /// Builds it, up to a tunnel that runs.
    pub(super) fn build(ctl: &Path) -> Result<Self> {
        let folder =
            leftovers::make_folder().context("making /run/ipip-lab-*, with a BPF file system in it")?;
        let sites = Sites::new();
        sites.complete_frames_on_the_wire();
        // Without router solicitations all that the tunnel carries is the lab's.
        for namespace in [&sites.client, &sites.host1, &sites.router, &sites.host2, &sites.server] {
            without_ipv6(namespace);
        }
        stop::check()?;
        let (one, two) = (Sites::HOST1.to_string(), Sites::HOST2.to_string());
        let daemons = [
            Daemon::start("host1", &sites.host1, ctl, &folder)?,
            Daemon::start("host2", &sites.host2, ctl, &folder)?,
        ];
        daemons[0].add(TUNNEL, (&one, &two))?;
        daemons[1].add(TUNNEL, (&two, &one))?;
        stop::check()?;
        sites.route_through(TUNNEL);
        Ok(Self { sites, daemons })
    }

    /// What both ends have carried so far.
    pub(super) fn counters(&self) -> Result<[Counters; 2]> {
        Ok([self.daemons[0].counters()?, self.daemons[1].counters()?])
    }

    /// The same, when nothing moves any more.
    pub(super) fn counters_at_rest(&self) -> Result<[Counters; 2]> {
        let mut last = self.counters()?;
        for _ in 0..50 {
            stop::pause(Duration::from_millis(50))?;
            let now = self.counters()?;
            if now == last {
                break;
            }
            last = now;
        }
        Ok(last)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // While their interfaces are still there. The namespaces go with the sites, the folder with the rest.
        leftovers::end_daemons();
    }
}

fn without_ipv6(namespace: &Netns) {
    // A kernel may have none.
    let built_in = namespace.enter(|| Path::new("/proc/sys/net/ipv6").exists());
    if built_in {
        namespace.set("net.ipv6.conf.all.disable_ipv6", "1");
        namespace.set("net.ipv6.conf.default.disable_ipv6", "1");
    }
}
