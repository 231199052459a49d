//! TC: a socket buffer, which may be a segmentation-offload packet of up to 64 KiB.

mod frame;
mod program;
mod room;

pub(crate) use self::program::{NEXT, finish, start_port, start_tunnel};
