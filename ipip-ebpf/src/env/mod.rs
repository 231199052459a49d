//! The world as the maps and the kernel's routes show it, to each tier.

mod memory;
mod tables;
mod tc;
mod xdp;

pub(crate) use self::{
    memory::XdpMemory,
    tc::TcEnv,
    xdp::{Stage, XdpEnv},
};
