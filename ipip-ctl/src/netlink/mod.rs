//! The kernel's side of the world: facts in, changes out.

mod addresses;
mod changes;
mod features;
mod labels;
mod links;
mod listen;
mod neighbours;
mod routes;
mod tags;

use rtnetlink::Handle;

pub use self::changes::{Changes, Destinations};
pub use self::labels::LabelRoute;
pub use self::links::Link;
pub use self::listen::Listener;
pub(crate) use self::listen::open as open_listener;
pub use self::routes::Way;
use crate::failure::{Failure, FailureKind};

/// A connection to the kernel of this network namespace.
#[derive(Debug)]
pub struct Netlink {
    handle: Handle,
    features: features::Features,
    offloads: tags::Offloads,
}

impl Netlink {
    /// Connects, and begins to listen for changes.
    ///
    /// # Errors
    ///
    /// The kernel refuses the socket.
    pub fn connect() -> Result<(Self, Listener), Failure> {
        // Heard before anything is looked at: no change falls between.
        let listener = Listener::start()?;
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(|error| Failure::io("opening a netlink socket", &error))?;
        tokio::spawn(connection);
        let (features, offloads) = (features::Features::connect(), tags::Offloads::connect());
        Ok((Self { handle, features, offloads }, listener))
    }
}

fn failed(what: impl std::fmt::Display, error: &rtnetlink::Error) -> Failure {
    let why = if let rtnetlink::Error::NetlinkError(message) = error {
        message.to_io().to_string()
    } else {
        error.to_string()
    };
    Failure::new(FailureKind::Failed, format!("{what}: {why}"))
}
