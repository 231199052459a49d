//! Starts other programs: quietly with a sign of life (`step`), in plain view (`show`), or for their answer (`answer`).
//!
//! While a child runs, this process does not die of Ctrl-C or SIGTERM: it passes the signal on and waits.

use std::fs::{self, File};
use std::io::{IsTerminal, Read, Seek, SeekFrom, Write, stderr};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, geteuid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const TICK: Duration = Duration::from_millis(100);
const PLAIN_REPORT: Duration = Duration::from_secs(30);
const SPINNER: [char; 4] = ['|', '/', '-', '\\'];
const TAIL_LINES: usize = 30;

/// A signal asked for an end: of this process, or of a child alone, as sudo may keep Ctrl-C to its own terminal.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The folder for everything built or downloaded.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// True when this process runs as root.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// Returns `cargo` in the repository's root, without what the cargo that started xtask put into the environment, and
/// building where xtask looks for the results, whatever the user's environment and configuration say.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root()).env("CARGO_TARGET_DIR", target());
    command.env_remove("CARGO_BUILD_TARGET").env_remove("CARGO_BUILD_TARGET_DIR");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO" {
            command.env_remove(name);
        }
    }
    command
}

/// Returns the user's search path for programs of root: with the folders that a user of Debian does not look in.
pub(crate) fn path() -> String {
    with_sbin(std::env::var("PATH").unwrap_or_default())
}

fn with_sbin(mut path: String) -> String {
    for folder in ["/usr/local/sbin", "/usr/sbin", "/sbin"] {
        if !path.split(':').any(|one| one == folder) {
            path.push_str(if path.is_empty() { "" } else { ":" });
            path.push_str(folder);
        }
    }
    path
}

/// Returns those of the variables that the user has set, for programs that sudo would hide them from.
pub(crate) fn set_among(names: &[&str]) -> Vec<(String, String)> {
    names.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect()
}

/// Returns a command that runs `program` as root with `envs` set: directly, or through sudo.
pub(crate) fn as_root(program: &Path, envs: &[(String, String)]) -> Command {
    if is_root() {
        let mut command = Command::new(program);
        command.envs(envs.iter().map(|(name, value)| (name, value)));
        return command;
    }
    let mut command = Command::new("sudo");
    command.arg("env").args(envs.iter().map(|(name, value)| format!("{name}={value}"))).arg(program);
    command
}

/// Returns the command as a line to type.
pub(crate) fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Turns a child's status into ours, as a shell does: 128 and the signal's number for a killed child.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let number = status.code().or_else(|| status.signal().map(|signal| signal.saturating_add(128)));
    ExitCode::from(number.and_then(|number| u8::try_from(number).ok()).unwrap_or(1))
}

/// Fails once the user has interrupted a child.
pub(crate) fn go_on() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted: nothing more is started");
    }
    Ok(())
}

/// Runs a command in plain view and returns how it ended.
pub(crate) fn show(command: &mut Command) -> Result<ExitStatus> {
    go_on()?;
    let shown = line(command);
    let child = command.spawn().with_context(|| format!("starting `{shown}`: is it installed?"))?;
    wait(child, false, None, |_| ()).with_context(|| format!("waiting for `{shown}`"))
}

/// Runs a command in plain view and fails when it does.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    let status = show(command)?;
    if !status.success() {
        bail!("`{}` failed ({status}); its own words are above", line(command));
    }
    Ok(())
}

/// Returns what a command prints; `None` when it is not there or fails.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Something to do that takes long enough to need a sign of life.
pub(crate) struct Step<'a> {
    /// What is being done, for the user.
    pub(crate) what: &'a str,
    /// About how long it takes.
    pub(crate) about: &'a str,
    /// When to give up.
    pub(crate) limit: Option<Duration>,
}

impl Step<'_> {
    /// Runs the command with its output in a log, and a line that shows it is alive; prints the end of the log when it
    /// fails.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        go_on()?;
        let log = self.log()?;
        let out = File::create(&log).with_context(|| format!("creating the log {}", log.display()))?;
        let shown = line(command);
        eprintln!("==> {} ({})", self.what, self.about);
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        let child = command.spawn().with_context(|| format!("starting `{shown}`: is it installed?"))?;
        let start = Instant::now();
        let mut alive = Alive::new();
        let status = wait(child, true, self.limit, |elapsed| alive.show(elapsed, &log))?;
        alive.clear();
        if status.success() {
            eprintln!("    done in {} s", start.elapsed().as_secs());
            return Ok(());
        }
        for text in last_lines(&log, TAIL_LINES) {
            eprintln!("    | {text}");
        }
        bail!("{}: `{shown}` failed ({status}); its whole output is in {}", self.what, log.display())
    }

    fn log(&self) -> Result<PathBuf> {
        let folder = target().join("xtask");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let name: String =
            self.what.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        Ok(folder.join(format!("{name}.log")))
    }
}

/// The line that shows a child is alive: rewritten in place on a terminal, now and then a plain one elsewhere.
struct Alive {
    terminal: bool,
    tick: usize,
    reported: Duration,
}

impl Alive {
    fn new() -> Self {
        Self { terminal: stderr().is_terminal(), tick: 0, reported: Duration::ZERO }
    }

    fn show(&mut self, elapsed: Duration, log: &Path) {
        self.tick = self.tick.wrapping_add(1);
        let said: String = last_lines(log, 1).concat().chars().filter(|c| !c.is_control()).take(80).collect();
        if self.terminal {
            let spinner = SPINNER.iter().cycle().nth(self.tick % SPINNER.len()).unwrap_or(&'|');
            eprint!("\r\x1b[2K    {spinner} {} s  {said}", elapsed.as_secs());
            // A lost progress line is no reason to stop.
            let _ = stderr().flush();
        } else if elapsed.saturating_sub(self.reported) >= PLAIN_REPORT {
            self.reported = elapsed;
            eprintln!("    {} s  {said}", elapsed.as_secs());
        }
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[2K");
        }
    }
}

/// Returns the last lines of a file, as far as they lie in its last 8 KiB.
pub(crate) fn last_lines(path: &Path, count: usize) -> Vec<String> {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path) {
        let size = file.metadata().map_or(0, |meta| meta.len());
        let _ = file.seek(SeekFrom::Start(size.saturating_sub(8192)));
        let _ = file.read_to_end(&mut bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.split(['\n', '\r']).filter(|text| !text.trim().is_empty()).collect();
    lines.iter().skip(lines.len().saturating_sub(count)).map(|text| (*text).to_owned()).collect()
}

/// Waits for a child and passes signals on to it (`group`: to its own process group).
pub(crate) fn wait(
    mut child: Child,
    group: bool,
    limit: Option<Duration>,
    mut tick: impl FnMut(Duration),
) -> Result<ExitStatus> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("catching signals")?;
    let pid = Pid::from_raw(i32::try_from(child.id()).context("the child's process number")?);
    let start = Instant::now();
    let mut stopping = false;
    loop {
        if let Some(status) = child.try_wait().context("waiting for the child")? {
            if stopping || matches!(status.signal(), Some(SIGINT | SIGTERM)) {
                INTERRUPTED.store(true, Ordering::Relaxed);
            }
            return if stopping && group { bail!("interrupted") } else { Ok(status) };
        }
        for signal in signals.pending() {
            // Ctrl-C on a terminal has reached a child of our own process group already.
            if group || signal != SIGINT || !std::io::stdin().is_terminal() {
                send(pid, group, Signal::try_from(signal).unwrap_or(Signal::SIGTERM));
            }
            stopping = true;
        }
        if limit.is_some_and(|limit| start.elapsed() > limit) {
            send(pid, group, Signal::SIGKILL);
            let _ = child.wait();
            bail!("not finished after {} s, so it was stopped", start.elapsed().as_secs());
        }
        tick(start.elapsed());
        sleep(TICK);
    }
}

fn send(pid: Pid, group: bool, signal: Signal) {
    let sent = if group { killpg(pid, signal) } else { kill(pid, signal) };
    if sent == Err(Errno::EPERM) {
        // The child is sudo, which belongs to root.
        let _ = Command::new("sudo").args(["-n", "kill", "-s", signal.as_str(), &pid.to_string()]).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_path_of_root_has_the_folders_of_root_once() {
        let cases = [
            ("/usr/local/bin:/usr/bin", "/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin:/sbin"),
            ("/usr/sbin:/usr/bin", "/usr/sbin:/usr/bin:/usr/local/sbin:/sbin"),
            ("/sbin:/usr/local/sbin:/usr/sbin", "/sbin:/usr/local/sbin:/usr/sbin"),
            ("", "/usr/local/sbin:/usr/sbin:/sbin"),
        ];
        for (path, expected) in cases {
            assert_eq!(with_sbin(path.to_owned()), expected);
        }
    }

    #[test]
    fn signal_reaches_the_child_which_ends_as_it_likes() {
        let script = "trap 'exit 7' TERM; sleep 0.5; kill -s TERM $PPID; sleep 0.2; sleep 5 & wait";
        let status = show(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(status.code(), Some(7));
        assert!(go_on().is_err());
    }

    #[test]
    fn child_past_its_limit_is_stopped() {
        let child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let error = wait(child, true, Some(TICK), |_| ()).unwrap_err();
        assert!(error.to_string().starts_with("not finished"));
    }
}
