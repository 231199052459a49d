//! A real daemon at one end of the tunnel, and what it says of the tunnel.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::counters::Counters;
use super::{leftovers, stop};
use crate::netns::Netns;

/// How long a daemon may take to serve its socket, and to be attached to the interfaces.
const PATIENCE: Duration = Duration::from_secs(15);
/// Lines of its log that are shown when it fails.
const TAIL: usize = 8;

/// A running daemon.
pub(super) struct Daemon {
    end: &'static str,
    ctl: PathBuf,
    socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// Starts the daemon of `end` inside its namespace and waits until it answers.
    pub(super) fn start(end: &'static str, namespace: &Netns, ctl: &Path, folder: &Path) -> Result<Self> {
        let state = folder.join(end);
        let daemon = Self {
            end,
            ctl: ctl.to_owned(),
            socket: state.join("socket"),
            log: folder.join(format!("{end}.log")),
        };
        let log = File::create(&daemon.log).context("creating the daemon's log")?;
        fs::create_dir(&state).context("creating the daemon's state directory")?;
        let mut command = namespace.command(ctl);
        command.arg("daemon").arg("--state-dir").arg(&state).arg("--socket").arg(&daemon.socket);
        command.arg("--pin-dir").arg(leftovers::bpffs().join(end));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        leftovers::start(end, command).with_context(|| format!("starting {}", ctl.display()))?;
        daemon.wait("answers", || Ok(daemon.socket.exists() && daemon.ask(&["status"]).is_ok()))?;
        Ok(daemon)
    }

    /// Adds the tunnel and waits until it runs and both interfaces are served.
    pub(super) fn add(&self, name: &str, (local, remote): (&str, &str)) -> Result<()> {
        // Probes would be among the packets that are counted.
        let ends = ["--local-address", local, "--remote-address", remote];
        self.ask(&[&["add", name][..], &ends, &["--keepalive", "0"]].concat())?;
        self.wait("has the tunnel running", || {
            let ports = self.ports()?;
            let served = |port: &str| ports.iter().any(|(name, _)| name == port);
            let tunnels = self.tunnels()?;
            let running = tunnels.iter().any(|tunnel| tunnel["running"] == Value::Bool(true));
            Ok(running && served("lan0") && served("wan0"))
        })
    }

    /// The interfaces that it serves, and why it lacks a tier there: nothing is well.
    pub(super) fn ports(&self) -> Result<Vec<(String, String)>> {
        let status: Value = serde_json::from_str(&self.ask(&["status", "--json"])?)?;
        let ports = status["ports"].as_array().context("ports in the output of status --json")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(ports.iter().map(|port| (text(&port["name"]), text(&port["reason"]))).collect())
    }

    /// What the tunnel has carried and refused so far.
    pub(super) fn counters(&self) -> Result<Counters> {
        Ok(Counters::read(&self.tunnel()?))
    }

    /// The tunnel, as `print --json` shows it.
    pub(super) fn tunnel(&self) -> Result<Value> {
        let first = self.tunnels()?.into_iter().next();
        first.with_context(|| format!("{}: the tunnel is gone", self.end))
    }

    fn tunnels(&self) -> Result<Vec<Value>> {
        let mut printed: Value = serde_json::from_str(&self.ask(&["print", "--json"])?)?;
        let Value::Array(tunnels) = printed["tunnels"].take() else {
            bail!("no list of tunnels in the output of print --json");
        };
        Ok(tunnels)
    }

    /// Runs a command of its client.
    pub(super) fn ask(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.ctl);
        // Its own process group: Ctrl-C would end it in the middle of an answer.
        command.args(words).arg("--socket").arg(&self.socket).stdin(Stdio::null()).process_group(0);
        let output = command.output().with_context(|| format!("starting {}", self.ctl.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            bail!("{}: ipip-ctl {}: {said}{}", self.end, words.join(" "), self.tail());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn wait(&self, what: &str, probe: impl Fn() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !probe()? {
            if let Some(status) = leftovers::ended(self.end) {
                bail!("{}: the daemon ended ({status}){}", self.end, self.tail());
            }
            if Instant::now() > deadline {
                bail!("{}: no daemon that {what} within {PATIENCE:?}{}", self.end, self.tail());
            }
            stop::pause(Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// The end of its log, to stand behind an error.
    fn tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default();
        if last.is_empty() {
            return String::new();
        }
        format!("\n  the daemon's log ends with:\n    | {}", last.join("\n    | "))
    }
}
