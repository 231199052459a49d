//! A program on a terminal of its own, as a person has it: keys go in, and a screen comes out.

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

/// A program on a terminal. Dropping it takes the terminal away, which ends the program.
#[derive(Debug)]
pub struct Pty {
    script: Child,
    keys: ChildStdin,
    output: fs::File,
    size: (u16, u16),
}

impl Pty {
    /// Starts a program on a terminal of so many columns and rows.
    pub fn start(command: &Command, (columns, rows): (u16, u16)) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let quoted: Vec<String> = words.map(|word| format!("'{}'", word.display())).collect();
        let line = format!("stty rows {rows} cols {columns}; exec {}", quoted.join(" "));
        let output = tempfile::tempfile().expect("creating a temporary file");
        let copy = output.try_clone().expect("copying a file descriptor");
        let mut script = Command::new("script");
        script.args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"]);
        script.env("TERM", "xterm-256color").env_remove("NO_COLOR").env("SHELL", "/bin/sh");
        let mut script = script
            .stdin(Stdio::piped())
            .stdout(copy)
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("starting script: {error}"));
        let keys = script.stdin.take().expect("a pipe");
        Self { script, keys, output, size: (columns, rows) }
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("typing");
    }

    /// Everything that was written to the terminal.
    pub fn written(&self) -> Vec<u8> {
        let length = self.output.metadata().expect("looking at a temporary file").len();
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        self.output.read_exact_at(&mut bytes, 0).expect("reading a temporary file");
        bytes
    }

    /// What a person sees now.
    pub fn screen(&self) -> vt100::Screen {
        let (columns, rows) = self.size;
        let mut parser = vt100::Parser::new(rows, columns, 0);
        parser.process(&self.written());
        parser.screen().clone()
    }

    /// Waits until a person sees all of these words; panics with the screen when that takes longer than `limit`.
    #[track_caller]
    pub fn shows(&self, words: &[&str], limit: Duration) {
        let deadline = std::time::Instant::now() + limit;
        loop {
            let text = self.screen().contents();
            if words.iter().all(|word| text.contains(word)) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "not within {limit:?}: {words:?} in\n{text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends the program, not its terminal, a signal.
    pub fn signal(&self, signal: Signal) {
        let id = self.script.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("a child");
        let child = children.split_whitespace().next().and_then(|id| id.parse().ok()).expect("a child");
        kill(Pid::from_raw(child), signal).expect("sending a signal");
    }

    /// Waits until the program ends; panics when that takes longer than `limit`.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        wait::until("the program ends", limit, || self.script.try_wait().expect("waiting for script"))
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Both fail only when it has already ended.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
