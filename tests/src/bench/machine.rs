//! What machine this is: figures mean nothing without it.

use std::fs;

/// Facts about the machine, each a line.
pub(super) fn facts() -> Vec<(String, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let processor = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| {
            Some(line.strip_prefix("model name")?.trim_start_matches([' ', '\t', ':']).to_owned())
        })
        .unwrap_or_else(|| "unknown".to_owned());
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut facts = vec![
        ("processor".to_owned(), format!("{count} x {processor}")),
        ("kernel".to_owned(), read("/proc/sys/kernel/osrelease")),
        ("BPF JIT, hardening".to_owned(), {
            let sys = |name: &str| read(&format!("/proc/sys/net/core/{name}"));
            format!("{}, {}", sys("bpf_jit_enable"), sys("bpf_jit_harden"))
        }),
    ];
    if let Ok(mitigations) = fs::read_dir("/sys/devices/system/cpu/vulnerabilities") {
        let mut names: Vec<_> = mitigations.flatten().map(|entry| entry.path()).collect();
        names.sort();
        for path in names {
            let text = fs::read_to_string(&path).unwrap_or_default();
            if text.starts_with("Mitigation") {
                let name =
                    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
                facts.push((name, text.trim().trim_start_matches("Mitigation: ").to_owned()));
            }
        }
    }
    facts
}
