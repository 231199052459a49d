//! `cargo xtask test vm`: the tests that load the programs and build one tunnel, on other kernels.
//!
//! virtme-ng boots each kernel under QEMU with this machine's own files as its root, read-only; emulated, because
//! nested virtualization is broken on too many machines. Results come back as files in one writable folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::build::{Built, OBJECT_VARIABLE};
use crate::kernel::{self, Kernel, Wanted};
use crate::sh::{self, Step};
use crate::tally::Tally;
use crate::{python, strongswan, test};

/// The oldest kernel that is supported, and the one where everything works.
const KERNELS: [Wanted; 2] =
    [Wanted { suite: "bookworm", series: "6.1" }, Wanted { suite: "trixie", series: "6.12" }];

const VIRTME: &str = "virtme-ng==1.42";

/// How long a kernel may take to boot and run the tests.
const LIMIT: Duration = Duration::from_mins(30);

/// Runs test programs on every kernel, in one boot each.
pub(crate) fn run(built: &Built, binaries: &[PathBuf], filters: &[String]) -> Result<Tally> {
    kernel::emulator()?;
    let vng = python::tool(&kernel::folder().join("venv"), VIRTME, "vng")?;
    let swan = strongswan::tree()?;
    let mut tally = Tally::default();
    for wanted in KERNELS {
        let kernel = kernel::get(wanted)?;
        let share = kernel::folder().join("share").join(wanted.series);
        let _ = fs::remove_dir_all(&share);
        for folder in [&share, &sh::target().join("pcap")] {
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        let script = share.join("guest.sh");
        let text = guest_script(&share, built, &swan, binaries, filters);
        fs::write(&script, text).with_context(|| format!("writing {}", script.display()))?;
        let step = Step {
            what: &format!("booting Linux {} and testing on it", wanted.series),
            about: "emulated: some minutes, 30 at most",
            limit: Some(LIMIT),
        };
        let booted = step.run(&mut boot(&vng, &kernel, &share, &script, 2));
        sh::go_on()?;
        tally += collect(wanted.series, &share, binaries, booted);
    }
    Ok(tally)
}

/// Returns the command that boots a kernel; virtme-ng finds the modules beside it.
fn boot(vng: &Path, kernel: &Kernel, share: &Path, script: &Path, processors: u32) -> Command {
    let mut command = Command::new(vng);
    // vng starts its parts by name.
    command.env("PATH", format!("{}:{}", vng.parent().unwrap_or(vng).display(), sh::path()));
    command.args(["--disable-kvm", "--disable-microvm", "--user", "root", "--memory", "2G"]);
    command.arg("--cpus").arg(processors.to_string());
    command.arg("--run").arg(&kernel.image).arg("--rwdir").arg(share);
    // Where tests leave what they captured.
    command.arg("--rwdir").arg(sh::target().join("pcap"));
    command.arg("--exec").arg(format!("sh {}", script.display()));
    command
}

/// Runs the benchmark in an emulated machine of one processor whose clock counts instructions: a nanosecond is one. What
/// it counted is copied to `result`.
pub(crate) fn count(object: &Path, bench: &Path, result: &Path) -> Result<()> {
    kernel::emulator()?;
    let vng = python::tool(&kernel::folder().join("venv"), VIRTME, "vng")?;
    // Linux before 6.10 looks up a CPU's own array element by a call.
    let kernel = kernel::get(KERNELS[1])?;
    let share = kernel::folder().join("share/counting");
    let _ = fs::remove_dir_all(&share);
    fs::create_dir_all(&share).with_context(|| format!("creating {}", share.display()))?;
    let script = share.join("guest.sh");
    let text = format!(
        "mount -t bpf bpf /sys/fs/bpf\nmodprobe veth\nmodprobe tun\nip link set lo up\nexport PATH={}\n{} --counting --object {} \
         --folder {} ns veth >{}/out.txt 2>&1\nsync\n",
        sh::path(),
        bench.display(),
        object.display(),
        share.display(),
        share.display(),
    );
    fs::write(&script, text).with_context(|| format!("writing {}", script.display()))?;
    let captures = sh::target().join("pcap");
    fs::create_dir_all(&captures).with_context(|| format!("creating {}", captures.display()))?;
    let mut command = boot(&vng, &kernel, &share, &script, 1);
    // The default processor counts each byte of a string instruction.
    command.args(["--qemu-opts=-icount shift=0,sleep=off -cpu qemu64"]);
    let step = Step {
        what: "booting Linux 6.12 and counting instructions on it",
        about: "emulated: some minutes, 15 at most",
        limit: Some(Duration::from_mins(15)),
    };
    let booted = step.run(&mut command);
    let counted = share.join("insn.json");
    if !counted.exists() {
        let said = fs::read_to_string(share.join("out.txt")).unwrap_or_default();
        booted.with_context(|| format!("the emulated machine left nothing; it said: {}", said.trim()))?;
        anyhow::bail!("the emulated machine left nothing; it said: {}", said.trim());
    }
    fs::copy(&counted, result).with_context(|| format!("copying {}", counted.display()))?;
    Ok(())
}

/// Returns what the guest does: prepare what a booted Debian has, run each program, and leave its status in a file.
fn guest_script(
    share: &Path,
    built: &Built,
    swan: &Path,
    binaries: &[PathBuf],
    filters: &[String],
) -> String {
    let share = share.display();
    let filters: Vec<String> = filters.iter().map(|word| format!("'{word}'")).collect();
    let filters = filters.join(" ");
    let mut script = format!(
        "uname -r >{share}/kernel.txt\nmount -t bpf bpf /sys/fs/bpf\nmodprobe veth\nmodprobe tun\n\
         ip link set lo up\nexport {OBJECT_VARIABLE}={} IPIP_CTL={} IPIP_STRONGSWAN={} IPIP_REQUIRE={} IPIP_SKIP_LOG={share}/skipped.txt\n\
         export PATH={}\n",
        built.object.display(),
        built.ctl.display(),
        swan.display(),
        test::required(),
        sh::path(),
    );
    for binary in binaries {
        let name = name_of(binary);
        let line = format!(
            "cd {}\n{} --test-threads=1 {filters} >{share}/{name}.txt 2>&1\necho $? >{share}/{name}.status\n",
            sh::root().join("tests").display(),
            binary.display()
        );
        script.push_str(&line);
    }
    // The host reads the files as soon as the guest is gone.
    script.push_str("sync\n");
    script
}

fn name_of(binary: &Path) -> String {
    binary.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Prints and counts what the guest left; a program without a status is a failure.
fn collect(series: &str, share: &Path, binaries: &[PathBuf], booted: Result<()>) -> Tally {
    let read = |name: &str| fs::read_to_string(share.join(name)).unwrap_or_default();
    println!("--- Linux {series}: {}", read("kernel.txt").trim());
    // How virtme-ng ends says nothing when every program has left its status.
    let is_complete =
        binaries.iter().all(|binary| share.join(format!("{}.status", name_of(binary))).exists());
    if let (Err(error), false) = (booted, is_complete) {
        println!("the virtual machine ended early: {error:#}");
    }
    let mut tally = Tally::default();
    for binary in binaries {
        let name = name_of(binary);
        let text = read(&format!("{name}.txt"));
        let mut counted = Tally::default();
        text.lines().filter_map(Tally::parse).for_each(|one| counted += one);
        println!("--- {name}");
        print!("{text}");
        let status = read(&format!("{name}.status"));
        if status.trim() != "0" && counted.failed == 0 {
            println!("{name} broke off on Linux {series} (status `{}`)", status.trim());
            counted.failed = 1;
        }
        tally += counted;
    }
    let skips = read("skipped.txt");
    tally.skip(skips.lines().count());
    skips.lines().for_each(|reason| println!("skipped: {reason}"));
    tally
}
