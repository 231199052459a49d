//! The shapes of the maps: what an earlier daemon pinned is used only if it is what the programs were built for.

use aya::maps::MapData;
use ipip_common::abi::{
    AllowedInner, Answers, LOW_PORTS, LabelEntry, MAX_ADDRESSES, MAX_ALLOWED, MAX_LABELS, MAX_PORTS,
    MAX_REFUSALS, MAX_TUNNELS, OwnAddress, PeerKey, Port, Probing, Traffic, TunnelEntry, map,
};

use super::{Pins, failed};
use crate::failure::{Failure, FailureKind};

/// Maps that are pinned must be the ones that the programs were built for.
pub(super) fn check(pins: &Pins) -> Result<(), Failure> {
    let shapes = [
        (map::TUNNELS, 4, size_of::<TunnelEntry>(), MAX_TUNNELS),
        (map::PEERS, size_of::<PeerKey>(), 4, MAX_TUNNELS * 3),
        (map::PORTS, 4, size_of::<Port>(), MAX_PORTS),
        (map::LOW_PORTS, 4, size_of::<Port>(), LOW_PORTS),
        (map::TRAFFIC, 4, size_of::<Traffic>(), MAX_TUNNELS),
        (map::REFUSALS, 4, 8, MAX_REFUSALS),
        (map::ADDRESSES, size_of::<OwnAddress>(), 4, MAX_ADDRESSES),
        // The number of bits that count stands in front of the prefix.
        (map::ALLOWED, 4 + size_of::<AllowedInner>(), 4, MAX_ALLOWED),
        (map::PROBES, 4, size_of::<Probing>(), MAX_TUNNELS),
        (map::ANSWERS, 4, size_of::<Answers>(), MAX_TUNNELS),
        (map::LABELS, 4, size_of::<LabelEntry>(), MAX_LABELS),
    ];
    for (name, key_size, value_size, entries) in shapes {
        let path = pins.map(name);
        if !path.exists() {
            continue;
        }
        let info = MapData::from_pin(&path)
            .and_then(|map| map.info())
            .map_err(|error| failed(format!("looking at {}", path.display()), &error))?;
        let found = (info.key_size() as usize, info.value_size() as usize, info.max_entries());
        if found != (key_size, value_size, entries) {
            let message = format!("{}: a map of another build of ipip-ctl", path.display());
            return Err(Failure::new(FailureKind::Conflict, message)
                .with_hint("run `stop --purge` of that build, or give another --pin-dir"));
        }
    }
    Ok(())
}
