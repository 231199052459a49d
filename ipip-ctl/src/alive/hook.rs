//! The command that is told of running flags that come and go. It may hang or fail, and stops nothing.

use std::collections::{HashMap, VecDeque};
use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::libc::O_NONBLOCK;
use nix::unistd::{AccessFlags, access};
use tokio::process::Command;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::Alive;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running flag that came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The tunnel's ID.
    pub id: u32,
    /// The tunnel's name.
    pub tunnel: String,
    /// Whether it runs.
    pub running: bool,
    /// Why it does not; empty where it does.
    pub reason: String,
    /// What the hook had been told of it by then.
    pub told: Option<bool>,
}

/// Changes that wait for the command: of each tunnel the last one.
#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<String>,
    changes: HashMap<String, Change>,
}

impl Waiting {
    fn put(&mut self, change: Change) {
        let name = change.tunnel.clone();
        if self.changes.insert(name.clone(), change).is_none() {
            self.order.push_back(name);
        }
    }

    fn take(&mut self) -> Option<Change> {
        let name = self.order.pop_front()?;
        self.changes.remove(&name)
    }
}

/// The command, which the configuration may change at any time.
#[derive(Clone, Debug, Default)]
pub struct Hook(Arc<Mutex<Option<PathBuf>>>);

impl Hook {
    /// Sets the command, or that there is none. One that could not be called now is told of, and called all the same.
    pub fn set(&self, command: Option<PathBuf>) {
        if let Some(command) = &command
            && let Some(why) = obstacle(command)
        {
            log::warn!("hook {}: {why}", command.display());
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = command;
    }

    /// The command.
    #[must_use]
    pub fn command(&self) -> Option<PathBuf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells the command of changes, one after the other. Of each tunnel the last one waits, so that it hears how things are,
    /// however long it takes; and nothing that it has been told, by this daemon or the one before.
    pub async fn follow(self, mut changes: UnboundedReceiver<Change>, alive: Alive) {
        let (mut waiting, mut told) = (Waiting::default(), HashMap::new());
        loop {
            if waiting.order.is_empty() {
                let Some(change) = changes.recv().await else { return };
                waiting.put(change);
            }
            while let Ok(change) = changes.try_recv() {
                waiting.put(change);
            }
            let Some(change) = waiting.take() else { continue };
            // Nobody else tells: what this loop has not told is as the daemon before left it.
            let heard = told.get(&change.tunnel).copied().or(change.told);
            // Of a tunnel that has never run there is nothing to tell until it does.
            if heard.unwrap_or(false) == change.running {
                continue;
            }
            if let Some(command) = self.command()
                && let Err(why) = run(&command, &change, PATIENCE).await
            {
                log::warn!("hook {}: tunnel {}: {why}", command.display(), change.tunnel);
            }
            // Where nobody listens it is told too: a hook that comes later hears what changes from then on.
            told.insert(change.tunnel.clone(), change.running);
            alive.note_told(change.id, &change.tunnel, change.running);
        }
    }
}

/// Runs it to its end; when it takes longer than `patience`, it is killed with all that it started.
async fn run(command: &PathBuf, change: &Change, patience: Duration) -> Result<(), String> {
    let mut child = Command::new(command)
        .args([change.tunnel.as_str(), if change.running { "up" } else { "down" }, &change.reason])
        .env("IPIP_TUNNEL", &change.tunnel)
        .env("IPIP_RUNNING", if change.running { "yes" } else { "no" })
        .env("IPIP_REASON", &change.reason)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| explain(command, &error))?;
    match timeout(patience, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("it failed ({status})")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => {
            let group = child.id().and_then(|id| i32::try_from(id).ok()).map(nix::unistd::Pid::from_raw);
            if let Some(group) = group {
                let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
            }
            let _ = child.wait().await;
            Err(format!("it took longer than {} s, and was killed", patience.as_secs_f32()))
        }
    }
}

/// Why a command could not be called, as far as it can be told without a call.
fn obstacle(command: &Path) -> Option<String> {
    if let Err(error) = access(command, AccessFlags::X_OK) {
        return Some(explain(command, &error.into()));
    }
    // What may be executed need not be readable, but where only Landlock forbids to read it, it forbids both.
    access(command, AccessFlags::R_OK).ok()?;
    // Whatever it is, opening does not wait for anybody.
    let opened = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(command);
    opened.err().map(|error| explain(command, &error))
}

/// What an error means, and what helps.
fn explain(command: &Path, error: &io::Error) -> String {
    if error.kind() != ErrorKind::PermissionDenied {
        return error.to_string();
    }
    // The kernel's answer to this knows modes, and not Landlock.
    if access(command, AccessFlags::X_OK).is_err() {
        return "Permission denied: its mode or that of a directory above it does not let root execute it \
                (chmod +x, and chown root)"
            .to_owned();
    }
    "Permission denied: it or its interpreter lies where the daemon cannot read. Since its start that has only the \
     system's directories and the one of the hook that it was started with: start the daemon again (systemctl \
     restart ipip; traffic goes on), or move the hook to /etc/ipip or /usr/local/sbin"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn change() -> Change {
        Change { id: 1, tunnel: "ipip1".into(), running: false, reason: "it's gone".into(), told: None }
    }

    fn script(folder: &tempfile::TempDir, text: &str) -> PathBuf {
        let path = folder.path().join("hook");
        fs::write(&path, format!("#!/bin/sh\ncd {}\n{text}\n", folder.path().display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[tokio::test]
    async fn it_is_told_what_happened_and_one_that_fails_hangs_or_is_not_there_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let command = script(&folder, "echo \"$1|$2|$3|$IPIP_TUNNEL|$IPIP_RUNNING|$IPIP_REASON\" > told");
        run(&command, &change(), PATIENCE).await.unwrap();
        let told = fs::read_to_string(folder.path().join("told")).unwrap();
        assert_eq!(told, "ipip1|down|it's gone|ipip1|no|it's gone\n");
        let failed = run(&script(&folder, "exit 3"), &change(), PATIENCE).await.unwrap_err();
        assert!(failed.contains("exit status: 3"), "{failed}");
        let command = script(&folder, "sleep 60 & echo $! > child; wait");
        let hung = run(&command, &change(), Duration::from_millis(500)).await.unwrap_err();
        assert!(hung.contains("was killed"), "{hung}");
        // With what it started.
        let child: i32 = fs::read_to_string(folder.path().join("child")).unwrap().trim().parse().unwrap();
        let is_gone = || {
            let state = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        };
        for _ in 0..100 {
            if is_gone() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(is_gone());
        let missing = run(&folder.path().join("none"), &change(), PATIENCE).await.unwrap_err();
        assert!(missing.contains("No such file"), "{missing}");
    }

    #[test]
    fn of_each_tunnel_the_last_change_waits() {
        let change = |tunnel: &str, running| Change { tunnel: tunnel.into(), running, ..change() };
        let mut waiting = Waiting::default();
        for (tunnel, running) in [("a", false), ("b", false), ("a", true), ("c", true), ("a", false)] {
            waiting.put(change(tunnel, running));
        }
        let taken: Vec<Change> = std::iter::from_fn(|| waiting.take()).collect();
        assert_eq!(taken, [change("a", false), change("b", false), change("c", true)]);
    }

    #[test]
    fn what_cannot_be_called_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        let command = script(&folder, "exit 0");
        assert_eq!(obstacle(&command), None);
        fs::set_permissions(&command, fs::Permissions::from_mode(0o644)).unwrap();
        let why = obstacle(&command).unwrap();
        assert!(why.starts_with("Permission denied: its mode"), "{why}");
        let why = obstacle(&folder.path().join("none")).unwrap();
        assert!(why.contains("No such file"), "{why}");
    }
}
