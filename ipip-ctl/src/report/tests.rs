use super::*;
use crate::api::protocol::{PortView, Refused, Traffic};
use crate::tunnel::{DontFragment, Dscp, Ecn, EncapsulationLimit, FlowLabel, Kind, Mtu, Ttl};

fn view(name: &str, remote: &str) -> TunnelView {
    TunnelView {
        name: name.into(),
        kind: Kind::Ipip,
        local_address: "0.0.0.0".into(),
        remote_address: remote.into(),
        mtu: Mtu::Auto,
        actual_mtu: Some(1480),
        ttl: Ttl::default(),
        dscp: Dscp::Inherit,
        decap_dscp: false,
        ecn: Ecn::Normal,
        flow_label: None,
        encapsulation_limit: None,
        dont_fragment: DontFragment::No,
        allowed_inner: Vec::new(),
        clamp_tcp_mss: true,
        keepalive: "0".into(),
        allow_fast_path: true,
        disabled: false,
        comment: String::new(),
        running: true,
        reason: String::new(),
        traffic: Traffic::default(),
        refused: Vec::new(),
    }
}

fn three() -> [TunnelView; 3] {
    let berlin = TunnelView { comment: "to Berlin".into(), ..view("berlin", "203.0.113.2") };
    let off =
        TunnelView { disabled: true, running: false, reason: "disabled".into(), ..view("ipip1", "10.0.0.2") };
    let lost = TunnelView {
        running: false,
        actual_mtu: None,
        reason: "no route to 2001:db8::3".into(),
        kind: Kind::Ipipv6,
        local_address: "::".into(),
        flow_label: Some(FlowLabel::Auto),
        encapsulation_limit: Some(EncapsulationLimit::Limit(4)),
        allowed_inner: vec!["10.0.0.0/8".into(), "2001:db8::/32".into()],
        ..view("ipip2", "2001:db8::3")
    };
    [berlin, off, lost]
}

#[test]
fn list_has_columns_flags_comments_and_reasons() {
    let expected = "\
Flags: X - disabled, R - running, I - invalid
 #     NAME    KIND    MTU   LOCAL-ADDRESS  REMOTE-ADDRESS
;;; to Berlin
 0  R  berlin  ipip    1480  0.0.0.0        203.0.113.2
 1  X  ipip1   ipip    1480  0.0.0.0        10.0.0.2        disabled
 2  I  ipip2   ipipv6  auto  ::             2001:db8::3     no route to 2001:db8::3
";
    assert_eq!(list::text(&three()), expected);
}

#[test]
fn empty_list_is_the_legend_and_the_header() {
    assert_eq!(list::text(&[]).lines().count(), 2);
    assert_eq!(detail::text(&[]), LEGEND);
}

#[test]
fn detail_has_every_property_the_traffic_and_the_refusals() {
    let [mut berlin, off, _] = three();
    berlin.traffic.xdp.sent_packets = 7;
    berlin.refused.push(Refused { tier: "tc".into(), reason: "too-big".into(), packets: 2 });
    let expected = "\
Flags: X - disabled, R - running, I - invalid
 0 R ;;; to Berlin
     name=berlin kind=ipip local-address=0.0.0.0 remote-address=203.0.113.2 mtu=auto actual-mtu=1480
     ttl=64 dscp=inherit decap-dscp=no ecn=normal dont-fragment=no allowed-inner=
     clamp-tcp-mss=yes keepalive=0 allow-fast-path=yes disabled=no running=yes
     traffic tier=xdp sent-packets=7 sent-bytes=0 received-packets=0 received-bytes=0
     traffic tier=tc sent-packets=0 sent-bytes=0 received-packets=0 received-bytes=0
     traffic tier=daemon sent-packets=0 sent-bytes=0 received-packets=0 received-bytes=0
     refused tier=tc reason=too-big packets=2
";
    assert_eq!(detail::text(&[berlin]), expected);
    assert!(
        detail::text(&[off]).contains(" 0 X name=ipip1 ") && detail::text(&three()).contains("\n 1 X name=")
    );
    let six = detail::text(&three());
    assert!(six.contains("reason=\"no route to 2001:db8::3\""));
    assert!(
        six.contains(" flow-label=auto encapsulation-limit=4 ")
            && six.contains("=10.0.0.0/8,2001:db8::/32\n")
    );
}

#[test]
fn status_names_each_port_with_its_tiers() {
    let port = |name: &str, tiers: &[&str], reason: &str| PortView {
        name: name.into(),
        tiers: tiers.iter().map(|tier| (*tier).to_owned()).collect(),
        reason: reason.into(),
    };
    let status = DaemonStatus {
        version: "0.1.0".into(),
        tunnels: 2,
        ports: vec![port("eth0", &["xdp", "tc"], ""), port("eth1", &["tc"], "another XDP program is there")],
    };
    assert_eq!(
        status_text(&status),
        "version 0.1.0, tunnels 2\neth0: xdp, tc\neth1: tc (another XDP program is there)\n"
    );
}
