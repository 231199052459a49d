//! strongSwan's IKE daemon in a namespace, and its command line: the real ones, from packages that are not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::ctl::answer;
use crate::netns::Netns;
use crate::process::Running;
use crate::wait;

/// How long it may take to start, emulated.
const START: Duration = Duration::from_mins(1);

/// What of strongSwan is used.
const PLUGINS: &str =
    "random nonce openssl sha1 sha2 hmac kdf gcm aes curve25519 gmp kernel-netlink socket-default vici";

/// A running IKE daemon; dropping it kills it.
#[derive(Debug)]
pub struct Charon<'a> {
    namespace: &'a Netns,
    tree: PathBuf,
    folder: TempDir,
    socket: PathBuf,
    running: Option<Running>,
}

impl<'a> Charon<'a> {
    /// Starts it, and waits until it takes orders at `socket`.
    pub fn start(tree: &Path, namespace: &'a Netns, socket: &Path) -> Self {
        let folder = TempDir::new().expect("creating a temporary directory");
        let mut charon = Self { namespace, tree: tree.into(), folder, socket: socket.into(), running: None };
        charon.restart();
        charon
    }

    /// Starts it again.
    pub fn restart(&mut self) {
        let settings = format!(
            "charon-systemd {{\n load_modular = no\n load = {PLUGINS}\n\
             plugins {{ vici {{ socket = unix://{} }} }}\n journal {{ default = -1 }}\n\
             filelog {{ log {{ path = {}\n default = 1\n flush_line = yes }} }} }}\n",
            self.socket.display(),
            self.log_file().display(),
        );
        fs::write(self.settings(), settings).expect("writing its settings");
        let _ = fs::remove_file(&self.socket);
        let mut running = Running::start(&mut self.command("/usr/sbin/charon-systemd"));
        wait::until_true("charon takes orders", START, || {
            assert!(running.ended().is_none(), "charon ended: {}", running.output());
            self.socket.exists()
        });
        self.running = Some(running);
    }

    /// Ends it as a service is ended; it takes its keys out of the kernel.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.stop();
        }
    }

    /// Takes over settings as they stand in swanctl.conf.
    #[track_caller]
    pub fn load(&self, settings: &str) {
        let file = self.folder.path().join("swanctl.conf");
        fs::write(&file, settings).expect("writing swanctl.conf");
        self.swanctl(&format!("--load-all --file {}", file.display()));
    }

    /// Runs a line of swanctl, and returns what it printed.
    #[track_caller]
    pub fn swanctl(&self, line: &str) -> String {
        let mut command = self.command("/usr/sbin/swanctl");
        let uri = format!("unix://{}", self.socket.display());
        let answer = answer(command.args(line.split_whitespace()).args(["--uri", &uri]));
        assert_eq!(answer.code, Some(0), "swanctl {line}: {} {}", answer.output, answer.errors);
        answer.output
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("strongswan.conf")
    }

    /// One of its programs, which finds the rest of it where it would be installed.
    fn command(&self, program: &str) -> Command {
        let mut command = self.namespace.command("unshare");
        let script = r#"mount -t overlay overlay -o "lowerdir=$1:/usr" /usr && shift && exec "$@""#;
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(self.tree.join("usr")).arg(program);
        command.env("STRONGSWAN_CONF", self.settings()).env("SWANCTL_DIR", self.folder.path());
        command
    }
}
