//! Taking over from a daemon whose maps have another layout, in either direction. Its programs go on with its maps until ours
//! are filled; then ours take their places, each in one step.

use std::collections::BTreeMap;
use std::fs;

use aya::maps::{Array, HashMap, Map, MapData};
use ipip_common::abi::{Answers, Port, Probing, map, program};
use nix::net::if_::if_indextoname;

use super::filters::detach_filters;
use super::{Direction, Kernel, Pins};
use crate::failure::Failure;
use crate::netlink::Link;

impl Kernel {
    /// Whether maps of another layout are there, whose programs serve until [`Kernel::finish_moving`].
    #[must_use]
    pub fn is_moving(&self) -> bool {
        !self.layouts.is_empty()
    }

    /// The other layouts, by their numbers.
    #[must_use]
    pub fn layouts(&self) -> &[String] {
        &self.layouts
    }

    /// The roles that daemons of other layouts gave to interfaces, which tell whose those are.
    #[must_use]
    pub fn roles_before(&self) -> &BTreeMap<u32, Port> {
        &self.before
    }

    /// Goes on with what the daemon of another layout knew of the far end of its tunnel `before`, which has the ID `id` now.
    pub fn keep_liveness(&self, before: u32, id: u32) {
        for layout in &self.layouts {
            let probes: Option<Array<MapData, Probing>> = array(&self.pins, layout, map::PROBES);
            let answers: Option<Array<MapData, Answers>> = array(&self.pins, layout, map::ANSWERS);
            if let (Some(probes), Some(answers)) = (probes, answers)
                && let (Ok(probing), Ok(answers)) = (probes.get(&before, 0), answers.get(&before, 0))
            {
                self.keepalive.seed(id, &probing, &answers);
            }
        }
    }

    /// Whether a program of another layout serves this hook of a port, and ours is to wait.
    pub(super) fn serves_still(&self, program: &str, ifindex: u32) -> bool {
        self.layouts.iter().any(|layout| self.pins.link_of(layout, program, ifindex).exists())
            && !self.pins.link(program, ifindex).exists()
    }

    /// Puts our programs in the places of those of other layouts, and lets go of all others, and of the maps. What the far
    /// ends' packets meet comes last: they find our tunnels complete.
    pub fn finish_moving(&mut self, ports: &[Link], tunnels: &[Link]) {
        let layouts = std::mem::take(&mut self.layouts);
        self.before.clear();
        let report = |link: &Link, done: Result<(), Failure>| {
            if let Err(failure) = done {
                log::error!("interface {}: {failure}", link.name);
            }
        };
        for link in tunnels {
            report(link, self.attach_tunnel(link, true));
        }
        for link in ports {
            for layout in &layouts {
                for name in [program::XDP_PORT, program::TC_PORT] {
                    if name == program::XDP_PORT && link.is_made_of_others() {
                        continue;
                    }
                    let (old, own) =
                        (self.pins.link_of(layout, name, link.index), self.pins.link(name, link.index));
                    if own.exists() || fs::rename(old, own).is_err() {
                        continue;
                    }
                    report(
                        link,
                        if name == program::XDP_PORT {
                            self.attach_xdp(link).map(drop)
                        } else {
                            self.attach_tc(link, Direction::Ingress)
                        },
                    );
                }
            }
        }
        for layout in &layouts {
            for ifindex in self.pins.interfaces_of(layout) {
                // A filter does not go with its pin.
                if ports.iter().chain(tunnels).all(|link| link.index != ifindex)
                    && let Ok(name) = if_indextoname(ifindex)
                {
                    detach_filters(&name.to_string_lossy());
                }
            }
            self.pins.remove_layout(layout);
        }
    }
}

/// An array of another layout, where its values have the shape that they have here.
fn array<V: aya::Pod>(pins: &Pins, layout: &str, name: &str) -> Option<Array<MapData, V>> {
    let data = MapData::from_pin(pins.map_of(layout, name)).ok()?;
    let is_so = data.info().is_ok_and(|info| info.value_size() as usize == size_of::<V>());
    if is_so { Map::Array(data).try_into().ok() } else { None }
}

/// What the maps `PORTS` of other layouts hold. [`Port`] has the same shape in each of them.
pub(super) fn roles(pins: &Pins) -> BTreeMap<u32, Port> {
    let mut roles = BTreeMap::new();
    for layout in pins.layouts() {
        let Ok(data) = MapData::from_pin(pins.map_of(&layout, map::PORTS)) else { continue };
        let is_so = data.info().is_ok_and(|info| {
            info.key_size() as usize == size_of::<u32>() && info.value_size() as usize == size_of::<Port>()
        });
        let ports = Some(data).filter(|_| is_so).and_then(|data| HashMap::try_from(Map::HashMap(data)).ok());
        let ports: Option<HashMap<MapData, u32, Port>> = ports;
        roles.extend(ports.iter().flat_map(HashMap::iter).filter_map(Result::ok));
    }
    roles
}
