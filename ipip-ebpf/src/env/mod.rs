//! The world as the maps and the kernel's routes show it, to each tier.

mod tables;
mod tc;
mod xdp;

pub(crate) use self::{tc::TcEnv, xdp::XdpEnv};
