use super::*;
use crate::tunnel::{DontFragment, Dscp, Ecn, KeepaliveMode, Kind, Mtu, Spread, Ttl};

fn view() -> TunnelView {
    TunnelView {
        name: "ipip1".into(),
        kind: Kind::Ipip,
        local_address: "0.0.0.0".into(),
        remote_address: "203.0.113.2".into(),
        mtu: Mtu::Auto,
        actual_mtu: Some(1480),
        ttl: Ttl::default(),
        dscp: Dscp::Fixed(46),
        decap_dscp: false,
        ecn: Ecn::Normal,
        flow_label: None,
        encapsulation_limit: None,
        dont_fragment: DontFragment::No,
        allowed_inner: Vec::new(),
        clamp_tcp_mss: true,
        keepalive: "10s,10".into(),
        keepalive_mode: KeepaliveMode::Auto,
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
        refused: vec![Refused {
            tier: "xdp".into(),
            reason: "too-big".into(),
            action: Action::Pass,
            packets: 3,
        }],
    }
}

#[test]
fn requests_survive_the_socket() {
    let tunnel = TunnelSpec { name: Some("ipip1".into()), mtu: Some("1400".into()), ..TunnelSpec::default() };
    for request in [
        Request::Add { tunnel, ipsec_secret: None },
        Request::Remove { tunnels: vec!["ipip1".into()] },
        Request::Print,
        Request::Status,
        Request::Stop { purge: true },
    ] {
        let line = write_request(&request).unwrap();
        assert!(line.starts_with(r#"{"protocol":1,"#) && line.find('\n') == Some(line.len() - 1));
        assert_eq!(read_request(line.as_bytes()).unwrap(), request);
    }
    assert_eq!(write_request(&Request::Print).unwrap(), "{\"protocol\":1,\"request\":\"print\"}\n");
}

#[test]
fn answers_survive_the_socket() {
    let port = PortView { name: "eth0".into(), tiers: vec!["tc".into()], reason: "XDP is occupied".into() };
    for reply in [
        Reply::Added { name: "ipip1".into() },
        Reply::Changed { changes: vec![Change::restored("ipip1")], settings: Vec::new() },
        Reply::Tunnels { tunnels: vec![view()] },
        Reply::Stopped,
        Reply::Status(DaemonStatus {
            version: "0.1.0".into(),
            tunnels: 1,
            running: 1,
            disabled: 0,
            invalid: 0,
            ports: vec![port],
            programs: vec![ProgramView { name: "xdp_port".into(), run_count: 1, run_time_ns: 20 }],
            maps: vec![MapView { name: "PEERS".into(), entries: 1, entries_max: 2 }],
            carrier_kept_by: "process".into(),
            capabilities: vec!["cap_bpf".into()],
            files_closed: "yes".into(),
        }),
    ] {
        let line = write_reply(Ok(reply.clone())).unwrap();
        assert_eq!(read_reply(line.as_bytes()).unwrap(), reply);
    }
    let failure = Failure::new(FailureKind::Conflict, "taken\nalready").with_hint("choose another");
    let line = write_reply(Err(failure.clone())).unwrap();
    assert_eq!(read_reply(line.as_bytes()).unwrap_err(), failure);
}

#[test]
fn views_have_the_property_names_of_the_file() {
    let json = serde_json::to_value(view()).unwrap();
    // Of a secret it is told whether there is one.
    let shown = |property| if property == "ipsec-secret-file" { "ipsec" } else { property };
    for property in TunnelSpec::PROPERTIES.map(shown) {
        assert!(json.get(property).is_some(), "{property}");
    }
    assert_eq!(json["mtu"], "auto");
    assert_eq!(json["actual-mtu"], 1480);
    assert_eq!(json["dscp"], 46);
    assert_eq!(json["dont-fragment"], "no");
    assert_eq!((&json["kind"], &json["ttl"], &json["ecn"]), (&"ipip".into(), &64.into(), &"normal".into()));
    assert_eq!((&json["flow-label"], &json["allowed-inner"]), (&().into(), &serde_json::json!([])));
    assert_eq!(json["clamp-tcp-mss"], true);
    assert_eq!(json["traffic"]["xdp"]["sent-packets"], 0);
    assert_eq!(json["refused"][0]["packets"], 3);
}

#[test]
fn other_protocols_are_refused_whatever_they_ask() {
    let failure = read_request(br#"{"protocol":2,"request":"dance","more":1}"#).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unsupported);
    assert!(failure.message.contains("protocol 2") && failure.hint.is_some(), "{failure}");
    assert_eq!(read_reply(br#"{"protocol":2,"song":1}"#).unwrap_err().kind, FailureKind::Unsupported);
}

#[test]
fn garbage_is_refused() {
    for line in [
        "",
        "print",
        "{}",
        "[]",
        r#"{"request":"print"}"#,
        r#"{"protocol":1}"#,
        r#"{"protocol":1,"request":"fly"}"#,
        r#"{"protocol":1,"request":"print","more":1}"#,
        r#"{"protocol":1,"request":{"add":{"tunnel":{"colour":"red"}}}}"#,
        r#"{"protocol":-1,"request":"print"}"#,
    ] {
        assert_eq!(read_request(line.as_bytes()).unwrap_err().kind, FailureKind::Usage, "{line}");
        assert_eq!(read_reply(line.as_bytes()).unwrap_err().kind, FailureKind::Failed, "{line}");
    }
    assert!(read_request(b"\xff\xfe").is_err());
}

/// The lines of JSON in the document.
fn documented(part: &str) -> Vec<&'static str> {
    const DOCUMENT: &str = include_str!("../../../../docs/api.md");
    let start = format!("{{\"protocol\":1,\"{part}\":");
    DOCUMENT.lines().filter(|line| line.starts_with(&start)).collect()
}

#[test]
fn documented_requests_are_understood_and_are_all_there_are() {
    let mut names: Vec<String> = Vec::new();
    for line in documented("request") {
        let request = read_request(line.as_bytes()).unwrap_or_else(|failure| panic!("{line}: {failure}"));
        let value = serde_json::to_value(&request).unwrap();
        let name = value.as_str().or_else(|| value.as_object()?.keys().next().map(String::as_str));
        names.push(name.unwrap().to_owned());
    }
    // serde names those that it knows where it knows none.
    let failure = read_request(br#"{"protocol":1,"request":"fly"}"#).unwrap_err().message;
    let known: Vec<&str> = failure.split('`').skip(3).step_by(2).collect();
    assert!(known.len() > 10, "{failure}");
    for name in known {
        assert!(names.iter().any(|documented| documented == name), "{name} is not in docs/api.md");
    }
}

#[test]
fn documented_answers_are_what_is_written() {
    let replies = documented("reply");
    for line in &replies {
        let reply = read_reply(line.as_bytes()).unwrap_or_else(|failure| panic!("{line}: {failure}"));
        assert_eq!(write_reply(Ok(reply)).unwrap().trim_end(), *line);
    }
    let errors = documented("error");
    for line in &errors {
        let failure = read_reply(line.as_bytes()).unwrap_err();
        assert_eq!(write_reply(Err(failure)).unwrap().trim_end(), *line);
    }
    assert!(replies.len() > 7 && errors.len() == 1);
}
