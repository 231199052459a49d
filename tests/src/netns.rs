//! Network namespaces with veth pairs between them, gone when their guards are dropped.
//!
//! Names are unique to this process, so that several test programs run side by side. Programs are started in a
//! namespace by `setns` in the child and not by `ip netns exec`, which mounts another /sys and so hides the
//! BPF file system.

use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};

use crate::{bpffs, ctl};

const PREFIX: &str = "ipip-t";
const FOLDER: &str = "/run/netns";

static NEXT: AtomicU32 = AtomicU32::new(0);
static SWEEP: Once = Once::new();

/// A network namespace of this test, with its loopback interface up.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

/// What `ip -json link` says of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Interface index.
    pub index: u32,
    /// Ethernet address; zeros where the interface has none.
    pub mac: [u8; 6],
    /// MTU, bytes.
    pub mtu: u32,
    /// Flags as iproute2 names them: `UP`, `LOWER_UP`, ...
    pub flags: Vec<String>,
}

impl Netns {
    /// Makes a namespace; `label` is the end of its name.
    pub fn new(label: &str) -> Self {
        SWEEP.call_once(sweep);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{label}", std::process::id());
        succeed(Command::new("ip").args(["netns", "add", &name]));
        let namespace = Self { name };
        namespace.run("ip link set lo up");
        namespace
    }

    /// Its name, as iproute2 knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    pub fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }

    /// A command that will run in this namespace, to be given its arguments.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let file = self.open();
        let mut command = Command::new(program);
        // SAFETY: between fork and exec only the system call setns is made, which needs no memory and no lock.
        unsafe {
            command.pre_exec(move || setns(&file, CloneFlags::CLONE_NEWNET).map_err(io::Error::from));
        }
        command
    }

    /// Runs a command line (split at white space) in this namespace and returns what it printed; panics with
    /// its errors when it fails.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a command line has a program");
        succeed(self.command(program).args(words))
    }

    /// Runs a closure on a thread of its own inside this namespace. Sockets and maps made there stay what they
    /// are when they leave it.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = self.open();
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                setns(&file, CloneFlags::CLONE_NEWNET).expect("entering a network namespace");
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Sets a sysctl of this namespace: `set("net.ipv4.ip_forward", "1")`.
    #[track_caller]
    pub fn set(&self, key: &str, value: &str) {
        let file = Path::new("/proc/sys").join(key.replace('.', "/"));
        // The kernel shows the network namespace of the thread that opens the file.
        self.enter(|| fs::write(&file, value))
            .unwrap_or_else(|error| panic!("setting {key}={value}: {error}"));
    }

    /// Lets this namespace forward packets of both families.
    pub fn forward(&self) {
        self.set("net.ipv4.ip_forward", "1");
        self.set("net.ipv6.conf.all.forwarding", "1");
    }

    /// Gives an interface an address: `address("lan0", "192.168.10.1/24")`. An IPv6 address is there at once, without
    /// a search for duplicates.
    pub fn address(&self, interface: &str, address: &str) {
        let nodad = if address.contains(':') { "nodad" } else { "" };
        self.run(&format!("ip address add {address} dev {interface} {nodad}"));
    }

    /// Adds a route of either family: `route("default via 10.0.0.1")`.
    pub fn route(&self, route: &str) {
        let family = if route.contains(':') { "-6" } else { "-4" };
        self.run(&format!("ip {family} route add {route}"));
    }

    /// A neighbour that needs no answer to be known.
    pub fn neighbour(&self, interface: &str, address: IpAddr, mac: [u8; 6]) {
        let mac = mac_text(mac);
        self.run(&format!("ip neighbour replace {address} lladdr {mac} nud permanent dev {interface}"));
    }

    /// What an interface is; panics when there is none of this name.
    pub fn link(&self, interface: &str) -> Link {
        self.find_link(interface).unwrap_or_else(|| panic!("no interface {interface} in {}", self.name))
    }

    /// How often the carrier of an interface has come or gone. Only this program of iproute2 shows the namespace's own /sys.
    pub fn carrier_changes(&self, interface: &str) -> String {
        let name = self.name();
        self.run(&format!("ip netns exec {name} cat /sys/class/net/{interface}/carrier_changes"))
    }

    /// What an interface is, if there is one of this name.
    pub fn find_link(&self, interface: &str) -> Option<Link> {
        let output = self.command("ip").args(["-json", "link", "show", "dev", interface]).output().ok()?;
        let links: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let link = links.get(0)?;
        Some(Link {
            index: number(&link["ifindex"]),
            mac: link["address"].as_str().and_then(parse_mac).unwrap_or_default(),
            mtu: number(&link["mtu"]),
            flags: link["flags"]
                .as_array()?
                .iter()
                .filter_map(|flag| Some(flag.as_str()?.to_owned()))
                .collect(),
        })
    }

    fn open(&self) -> File {
        let path = self.path();
        File::open(&path).unwrap_or_else(|error| panic!("opening {}: {error}", path.display()))
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // Best effort: a panic while a panic unwinds would end the whole test program.
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

/// Connects two namespaces with a veth pair and brings both ends up.
pub fn connect(left: (&Netns, &str), right: (&Netns, &str)) {
    join(left, &[], right);
}

/// The same, where the first interface has this number.
pub fn connect_numbered((left, name, index): (&Netns, &str, u32), right: (&Netns, &str)) {
    join((left, name), &["index", &index.to_string()], right);
}

fn join(left: (&Netns, &str), words: &[&str], right: (&Netns, &str)) {
    let ((left_space, left_name), (right_space, right_name)) = (left, right);
    succeed(
        Command::new("ip")
            .args(["link", "add", "name", left_name, "netns", left_space.name()])
            .args(words)
            .args(["type", "veth", "peer", "name", right_name, "netns", right_space.name()]),
    );
    left_space.run(&format!("ip link set {left_name} up"));
    right_space.run(&format!("ip link set {right_name} up"));
}

/// Deletes what test programs that were killed have left behind.
fn sweep() {
    for name in names_in(Path::new(FOLDER)).filter(|name| is_orphan(name, PREFIX)) {
        let _ = Command::new("ip").args(["netns", "delete", &name]).status();
    }
    let folder = std::env::temp_dir();
    let is_left = |name: &String| [bpffs::PREFIX, ctl::PREFIX].iter().any(|prefix| is_orphan(name, prefix));
    for path in names_in(&folder).filter(is_left).map(|name| folder.join(name)) {
        let _ = umount2(&path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
        let _ = fs::remove_dir_all(&path);
    }
}

fn names_in(folder: &Path) -> impl Iterator<Item = String> {
    let files = folder.read_dir().into_iter().flatten().flatten();
    files.map(|file| file.file_name().to_string_lossy().into_owned())
}

/// True for a name of this prefix and a process that is gone.
fn is_orphan(name: &str, prefix: &str) -> bool {
    let owner = name.strip_prefix(prefix).and_then(|rest| rest.split_once('-')?.0.parse::<u32>().ok());
    owner.is_some_and(|owner| !Path::new("/proc").join(owner.to_string()).exists())
}

#[track_caller]
fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed ({}): {errors}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn number(value: &serde_json::Value) -> u32 {
    value.as_u64().and_then(|value| u32::try_from(value).ok()).unwrap_or_default()
}

fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes?.try_into().ok()
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
