use crate::import::tests::{import, told};
use crate::import::{Format, Import};

#[test]
fn what_is_commented_out_makes_no_tunnel() {
    let text = "# ip tunnel add old mode ipip remote 192.0.2.9\n#ip link add older type ipip remote 192.0.2.8\n\
                $ ip tunnel add new mode ipip remote 192.0.2.7 # local 192.0.2.1\n";
    let (tunnels, problems) = told(text);
    assert_eq!(problems, []);
    assert_eq!(tunnels.len(), 1, "{tunnels:?}");
    assert!(tunnels[0].starts_with("name=new kind=ipip remote-address=192.0.2.7 "), "{tunnels:?}");
    assert_eq!(import("# ip tunnel add old mode ipip remote 192.0.2.9", Format::Ip), Import::default());
}

/// What one tunnel to 192.0.2.7, or to `2001:db8::7`, has beside its defaults.
fn one(text: &str) -> String {
    let (tunnels, problems) = told(text);
    assert_eq!((tunnels.len(), problems.len()), (1, 0), "{text}: {tunnels:?} {problems:?}");
    let defaults = [
        "remote-address=192.0.2.7",
        "remote-address=2001:db8::7",
        "ttl=inherit",
        "dscp=0",
        "dont-fragment=inherit",
        "flow-label=no",
        "encapsulation-limit=4",
    ];
    tunnels[0].split(' ').filter(|word| !defaults.contains(word)).collect::<Vec<_>>().join(" ")
}

/// The tunnels' names, and the problems joined.
fn told_of(text: &str) -> (Vec<String>, String) {
    let (tunnels, problems) = told(text);
    let name = |tunnel: &String| tunnel.split(' ').next().unwrap_or_default().replace("name=", "");
    let problems: Vec<String> = problems.into_iter().map(|(line, why)| format!("{line}: {why}")).collect();
    (tunnels.iter().map(name).collect(), problems.join("; "))
}

#[test]
fn names_stand_where_iproute2_looks_for_them() {
    for (text, expected) in [
        ("ip link add dev t type ipip remote 192.0.2.7", "name=t kind=ipip"),
        ("ip link add name t type ipip remote 192.0.2.7", "name=t kind=ipip"),
        ("ip link add t mtu 0x578 up type sit remote 192.0.2.7", "name=t kind=6in4 mtu=1400"),
        ("ip link add type ipip remote 192.0.2.7", "kind=ipip"),
        ("ip tunnel add remote 192.0.2.7 mode ipip name t", "name=t kind=ipip"),
        ("ip tunnel add remote 192.0.2.7 mode ipip nopmtudisc t", "name=t kind=ipip"),
        ("ip tunnel add sit5 remote 192.0.2.7", "name=sit5 kind=6in4"),
        ("ip t a ipip5 remote 192.0.2.7", "name=ipip5 kind=ipip"),
        ("ip -6 tunnel add t remote 2001:db8::7", "name=t kind=6in6"),
        ("ip -s -f inet6 tunl add t remote 2001:db8::7", "name=t kind=6in6"),
        ("ip -4 -o tunnel add t mode ipip remote 192.0.2.7", "name=t kind=ipip"),
        ("sudo /sbin/ip l a t type ip6tnl remote 2001:db8::7", "name=t kind=ipipv6"),
    ] {
        assert_eq!(one(text), expected, "{text}");
    }
    let (tunnels, problems) = told_of("ip link add link eth0 name t type ipip remote 192.0.2.7 dev eth1");
    assert_eq!(tunnels, ["t"]);
    assert_eq!(
        problems,
        "1: link eth0: not in this version; left out; 1: dev eth1: not in this version; left out"
    );
}

#[test]
fn values_are_read_as_iproute2_reads_them() {
    for (words, expected) in [
        ("tos EF", " dscp=46"),
        ("tos ef", " dscp=inherit"),
        ("tos AF11 ttl 0x40", " ttl=64 dscp=10"),
        ("dsfield 10", " dscp=4"),
        ("tos 1", " dscp=inherit"),
        ("tos inherit/EF ttl 0", " dscp=inherit"),
        ("hoplimit inherit", ""),
        ("hlim 010 tos CS0", " ttl=8"),
        ("nopmtudisc", ""),
        ("nopmtudisc pmtudisc noencap encap none", ""),
        ("local any", ""),
    ] {
        let found = one(&format!("ip tunnel add t mode ipip remote 192.0.2.7 {words}"));
        assert_eq!(
            found.replace(" local-address=0.0.0.0", ""),
            format!("name=t kind=ipip{expected}"),
            "{words}"
        );
    }
    for (words, expected) in [
        ("tclass EF", " dscp=59"),
        ("tc 0xb8", " dscp=46"),
        ("tos inherit encaplimit none", " dscp=inherit encapsulation-limit=none"),
        ("encaplimit 0x3 fl inherit", " flow-label=auto encapsulation-limit=3"),
        ("flowlabel 0x00000 hoplimit 9", " ttl=9"),
        ("dscp inherit noallow-localremote", " decap-dscp=yes"),
        ("local any", ""),
    ] {
        // Its default is ours too.
        let found = one(&format!("ip -6 tunnel add t mode ip6ip6 remote 2001:db8::7 {words}"));
        assert_eq!(found.replace(" local-address=::", ""), format!("name=t kind=6in6{expected}"), "{words}");
    }
    for (type_name, mode, kind) in [
        ("ipip", "any", "any"),
        ("ipip", "mplsip", "mpls"),
        ("sit", "ipv4/ipv4", "ipip"),
        ("sit", "ip6ip", "6in4"),
        ("sit", "any/ipv4", "any"),
        ("ip6tnl", "any", "ipipv6"),
        ("ip6tnl", "ipv4/ipv6", "4in6"),
    ] {
        let remote = if type_name == "ip6tnl" { "2001:db8::7" } else { "192.0.2.7" };
        let found = one(&format!("ip link add t type {type_name} mode {mode} remote {remote}"));
        assert_eq!(found, format!("name=t kind={kind}"), "{type_name} {mode}");
    }
    let sit = "ip tunnel add t mode sit remote 192.0.2.7 nopmtudisc";
    assert_eq!(one(sit), "name=t kind=6in4 dont-fragment=no");
}

#[test]
fn a_link_is_set_whatever_comes_first() {
    let begin = "ip link add t type ipip remote 192.0.2.7\nip link set t down\n";
    for (set, expected) in [
        ("", "name=t kind=ipip disabled=yes"),
        ("ip link set t up", "name=t kind=ipip"),
        ("ip link set up dev t", "name=t kind=ipip"),
        ("ip l s mtu 1400 up t", "name=t kind=ipip mtu=1400"),
        ("ip link set dev t name u up", "name=u kind=ipip"),
        ("ip link set t up type ipip ttl 9 nopmtudisc", "name=t kind=ipip ttl=9"),
        ("ip link change t up alias 'Berlin'", "name=t kind=ipip comment=Berlin"),
        ("ip link set t alias \"to Berlin\" up # not Rome", "name=t kind=ipip comment=to Berlin"),
        ("ip link del t; ip link add t type sit remote 192.0.2.7", "name=t kind=6in4"),
    ] {
        assert_eq!(one(&format!("{begin}{set}\n")), expected, "{set}");
    }
}

#[test]
fn a_line_of_a_script_holds_several_commands() {
    let text = "ip tunnel del a 2>/dev/null || true\nip link add a type ipip remote 192.0.2.7 && \\\n  ip link set a mtu 1400 up\n\
                modprobe sit; ip tunnel add b mode sit \\\n\tremote 192.0.2.8 >/dev/null\n";
    let (tunnels, problems) = told(text);
    assert!(tunnels[0].starts_with("name=a kind=ipip remote-address=192.0.2.7 mtu=1400 "), "{tunnels:?}");
    assert!(tunnels[1].starts_with("name=b kind=6in4 remote-address=192.0.2.8 "), "{tunnels:?}");
    let problems: Vec<(usize, &str)> = problems.iter().map(|(line, why)| (*line, why.as_str())).collect();
    let expected =
        [(1, "interface a: no such tunnel stands above"), (4, "`modprobe`: not a command of iproute2")];
    assert_eq!(problems, expected);
}

#[test]
fn what_would_be_another_tunnel_is_left_out() {
    for (text, why) in [
        ("ip -n blue link add t type ipip remote 192.0.2.7", "namespace blue"),
        ("ip netns exec blue ip link add t type ipip remote 192.0.2.7", "namespace blue"),
        ("ip link add t netns blue type ipip remote 192.0.2.7", "namespace blue"),
        ("ip link add t type sit mode isatap remote 192.0.2.7", "mode isatap: no tunnel of ours"),
        ("ip link add t type ipip remote 192.0.2.7 encap fou encap-dport 5555", "encap fou"),
        ("ip tunnel add t mode ipip remote any", "remote-address 0.0.0.0: an unspecified address"),
        ("ip -6 tunnel add t remote any", "remote-address ::: the unspecified address"),
        ("ip tunnel add t remote 192.0.2.7", "no mode is given"),
        ("ip tunnel add t mode ipip remote 192.0.2.7 ttl many", "ttl `many`"),
        ("ip tunnel change t ttl 5", "ip tunnel change: makes no tunnel"),
    ] {
        let (tunnels, problems) = told_of(text);
        assert!(tunnels.is_empty() && problems.contains(why), "{text}: {tunnels:?} {problems}");
    }
    let (tunnels, problems) = told_of("ip tunnel add t mode ipip remote 192.0.2.7 tos cs1");
    assert_eq!(
        (tunnels.len(), problems.as_str()),
        (1, "1: tos cs1: neither inherit nor a hexadecimal number")
    );
}
