use proptest::prelude::*;

use super::ends::{NOT_THIS_VERSION, class};
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
            local: None,
            remote: Ipv4Addr::new(203, 0, 113, 2),
            mtu: Mtu::Auto,
            dscp: Dscp::Inherit,
            dont_fragment: DontFragment::No,
            clamp_tcp_mss: true,
            allow_fast_path: true,
            disabled: false,
            comment: None,
        }
    );
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

#[test]
fn local_equal_to_remote_is_refused() {
    let failure = refused(TunnelSpec { local_address: Some("203.0.113.2".into()), ..spec() });
    assert!(failure.message.contains("same as remote-address"), "{failure}");
}

#[test]
fn mixed_families_are_told_from_ipv6() {
    for (local, remote) in
        [("2001:db8::1", "203.0.113.2"), ("192.0.2.1", "2001:db8::2"), ("::", "203.0.113.2")]
    {
        let written =
            TunnelSpec { local_address: Some(local.into()), remote_address: Some(remote.into()), ..spec() };
        let failure = refused(written);
        assert_eq!(failure.kind, FailureKind::Usage);
        assert!(failure.message.contains("IPv6"), "{failure}");
    }
    for local in [None, Some("2001:db8::1".to_owned()), Some("::".to_owned())] {
        let written =
            TunnelSpec { local_address: local, remote_address: Some("2001:db8::2".into()), ..spec() };
        let failure = refused(written);
        assert_eq!(failure.kind, FailureKind::Unsupported);
        assert!(failure.message.contains(NOT_THIS_VERSION), "{failure}");
    }
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
fn keepalive_may_only_be_off() {
    for word in [Word::Number(0), "0".into(), "0s".into()] {
        Tunnel::try_from(TunnelSpec { keepalive: Some(word), ..spec() }).unwrap();
    }
    let failure = refused(TunnelSpec { keepalive: Some("10s,10".into()), ..spec() });
    assert_eq!(failure.kind, FailureKind::Unsupported);
    assert!(failure.message.contains("not in this version"), "{failure}");
}

#[test]
fn comment_is_one_line() {
    refused(TunnelSpec { comment: Some("two\nlines".into()), ..spec() });
    refused(TunnelSpec { comment: Some("x".repeat(COMMENT_MAX + 1)), ..spec() });
    let tunnel = Tunnel::try_from(TunnelSpec { comment: Some(String::new()), ..spec() }).unwrap();
    assert_eq!(tunnel.comment, None);
}

fn host() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from).prop_filter("a host's address", |address| class(*address).is_none())
}

prop_compose! {
    fn tunnels()(
        name in "[a-z][a-z0-9_.-]{0,14}",
        local in prop::option::of(host()),
        remote in host(),
        mtu in prop_oneof![Just(Mtu::Auto), MTU_RANGE.prop_map(Mtu::Fixed)],
        dscp in prop_oneof![Just(Dscp::Inherit), DSCP_RANGE.prop_map(Dscp::Fixed)],
        dont_fragment in prop_oneof![Just(DontFragment::No), Just(DontFragment::Inherit)],
        (clamp_tcp_mss, allow_fast_path, disabled) in any::<(bool, bool, bool)>(),
        comment in prop::option::of("[ -~äöü]{1,40}"),
    ) -> Tunnel {
        Tunnel { name, local, remote, mtu, dscp, dont_fragment, clamp_tcp_mss, allow_fast_path, disabled, comment }
    }
}

proptest! {
    #[test]
    fn writing_out_and_reading_back_changes_nothing(tunnel in tunnels()) {
        prop_assume!(tunnel.local != Some(tunnel.remote) && !matches!(tunnel.name.as_str(), "all" | "default"));
        prop_assert_eq!(&Tunnel::try_from(tunnel.to_spec()).unwrap(), &tunnel);
        let json = serde_json::to_string(&tunnel.to_spec()).unwrap();
        prop_assert_eq!(Tunnel::try_from(serde_json::from_str::<TunnelSpec>(&json).unwrap()).unwrap(), tunnel);
    }

    #[test]
    fn no_input_panics(name in ".*", local in ".*", remote in ".*", mtu in ".*", keepalive in ".*") {
        let written = TunnelSpec {
            name: Some(name),
            local_address: Some(local),
            remote_address: Some(remote),
            mtu: Some(mtu.as_str().into()),
            keepalive: Some(keepalive.as_str().into()),
            ..TunnelSpec::default()
        };
        if let Err(failure) = Tunnel::try_from(written) {
            prop_assert!(!failure.to_string().contains(char::is_control));
        }
    }
}
