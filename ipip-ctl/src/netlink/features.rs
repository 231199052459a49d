//! Whether a driver takes frames that an XDP program redirects to it: the kernel's own word for it, from the
//! generic netlink family `netdev` (Linux 6.3). A veth, for example, takes them only while its peer polls, and drops
//! them without a word otherwise.

use futures_util::StreamExt as _;
use genetlink::GenetlinkHandle;
use netlink_packet_core::{
    DecodeError, Emitable, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload, NlaBuffer, NlasIterator,
    ParseableParametrized,
};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};

use super::Netlink;

/// `NETDEV_CMD_DEV_GET` (linux/netdev.h).
const DEV_GET: u8 = 1;
/// `NETDEV_A_DEV_IFINDEX`, u32.
const IFINDEX: u16 = 1;
/// `NETDEV_A_DEV_XDP_FEATURES`, u64.
const XDP_FEATURES: u16 = 3;
/// `NETDEV_XDP_ACT_NDO_XMIT`: frames may be redirected to it.
const TAKES_FRAMES: u64 = 4;

#[derive(Debug)]
pub(super) struct Features {
    handle: Option<GenetlinkHandle>,
}

impl Features {
    pub(super) fn connect() -> Self {
        let handle = genetlink::new_connection().ok().map(|(connection, handle, _)| {
            tokio::spawn(connection);
            handle
        });
        Self { handle }
    }
}

impl Netlink {
    /// Whether frames may be redirected to this interface; `None` where the kernel cannot say (before 6.3).
    pub async fn takes_frames(&self, ifindex: u32) -> Option<bool> {
        let mut handle = self.features.handle.clone()?;
        let mut request =
            NetlinkMessage::from(GenlMessage::from_payload(Device { ifindex, xdp_features: None }));
        request.header.flags = NLM_F_REQUEST;
        let mut answers = handle.request(request).await.ok()?;
        while let Some(Ok(answer)) = answers.next().await {
            if let NetlinkPayload::InnerMessage(message) = answer.payload {
                return message.payload.xdp_features.map(|features| features & TAKES_FRAMES != 0);
            }
        }
        None
    }
}

/// A request for, or the description of, one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Device {
    ifindex: u32,
    xdp_features: Option<u64>,
}

impl GenlFamily for Device {
    fn family_name() -> &'static str {
        "netdev"
    }

    fn command(&self) -> u8 {
        DEV_GET
    }

    fn version(&self) -> u8 {
        1
    }
}

impl Emitable for Device {
    fn buffer_len(&self) -> usize {
        8
    }

    fn emit(&self, buffer: &mut [u8]) {
        let mut nla = NlaBuffer::new(buffer);
        nla.set_kind(IFINDEX);
        nla.set_length(8);
        nla.value_mut().copy_from_slice(&self.ifindex.to_ne_bytes());
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Device {
    fn parse_with_param(buffer: &[u8], _header: GenlHeader) -> Result<Self, DecodeError> {
        let mut device = Self { ifindex: 0, xdp_features: None };
        for nla in NlasIterator::new(buffer) {
            let nla = nla?;
            match nla.kind() {
                IFINDEX => device.ifindex = nla.value().try_into().map_or(0, u32::from_ne_bytes),
                XDP_FEATURES => device.xdp_features = nla.value().try_into().ok().map(u64::from_ne_bytes),
                _ => {}
            }
        }
        Ok(device)
    }
}
