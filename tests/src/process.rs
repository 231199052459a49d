//! Programs that a test starts, and ends by their process ID.

use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// A running program, which is killed when the guard is dropped, also by a panic.
#[derive(Debug)]
pub struct Running {
    child: Child,
    output: std::fs::File,
    name: String,
}

impl Running {
    /// Starts a program. Both its outputs go to one file, for [`Running::output`].
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().display().to_string();
        let output = tempfile::tempfile().expect("creating a temporary file");
        let copy = || Stdio::from(output.try_clone().expect("copying a file descriptor"));
        let child = command
            .stdin(Stdio::null())
            .stdout(copy())
            .stderr(copy())
            .spawn()
            .unwrap_or_else(|error| panic!("starting {name}: {error}"));
        Self { child, output, name }
    }

    /// Its process ID.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(id, signal).unwrap_or_else(|error| panic!("sending {signal} to {}: {error}", self.name));
    }

    /// Kills it without warning (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap_or_else(|error| panic!("killing {}: {error}", self.name));
        self.child.wait().unwrap_or_else(|error| panic!("waiting for {}: {error}", self.name));
    }

    /// Kills it, unless it has already ended.
    pub fn end(&mut self) {
        // Both fail only when it has.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait(GRACE)
    }

    /// Its exit status if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap_or_else(|error| panic!("waiting for {}: {error}", self.name))
    }

    /// Waits until it ends by itself; panics when that takes longer than `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let name = self.name.clone();
        wait::until(&format!("{name} ends"), limit, || self.ended())
    }

    /// Waits as [`Running::wait`] does; panics with what it printed unless it ended well.
    pub fn succeed(&mut self, limit: Duration) -> String {
        let status = self.wait(limit);
        let output = self.output();
        assert!(status.success(), "{} failed ({status}):\n{output}", self.name);
        output
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        // Read at a place of its own: the position is shared with the program that writes.
        let length = self.output.metadata().expect("looking at a temporary file").len();
        let mut text = vec![0; usize::try_from(length).unwrap()];
        self.output.read_exact_at(&mut text, 0).expect("reading a temporary file");
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
