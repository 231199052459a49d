//! What the lab needs of the machine, checked before anything is changed.

use std::path::Path;
use std::process::{Command, Stdio};

/// Why the lab cannot run here: what to do, and the exit code (the same as those of `ipip-ctl`).
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) code: u8,
}

/// Checks all of it.
pub(super) fn check(ctl: &Path) -> Result<(), Refusal> {
    let refuse = |code, message: String| Err(Refusal { message, code });
    if !nix::unistd::geteuid().is_root() {
        let words: Vec<String> = std::env::args().collect();
        return refuse(5, format!("network namespaces and BPF need root: type\n  sudo {}", words.join(" ")));
    }
    if !ctl.is_file() {
        let path = ctl.display();
        return refuse(2, format!("there is no {path}: build it with `cargo xtask build --release`"));
    }
    let mut ip = Command::new("ip");
    if ip.arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        return refuse(6, "the program `ip` is missing: type\n  apt-get install iproute2".to_owned());
    }
    if !Path::new("/dev/net/tun").exists() {
        return refuse(6, "there is no /dev/net/tun: type\n  modprobe tun".to_owned());
    }
    Ok(())
}
