use proptest::prelude::*;

use super::*;
use crate::export;
use crate::spec::TunnelSpec;
use crate::tunnel::tests::laws::tunnels;

pub(super) fn import(text: &str, format: Format) -> Import {
    read(text, Path::new("text"), format).unwrap()
}

/// The tunnels, each as its properties joined with spaces, and the problems.
pub(super) fn told(text: &str) -> (Vec<String>, Vec<(usize, String)>) {
    let import = import(text, Format::Auto);
    let short = |spec: &TunnelSpec| {
        let texts = spec.to_texts().into_iter().map(|(property, value)| format!("{property}={value}"));
        texts.collect::<Vec<_>>().join(" ")
    };
    let problems = import.problems.into_iter().map(|problem| (problem.line, problem.why));
    (import.tunnels.iter().map(short).collect(), problems.collect())
}

#[test]
fn an_export_of_routeros_is_understood() {
    let text = r#"# 2026-11-26 08:00:00 by RouterOS 7.16
# software id = ABCD-EFGH
/interface ipip
add allow-fast-path=no clamp-tcp-mss=no comment="to \"Berlin\" \\ 5\24" !keepalive \
    local-address=198.51.100.1 mtu=1472 name=berlin remote-address=\
    203.0.113.2
add dont-fragment=inherit dscp=46 disabled=yes name=rome remote-address=203.0.113.3
set [ find name=rome ] disabled=no
/interface 6to4
add name=six remote-address=216.66.80.30 local-address=198.51.100.1
set 0 comment=broker
/interface/ipipv6/add name=v6 remote-address=2001:db8::2
/interface 4in6 add name=b4 remote-address=2001:db8::2
"#;
    let (tunnels, problems) = told(text);
    assert_eq!(problems, []);
    assert_eq!(
        tunnels,
        [
            "name=berlin kind=ipip local-address=198.51.100.1 remote-address=203.0.113.2 mtu=1472 clamp-tcp-mss=no \
             allow-fast-path=no keepalive=0 comment=to \"Berlin\" \\ 5$",
            "name=rome kind=ipip remote-address=203.0.113.3 dscp=46 dont-fragment=inherit disabled=no",
            "name=six kind=6in4 local-address=198.51.100.1 remote-address=216.66.80.30 comment=broker",
            "name=v6 kind=ipipv6 remote-address=2001:db8::2",
            "name=b4 kind=4in6 remote-address=2001:db8::2",
        ]
    );
}

#[test]
fn what_is_not_understood_is_told_with_its_line_and_costs_no_other() {
    let text = "add name=early\n/interface ipip\nadd name=a remote-address=10.0.0.1 mtuu=1400 \\\n  sort=fast\n\
                add name=b remote-address=nowhere\nadd name=c remote-address=10.0.0.3 ipsec-secret=hush\n\
                add name=\"d\nremove 0\nset nobody mtu=5\nset [ find name\n/ip address\nadd address=1.1.1.1/24 interface=a\n\
                /interface 6to4\nadd name=automatic\n";
    let (tunnels, problems) = told(text);
    assert_eq!(tunnels, ["name=a kind=ipip remote-address=10.0.0.1"]);
    let lines: Vec<usize> = problems.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 3, 3, 5, 6, 7, 8, 9, 10, 12, 14], "{problems:?}");
    for (at, words) in [
        (0, "no menu stands above"),
        (1, "did you mean `mtu`?"),
        (2, "`sort`"),
        (3, "remote-address `nowhere`"),
        (4, "the tunnel is left out"),
        (5, "column 12: the quoted text has no end"),
        (6, "`remove`"),
        (7, "no such tunnel"),
        (8, "[ find name=NAME ]"),
        (9, "/ip address: no menu of tunnels"),
        (10, "remote-address"),
    ] {
        assert!(problems[at].1.contains(words), "{words}: {problems:?}");
    }
    assert!(!format!("{problems:?}").contains("hush"));
}

#[test]
fn commands_of_iproute2_are_understood() {
    let text = "# by hand\nip tunnel add tun1 mode ipip remote 203.0.113.2 local 198.51.100.1 ttl 64\n\
                sudo ip link add name six type sit remote 216.66.80.30 local any tos inherit nopmtudisc\n\
                ip link add v6 mtu 1400 type ip6tnl mode ip6ip6 remote 2001:db8::2 encaplimit none tclass 0xb8 flowlabel inherit\n\
                ip -6 tunnel add v4 mode ipip6 remote 2001:db8::3 hoplimit 9\n\
                ip link set dev tun1 mtu 1472 up\n";
    let (tunnels, problems) = told(text);
    assert_eq!(problems, []);
    assert_eq!(
        tunnels,
        [
            "name=tun1 kind=ipip local-address=198.51.100.1 remote-address=203.0.113.2 mtu=1472 ttl=64 dscp=0 \
             dont-fragment=inherit",
            "name=six kind=6in4 local-address=0.0.0.0 remote-address=216.66.80.30 ttl=inherit dscp=inherit \
             dont-fragment=no",
            "name=v6 kind=6in6 remote-address=2001:db8::2 mtu=1400 dscp=46 flow-label=auto encapsulation-limit=none",
            "name=v4 kind=4in6 remote-address=2001:db8::3 ttl=9 dscp=0 flow-label=no encapsulation-limit=4",
        ]
    );
    let text = "ip tunnel add g mode gre remote 10.0.0.1\nip link add a type ipip remote 10.0.0.2 dev eth0 key 5\n\
                ip address add 10.0.0.1/24 dev a\nip link add b type veth\nip link set c mtu 1400\n";
    let (tunnels, problems) = told(text);
    assert_eq!(tunnels.len(), 1);
    let lines: Vec<usize> = problems.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2, 2, 3, 4, 5], "{problems:?}");
}

#[test]
fn the_fields_of_a_tunnel_broker_are_understood() {
    let text = "IPv6 Tunnel Endpoints\nServer IPv4 Address:216.66.80.30\nServer IPv6 Address: 2001:db8:1234:1::1/64\n\
                Client IPv4 Address\t203.0.113.2\nClient IPv6 Address: 2001:db8:1234:1::2/64\nWhat is this?\n";
    let Import { tunnels, problems, next } = import(text, Format::Auto);
    assert_eq!(tunnels[0].to_texts().len(), 4);
    assert_eq!(Tunnel::try_from(tunnels[0].clone()).unwrap().remote.to_string(), "216.66.80.30");
    assert_eq!(tunnels[0].local_address.as_deref(), Some("203.0.113.2"));
    assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [6]);
    assert_eq!(
        next,
        [
            "ip address add 2001:db8:1234:1::2/64 dev he-ipv6",
            "ip -6 route add default via 2001:db8:1234:1::1 dev he-ipv6"
        ]
    );
    let lacking = import("Client IPv4 Address: 203.0.113.2", Format::He);
    assert!(lacking.tunnels.is_empty() && lacking.problems[0].why.contains("remote-address"), "{lacking:?}");
}

proptest! {
    #[test]
    fn import_of_an_export_gives_the_same(tunnels in prop::collection::vec(tunnels(), 1..5)) {
        let is_good = |tunnel: &Tunnel| Tunnel::try_from(tunnel.to_spec()).is_ok_and(|read| read == *tunnel);
        prop_assume!(tunnels.iter().all(is_good));
        let mut table = crate::table::TunnelTable::default();
        prop_assume!(tunnels.iter().all(|tunnel| table.insert(tunnel.clone()).is_ok()));
        let specs: Vec<TunnelSpec> = tunnels.iter().map(Tunnel::to_short_spec).collect();
        for text in [export::toml(&specs).unwrap(), export::routeros(&specs)] {
            let import = import(&text, Format::Auto);
            prop_assert_eq!(&import.problems, &[], "{}", text);
            let read: Vec<Tunnel> =
                import.tunnels.into_iter().map(|spec| Tunnel::try_from(spec).unwrap()).collect();
            prop_assert_eq!(&read, &tunnels, "{}", text);
        }
    }

    #[test]
    fn no_text_is_too_strange(text in any::<String>(), lines in "([a-z/=\"\\\\ \\[\\]!#\n]{0,20}){0,10}") {
        for text in [text, format!("/interface ipip\n{lines}"), format!("ip {lines}")] {
            for format in [Format::Auto, Format::Routeros, Format::Ip, Format::He] {
                let _ = read(&text, Path::new("text"), format);
            }
        }
    }
}
