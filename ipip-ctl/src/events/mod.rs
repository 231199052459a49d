//! What happens to tunnels and ports, as it happens: told to whoever listens, written to the log, and kept for a while.

mod event;
mod journal;

pub use self::event::{Event, Subject, Told};
pub use self::journal::{Events, KEPT_MAX, Missed, Subscription};
