//! Every refusal of a property, with its words.

use super::*;

/// What is written over the defaults of a tunnel to this remote.
fn written(remote: &str, more: &str) -> TunnelSpec {
    let json = format!(r#"{{"name":"ipip1","remote-address":"{remote}"}}"#);
    let mut spec: serde_json::Value = serde_json::from_str(&json).unwrap();
    let more: serde_json::Value = serde_json::from_str(&format!("{{{more}}}")).unwrap();
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

fn all_are(kind: FailureKind, table: &[(&str, &str, &str)]) {
    for (remote, more, message) in table {
        let failure = refused(written(remote, more));
        assert_eq!(failure.kind, kind, "{more}: {failure}");
        assert_eq!(failure.message, *message, "{more}");
    }
}

const FOUR: &str = "203.0.113.2";
const SIX: &str = "2001:db8::2";

#[test]
fn of_addresses() {
    all_are(
        FailureKind::Usage,
        &[
            ("fe80::1", "", "remote-address fe80::1: a link-local address is not the end of a tunnel"),
            ("::", "", "remote-address ::: the unspecified address is not the end of a tunnel"),
            ("::1", "", "remote-address ::1: a loopback address is not the end of a tunnel"),
            ("ff02::5", "", "remote-address ff02::5: a multicast address is not the end of a tunnel"),
            (
                "::ffff:192.0.2.1",
                "",
                "remote-address ::ffff:192.0.2.1: an IPv4-mapped address is not the end of a tunnel",
            ),
            ("0.0.0.0", "", "remote-address 0.0.0.0: an unspecified address is not the end of a tunnel"),
            ("127.0.0.1", "", "remote-address 127.0.0.1: a loopback address is not the end of a tunnel"),
            ("224.0.0.5", "", "remote-address 224.0.0.5: a multicast address is not the end of a tunnel"),
            (
                "255.255.255.255",
                "",
                "remote-address 255.255.255.255: the broadcast address is not the end of a tunnel",
            ),
            ("fe80::1%eth0", "", "remote-address `fe80::1%eth0`: not an IP address"),
            ("10.0.0.1/24", "", "remote-address `10.0.0.1/24`: not an IP address"),
            (
                SIX,
                r#""local-address":"fe80::1""#,
                "local-address fe80::1: a link-local address is not the end of a tunnel",
            ),
            (
                FOUR,
                r#""local-address":"239.1.1.1""#,
                "local-address 239.1.1.1: a multicast address is not the end of a tunnel",
            ),
            (
                SIX,
                r#""local-address":"2001:db8::2""#,
                "local-address 2001:db8::2: the same as remote-address",
            ),
            (
                SIX,
                r#""local-address":"0.0.0.0""#,
                "local-address and remote-address: one is IPv4 and the other IPv6",
            ),
            (
                FOUR,
                r#""local-address":"::""#,
                "local-address and remote-address: one is IPv4 and the other IPv6",
            ),
        ],
    );
}

#[test]
fn of_names() {
    let commas = "`,` stands between the names of tunnels, and `=` between a property and its value";
    for (name, why) in [
        ("a,b", commas),
        ("a=b", commas),
        ("7", "a number is a place in the list of tunnels, not a name"),
        ("all", "the kernel keeps this name for itself"),
        ("-x", "an interface's name has no `/`, `:` or `%`, and no `-` in front"),
    ] {
        let failure = refused(written(FOUR, &format!(r#""name":"{name}""#)));
        assert_eq!(failure.message, format!("name `{name}`: {why}"));
        assert_eq!(failure.hint.as_deref(), Some("choose another name, as ipip1"));
    }
}

#[test]
fn of_kinds() {
    all_are(
        FailureKind::Usage,
        &[
            (FOUR, r#""kind":"gre""#, "kind `gre`: no kind of tunnel"),
            (FOUR, r#""kind":"ipv4""#, "kind `ipv4`: no kind of tunnel"),
            (FOUR, r#""kind":4"#, "kind `4`: no kind of tunnel"),
            (FOUR, r#""kind":"4in6""#, "kind 4in6: needs IPv6 addresses, and 203.0.113.2 is none"),
            (FOUR, r#""kind":"ip6tnl""#, "kind ipipv6: needs IPv6 addresses, and 203.0.113.2 is none"),
            (FOUR, r#""kind":"6in6""#, "kind 6in6: needs IPv6 addresses, and 203.0.113.2 is none"),
            (SIX, r#""kind":"ipip""#, "kind ipip: needs IPv4 addresses, and 2001:db8::2 is none"),
            (SIX, r#""kind":"sit""#, "kind 6in4: needs IPv4 addresses, and 2001:db8::2 is none"),
        ],
    );
    let failure = refused(written(SIX, r#""kind":"ipip""#));
    assert_eq!(failure.hint.as_deref(), Some("kinds for IPv6 are 4in6, 6in6, ipipv6, mpls, any"));
}

#[test]
fn of_mtus() {
    let why6 = "IPv6 needs 1280 (RFC 8200 5), and the outer header takes";
    let why4 = "IPv4 needs 68 (RFC 791), and the outer header takes";
    for (remote, kind, mtu, limit, least, most, why, overhead) in [
        (FOUR, "ipip", "67", "", 68, 65_515, why4, 20),
        (FOUR, "ipip", "65516", "", 68, 65_515, why4, 20),
        (FOUR, "mpls", "67", "", 68, 65_515, why4, 20),
        (FOUR, "6in4", "1279", "", 1280, 65_515, why6, 20),
        (FOUR, "any", "1279", "", 1280, 65_515, why6, 20),
        (SIX, "4in6", "67", "", 68, 65_495, why4, 40),
        (SIX, "4in6", "65496", "", 68, 65_495, why4, 40),
        (SIX, "6in6", "1279", "", 1280, 65_495, why6, 40),
        (SIX, "ipipv6", "65488", r#","encapsulation-limit":4"#, 1280, 65_487, why6, 48),
        (FOUR, "ipip", "\"big\"", "", 68, 65_515, why4, 20),
        (FOUR, "ipip", "true", "", 68, 65_515, why4, 20),
        (FOUR, "ipip", "-1400", "", 68, 65_515, why4, 20),
    ] {
        let failure = refused(written(remote, &format!(r#""kind":"{kind}","mtu":{mtu}{limit}"#)));
        let value = mtu.trim_matches('"');
        assert_eq!(
            failure.message,
            format!(
                "mtu `{value}`: neither auto nor {least} to {most} bytes, the range of kind {kind}: {why} {overhead} of 65535"
            )
        );
    }
}

#[test]
fn of_the_outer_header() {
    all_are(
        FailureKind::Usage,
        &[
            (FOUR, r#""ttl":0"#, "ttl `0`: neither inherit nor 1 to 255"),
            (FOUR, r#""ttl":256"#, "ttl `256`: neither inherit nor 1 to 255"),
            (FOUR, r#""ttl":"auto""#, "ttl `auto`: neither inherit nor 1 to 255"),
            (FOUR, r#""dscp":64"#, "dscp `64`: neither inherit nor 0 to 63"),
            (FOUR, r#""dscp":"ef""#, "dscp `ef`: neither inherit nor 0 to 63"),
            (FOUR, r#""decap-dscp":"uniform""#, "decap-dscp `uniform`: neither yes nor no"),
            (FOUR, r#""ecn":"yes""#, "ecn `yes`: neither normal nor compatibility"),
            (FOUR, r#""dont-fragment":"yes""#, "dont-fragment `yes`: neither no nor inherit"),
            (FOUR, r#""flow-label":"auto""#, "flow-label `auto`: an outer IPv4 header has none"),
            (FOUR, r#""encapsulation-limit":4"#, "encapsulation-limit `4`: an outer IPv4 header has none"),
            (SIX, r#""flow-label":"yes""#, "flow-label `yes`: neither auto nor no"),
            (SIX, r#""encapsulation-limit":256"#, "encapsulation-limit `256`: neither none nor 0 to 255"),
            (SIX, r#""encapsulation-limit":"no""#, "encapsulation-limit `no`: neither none nor 0 to 255"),
        ],
    );
}

#[test]
fn of_prefixes() {
    all_are(
        FailureKind::Usage,
        &[
            (FOUR, r#""allowed-inner":"lan""#, "allowed-inner `lan`: not a prefix"),
            (FOUR, r#""allowed-inner":["10.0.0.0/33"]"#, "allowed-inner `10.0.0.0/33`: not a prefix"),
            (FOUR, r#""allowed-inner":"10.0.0.0/8,""#, "allowed-inner ``: not a prefix"),
            (
                FOUR,
                r#""allowed-inner":"10.1.2.3/8""#,
                "allowed-inner `10.1.2.3/8`: an address in a network, not the network",
            ),
            (
                FOUR,
                r#""allowed-inner":"2001:db8::/32""#,
                "allowed-inner `2001:db8::/32`: kind ipip carries no IPv6",
            ),
            (
                FOUR,
                r#""kind":"6in4","allowed-inner":"10.0.0.0/8""#,
                "allowed-inner `10.0.0.0/8`: kind 6in4 carries no IPv4",
            ),
            (
                FOUR,
                r#""kind":"mpls","allowed-inner":"10.0.0.0/8""#,
                "allowed-inner: kind mpls looks at labels, not at inner addresses",
            ),
            (
                FOUR,
                r#""allowed-inner":["10.0.0.1","10.0.0.1/32"]"#,
                "allowed-inner `10.0.0.1/32`: written twice",
            ),
        ],
    );
    let failure = refused(written(FOUR, r#""allowed-inner":"10.1.2.3/8""#));
    assert_eq!(failure.hint.as_deref(), Some("write 10.0.0.0/8"));
}

#[test]
fn of_switches_and_texts() {
    all_are(
        FailureKind::Usage,
        &[
            (FOUR, r#""clamp-tcp-mss":"1""#, "clamp-tcp-mss `1`: neither yes nor no"),
            (FOUR, r#""allow-fast-path":"on""#, "allow-fast-path `on`: neither yes nor no"),
            (FOUR, r#""disabled":"Yes""#, "disabled `Yes`: neither yes nor no"),
            (
                FOUR,
                r#""keepalive":"49ms,3""#,
                "keepalive `49ms,3`: the interval is 50 ms to 1 h, in whole milliseconds",
            ),
            (
                FOUR,
                r#""keepalive-mode":"bfd""#,
                "keepalive-mode `bfd`: neither auto, reflect, echo nor passive",
            ),
            (FOUR, r#""comment":"two\nlines""#, "comment: more than one line of 255 characters"),
            (
                FOUR,
                r#""name":"a/b""#,
                "name `a/b`: an interface's name has no `/`, `:` or `%`, and no `-` in front",
            ),
        ],
    );
}

#[test]
fn what_ipsec_excludes_is_refused() {
    let with = |spec: TunnelSpec| {
        Tunnel::try_from(TunnelSpec { ipsec_secret_file: Some("/etc/ipip/berlin.psk".into()), ..spec })
    };
    let tunnel = with(spec()).unwrap();
    assert!(tunnel.has_ipsec() && !tunnel.allow_fast_path);
    let off = TunnelSpec { allow_fast_path: Some("no".into()), ..spec() };
    assert_eq!(with(off).unwrap(), tunnel);
    let on = TunnelSpec { allow_fast_path: Some("yes".into()), ..spec() };
    let failure = with(on).unwrap_err();
    assert!(failure.kind == FailureKind::Usage && failure.message.contains("allow-fast-path"), "{failure}");
    for kind in ["mpls", "any"] {
        let failure = with(TunnelSpec { kind: Some(kind.into()), ..spec() }).unwrap_err();
        assert!(failure.kind == FailureKind::Unsupported && failure.message.contains(kind), "{failure}");
    }
    // It may be the secret itself.
    for file in ["hush", "./hush", "/etc/hu\nsh"] {
        let failure =
            Tunnel::try_from(TunnelSpec { ipsec_secret_file: Some(file.into()), ..spec() }).unwrap_err();
        assert!(!failure.to_string().contains("hu"), "{failure}");
    }
}
