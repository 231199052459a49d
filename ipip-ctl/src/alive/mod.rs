//! Whether a tunnel's far end is there: probes, the running flag, and the interface's carrier.
//!
//! [`Alive`] is all that the engine knows of it. One thread sends the probes of all tunnels and reads what the programs
//! noted of the answers; the engine tells it of tunnels and of what keeps them from running. Whichever of the two learns of
//! a change sets the carrier at once.

mod ask;
mod flag;
mod hook;
mod look;
mod pace;
mod packet;
mod peer;
mod prober;
mod socket;
mod view;
mod watch;
mod watched;
mod ways;
mod wheel;

pub use self::flag::{Flag, Rule};
pub use self::hook::{Change, Hook};
pub use self::prober::Alive;
pub use self::view::Liveness;
pub use self::watched::Watched;
pub use self::ways::{InterfaceAddress, ways};
