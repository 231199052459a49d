pub(crate) mod laws;
mod refusals;

use std::net::Ipv4Addr;

use super::*;

fn spec() -> TunnelSpec {
    TunnelSpec {
        name: Some("ipip1".into()),
        remote_address: Some("203.0.113.2".into()),
        ..TunnelSpec::default()
    }
}

fn refused(spec: TunnelSpec) -> Failure {
    let failure = Tunnel::try_from(spec).unwrap_err();
    assert!(failure.hint.is_some(), "no next step: {failure}");
    assert!(!failure.to_string().contains('\n'));
    failure
}

#[test]
fn defaults_are_those_of_the_documents() {
    let tunnel = Tunnel::try_from(spec()).unwrap();
    assert_eq!(
        tunnel,
        Tunnel {
            name: "ipip1".into(),
            kind: Kind::Ipip,
            local: None,
            remote: Ipv4Addr::new(203, 0, 113, 2).into(),
            mtu: Mtu::Auto,
            ttl: Ttl::Fixed(64),
            dscp: Dscp::Inherit,
            decap_dscp: false,
            ecn: Ecn::Normal,
            flow_label: FlowLabel::No,
            encapsulation_limit: EncapsulationLimit::None,
            dont_fragment: DontFragment::No,
            allowed_inner: Vec::new(),
            clamp_tcp_mss: true,
            keepalive: Keepalive::default(),
            keepalive_mode: KeepaliveMode::Auto,
            allow_fast_path: true,
            spread: Spread::Auto,
            ipsec_secret_file: None,
            disabled: false,
            comment: None,
        }
    );
}

#[test]
fn defaults_over_ipv6_have_a_flow_label_and_no_limit() {
    let tunnel =
        Tunnel::try_from(TunnelSpec { remote_address: Some("2001:db8::2".into()), ..spec() }).unwrap();
    assert_eq!((tunnel.kind, tunnel.flow_label), (Kind::Ipipv6, FlowLabel::Auto));
    assert_eq!((tunnel.encapsulation_limit, tunnel.overhead()), (EncapsulationLimit::None, 40));
    assert_eq!(tunnel.written_local().to_string(), "::");
}

#[test]
fn kinds_have_other_names_and_keep_their_own() {
    for (remote, written, name, dont_fragment) in [
        ("203.0.113.2", "ipip", "ipip", "no"),
        ("203.0.113.2", "6in4", "6in4", "no"),
        ("203.0.113.2", "sit", "6in4", "no"),
        ("203.0.113.2", "6to4", "6in4", "no"),
        ("203.0.113.2", "mpls", "mpls", "inherit"),
        ("203.0.113.2", "mplsip", "mpls", "inherit"),
        ("203.0.113.2", "any", "any", "inherit"),
        ("2001:db8::2", "4in6", "4in6", "no"),
        ("2001:db8::2", "ipip6", "4in6", "no"),
        ("2001:db8::2", "6in6", "6in6", "no"),
        ("2001:db8::2", "ip6ip6", "6in6", "no"),
        ("2001:db8::2", "ipipv6", "ipipv6", "no"),
        ("2001:db8::2", "ip6tnl", "ipipv6", "no"),
        ("2001:db8::2", "mpls", "mpls", "inherit"),
        ("2001:db8::2", "any", "any", "inherit"),
    ] {
        let spec = TunnelSpec { kind: Some(written.into()), remote_address: Some(remote.into()), ..spec() };
        let out = Tunnel::try_from(spec).unwrap().to_spec();
        assert_eq!(
            (out.kind, out.dont_fragment),
            (Some(name.into()), Some(dont_fragment.into())),
            "{written}"
        );
    }
}

#[test]
fn values_of_the_outer_header_are_read() {
    for (ttl, value) in [("inherit", Ttl::Inherit), ("1", Ttl::Fixed(1)), ("255", Ttl::Fixed(255))] {
        assert_eq!(Tunnel::try_from(TunnelSpec { ttl: Some(ttl.into()), ..spec() }).unwrap().ttl, value);
    }
    let six = || TunnelSpec { remote_address: Some("2001:db8::2".into()), ..spec() };
    for (limit, overhead) in [("none", 40), ("0", 48), ("255", 48)] {
        let spec = TunnelSpec { encapsulation_limit: Some(limit.into()), ..six() };
        assert_eq!(Tunnel::try_from(spec).unwrap().overhead(), overhead);
    }
    for word in [Word::Truth(false), "no".into()] {
        let spec = TunnelSpec { flow_label: Some(word), ..six() };
        assert_eq!(Tunnel::try_from(spec).unwrap().flow_label, FlowLabel::No);
    }
    let spec = TunnelSpec { allowed_inner: Some("10.0.0.0/8,192.0.2.1".into()), ..spec() };
    let prefixes: Vec<String> =
        Tunnel::try_from(spec).unwrap().allowed_inner.iter().map(IpNet::to_string).collect();
    assert_eq!(prefixes, ["10.0.0.0/8", "192.0.2.1/32"]);
}

#[test]
fn names_that_no_interface_can_have_are_refused() {
    for name in [
        "",
        "sixteen-bytes-xx",
        "a/b",
        "a b",
        "a\tb",
        "a:b",
        ".",
        "..",
        "all",
        "default",
        "tun%d",
        "-x",
        "7",
        "ü",
        "a,b",
        ",",
        "a=b",
        "mtu=1400",
    ] {
        let failure = refused(TunnelSpec { name: Some(name.into()), ..spec() });
        assert_eq!(failure.kind, FailureKind::Usage, "{name}");
    }
    for name in ["fifteen-bytes-x", "ipip1.5", "_", "to@berlin", "Site-B"] {
        Tunnel::try_from(TunnelSpec { name: Some(name.into()), ..spec() }).unwrap();
    }
    refused(TunnelSpec { name: None, ..spec() });
}

#[test]
fn remote_must_be_a_host() {
    for remote in [
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.5",
        "255.255.255.255",
        "10.0.0.1/24",
        "",
        "host",
        "1.2.3",
        "01.2.3.4",
    ] {
        assert_eq!(
            refused(TunnelSpec { remote_address: Some(remote.into()), ..spec() }).kind,
            FailureKind::Usage
        );
    }
    assert!(refused(TunnelSpec { remote_address: None, ..spec() }).message.starts_with("remote-address"));
}

// conformance: H16
#[test]
fn local_must_be_a_host_or_unspecified() {
    for local in ["127.0.0.1", "239.1.1.1", "255.255.255.255", "0.0.0.1", "10.0.0.1/24"] {
        assert_eq!(
            refused(TunnelSpec { local_address: Some(local.into()), ..spec() }).kind,
            FailureKind::Usage
        );
    }
    let tunnel = Tunnel::try_from(TunnelSpec { local_address: Some("0.0.0.0".into()), ..spec() }).unwrap();
    assert_eq!(tunnel.local, None);
}

// conformance: L3
#[test]
fn local_equal_to_remote_is_refused() {
    let failure = refused(TunnelSpec { local_address: Some("203.0.113.2".into()), ..spec() });
    assert!(failure.message.contains("same as remote-address"), "{failure}");
}

#[test]
fn mtu_is_auto_or_in_range() {
    for (word, mtu) in [("auto", Mtu::Auto), ("68", Mtu::Fixed(68)), ("65515", Mtu::Fixed(65515))] {
        assert_eq!(Tunnel::try_from(TunnelSpec { mtu: Some(word.into()), ..spec() }).unwrap().mtu, mtu);
    }
    for word in ["67", "65516", "0", "-1", "1e3", "Auto", "", "99999999999999999999"] {
        assert_eq!(refused(TunnelSpec { mtu: Some(word.into()), ..spec() }).kind, FailureKind::Usage);
    }
    refused(TunnelSpec { mtu: Some(Word::Truth(true)), ..spec() });
    refused(TunnelSpec { mtu: Some(Word::Number(-1400)), ..spec() });
}

#[test]
fn dscp_is_inherit_or_six_bits() {
    for (word, dscp) in [("inherit", Dscp::Inherit), ("0", Dscp::Fixed(0)), ("63", Dscp::Fixed(63))] {
        assert_eq!(Tunnel::try_from(TunnelSpec { dscp: Some(word.into()), ..spec() }).unwrap().dscp, dscp);
    }
    for word in ["64", "256", "ef", "no"] {
        refused(TunnelSpec { dscp: Some(word.into()), ..spec() });
    }
}

#[test]
fn dont_fragment_is_no_or_inherit() {
    for word in ["yes", "set", "1"] {
        refused(TunnelSpec { dont_fragment: Some(word.into()), ..spec() });
    }
    let written = TunnelSpec { dont_fragment: Some("inherit".into()), ..spec() };
    assert_eq!(Tunnel::try_from(written).unwrap().dont_fragment, DontFragment::Inherit);
}

#[test]
fn yes_and_no_are_words_or_booleans() {
    for (word, truth) in [
        ("yes".into(), true),
        ("true".into(), true),
        (Word::Truth(true), true),
        ("no".into(), false),
        (Word::Truth(false), false),
    ] {
        assert_eq!(Tunnel::try_from(TunnelSpec { disabled: Some(word), ..spec() }).unwrap().disabled, truth);
    }
    for word in ["1", "on", "Yes", ""] {
        let failure = refused(TunnelSpec { allow_fast_path: Some(word.into()), ..spec() });
        assert!(failure.message.starts_with("allow-fast-path"), "{failure}");
    }
}

#[test]
fn keepalive_has_modes_for_what_is_carried() {
    let with = |kind: &str, mode: &str| {
        let (kind, keepalive_mode) = (Some(kind.into()), Some(mode.into()));
        TunnelSpec { kind, keepalive_mode, ..spec() }
    };
    for kind in ["ipip", "6in4", "any"] {
        for mode in ["auto", "reflect", "echo", "passive"] {
            assert_eq!(Tunnel::try_from(with(kind, mode)).unwrap().keepalive_mode.name(), mode);
        }
    }
    Tunnel::try_from(with("mpls", "passive")).unwrap();
    let failure = refused(with("mpls", "echo"));
    assert!(failure.message.contains("kind mpls carries none"), "{failure}");
    assert!(refused(with("ipip", "bfd")).message.contains("neither auto"));
}

#[test]
fn comment_is_one_line() {
    refused(TunnelSpec { comment: Some("two\nlines".into()), ..spec() });
    refused(TunnelSpec { comment: Some("x".repeat(COMMENT_MAX + 1)), ..spec() });
    let tunnel = Tunnel::try_from(TunnelSpec { comment: Some(String::new()), ..spec() }).unwrap();
    assert_eq!(tunnel.comment, None);
}
