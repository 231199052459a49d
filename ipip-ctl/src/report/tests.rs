use super::*;
use crate::api::protocol::{Action, PortView, Refused, Traffic};
use crate::tunnel::{DontFragment, Dscp, Ecn, EncapsulationLimit, FlowLabel, Kind, Mtu, Spread, Ttl};

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
        keepalive: "10s,10".into(),
        keepalive_mode: crate::tunnel::KeepaliveMode::Auto,
        liveness: None,
        allow_fast_path: true,
        spread: Spread::Auto,
        spreading: false,
        ipsec: false,
        disabled: false,
        comment: String::new(),
        running: true,
        reason: String::new(),
        traffic: Traffic::default(),
        refused: Vec::new(),
    }
}

/// One that runs, one that is disabled, one that is invalid.
pub(crate) fn three() -> [TunnelView; 3] {
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

fn numbered(tunnels: &[TunnelView]) -> Vec<Numbered<'_>> {
    tunnels.iter().enumerate().collect()
}

fn list(tunnels: &[TunnelView]) -> String {
    list::text(&numbered(tunnels), Screen::default())
}

fn detail(tunnels: &[TunnelView]) -> String {
    detail::text(&numbered(tunnels), Screen::default())
}

#[test]
fn list_has_columns_flags_comments_and_reasons() {
    let expected = "\
Flags: X - disabled, R - running, I - invalid
 #     NAME    KIND    MTU   LOCAL-ADDRESS  REMOTE-ADDRESS
;;; to Berlin
 0  R  berlin  ipip    1480  0.0.0.0        203.0.113.2
 1  X  ipip1   ipip    1480  0.0.0.0        10.0.0.2
 2  I  ipip2   ipipv6  auto  ::             2001:db8::3     no route to 2001:db8::3
";
    assert_eq!(list(&three()), expected);
}

#[test]
fn empty_list_is_the_legend_and_the_header() {
    assert_eq!(list(&[]).lines().count(), 2);
    assert_eq!(detail(&[]).trim_end(), LEGEND);
}

#[test]
fn detail_has_every_property_the_traffic_and_the_refusals() {
    let [mut berlin, off, _] = three();
    berlin.traffic.xdp.sent_packets = 7;
    berlin.refused.push(Refused {
        tier: "tc".into(),
        reason: "too-big".into(),
        action: Action::Pass,
        packets: 2,
    });
    let expected = "\
Flags: X - disabled, R - running, I - invalid
 0 R ;;; to Berlin
     name=berlin kind=ipip local-address=0.0.0.0 remote-address=203.0.113.2 mtu=auto actual-mtu=1480
     ttl=64 dscp=inherit decap-dscp=no ecn=normal dont-fragment=no allowed-inner=
     clamp-tcp-mss=yes keepalive=10s,10 keepalive-mode=auto allow-fast-path=yes spread=auto disabled=no running=yes
     traffic tier=xdp sent-packets=7 sent-bytes=0 received-packets=0 received-bytes=0
     traffic tier=tc sent-packets=0 sent-bytes=0 received-packets=0 received-bytes=0
     traffic tier=daemon sent-packets=0 sent-bytes=0 received-packets=0 received-bytes=0
     refused tier=tc reason=too-big packets=2
";
    assert_eq!(detail(&[berlin]), expected);
    assert!(detail(&[off]).contains(" 0 X name=ipip1 ") && detail(&three()).contains("\n 1 X name="));
    let six = detail(&three());
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
        running: 1,
        disabled: 1,
        invalid: 0,
        ports: vec![port("eth0", &["xdp", "tc"], ""), port("eth1", &["tc"], "another XDP program is there")],
        ..DaemonStatus::default()
    };
    let expected = "\
ipip 0.1.0: 2 tunnels, 1 running, 1 disabled, 0 invalid
 PORT  XDP  TC
 eth0  yes  yes
 eth1  no   yes  another XDP program is there
";
    assert_eq!(status::text(&status, Screen::default()), expected);
    let narrow = status::text(&status, Screen { width: Some(30), has_colours: false });
    assert!(narrow.ends_with(" eth1  no   yes\n       another XDP program is\n       there\n"), "{narrow}");
    let none = status::text(&DaemonStatus { ports: Vec::new(), ..status }, Screen::default());
    assert!(none.contains("no ports"), "{none}");
}

#[test]
fn what_does_not_fit_stands_below() {
    let narrow = Screen { width: Some(80), has_colours: false };
    let text = list::text(&numbered(&three()), narrow);
    assert!(
        text.ends_with(
            " 2  I  ipip2   ipipv6  auto  ::             2001:db8::3\n       no route to 2001:db8::3\n"
        ),
        "{text}"
    );
    for text in [text, detail::text(&numbered(&three()), narrow), stats::text(&numbered(&three()), narrow)] {
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}

#[test]
fn colours_show_the_state_and_cost_no_text() {
    let coloured = Screen { width: None, has_colours: true };
    let text = list::text(&numbered(&three()), coloured);
    assert!(text.contains("\u{1b}[32mR\u{1b}[0m") && text.contains("\u{1b}[31mI\u{1b}[0m"), "{text:?}");
    assert!(text.contains("\u{1b}[36m;;; to Berlin\u{1b}[0m"), "{text:?}");
    let mut plain = String::new();
    for (number, part) in text.split('\u{1b}').enumerate() {
        plain.push_str(if number == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_eq!(plain, list(&three()));
}

#[test]
fn stats_have_a_line_a_tier_and_one_of_refusals() {
    let [mut berlin, ..] = three();
    berlin.traffic.xdp.sent_packets = 12_345_678;
    berlin.refused.push(Refused {
        tier: "tc".into(),
        reason: "too-big".into(),
        action: Action::Pass,
        packets: 2,
    });
    let expected = "\
Flags: X - disabled, R - running, I - invalid
 #     NAME    TIER    TX-PACKETS  TX-BYTES  RX-PACKETS  RX-BYTES
 0  R  berlin  xdp       12345678         0           0         0
               tc               0         0           0         0
               daemon           0         0           0         0
       refused: tc/too-big 2
";
    assert_eq!(stats::text(&numbered(&[berlin]), Screen::default()), expected);
}

#[test]
fn json_has_the_version_of_its_schema_and_numbers() {
    let tunnels = three();
    let value = versioned(json!({ "tunnels": [super::numbered(&(2, &tunnels[2]))] }));
    assert_eq!(value["schema"], SCHEMA);
    assert_eq!((&value["tunnels"][0]["number"], &value["tunnels"][0]["name"]), (&json!(2), &json!("ipip2")));
}

#[test]
fn long_addresses_stand_below_each_other_where_the_screen_is_narrow() {
    let (local, remote) = ("2001:db8:1234:5678:9abc:def0:1234:1", "2001:db8:1234:5678:9abc:def0:1234:5678");
    let [berlin, off, lost] = three();
    let long = TunnelView { local_address: local.into(), ..view("long", remote) };
    let text =
        list::text(&numbered(&[berlin, off, lost, long]), Screen { width: Some(80), has_colours: false });
    let expected = "\
Flags: X - disabled, R - running, I - invalid
 #     NAME    KIND    MTU   LOCAL-ADDRESS -> REMOTE-ADDRESS
;;; to Berlin
 0  R  berlin  ipip    1480  0.0.0.0 -> 203.0.113.2
 1  X  ipip1   ipip    1480  0.0.0.0 -> 10.0.0.2
 2  I  ipip2   ipipv6  auto  :: -> 2001:db8::3
       no route to 2001:db8::3
 3  R  long    ipip    1480  2001:db8:1234:5678:9abc:def0:1234:1
                             -> 2001:db8:1234:5678:9abc:def0:1234:5678
";
    assert_eq!(text, expected);
}

#[test]
fn a_comment_stands_alone_whatever_it_says() {
    let [berlin, ..] = three();
    for screen in [Screen::default(), Screen { width: Some(60), has_colours: false }] {
        let lines = |comment: &str| {
            let tunnel = TunnelView { comment: comment.into(), ..berlin.clone() };
            detail::text(&numbered(&[tunnel]), screen).lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        let (plain, odd) = (lines("to Berlin"), lines("my name=foo"));
        assert_eq!(odd[0], " 0 R ;;; my name=foo");
        assert_eq!(odd[1..], plain[1..]);
    }
}

#[test]
fn properties_fill_the_lines_of_the_screen() {
    let [berlin, _, invalid] = three();
    let text = detail::text(&numbered(&[berlin, invalid]), Screen { width: Some(60), has_colours: false });
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 60), "{text}");
    let first = lines.iter().position(|line| line.contains("name=berlin")).unwrap();
    let last = lines.iter().position(|line| line.contains("running=yes")).unwrap();
    assert!(lines[first..last].iter().all(|line| line.chars().count() > 38), "{text}");
    assert!(text.contains("\n     reason=\"no route to 2001:db8::3\"\n"), "{text}");
}
