//! A tunnel exactly as a person wrote it: every property optional, nothing checked but its name.
//!
//! The same struct is read from the configuration file, from the command line and from the socket, so a
//! property has one name and one meaning everywhere. [`crate::tunnel`] gives it its meaning.

mod list;
mod word;

pub use self::list::List;
pub use self::word::Word;

use serde_json::{Map, Value};

/// A tunnel as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct TunnelSpec {
    /// Name of the tunnel's interface
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is carried: ipip, 6in4, 4in6, 6in6, ipipv6 (IPv4 and IPv6 in IPv6), mpls, or any (IPv4, IPv6 and MPLS)
    /// [default: ipip between IPv4 addresses, ipipv6 between IPv6 addresses]
    #[arg(long, value_name = "KIND")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Word>,
    /// Source of the outer packets, IPv4 or IPv6 [default: 0.0.0.0 or ::, chosen by the route to the remote]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_address: Option<String>,
    /// Destination of the outer packets, IPv4 or IPv6
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_address: Option<String>,
    /// Largest inner packet: bytes, or auto (what the way leaves, 1280 at least for kinds that carry IPv6)
    /// [default: auto]
    #[arg(long, value_name = "BYTES|auto")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<Word>,
    /// TTL or hop limit of the outer header: 1 to 255, or inherit (the inner packet's) [default: 64]
    #[arg(long, value_name = "inherit|1-255")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Word>,
    /// DSCP of the outer header: inherit, or 0 to 63 [default: inherit]
    #[arg(long, value_name = "inherit|0-63")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dscp: Option<Word>,
    /// Copy the DSCP of the outer header inside at the exit (RFC 2983, the uniform model) [default: no]
    #[arg(long, value_name = "yes|no")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decap_dscp: Option<Word>,
    /// Congestion marks: normal, or compatibility (never outside, for a remote older than RFC 6040)
    /// [default: normal]
    #[arg(long, value_name = "normal|compatibility")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecn: Option<Word>,
    /// Flow label of the outer IPv6 header: auto (from the inner flow), or no (always 0); only between IPv6
    /// addresses [default: auto]
    #[arg(long, value_name = "auto|no")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_label: Option<Word>,
    /// How often packets may be encapsulated again on the way (RFC 2473): none, or 0 to 255; only between IPv6
    /// addresses; takes 8 bytes [default: none]
    #[arg(long, value_name = "none|0-255")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encapsulation_limit: Option<Word>,
    /// Don't Fragment of the outer header: no (always clear), or inherit (the inner packet's, and set for MPLS)
    /// [default: no; inherit for kinds mpls and any, as RFC 4023 5.1 asks for]
    #[arg(long, value_name = "no|inherit")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dont_fragment: Option<Word>,
    /// Prefixes of the inner addresses at the far end: destinations of what is sent, sources of what is received;
    /// with kind any, MPLS is refused then
    /// [default: none, everything is allowed]
    #[arg(long, value_name = "PREFIX,...")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_inner: Option<List>,
    /// Lower the MSS of TCP connections to what fits the tunnel [default: yes]
    #[arg(long, value_name = "yes|no")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clamp_tcp_mss: Option<Word>,
    /// Let forwarded packets bypass the host's stack [default: yes]
    #[arg(long, value_name = "yes|no")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_fast_path: Option<Word>,
    /// Let all CPUs decapsulate what one receive queue brings, each its share of the inner flows: on, off, or auto (while
    /// one CPU alone is too slow for the tunnel) [default: auto]
    #[arg(long, value_name = "auto|on|off")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Word>,
    /// Protect the tunnel by IPsec: the file with the secret that both ends share, which only root may read; needs
    /// strongSwan on this host [default: none]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipsec_secret_file: Option<String>,
    /// Keep the tunnel defined, but carry nothing [default: no]
    #[arg(long, value_name = "yes|no")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Word>,
    /// Ask the far end whether it is there: the interval of the probes (50ms to 1h), how many in a row without an answer
    /// take the running flag away, and how many answers give it back; 0 is off [default: 10s,10,1]
    #[arg(long, value_name = "INTERVAL[,RETRIES[,ANSWERS]]")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive: Option<Word>,
    /// How it is asked: reflect (it forwards a packet back), echo (it answers a ping), passive (not at all: what comes
    /// from it counts), or auto (by whichever it answers; one that never answered is taken to be there) [default: auto]
    #[arg(long, value_name = "auto|reflect|echo|passive")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive_mode: Option<Word>,
    /// Anything that helps people
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl TunnelSpec {
    /// The names of all properties, as they are written.
    pub const PROPERTIES: [&str; 21] = [
        "name",
        "kind",
        "local-address",
        "remote-address",
        "mtu",
        "ttl",
        "dscp",
        "decap-dscp",
        "ecn",
        "flow-label",
        "encapsulation-limit",
        "dont-fragment",
        "allowed-inner",
        "clamp-tcp-mss",
        "allow-fast-path",
        "spread",
        "ipsec-secret-file",
        "disabled",
        "keepalive",
        "keepalive-mode",
        "comment",
    ];

    /// The properties that are written, in their order, each with its value as text.
    #[must_use]
    pub fn to_texts(&self) -> Vec<(&'static str, String)> {
        let values = self.to_values();
        let text = |property: &'static str| {
            let text = match values.get(property)? {
                Value::String(text) => text.clone(),
                Value::Bool(true) => "yes".to_owned(),
                Value::Bool(false) => "no".to_owned(),
                Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
                other @ (Value::Number(_) | Value::Null | Value::Object(_)) => other.to_string(),
            };
            Some((property, text))
        };
        Self::PROPERTIES.into_iter().filter_map(text).collect()
    }

    /// Takes over what `changes` has written; a property that is empty there is written no more.
    ///
    /// # Errors
    ///
    /// The result cannot be read, which no spec that was read before brings about.
    pub fn merged(&self, changes: &Self) -> Result<Self, serde_json::Error> {
        let mut values = self.to_values();
        for (property, value) in changes.to_values() {
            if is_empty(&value) && property != "name" {
                values.remove(&property);
            } else {
                values.insert(property, value);
            }
        }
        serde_json::from_value(Value::Object(values))
    }

    /// The same without one property.
    ///
    /// # Errors
    ///
    /// As for [`Self::merged`].
    pub fn without(&self, property: &str) -> Result<Self, serde_json::Error> {
        let mut values = self.to_values();
        values.remove(property);
        serde_json::from_value(Value::Object(values))
    }

    /// The properties that are written, as JSON.
    #[must_use]
    pub fn to_values(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(values)) => values,
            Ok(_) | Err(_) => Map::new(),
        }
    }
}

/// Whether a value says that the property takes its default.
pub(crate) fn is_empty(value: &Value) -> bool {
    value.as_str().is_some_and(str::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_the_keys_of_the_struct() {
        let word = || Some(Word::Number(0));
        let text = || Some(String::new());
        let full = TunnelSpec {
            name: text(),
            kind: word(),
            local_address: text(),
            remote_address: text(),
            mtu: word(),
            ttl: word(),
            dscp: word(),
            decap_dscp: word(),
            ecn: word(),
            flow_label: word(),
            encapsulation_limit: word(),
            dont_fragment: word(),
            allowed_inner: Some(List::default()),
            clamp_tcp_mss: word(),
            allow_fast_path: word(),
            spread: word(),
            ipsec_secret_file: text(),
            disabled: word(),
            keepalive: word(),
            keepalive_mode: word(),
            comment: text(),
        };
        let json = serde_json::to_value(full).unwrap();
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, TunnelSpec::PROPERTIES);
    }

    #[test]
    fn unknown_property_is_refused() {
        let error = serde_json::from_str::<TunnelSpec>(r#"{"mtuu":1400}"#).unwrap_err();
        assert!(error.to_string().contains("mtuu"), "{error}");
    }
}
