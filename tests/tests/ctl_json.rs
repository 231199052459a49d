//! What `--json` writes, and what docs/json.md says of it.

use std::collections::BTreeSet;
use std::time::Duration;

use ipip_tests::ctl::Daemon;
use ipip_tests::topology::Pair;
use ipip_tests::{need, wait};
use serde_json::Value;

const FOLLOW: Duration = Duration::from_secs(10);
const DOCUMENT: &str = include_str!("../../docs/json.md");

/// What stands in the document between backticks and is no member: commands, values, kinds of events and failures.
const WORDS: &[&str] = &[
    "--json",
    "add",
    "set",
    "enable",
    "disable",
    "remove",
    "apply",
    "reload",
    "import",
    "print",
    "print detail",
    "print where",
    "stats",
    "status",
    "export",
    "check",
    "monitor",
    "events",
    "stop",
    "ipip-ctl add",
    "\"schema\":1",
    "systemd",
    "process",
    "nobody",
    "yes",
    "partly",
    "no",
    "changed",
    "removed",
    "restored",
    "pass",
    "drop",
    "note",
    "alive",
    "dead",
    "unproved",
    "off",
    "enabled",
    "port-came",
    "port-changed",
    "port-went",
    "started",
    "programs-replaced",
    "reloaded",
    "reload-failed",
    "kernel.bpf_stats_enabled",
    "failed",
    "usage",
    "not-found",
    "no-daemon",
    "no-permission",
    "unsupported",
    "conflict",
    "ipsec-secret-file",
];

/// Members that are there only while somebody has switched the kernel's statistics on, which are the whole machine's.
const STATISTICS: &[&str] = &["run-count", "run-time-ns"];

/// The names of all members, at any depth.
fn members(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                names.insert(name.clone());
                members(value, names);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| members(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn members_are_those_that_the_document_names() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let (mut near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
    far.add(Pair::HOST2, Pair::HOST1, "");
    near.add(Pair::HOST1, Pair::HOST2, "--keepalive 100ms,3");
    pair.host1.address("ipip1", "192.168.50.1/30");
    // Something that is refused.
    let _ = pair.host1.command("ping").args(["-c", "1", "-W", "1", "-I", "ipip1", "ff02::1"]).output();
    near.kill();
    near.restart();
    near.run("add lost remote-address=192.0.2.9");
    wait::until_true("the far end answers", FOLLOW, || near.tunnel("ipip1")["liveness"]["state"] == "alive");
    let routeros = near.config().with_file_name("lines.rsc");
    let lines = "/interface ipip add name=later remote-address=10.0.0.3 ipsec-secret=hush\n/ip route print\n";
    std::fs::write(&routeros, lines).expect("writing lines");

    let mut names = BTreeSet::new();
    let config = near.config();
    for line in [
        "print".to_owned(),
        "print detail".to_owned(),
        "stats".to_owned(),
        "status".to_owned(),
        "monitor --once --interval 300ms".to_owned(),
        "set lost mtu=1400".to_owned(),
        "disable lost".to_owned(),
        "add other remote-address=192.0.2.10".to_owned(),
        format!("import {}", routeros.display()),
        "export".to_owned(),
        format!("check {}", config.display()),
        format!("apply {} --dry-run", config.display()),
        "remove lost".to_owned(),
        "remove nobody".to_owned(),
        "events --no-follow".to_owned(),
        "stop --purge".to_owned(),
    ] {
        let answer = near.try_run(&format!("{line} --json"));
        for text in answer.output.lines().chain(answer.errors.lines()) {
            let value: Value =
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"));
            assert_eq!(value["schema"], 1, "{line}: {text}");
            members(&value, &mut names);
        }
    }
    let documented: BTreeSet<String> = DOCUMENT.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    // Properties are described where they are given.
    let properties = near.try_run("add --help").output;
    let is_known = |name: &String| name == "schema" || properties.contains(&format!("--{name} "));
    let undocumented: Vec<_> = names.difference(&documented).filter(|name| !is_known(name)).collect();
    assert!(undocumented.is_empty(), "not in docs/json.md: {undocumented:?}");
    let missing: Vec<_> = documented
        .iter()
        .filter(|word| !names.contains(*word) && !WORDS.contains(&word.as_str()))
        .filter(|word| !STATISTICS.contains(&word.as_str()))
        .collect();
    assert!(missing.is_empty(), "in docs/json.md, and written by nothing: {missing:?}");
}
