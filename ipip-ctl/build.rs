//! Embeds the BPF object that `cargo xtask build` made. Where there is none (a contributor without the BPF
//! toolchain, rust-analyzer) an empty file takes its place, and the daemon says so when it is started.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let object = env::var_os("IPIP_BPF_OBJECT").map_or_else(default_object, PathBuf::from);
    println!("cargo::rerun-if-env-changed=IPIP_BPF_OBJECT");
    println!("cargo::rerun-if-changed={}", object.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("ipip-ebpf.o");
    let bytes = if object.is_file() { fs::read(&object)? } else { Vec::new() };
    fs::write(out, bytes)
}

fn default_object() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bpf/ipip-ebpf.o")
}
