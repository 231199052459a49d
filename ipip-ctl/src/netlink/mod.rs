//! The kernel's side of the world: facts in, changes out.

mod addresses;
mod features;
mod labels;
mod links;
mod neighbours;
mod routes;

use futures_util::StreamExt as _;
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::mpsc;

pub use self::labels::LabelRoute;
pub use self::links::Link;
pub use self::routes::Way;
use crate::failure::{Failure, FailureKind};

/// A connection to the kernel of this network namespace.
#[derive(Debug)]
pub struct Netlink {
    handle: Handle,
    features: features::Features,
}

impl Netlink {
    /// Connects. The receiver gets a word after every change of links, addresses, routes or rules.
    ///
    /// # Errors
    ///
    /// The kernel refuses the socket.
    pub fn connect() -> Result<(Self, mpsc::Receiver<()>), Failure> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv4Rule,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv6Route,
            MulticastGroup::Ipv6Rule,
            MulticastGroup::MplsRoute,
        ];
        let (connection, handle, mut messages) = rtnetlink::new_multicast_connection(&groups)
            .map_err(|error| Failure::io("opening a netlink socket", &error))?;
        tokio::spawn(connection);
        // One word is enough for any number of changes: whoever hears it looks at everything.
        let (wake, changes) = mpsc::channel(1);
        let features = features::Features::connect();
        tokio::spawn(async move {
            while messages.next().await.is_some() {
                let _ = wake.try_send(());
            }
        });
        Ok((Self { handle, features }, changes))
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
