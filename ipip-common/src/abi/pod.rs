//! `aya::Pod` for the types that already are `bytemuck::Pod`. The crate's only unsafe code.
#![expect(unsafe_code, reason = "aya's marker trait is unsafe to implement")]

use super::{AllowedInner, Answers, LabelEntry, OwnAddress, PeerKey, Port, Probing, Traffic, TunnelEntry};

macro_rules! pod {
    ($($name:ty),*) => {$(
        const _: () = {
            const fn is_pod<T: bytemuck::Pod>() {}
            is_pod::<$name>();
        };
        // SAFETY: bytemuck::Pod, asserted above, asks for all that aya::Pod does: no padding, any bytes valid.
        unsafe impl aya::Pod for $name {}
    )*};
}

pod!(AllowedInner, Answers, LabelEntry, OwnAddress, PeerKey, Port, Probing, Traffic, TunnelEntry);
