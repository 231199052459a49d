//! The live view on a real terminal, and what it prints without one, of a real daemon.

use std::process::Command;
use std::time::Duration;

use ipip_tests::ctl::{Daemon, answer};
use ipip_tests::need;
use ipip_tests::process::Running;
use ipip_tests::pty::Pty;
use ipip_tests::topology::Pair;
use nix::sys::signal::Signal;
use serde_json::Value;

const FOLLOW: Duration = Duration::from_secs(10);
/// What a program writes that leaves the alternate screen, and shows the cursor.
const LEFT: &str = "\x1b[?1049l";
const CURSOR: &str = "\x1b[?25h";

/// Two hosts with a tunnel, and a ping that goes through it all the time.
struct Busy<'a> {
    pair: &'a Pair,
    near: Daemon<'a>,
    _far: Daemon<'a>,
    _ping: Running,
}

impl<'a> Busy<'a> {
    fn new(ctl: &std::path::Path, pair: &'a Pair) -> Self {
        let (near, far) = (Daemon::start(ctl, &pair.host1), Daemon::start(ctl, &pair.host2));
        near.add(Pair::HOST1, Pair::HOST2, "comment=site");
        far.add(Pair::HOST2, Pair::HOST1, "");
        near.run("add lost remote-address=192.0.2.77");
        pair.host1.address("ipip1", "192.168.50.1/30");
        pair.host2.address("ipip1", "192.168.50.2/30");
        let ping = Running::start(pair.host1.command("ping").args(["-i", "0.05", "192.168.50.2"]));
        Self { pair, near, _far: far, _ping: ping }
    }

    fn command(&self, ctl: &std::path::Path, line: &str) -> Command {
        let mut command = self.pair.host1.command(ctl);
        command.arg("--socket").arg(self.near.socket()).args(line.split_whitespace());
        command
    }
}

#[test]
fn the_view_shows_answers_keys_and_gives_the_terminal_back() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let mut busy = Busy::new(&ctl, &pair);
    let mut view = Pty::start(&busy.command(&ctl, "monitor --interval 200ms"), (80, 24));
    view.shows(
        &["1 running  1 invalid", "R ipip1", "kbit/s", "I lost", "no route to 192.0.2.77", "EVENTS"],
        FOLLOW,
    );
    view.shows(&["started", "every 0.2 s"], FOLLOW);
    let flag = view.screen().cell(3, 1).map(vt100::Cell::fgcolor);
    assert_eq!(flag, Some(vt100::Color::Idx(2)), "the R is green");
    view.press("\r");
    view.shows(&["ipip monitor › ipip1", ";;; site", "peak", "100.0%"], FOLLOW);
    view.press("\x1b[B");
    view.shows(&["ipip monitor › lost"], FOLLOW);
    view.press("?");
    view.shows(&["help", "the reason is beside it"], FOLLOW);
    view.press("xk\x7f");
    view.shows(&["R ipip1", "EVENTS"], FOLLOW);
    view.press("b");
    view.shows(&["pkt/s"], FOLLOW);
    // The daemon goes and comes: the view stays.
    busy.near.kill();
    view.shows(&["no daemon serves", "ipip1"], FOLLOW);
    busy.near.restart();
    view.shows(&["programs-replaced"], FOLLOW);
    assert!(!view.screen().contents().contains("no daemon serves"));
    view.press("q");
    assert_eq!(view.wait(FOLLOW).code(), Some(0));
    let written = String::from_utf8_lossy(&view.written()).into_owned();
    assert!(written.contains(LEFT) && written.contains(CURSOR), "the terminal is as it was");
    assert_eq!(view.screen().contents().trim(), "", "nothing is left on it");
}

#[test]
fn a_signal_and_colours_that_nobody_wants() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let busy = Busy::new(&ctl, &pair);
    let mut view = Pty::start(&busy.command(&ctl, "monitor ipip1 --color never"), (160, 50));
    view.shows(&["ipip monitor › ipip1", "running", "RECEIVED"], FOLLOW);
    let screen = view.screen();
    let cells = (0..50).flat_map(|row| (0..160).map(move |column| (row, column)));
    for cell in cells.filter_map(|(row, column)| screen.cell(row, column)) {
        assert_eq!((cell.fgcolor(), cell.bgcolor()), (vt100::Color::Default, vt100::Color::Default));
    }
    view.signal(Signal::SIGTERM);
    view.wait(FOLLOW);
    let written = String::from_utf8_lossy(&view.written()).into_owned();
    assert!(written.contains(LEFT) && written.contains(CURSOR), "the terminal is as it was");
}

#[test]
fn without_a_terminal_there_are_tables_and_json() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let busy = Busy::new(&ctl, &pair);
    let table = busy.near.run("monitor --once --interval 500ms");
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].contains("TX-PKT/S") && lines[2].starts_with(" 0  R  ipip1"), "{table}");
    assert!(lines[3].starts_with(" 1  I  lost") && lines[4].contains("no route to 192.0.2.77"), "{table}");
    let text = busy.near.run("monitor ipip --json --count 3 --interval 300ms");
    assert_eq!(text.lines().count(), 3, "{text}");
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!((&value["schema"], value["tunnels"].as_array().map(Vec::len)), (&1.into(), Some(1)));
        let tunnel = &value["tunnels"][0];
        let rate = |name: &str| tunnel[name].as_f64().expect("a rate");
        assert!(rate("sent-packets-per-second") > 1.0, "{tunnel}");
        assert!(
            tunnel["tiers"]["tc"]["received-bits-per-second"].as_f64().is_some_and(|it| it > 100.0),
            "{tunnel}"
        );
        assert!(value["seconds"].as_f64().is_some_and(|seconds| seconds > 0.25), "{value}");
    }
    busy.near.refuses("monitor nobody --once --json", 3);
    busy.near.refuses("monitor --once --interval 1 --count 2 --json", 2);
    busy.near.refuses("monitor --once --interval 5ms --json", 2);
    // A reader that has seen enough ends it.
    let line = format!(
        "{} --socket {} monitor --interval 100ms | head -1",
        ctl.display(),
        busy.near.socket().display()
    );
    let ended = answer(pair.host1.command("timeout").args(["10", "sh", "-c", &line]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
