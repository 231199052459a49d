//! What the lab leaves behind if nobody takes it away: daemons, namespaces, a folder with a BPF file system.
//!
//! It is kept in one place for the whole process, because a panic does not unwind in a release build: the panic
//! hook cleans up from here.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{screen, stop};

const RUN: &str = "/run";
const PREFIX: &str = "ipip-lab-";
const NAMESPACES: &str = "/run/netns";
/// How long the daemons may take to end.
const GRACE: Duration = Duration::from_secs(3);

static DAEMONS: Mutex<Vec<(String, Child)>> = Mutex::new(Vec::new());

/// Says why before it cleans up, and ends the process: whoever panics, nothing is left.
pub(super) fn clear_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        // A step that was cut short by Ctrl-C is no fault; the step may have ended before the signal came here.
        sleep(Duration::from_millis(20));
        screen::restore();
        let code = if stop::asked() {
            super::say("interrupted; everything is taken down again");
            super::INTERRUPTED
        } else {
            let payload = panic.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
            super::complain(&format!(
                "{text} ({})",
                panic.location().map(ToString::to_string).unwrap_or_default()
            ));
            1
        };
        clear();
        std::process::exit(code);
    }));
}

/// Makes the lab's folder with a BPF file system in it, after taking away those of labs that were killed.
pub(super) fn make_folder() -> io::Result<PathBuf> {
    for old in fs::read_dir(RUN)?.flatten() {
        let name = old.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX).and_then(|owner| owner.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner.to_string()).exists()) {
            remove_folder(&old.path());
        }
    }
    let folder = folder();
    fs::create_dir_all(bpffs())?;
    mount(Some("bpf"), &bpffs(), Some("bpf"), MsFlags::empty(), None::<&str>)?;
    Ok(folder)
}

/// The lab's BPF file system.
pub(super) fn bpffs() -> PathBuf {
    folder().join("bpf")
}

fn folder() -> PathBuf {
    Path::new(RUN).join(format!("{PREFIX}{}", std::process::id()))
}

/// Starts a daemon that ends with the lab at the latest. Ctrl-C does not reach it: the lab ends it in time.
pub(super) fn start(name: &str, mut command: Command) -> io::Result<()> {
    command.process_group(0);
    // SAFETY: between fork and exec only the system call prctl is made, which needs no memory and no lock.
    unsafe { command.pre_exec(|| set_pdeathsig(Signal::SIGINT).map_err(io::Error::from)) };
    let child = command.spawn()?;
    daemons().push((name.to_owned(), child));
    Ok(())
}

/// How a daemon ended, if it did.
pub(super) fn ended(name: &str) -> Option<ExitStatus> {
    daemons().iter_mut().find(|(daemon, _)| daemon == name)?.1.try_wait().ok()?
}

/// Ends the daemons: SIGINT makes them remove their interfaces and pins.
pub(super) fn end_daemons() {
    let mut daemons = daemons();
    for (_, daemon) in daemons.iter() {
        if let Ok(id) = i32::try_from(daemon.id()) {
            // It fails only for one that has ended.
            let _ = kill(Pid::from_raw(id), Signal::SIGINT);
        }
    }
    let deadline = Instant::now() + GRACE;
    for (_, daemon) in daemons.iter_mut() {
        while matches!(daemon.try_wait(), Ok(None)) && Instant::now() < deadline {
            sleep(Duration::from_millis(5));
        }
        let _ = daemon.kill();
        let _ = daemon.wait();
    }
    daemons.clear();
}

/// Takes away all that is left, however far the lab has come. May be done twice.
pub(super) fn clear() {
    end_daemons();
    let own = format!("ipip-t{}-", std::process::id());
    for file in fs::read_dir(NAMESPACES).into_iter().flatten().flatten() {
        if file.file_name().to_string_lossy().starts_with(&own) {
            let _ = umount2(&file.path(), MntFlags::MNT_DETACH);
            let _ = fs::remove_file(file.path());
        }
    }
    remove_folder(&folder());
}

fn remove_folder(folder: &Path) {
    // The mount may be missing already, and so may the folder.
    let _ = umount2(&folder.join("bpf"), MntFlags::MNT_DETACH);
    let _ = fs::remove_dir_all(folder);
}

fn daemons() -> MutexGuard<'static, Vec<(String, Child)>> {
    DAEMONS.lock().unwrap_or_else(PoisonError::into_inner)
}
