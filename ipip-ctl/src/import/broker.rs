//! The fields of a tunnel broker's page, as they are copied from Hurricane Electric's:
//!
//! ```text
//! Server IPv4 Address: 216.66.80.30
//! Server IPv6 Address: 2001:db8:1234:1::1/64
//! Client IPv4 Address: 203.0.113.2
//! Client IPv6 Address: 2001:db8:1234:1::2/64
//! ```

use super::draft::{Draft, Import};

/// The tunnel's name where the page gives none.
const NAME: &str = "he-ipv6";

const SERVER_V4: &str = "server ipv4 address";
const SERVER_V6: &str = "server ipv6 address";
const CLIENT_V4: &str = "client ipv4 address";
const CLIENT_V6: &str = "client ipv6 address";
/// What the page has and nobody needs here.
const OTHERS: [&str; 9] = [
    "routed /64",
    "routed /48",
    "routed ipv6 prefixes",
    "ipv6 tunnel endpoints",
    "dns resolvers",
    "anycast ipv6 caching nameserver",
    "anycast ipv4 caching nameserver",
    "tunnel id",
    "creation date",
];

/// Whether a line is one of the fields.
pub(super) fn is_field(line: &str) -> bool {
    let line = line.trim_start().to_lowercase();
    [SERVER_V4, SERVER_V6, CLIENT_V4, CLIENT_V6].iter().any(|field| line.starts_with(field))
}

pub(super) fn read(text: &str) -> Import {
    let mut draft = Draft::default();
    let at = draft.begin(1, "he", "6in4");
    let (mut server, mut client) = (None, None);
    let set = |draft: &mut Draft, line, property: &str, value: &str| {
        let value = value.split('/').next().unwrap_or_default();
        draft.change(at, line, |row| row.set(property, value).err().into_iter().collect());
    };
    set(&mut draft, 1, "name", NAME);
    for (number, line) in text.lines().enumerate() {
        let lower = line.trim().to_lowercase();
        let field = |name: &str| {
            let begin = lower.strip_prefix(name)?;
            // Labels on the page may end with a colon, a tab, or nothing.
            Some(
                begin
                    .trim_start_matches([':', '=', '\t', ' '])
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            )
        };
        if lower.is_empty() || lower.starts_with('#') {
            continue;
        }
        if let Some(value) = field(SERVER_V4) {
            set(&mut draft, number + 1, "remote-address", &value);
        } else if let Some(value) = field(CLIENT_V4) {
            set(&mut draft, number + 1, "local-address", &value);
        } else if let Some(value) = field(SERVER_V6) {
            server = Some(value);
        } else if let Some(value) = field(CLIENT_V6) {
            client = Some(value);
        } else if !OTHERS.iter().any(|other| lower.starts_with(other)) {
            draft.problem(number + 1, "no field of a tunnel broker's page".to_owned());
        }
    }
    let mut import = draft.finish();
    if !import.tunnels.is_empty() {
        import.next.extend(client.map(|client| format!("ip address add {client} dev {NAME}")));
        let gateway = server.map(|server| server.split('/').next().unwrap_or_default().to_owned());
        import
            .next
            .extend(gateway.map(|gateway| format!("ip -6 route add default via {gateway} dev {NAME}")));
    }
    import
}
