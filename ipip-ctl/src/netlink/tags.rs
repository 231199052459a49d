//! Whether a driver takes VLAN tags out of the frames that arrive, as `ethtool -K NAME rxvlan on` has it do. XDP programs see
//! such a frame without its tag.

use ethtool::{EthtoolAttr, EthtoolFeatureAttr, EthtoolHandle};
use futures_util::TryStreamExt as _;

use super::Netlink;

/// What the kernel calls it.
const TAKES_TAGS: &str = "rx-vlan-hw-parse";

#[derive(Debug)]
pub(super) struct Offloads {
    handle: Option<EthtoolHandle>,
}

impl Offloads {
    pub(super) fn connect() -> Self {
        let handle = ethtool::new_connection().ok().map(|(connection, handle, _)| {
            tokio::spawn(connection);
            handle
        });
        Self { handle }
    }
}

impl Netlink {
    /// Whether this interface's driver takes VLAN tags out of frames; where the kernel cannot say, it does not.
    pub async fn takes_tags(&self, name: &str) -> bool {
        let Some(mut handle) = self.offloads.handle.clone() else { return false };
        let Ok(answers) = handle.feature().get(Some(name)).execute().await else { return false };
        let answers: Vec<_> = answers.try_collect().await.unwrap_or_default();
        let attributes = answers.into_iter().flat_map(|answer| answer.payload.nlas);
        let active = attributes.filter_map(|attribute| {
            if let EthtoolAttr::Feature(EthtoolFeatureAttr::Active(bits)) = attribute {
                Some(bits)
            } else {
                None
            }
        });
        active.flatten().any(|bit| bit.name == TAKES_TAGS && bit.value)
    }
}
