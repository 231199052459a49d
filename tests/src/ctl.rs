//! The daemon in a namespace, and the command line as its client.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::bpffs::BpfFs;
use crate::netns::Netns;
use crate::process::Running;
use crate::wait;

/// How the names of its directories begin, before the process.
pub(crate) const PREFIX: &str = "ipip-state";
/// How long the daemon may take until it answers.
const START: Duration = Duration::from_mins(2);
/// How long it may take until it has followed a change.
const FOLLOW: Duration = Duration::from_secs(10);

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
}

/// A daemon with its files in temporary directories. Dropping it kills the daemon; what it pinned goes with the
/// BPF file system, its tunnels with the namespace.
#[derive(Debug)]
pub struct Daemon<'a> {
    namespace: &'a Netns,
    program: PathBuf,
    running: Option<Running>,
    pins: BpfFs,
    folder: TempDir,
}

impl<'a> Daemon<'a> {
    /// Starts the daemon without tunnels, and waits until it answers.
    pub fn start(program: &Path, namespace: &'a Netns) -> Self {
        let mut daemon = Self::prepare(program, namespace, "");
        daemon.restart();
        daemon
    }

    /// A daemon with this configuration file that does not run yet.
    pub fn prepare(program: &Path, namespace: &'a Netns, config: &str) -> Self {
        let folder = TempDir::with_prefix(format!("{PREFIX}{}-", std::process::id()))
            .expect("creating a temporary directory");
        let daemon = Self { namespace, program: program.into(), running: None, pins: BpfFs::new(), folder };
        fs::write(daemon.config(), config).expect("writing the configuration");
        daemon
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("ipip.toml")
    }

    /// The socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("ipip.sock")
    }

    /// The directory of its state.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The directory of pinned maps and links.
    pub fn pins(&self) -> PathBuf {
        self.pins.pins()
    }

    /// The process that keeps the descriptors of this daemon's interfaces, which has its directory on its command line.
    pub fn keeper(&self) -> Option<u32> {
        let pins = self.pins();
        let mut processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        processes.find_map(|entry| {
            let process = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let mut words = line.split('\0').skip(1);
            let is_keeper = words.next() == Some("keep-descriptors");
            (is_keeper && words.next().is_some_and(|word| Path::new(word).starts_with(&pins)))
                .then_some(process)
        })
    }

    /// Ends that process without warning, and waits until it holds nothing any more.
    pub fn end_keeper(&self) {
        assert!(self.try_end_keeper(), "no process keeps descriptors");
    }

    /// The same where there is one. Returns whether there was.
    pub fn try_end_keeper(&self) -> bool {
        let Some(keeper) = self.keeper() else { return false };
        kill(pid(keeper), Signal::SIGKILL).expect("ending it");
        wait::until_true("nobody keeps descriptors", FOLLOW, || {
            // What is left of a process when it has closed its files is a zombie, or nothing.
            let text = fs::read_to_string(format!("/proc/{keeper}/stat")).unwrap_or_default();
            text.rsplit(") ").next().is_none_or(|behind| behind.is_empty() || behind.starts_with(['Z', 'X']))
        });
        true
    }

    /// Where it pins maps of a layout: below the directory of its network namespace, the only one there.
    pub fn layout(&self, layout: u32) -> PathBuf {
        let namespaces = self.pins().read_dir().into_iter().flatten().flatten();
        let namespace = namespaces.map(|entry| entry.path()).next().unwrap_or_default();
        namespace.join(format!("v{layout}"))
    }

    /// The command that starts the daemon.
    pub fn command(&self) -> Command {
        let mut command = self.namespace.command(&self.program);
        command.arg("daemon").arg("--config").arg(self.config());
        command.arg("--state-dir").arg(self.state_dir());
        command.arg("--socket").arg(self.socket()).arg("--pin-dir").arg(self.pins());
        command.arg("--vici").arg(self.vici());
        command
    }

    /// Where it looks for an IKE daemon: not where the machine's own one is.
    pub fn vici(&self) -> PathBuf {
        self.folder.path().join("charon.vici")
    }

    /// Starts it, again or for the first time, and waits until it answers.
    pub fn restart(&mut self) {
        let mut running = Running::start(&mut self.command());
        wait::until_true("the daemon answers", START, || {
            if let Some(status) = running.ended() {
                panic!("the daemon ended ({status}):\n{}", running.output());
            }
            self.try_run("print --json").code == Some(0)
        });
        self.running = Some(running);
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("the daemon was started")
    }

    /// The time that processors have spent on it, its own and the kernel's for it.
    pub fn cpu_time(&mut self) -> Duration {
        let file = format!("/proc/{}/stat", self.running().id());
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        // Behind the name, which may have spaces: utime and stime are the 14th and 15th, in ticks of 10 ms.
        let behind = text.rsplit(')').next().unwrap_or_default();
        let ticks: u64 =
            behind.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// The time that a processor has spent on each of its threads, by name.
    pub fn thread_times(&mut self) -> BTreeMap<String, Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id())).expect("its threads");
        let mut times = BTreeMap::new();
        for thread in threads.flatten() {
            // A thread may end meanwhile. What ran, in nanoseconds, comes first.
            let read = |name| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            let ran = read("schedstat").split_whitespace().next().and_then(|word| word.parse().ok());
            *times.entry(read("comm").trim().to_owned()).or_default() +=
                Duration::from_nanos(ran.unwrap_or_default());
        }
        times
    }

    /// Its process ID.
    pub fn id(&mut self) -> u32 {
        self.running().id()
    }

    /// Kills it without warning.
    pub fn kill(&mut self) {
        self.running().kill();
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.running().signal(signal);
    }

    /// Stops it, and leaves what it built in the kernel.
    pub fn stop(&mut self) {
        let status = self.running().stop();
        let log = self.log();
        assert!(status.success(), "the daemon ended badly ({status}):\n{log}");
    }

    /// Waits until it has ended by itself; panics when that takes longer than `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        self.running().wait(limit)
    }

    /// What it logged.
    pub fn log(&mut self) -> String {
        self.running().output()
    }

    /// Runs a command line of the client, split at white space.
    pub fn try_run(&self, line: &str) -> Answer {
        let mut command = self.namespace.command(&self.program);
        answer(command.arg("--socket").arg(self.socket()).args(line.split_whitespace()))
    }

    /// Runs it and returns what it printed; panics when it fails.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        let answer = self.try_run(line);
        assert_eq!(answer.code, Some(0), "ipip-ctl {line}: {}", answer.errors);
        answer.output
    }

    /// Runs it, and demands that it fails with this exit code and one line of explanation, which is returned.
    #[track_caller]
    pub fn refuses(&self, line: &str, code: i32) -> String {
        let answer = self.try_run(line);
        answer.is_failure(code);
        answer.errors
    }

    /// All tunnels, as `print --json` shows them.
    #[track_caller]
    pub fn tunnels(&self) -> Vec<Value> {
        let text = self.run("print --json");
        let all: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        all["tunnels"].as_array().unwrap_or_else(|| panic!("no list of tunnels: {text}")).clone()
    }

    /// One tunnel; panics when there is none of this name.
    #[track_caller]
    pub fn tunnel(&self, name: &str) -> Value {
        let found = self.tunnels().into_iter().find(|tunnel| tunnel["name"] == name);
        found.unwrap_or_else(|| panic!("no tunnel {name}"))
    }

    /// Adds a tunnel named `ipip1` between two addresses, with more options, and waits until it runs. There are no probes
    /// unless the options ask for them: tests count packets.
    pub fn add(&self, local: impl Display, remote: impl Display, options: &str) {
        let keepalive = if options.contains("--keepalive") { "" } else { "--keepalive 0" };
        self.run(&format!(
            "add ipip1 --local-address {local} --remote-address {remote} {options} {keepalive}"
        ));
        wait::until_true("the tunnel runs", FOLLOW, || self.tunnel("ipip1")["running"] == true);
    }

    /// A counter of a tunnel: `counter("ipip1", "xdp", "sent-packets")`.
    #[track_caller]
    pub fn counter(&self, tunnel: &str, tier: &str, name: &str) -> u64 {
        let tunnel = self.tunnel(tunnel);
        tunnel["traffic"][tier][name].as_u64().unwrap_or_else(|| panic!("no {tier} {name}: {tunnel}"))
    }

    /// How many of a tunnel's packets a tier refused for a reason.
    #[track_caller]
    pub fn refused(&self, tunnel: &str, tier: &str, reason: &str) -> u64 {
        let tunnel = self.tunnel(tunnel);
        let all = tunnel["refused"].as_array().unwrap_or_else(|| panic!("no list of refusals: {tunnel}"));
        let row = all.iter().find(|row| row["tier"] == tier && row["reason"] == reason);
        row.and_then(|row| row["packets"].as_u64()).unwrap_or(0)
    }

    /// What `status --json` says of a port; panics when the daemon has none of this name.
    #[track_caller]
    pub fn port(&self, name: &str) -> Value {
        let status: Value = serde_json::from_str(&self.run("status --json")).expect("JSON");
        let ports = status["ports"].as_array().expect("a list of ports");
        let found = ports.iter().find(|port| port["name"] == name).cloned();
        found.unwrap_or_else(|| panic!("no port {name}: {status}"))
    }

    /// Waits until tier 1 takes and gives frames on all these ports.
    pub fn wait_for_tier_1(&self, ports: &[&str]) {
        wait::until_true("tier 1 is attached", FOLLOW, || {
            let status: Value = serde_json::from_str(&self.run("status --json")).expect("JSON");
            let list = status["ports"].as_array().cloned().unwrap_or_default();
            ports.iter().all(|name| list.iter().any(|port| port["name"] == **name && port["reason"] == ""))
        });
    }
}

/// A process's number as the system's calls want it.
#[must_use]
pub fn pid(process: u32) -> Pid {
    Pid::from_raw(i32::try_from(process).expect("the number of a process"))
}

impl Answer {
    /// Demands a failure with this exit code and exactly one line of explanation, and nothing on the output.
    #[track_caller]
    pub fn is_failure(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.errors.lines().count(), 1, "not one line: {self:?}");
        assert!(self.output.is_empty(), "{self:?}");
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn answer(command: &mut Command) -> Answer {
    let output = command.output().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Answer { code: output.status.code(), output: text(&output.stdout), errors: text(&output.stderr) }
}
