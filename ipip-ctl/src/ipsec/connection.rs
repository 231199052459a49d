//! What the IKE daemon is to agree on with the far end of a tunnel. Pure.

use std::net::IpAddr;

use ipip_common::abi::{Carried, Ends, TunnelConfig};

use super::message::Message;
use super::{Secret, request_id};

/// For IKE itself, the strongest first. The last one is what RouterOS has by itself, and has no known weakness there;
/// groups of less than 2048 bits, DES and MD5 are not accepted from anybody.
const IKE: [&str; 3] = [
    "aes256gcm16-aes128gcm16-prfsha384-prfsha256-x25519-ecp384-ecp256-modp3072-modp2048",
    "aes256-aes128-sha384-sha256-x25519-ecp384-ecp256-modp3072-modp2048",
    "aes256-aes128-sha1-modp2048",
];
/// For ESP; with a fresh key exchange or without, as the far end likes.
const ESP: [&str; 5] = [
    "aes256gcm16-aes128gcm16-x25519-ecp256-modp3072-modp2048",
    "aes256gcm16-aes128gcm16",
    "aes256-aes128-sha256-modp3072-modp2048",
    "aes256-aes128-sha256-sha1",
    "aes256-aes128-sha1-modp2048",
];
/// How often a silent far end is asked whether it is there.
const DEAD_PEER: &str = "30s";

/// A tunnel as the IKE daemon knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    name: String,
    ends: Ends,
    protocols: Vec<u8>,
    request: u32,
    secret: Secret,
}

impl Connection {
    /// The connection of a tunnel, under this name.
    #[must_use]
    pub fn new(name: String, config: &TunnelConfig, secret: Secret) -> Self {
        let carried = Carried::ALL.into_iter().filter(|kind| config.flags.carries(*kind));
        Self {
            name,
            ends: config.ends,
            protocols: carried.map(Carried::protocol).collect(),
            request: request_id(config.id),
            secret,
        }
    }

    /// Its name, also that of its secret.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The far end.
    pub(super) const fn remote(&self) -> IpAddr {
        self.ends.remote()
    }

    /// The message of `load-shared`.
    pub(super) fn shared(&self) -> Message {
        let owners = [self.ends.local(), self.ends.remote()].map(|end| end.to_string());
        Message::new()
            .value("id", &self.name)
            .value("type", "IKE")
            .value("data", self.secret.bytes())
            .list("owners", owners)
    }

    /// The message of `load-conn`.
    pub(super) fn connection(&self) -> Message {
        let end = |address: IpAddr| Message::new().value("auth", "psk").value("id", address.to_string());
        let selectors = |address: IpAddr| {
            let length = if address.is_ipv4() { 32 } else { 128 };
            let protocols = self.protocols.iter();
            protocols.map(move |protocol| format!("{address}/{length}[{protocol}]")).collect::<Vec<_>>()
        };
        let (local, remote) = (self.ends.local(), self.ends.remote());
        let child = Message::new()
            .value("mode", "transport")
            .value("reqid", self.request.to_string())
            .list("local_ts", selectors(local))
            .list("remote_ts", selectors(remote))
            .list("esp_proposals", ESP)
            // A far end that is silent is asked for new keys, until it answers.
            .value("dpd_action", "restart");
        let connection = Message::new()
            // IKEv2 where this end begins; IKEv1 where the other one does and has no other.
            .value("version", "0")
            .list("local_addrs", [local.to_string()])
            .list("remote_addrs", [remote.to_string()])
            .list("proposals", IKE)
            .value("dpd_delay", DEAD_PEER)
            .value("keyingtries", "0")
            .value("mobike", "no")
            .value("unique", "replace")
            .section("local", end(local))
            .section("remote", end(remote))
            .section("children", Message::new().section(&self.name, child));
        Message::new().section(&self.name, connection)
    }
}

#[cfg(test)]
mod tests {
    use ipip_common::abi::TunnelFlags;

    use super::*;

    #[test]
    fn a_connection_protects_just_the_tunnels_packets() {
        let flags =
            TunnelFlags { carries_ipv4: true, carries_ipv6: true, ipsec: true, ..TunnelFlags::default() };
        let ends = Ends::V6 { local: "2001:db8::1".parse().unwrap(), remote: "2001:db8::2".parse().unwrap() };
        let config = TunnelConfig {
            id: 5,
            flags,
            ifindex: 7,
            underlay: 2,
            ends,
            mtu: 1400,
            ttl: 64,
            dscp: 0,
            encapsulation_limit: 0,
        };
        let connection = Connection::new("ipip-ctl-4-berlin".into(), &config, Secret::parse("hush").unwrap());
        assert!(!format!("{connection:?}").contains("hush"));
        let shared = connection.shared();
        assert_eq!((shared.text("id"), shared.text("data")), (Some("ipip-ctl-4-berlin"), Some("hush")));
        assert_eq!(shared.items("owners"), ["2001:db8::1", "2001:db8::2"]);
        let message = connection.connection();
        let (name, section) = message.sections().next().unwrap();
        assert_eq!(name, connection.name());
        let (_, children) = section.sections().find(|(name, _)| *name == "children").unwrap();
        let (_, child) = children.sections().next().unwrap();
        assert_eq!(child.text("mode"), Some("transport"));
        assert_eq!(child.text("reqid"), Some("1229979653"));
        assert_eq!(child.items("local_ts"), ["2001:db8::1/128[4]", "2001:db8::1/128[41]"]);
        assert_eq!(child.items("remote_ts"), ["2001:db8::2/128[4]", "2001:db8::2/128[41]"]);
        let all = [section.items("proposals"), child.items("esp_proposals")].concat().join(" ");
        for weak in ["modp1024", "modp768", "modp1536", "3des", "md5", "null"] {
            assert!(!all.contains(weak), "{weak}");
        }
    }
}
