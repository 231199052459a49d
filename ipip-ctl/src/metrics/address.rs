//! Where metrics are served: a Unix socket, or a port of the loopback interface. Nobody is asked who he is, so that
//! addresses which other hosts reach are refused.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// How a Unix socket is written: this, and its path.
const UNIX: &str = "unix:";

/// Where metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket, for root and the group `ipip`.
    Unix(PathBuf),
    /// A TCP port of a loopback address, for everybody on this host.
    Loopback(SocketAddr),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix(UNIX) {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err("the path of a Unix socket begins with /, as in unix:/run/ipip/metrics.sock".to_owned())
            };
        }
        let address: SocketAddr = text.parse().map_err(|_| {
            "neither unix:PATH nor a loopback address with a port, as unix:/run/ipip/metrics.sock, \
             127.0.0.1:9713 or [::1]:9713"
                .to_owned()
        })?;
        if address.ip().to_canonical().is_loopback() {
            Ok(Self::Loopback(address))
        } else {
            Err(format!(
                "{} is no loopback address: metrics are served without a password; use 127.0.0.1, ::1 or \
                 unix:PATH, and a proxy that asks for one",
                address.ip()
            ))
        }
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
            Self::Loopback(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_loopback_ports_are_addresses() {
        for text in ["unix:/run/ipip/metrics.sock", "127.0.0.1:9713", "127.9.9.9:1", "[::1]:9713"] {
            assert_eq!(Address::from_str(text).unwrap().to_string(), text);
        }
        assert!(Address::from_str("[::ffff:127.0.0.1]:9713").is_ok());
    }

    #[test]
    fn what_other_hosts_reach_is_refused_with_the_reason() {
        for text in
            ["0.0.0.0:9713", "[::]:9713", "192.0.2.1:9713", "[2001:db8::1]:9713", "[::ffff:192.0.2.1]:1"]
        {
            let why = Address::from_str(text).unwrap_err();
            assert!(why.contains("no loopback address"), "{text}: {why}");
        }
        for text in
            ["", "9713", ":9713", "localhost:9713", "127.0.0.1", "127.0.0.1:70000", "unix:", "unix:m.sock"]
        {
            let why = Address::from_str(text).unwrap_err();
            assert!(why.contains("unix:/run/ipip/metrics.sock"), "{text}: {why}");
        }
    }
}
