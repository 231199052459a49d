//! The command line's grammar, and nothing else.

mod complete;
mod words;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use crate::failure::EXIT_CODES;
use crate::ipsec::DEFAULT_VICI;
use crate::metrics::Address;
use crate::spec::TunnelSpec;
use crate::when::{When, duration};

pub use self::complete::complete;
pub use self::words::translate;

/// Where the daemon's socket is unless said otherwise.
pub const DEFAULT_SOCKET: &str = "/run/ipip/ipip.sock";
/// Where the configuration file is unless said otherwise.
pub const DEFAULT_CONFIG: &str = "/etc/ipip/ipip.toml";
/// Where the daemon keeps its state unless said otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/ipip";
/// Where the daemon pins its maps and links unless said otherwise.
pub const DEFAULT_PIN_DIR: &str = "/sys/fs/bpf/ipip";

/// Above the options that every command has.
const EVERYWHERE: &str = "Options of all commands";

/// IP tunnels at the speed of XDP: the daemon, and the commands that talk to it.
#[derive(Clone, Debug, Parser)]
#[command(name = "ipip-ctl", version, after_help = EXIT_CODES, subcommand_required = true)]
pub struct Cli {
    /// The daemon's socket
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "PATH", env = "IPIP_SOCKET")]
    #[arg(hide_env_values = true, default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// Write JSON, for programs
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,
    /// When to use colours: auto (on a terminal, unless `NO_COLOR` is set), always or never
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "WHEN", default_value = "auto")]
    #[arg(hide_possible_values = true)]
    pub color: Color,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Run the daemon: set up the tunnels of the configuration file, and serve the socket
    Daemon(DaemonArgs),
    /// Add a tunnel
    #[command(after_help = "Properties are also read as RouterOS writes them: mtu=1472 is --mtu 1472.")]
    Add {
        /// Name of the tunnel's interface [default: the next free ipipN]
        #[arg(value_name = "NAME", conflicts_with = "name", add = ArgValueCandidates::new(complete::properties))]
        tunnel: Option<String>,
        /// Protect the tunnel by IPsec: read the secret that both ends share from standard input (-), and store it in a
        /// file beside the configuration that only root reads
        #[arg(long, value_name = "-", conflicts_with = "ipsec_secret_file")]
        ipsec_secret: Option<String>,
        /// The tunnel as written.
        #[command(flatten)]
        properties: TunnelSpec,
    },
    /// Give tunnels other properties, under traffic
    #[command(
        after_help = "Properties are also read as RouterOS writes them: mtu=1472 is --mtu 1472. An empty value \
        (comment=) gives a property its default again. With a new name the interface is renamed (before Linux \
        6.2 it is another one)."
    )]
    Set {
        /// The tunnels: names, numbers in the list, or beginnings of names
        #[arg(required = true, value_name = "TUNNEL", add = ArgValueCandidates::new(complete::both))]
        tunnels: Vec<String>,
        /// Protect them by IPsec: read the secret from standard input (-), as for add
        #[arg(long, value_name = "-", conflicts_with = "ipsec_secret_file")]
        ipsec_secret: Option<String>,
        /// What to change.
        #[command(flatten)]
        properties: TunnelSpec,
    },
    /// Let tunnels carry traffic; also makes interfaces again that somebody removed
    Enable(Selected),
    /// Keep tunnels defined, but let them carry nothing
    Disable(Selected),
    /// Remove tunnels
    Remove(Selected),
    /// List the tunnels
    #[command(after_help = CONDITIONS)]
    Print {
        /// What to print of each tunnel
        form: Option<Form>,
        /// With where: which tunnels to print
        #[arg(value_name = "CONDITION")]
        conditions: Vec<String>,
    },
    /// Show what tunnels carried and refused, by tier
    Stats {
        /// Names, numbers in the list, or beginnings of names [default: all]
        #[arg(value_name = "TUNNEL", add = ArgValueCandidates::new(complete::tunnels))]
        tunnels: Vec<String>,
    },
    /// Show what tunnels carry a second: live on a terminal, or as tables or JSON
    #[command(after_help = MONITOR)]
    Monitor(MonitorArgs),
    /// Tell what happens to tunnels and ports, as it happens
    #[command(after_help = EVENTS)]
    Events(EventsArgs),
    /// Show how the daemon does, and the interfaces that it is attached to
    Status,
    /// Make a file the configuration: change what differs, all of it or nothing
    Apply {
        /// The file; - is standard input
        file: PathBuf,
        /// Show every property that differs
        #[arg(long)]
        diff: bool,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Write the tunnels as a configuration file, or as lines for RouterOS
    Export {
        /// Write lines for RouterOS; what it does not have stands in comments, which import reads
        #[arg(long)]
        routeros: bool,
    },
    /// Add tunnels as other systems write them; what is not understood is listed (exit code 3)
    #[command(after_help = FORMATS, override_usage = "ipip-ctl import [OPTIONS] [FORMAT] <FILE>")]
    Import {
        /// The file, behind its format if that is not plain; - is standard input
        #[arg(required = true, num_args = 1..=2, value_names = ["FORMAT", "FILE"])]
        words: Vec<String>,
        /// Show what would be added, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Read the configuration file again, as SIGHUP does
    Reload,
    /// Look for mistakes in a configuration file; needs neither root nor a daemon
    Check {
        /// The file; - is standard input
        file: PathBuf,
    },
    /// Keep descriptors for a daemon; it starts this itself
    #[command(hide = true)]
    KeepDescriptors {
        /// End when this directory is gone
        directory: PathBuf,
    },
    /// End the daemon, and wait until it has ended; tunnels go on without it, for the next one
    Stop {
        /// Take tunnels, programs and maps out of the kernel too, also where no daemon runs
        #[arg(long)]
        purge: bool,
        /// With --purge, where no daemon runs: directory in the BPF file system for maps and links
        #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_DIR)]
        pin_dir: PathBuf,
    },
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless the variable `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Which tunnels.
#[derive(Clone, Debug, Args)]
pub struct Selected {
    /// Names, numbers in the list, or beginnings of names; commas may join them
    #[arg(required = true, value_name = "TUNNEL", add = ArgValueCandidates::new(complete::tunnels))]
    pub tunnels: Vec<String>,
}

/// How much to print of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Every property, and the traffic by tier
    Detail,
    /// Only those tunnels that meet every condition
    Where,
}

/// What to watch, and how often.
#[derive(Clone, Debug, Args)]
pub struct MonitorArgs {
    /// Names, numbers in the list, or beginnings of names [default: all]
    #[arg(value_name = "TUNNEL", add = ArgValueCandidates::new(complete::tunnels))]
    pub tunnels: Vec<String>,
    /// Time between two looks: 500ms, 2s, 1m
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub interval: Duration,
    /// Print one table of the rates over one interval, and end
    #[arg(long, conflicts_with = "count")]
    pub once: bool,
    /// Print so many tables, and end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds
        .or_else(|| duration(text))
        .filter(|time| INTERVALS.contains(time))
        .ok_or_else(|| "not a time from 100ms to 1h, as 500ms, 2s or 1m".to_owned())
}

/// Shorter ones would show noise, and longer ones nothing.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);

/// The keys of `monitor`, for `--help`.
const MONITOR: &str = "\
Keys:
  up, down, j, k    move; enter shows one tunnel, esc all of them
  s, r              sort by another column, reverse
  b                 bits or packets
  ?, q              help, quit

Examples:
  ipip-ctl monitor
  ipip-ctl monitor berlin --once --interval 5s
  ipip-ctl monitor --json --count 10";

/// Which events.
#[derive(Clone, Debug, Args)]
pub struct EventsArgs {
    /// Tell only of these tunnels, by name, number or the beginning of a name [default: of everything]
    #[arg(value_name = "TUNNEL", add = ArgValueCandidates::new(complete::tunnels))]
    pub tunnels: Vec<String>,
    /// Begin with what the daemon keeps: all, since a time ago (90s, 10m, 2h, 1d), or after an event's number
    #[arg(long, value_name = "WHEN")]
    pub since: Option<When>,
    /// End after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Tell what the daemon keeps, and end
    #[arg(long)]
    pub no_follow: bool,
}

/// What `events` tells, for `--help`.
const EVENTS: &str = "\
Events:
  added, changed, removed, restored      a command, or a file, did that to a tunnel
  enabled, disabled                      likewise
  running, invalid                       a tunnel carries traffic now, or does not, and why
  port-came, port-changed, port-went     an interface that the daemon is attached to, and its tiers
  started, programs-replaced             a daemon began, and took over what an earlier one left
  reloaded, reload-failed                the configuration file was read again

Examples:
  ipip-ctl events --since 1h
  ipip-ctl events berlin --json --count 1";

/// The formats of `import`, for `--help`.
const FORMATS: &str = "\
Formats:
  routeros  lines of RouterOS' export, of /interface ipip, ipipv6, 6to4 and 4in6
  ip        commands of iproute2: ip tunnel add, ip link add ... type ipip|sit|ip6tnl
  he        the fields of a tunnel broker's page: Server and Client, IPv4 and IPv6 Address
  toml      what `ipip-ctl export` writes
  auto      whatever it looks like, line by line

Examples:
  ipip-ctl import export.rsc
  ipip-ctl import he - <fields.txt";

/// The conditions of `print where`, for `--help`.
const CONDITIONS: &str = "\
Conditions:
  mtu=1480       the property has this value
  kind!=ipip     it has another
  comment~site   it holds this text
  running        it is yes; also running=no, or !running in quotes

Properties are those of `add`, and actual-mtu, running, invalid and reason.
Examples:
  ipip-ctl print where remote-address=203.0.113.2
  ipip-ctl print detail where running=no disabled=no";

/// Where the daemon finds and keeps its things.
#[derive(Clone, Debug, Args)]
pub struct DaemonArgs {
    /// Configuration file [default: /etc/ipip/ipip.toml, or ipip.toml in --state-dir if that is given]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of the daemon's state [default: /var/lib/ipip]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Directory in the BPF file system for maps and links
    #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_DIR)]
    pub pin_dir: PathBuf,
    /// Where strongSwan's IKE daemon takes orders, for tunnels with an IPsec secret
    #[arg(long, value_name = "PATH", default_value = DEFAULT_VICI)]
    pub vici: PathBuf,
    /// Where to serve metrics for Prometheus: a port of a loopback address, or the path of a socket
    #[arg(long, value_name = "127.0.0.1:9713|unix:PATH")]
    pub metrics: Option<Address>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("ipip-ctl").chain(line.split_whitespace()))
    }

    #[test]
    fn grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn add_reads_every_property() {
        let cli = parse(
            "add ipip1 --kind 4in6 --local-address 2001:db8::1 --remote-address 2001:db8::2 --mtu 1400 --ttl inherit \
             --dscp 46 --decap-dscp yes --ecn compatibility --flow-label no --encapsulation-limit 4 \
             --dont-fragment inherit --allowed-inner 10.0.0.0/8,192.0.2.0/24 --clamp-tcp-mss no --allow-fast-path no \
             --spread on --ipsec-secret-file /etc/ipip/a.psk --disabled yes --keepalive 0 --keepalive-mode echo --comment x --json --socket /s",
        )
        .unwrap();
        assert!(cli.json && cli.socket.as_os_str() == "/s");
        let Verb::Add { tunnel, properties: spec, ipsec_secret: None } = cli.verb else { panic!("not add") };
        let spec = TunnelSpec { name: tunnel, ..spec };
        let json = serde_json::to_value(&spec).unwrap();
        assert_eq!(json.as_object().unwrap().len(), TunnelSpec::PROPERTIES.len());
        assert_eq!(json["mtu"], 1400);
        assert_eq!(json["clamp-tcp-mss"], "no");
        assert_eq!(json["allowed-inner"], serde_json::json!(["10.0.0.0/8", "192.0.2.0/24"]));
    }

    #[test]
    fn usage_errors_exit_with_2() {
        for line in ["", "fly", "add --mtu", "remove", "print short", "add --colour red"] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn help_documents_the_exit_codes() {
        assert!(Cli::command().render_help().to_string().contains("Exit codes:"));
    }
}
