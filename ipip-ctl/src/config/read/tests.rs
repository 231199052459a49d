use super::*;

const ORIGIN: &str = "/etc/ipip/ipip.toml";

fn parse(text: &str) -> Result<Config, Failure> {
    Config::parse(text, Path::new(ORIGIN))
}

/// The failure must be in this line and column, on one line, and name a next step.
fn refused(text: &str, line: usize, column: usize) -> Failure {
    let failure = parse(text).unwrap_err();
    let place = format!("{ORIGIN}:{line}:{column}: ");
    assert!(failure.message.starts_with(&place), "not at {place}: {failure}");
    assert!(!failure.to_string().contains('\n'));
    failure
}

#[test]
fn reads_every_property_in_both_spellings() {
    for key in TUNNEL_KEYS {
        let text = format!(
            r#"
            interfaces = ["eth0", "eth1"]
            [[{key}]]
            name = "berlin"
            local-address = "198.51.100.1"
            remote-address = "203.0.113.2"
            mtu = 1400
            dscp = 46
            dont-fragment = "inherit"
            clamp-tcp-mss = false
            allow-fast-path = "no"
            disabled = true
            keepalive = 0
            comment = "to Berlin"
            [[{key}]]
            remote-address = "203.0.113.3"
            mtu = "auto"
            dscp = "inherit"
            dont-fragment = false
            keepalive = "0"
            [[{key}]]
            name = "six"
            kind = "any"
            local-address = "::"
            remote-address = "2001:db8::2"
            ttl = "inherit"
            decap-dscp = "yes"
            ecn = "compatibility"
            flow-label = "no"
            encapsulation-limit = 4
            allowed-inner = ["10.0.0.0/8", "2001:db8:1::/48"]
            [[{key}]]
            kind = "6in4"
            remote-address = "203.0.113.2"
            allowed-inner = "2001:db8::/32"
            "#
        );
        let config = parse(&text).unwrap();
        assert_eq!(config.interfaces, Some(vec!["eth0".to_owned(), "eth1".to_owned()]));
        assert_eq!(config.tunnels.len(), 4);
        assert_eq!(config.tunnels.get("six").unwrap().allowed_inner.len(), 2);
        let berlin = config.tunnels.get("berlin").unwrap();
        assert!(berlin.disabled && !berlin.clamp_tcp_mss && !berlin.allow_fast_path);
        assert_eq!(berlin.comment.as_deref(), Some("to Berlin"));
        assert!(config.tunnels.get("ipip1").is_some());
    }
}

#[test]
fn tunnels_without_a_name_do_not_take_one_that_comes_later() {
    let text = r#"
        [[tunnel]]
        remote-address = "10.0.0.1"
        [[tunnel]]
        name = "ipip1"
        remote-address = "10.0.0.2"
        [[tunnel]]
        remote-address = "10.0.0.3"
    "#;
    let config = parse(text).unwrap();
    let names: Vec<&str> = config.tunnels.iter().map(|tunnel| tunnel.name.as_str()).collect();
    assert_eq!(names, ["ipip2", "ipip1", "ipip3"]);
}

#[test]
fn nothing_written_is_nothing_configured() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(parse("# only a comment\n").unwrap(), Config::default());
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(Config::load(&directory.path().join("absent.toml")).unwrap(), Config::default());
    assert!(Config::load(directory.path()).is_err());
}

#[test]
fn unknown_key_is_named_with_its_place_and_the_likely_one() {
    let failure =
        refused("[[tunnel]]\nremote-address = \"10.0.0.1\"\n  remote_adress = \"10.0.0.2\"\n", 3, 3);
    assert_eq!(failure.kind, FailureKind::Usage);
    assert!(failure.message.contains("`remote_adress`"));
    assert_eq!(failure.hint.as_deref(), Some("did you mean `remote-address`?"));
    let failure = refused("interfases = []\n", 1, 1);
    assert_eq!(failure.hint.as_deref(), Some("did you mean `interfaces`?"));
    let failure = refused("[[tunnel]]\nzzz = 1\n", 2, 1);
    assert!(failure.hint.unwrap().contains("clamp-tcp-mss"));
}

#[test]
fn bad_value_is_named_with_its_place() {
    for (line, kind) in [
        ("mtu = 20", FailureKind::Usage),
        ("mtu = 1400.5", FailureKind::Usage),
        ("mtu = [1400]", FailureKind::Usage),
        ("dscp = 64", FailureKind::Usage),
        ("disabled = 3", FailureKind::Usage),
        ("keepalive = \"10ms\"", FailureKind::Usage),
        ("local-address = 5", FailureKind::Usage),
        ("local-address = \"10.0.0.1\"", FailureKind::Usage),
        ("local-address = \"2001:db8::1\"", FailureKind::Usage),
        ("kind = \"gre\"", FailureKind::Usage),
        ("kind = \"6in6\"", FailureKind::Usage),
        ("ttl = 0", FailureKind::Usage),
        ("ecn = true", FailureKind::Usage),
        ("flow-label = \"auto\"", FailureKind::Usage),
        ("encapsulation-limit = 4", FailureKind::Usage),
        ("allowed-inner = [\"10.0.0.1/8\"]", FailureKind::Usage),
        ("allowed-inner = 5", FailureKind::Usage),
        ("decap-dscp = 1", FailureKind::Usage),
        ("name = \"a/b\"", FailureKind::Usage),
        ("name = 1979-05-27", FailureKind::Usage),
        ("comment = \"a\\nb\"", FailureKind::Usage),
    ] {
        let failure = refused(&format!("# é\n[[tunnel]]\nremote-address = \"10.0.0.1\"\n{line}\n"), 4, 1);
        assert_eq!(failure.kind, kind, "{failure}");
        let key = line.split(' ').next().unwrap();
        assert!(failure.message.contains(key) && failure.hint.is_some(), "{failure}");
    }
}

#[test]
fn missing_remote_is_at_its_tunnel() {
    let failure = refused("[[tunnel]]\nremote-address = \"10.0.0.1\"\n\n[[tunnel]]\nmtu = 1400\n", 4, 1);
    assert!(failure.message.contains("remote-address"));
}

#[test]
fn duplicates_are_at_the_second() {
    let two = |first: &str, second: &str| format!("[[tunnel]]\n{first}\n[[tunnel]]\n{second}\n");
    let name = |name: &str, remote: &str| format!("name = \"{name}\"\nremote-address = \"{remote}\"");
    for (other, remote) in [("a", "10.0.0.2"), ("b", "10.0.0.1")] {
        let failure = refused(&two(&name("a", "10.0.0.1"), &name(other, remote)), 4, 1);
        assert_eq!(failure.kind, FailureKind::Conflict);
    }
}

#[test]
fn secret_is_refused_and_never_shown() {
    for text in [
        "[[tunnel]]\nipsec-secret = \"hunter2\"\n",
        "[[tunnel]]\nipsec-secrt = \"hunter2\"\n",
        "[[tunnel]]\nipsec-secret = \"hunter2\n",
        "[[tunnel]]\nipsec-secret = hunter2\n",
        "[[tunnel]]\nipsec-secret = \"hunter2\" \"hunter2\"\n",
        "ipsec-secret = \"hunter2\"\n",
    ] {
        let failure = parse(text).unwrap_err();
        assert!(!failure.to_string().contains("hunter2"), "{failure}");
    }
    let failure = refused("[[tunnel]]\nipsec-secret = \"hunter2\"\n", 2, 1);
    assert_eq!(failure.kind, FailureKind::Usage);
    assert!(failure.message.contains("ipsec-secret") && failure.to_string().contains("ipsec-secret-file"));
}

#[test]
fn shapes_that_are_not_lists_of_tunnels_are_refused() {
    refused("tunnel = 5\n", 1, 10);
    refused("[tunnel]\nremote-address = \"10.0.0.1\"\n", 1, 1);
    refused("tunnel = [{ remote-address = \"10.0.0.1\" }]\n", 1, 10);
    refused("[[tunnel]]\nremote-address = \"10.0.0.1\"\n[[tunnels]]\nremote-address = \"10.0.0.2\"\n", 3, 3);
    refused("interfaces = \"eth0\"\n", 1, 14);
    refused("interfaces = [5]\n", 1, 14);
    refused("metrics = 9713\n", 1, 11);
    refused("metrics = \"0.0.0.0:9713\"\n", 1, 11);
    refused("interfaces = [\"\"]\n", 1, 14);
    refused("interfaces = [\"sixteen-bytes-xx\"]\n", 1, 14);
    refused("[[tunnel]]\nmtu = 1\nmtu = 2\n", 3, 1);
    refused("[[tunnel]\n", 1, 10);
}
