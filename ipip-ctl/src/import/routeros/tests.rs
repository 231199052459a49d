use crate::import::tests::told;

#[test]
fn a_name_that_cannot_be_costs_its_own_line() {
    let text = "/interface ipip\nadd name=\"a,b\" remote-address=10.0.0.1\nadd name=good remote-address=10.0.0.2\n\
                add name=\"x=y\" remote-address=10.0.0.3\nadd name=7 remote-address=10.0.0.4\n\
                add name=\"to Berlin\" remote-address=10.0.0.5\nset [ find name=\"a,b\" ] mtu=1400\n";
    let (tunnels, problems) = told(text);
    assert_eq!(tunnels, ["name=good kind=ipip remote-address=10.0.0.2"]);
    let expected = [(2, "name `a,b`: `,`"), (4, "name `x=y`"), (5, "name `7`"), (6, "name `to Berlin`")];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for ((line, why), (at, words)) in problems.iter().zip(expected) {
        assert!(*line == at && why.contains(words) && why.contains("choose another name"), "{why}");
    }
}

/// The names and comments, or the problems.
fn told_of(text: &str) -> Result<Vec<String>, String> {
    let (tunnels, problems) = told(text);
    let problems: Vec<String> = problems.into_iter().map(|(line, why)| format!("{line}: {why}")).collect();
    let short = |tunnel: String| tunnel.replace("kind=ipip ", "").replace("remote-address=10.0.0.", "");
    if problems.is_empty() { Ok(tunnels.into_iter().map(short).collect()) } else { Err(problems.join("; ")) }
}

#[test]
fn menus_are_headings_and_paths() {
    for text in [
        "/interface ipip\nadd name=a remote-address=10.0.0.1\nadd name=b remote-address=10.0.0.2",
        "\u{feff}# by RouterOS 7.16\r\n/interface/ipip\r\nadd name=a remote-address=10.0.0.1\r\nadd name=b \\\r\n    remote-address=10.0.0.2\r\n",
        "/interface/ipip/add name=a remote-address=10.0.0.1\n/interface ipip add name=b remote-address=10.0.0.2",
        "/interface/ipip add name=a remote-address=10.0.0.1\n /interface/ipip/\n\tadd  name=b\tremote-address=10.0.0.2  ",
        // A command with a path of its own leaves the others where they are.
        "/interface ipip\nadd name=a remote-address=10.0.0.1\n/interface/ipip/set a mtu=auto\n\
         /interface/ipip/set a !mtu\nadd name=b remote-address=10.0.0.2",
    ] {
        assert_eq!(told_of(text).unwrap(), ["name=a 1", "name=b 2"], "{text}");
    }
    let text = "/interface ipip\n/ip address add address=192.0.2.1/24 interface=a\nadd name=a remote-address=10.0.0.1";
    let (tunnels, problems) = told(text);
    assert_eq!((tunnels.len(), problems.len(), problems[0].0), (1, 1, 2), "{problems:?}");
    let text = "/interface ipip add name=a remote-address=10.0.0.1\nadd name=b remote-address=10.0.0.2";
    assert!(told_of(text).unwrap_err().contains("2: not understood: no menu stands above"));
}

#[test]
fn tunnels_are_set_by_name_number_and_condition() {
    let begin = "/interface ipip\nadd name=a remote-address=10.0.0.1\nadd name=b disabled=yes remote-address=10.0.0.2\n";
    for (set, expected) in [
        ("set [find name=a] comment=x", ["name=a 1 comment=x", "name=b 2 disabled=yes"]),
        ("set [ find where name=\"a\" ] comment=x", ["name=a 1 comment=x", "name=b 2 disabled=yes"]),
        ("set [find where remote-address=10.0.0.2 and disabled=yes] !disabled", ["name=a 1", "name=b 2"]),
        ("set [find disabled=no] disabled=yes", ["name=a 1 disabled=yes", "name=b 2 disabled=yes"]),
        (
            "set [find] comment=x disabled=no",
            ["name=a 1 disabled=no comment=x", "name=b 2 disabled=no comment=x"],
        ),
        ("set 0,b disabled=yes", ["name=a 1 disabled=yes", "name=b 2 disabled=yes"]),
        ("set \"b\" !disabled mtu=1400", ["name=a 1", "name=b 2 mtu=1400"]),
        ("set 1 \\\n    !disabled keepalive=10s,10", ["name=a 1", "name=b 2 keepalive=10s,10"]),
        ("set a !keepalive", ["name=a 1 keepalive=0", "name=b 2 disabled=yes"]),
    ] {
        assert_eq!(told_of(&format!("{begin}{set}\n")).unwrap(), expected, "{set}");
    }
    for (set, why) in [
        ("set c mtu=1400", "4: set c: no such tunnel"),
        ("set 0,2 mtu=1400", "4: set 2: no such tunnel"),
        ("set [find name=c] mtu=1400", "4: set: no such tunnel"),
        ("set [findname=a] mtu=1400", "[ find name=NAME ] was expected"),
        ("set [find name~\"a\"] mtu=1400", "[ find name=NAME ] was expected"),
        ("remove [find]", "4: `remove`"),
    ] {
        let found = told_of(&format!("{begin}{set}\n")).unwrap_err();
        assert!(found.contains(why), "{set}: {found}");
    }
}

#[test]
fn values_are_read_as_routeros_writes_them() {
    for (words, expected) in [
        (r#"comment="a \"b\" c""#, r#" comment=a "b" c"#),
        (r#"comment="5\24 \\ \$\?\_\C3\BC""#, " comment=5$ \\ $? ü"),
        ("comment=\"to \\\n    Lyon\"", " comment=to Lyon"),
        ("comment=\"# no comment\" mtu=1400", " mtu=1400 comment=# no comment"),
        ("comment=\"\"", " comment="),
        ("local-address=198.51.100.1 clamp-tcp-mss=no", " local-address=198.51.100.1 clamp-tcp-mss=no"),
        ("dont-fragment=inherit dscp=46", " dscp=46 dont-fragment=inherit"),
        ("keepalive=00:00:05,3 allow-fast-path=no", " allow-fast-path=no keepalive=00:00:05,3"),
        ("ipsec-secret=\"\"", ""),
        ("!ipsec-secret !dscp", ""),
    ] {
        // The local address stands in front of the remote one.
        let found =
            told_of(&format!("/interface ipip\nadd name=a remote-address=10.0.0.1 {words}\n")).unwrap();
        let found = found[0].replacen("name=a", "", 1).replacen(" 1", "", 1);
        assert_eq!(found, expected, "{words}");
    }
}

#[test]
fn a_comment_that_cannot_be_costs_no_tunnel() {
    for comment in [r"two\r\nlines", r"\a", &"x".repeat(256)] {
        let (tunnels, problems) =
            told(&format!("/interface ipip\nadd name=a comment=\"{comment}\" remote-address=10.0.0.1\n"));
        assert_eq!(tunnels, ["name=a kind=ipip remote-address=10.0.0.1"]);
        assert_eq!(problems, [(2, "comment: more than one line of 255 characters; left out".to_owned())]);
    }
}
