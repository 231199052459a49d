//! The daemon: starts the engine, and hands it what clients ask and what the kernel tells. No logic of its own.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::alive::{Alive, Hook};
use crate::api::protocol::Request;
use crate::api::server::{self, Call};
use crate::config::{Config, ConfigFile};
use crate::dataplane::{Kernel, Pins, check_bpffs, check_kernel};
use crate::engine::Engine;
use crate::events::Events;
use crate::failure::{Failure, FailureKind};
use crate::ipsec::{DEFAULT_VICI, Ike};
use crate::keeper::Keeper;
use crate::metrics::{self, Address};
use crate::netlink::Netlink;
use crate::privileges;

/// How long requests and changes may queue up before senders wait.
const QUEUE: usize = 64;
/// How often the engine looks at the kernel without being told to: what no event tells.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// How long it waits for more after the kernel's first word of a change.
const SETTLE: Duration = Duration::from_millis(5);

/// Where the daemon finds and keeps its things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// The directory of its state.
    pub state_dir: PathBuf,
    /// The directory in the BPF file system for its maps and links.
    pub pin_dir: PathBuf,
    /// The socket of the IKE daemon.
    pub vici: PathBuf,
    /// The socket that it serves.
    pub socket: PathBuf,
    /// Where it serves metrics; nothing is where the configuration file says.
    pub metrics: Option<Address>,
}

/// Runs until it is told to stop. SIGTERM leaves tunnels, programs and traffic as they are, for the next daemon;
/// SIGINT (Ctrl-C) removes everything. SIGHUP has it read the configuration file again.
///
/// # Errors
///
/// It cannot start; nothing is changed then.
pub fn run(options: Options) -> Result<(), Failure> {
    env_logger::Builder::new()
        .filter_level(log::LevelFilter::Info)
        .format_timestamp(None)
        .format_target(false)
        .parse_default_env()
        .try_init()
        .ok();
    must_be_root("daemon")?;
    runtime()?.block_on(serve(options))
}

fn must_be_root(verb: &str) -> Result<(), Failure> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let message = format!("{verb}: only root can load BPF programs");
    Err(Failure::new(FailureKind::NoPermission, message).with_hint("run it as root"))
}

fn runtime() -> Result<Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().map_err(|error| Failure::io("starting", &error))
}

async fn serve(options: Options) -> Result<(), Failure> {
    let config = Config::load(&options.config)?;
    check_kernel()?;
    check_bpffs(&options.pin_dir)?;
    let _lock = lock(&options.state_dir)?;
    raise_limit();
    let listener = server::bind(&options.socket)?;
    let stopped = work(&options, config, listener).await;
    let _ = fs::remove_file(&options.socket);
    stopped
}

async fn work(options: &Options, config: Config, listener: UnixListener) -> Result<(), Failure> {
    // First of all: a signal while it starts is heeded once it has started, and leaves nothing half done.
    let stop = |kind| signal(kind).map_err(|error| Failure::io("waiting for signals", &error));
    let (mut terminate, mut interrupt) = (stop(SignalKind::terminate())?, stop(SignalKind::interrupt())?);
    let mut hang_up = stop(SignalKind::hangup())?;
    let address = options.metrics.clone().or_else(|| config.metrics.clone());
    let metrics = match address.clone() {
        Some(address) => Some(metrics::Server::bind(address).await?),
        None => None,
    };
    let pins = Pins::open(&options.pin_dir)?;
    let keeper = Keeper::find(pins.namespace());
    let (keys, mut changed_keys) = mpsc::unbounded_channel();
    let ike = Ike::new(options.vici.clone(), &name_of(&pins), keys);
    // Threads have what the one has that starts them: only the one that loading starts comes before this.
    let files = privileges::confine(&places(options, address.as_ref()), config.hook.as_deref())?;
    let kernel = Kernel::load(pins)?;
    privileges::settle()?;
    let (netlink, changes) = Netlink::connect()?;
    let events = Events::new();
    let (flags, mut changed_flags) = mpsc::unbounded_channel();
    let alive = Alive::start(kernel.keepalive(), flags)?;
    let (hook, (tell_hook, told)) = (Hook::default(), mpsc::unbounded_channel());
    tokio::spawn(hook.clone().follow(told, alive.clone()));
    let file = ConfigFile::new(options.config.clone());
    file.sweep();
    let mut engine = Engine::new(
        file,
        config,
        (kernel, keeper),
        (netlink, changes.clone()),
        events.clone(),
        (alive, hook, ike),
    );
    engine.set_confinement(files);
    // Clients that come while it starts wait, and see that it lives.
    let (calls, mut requests) = mpsc::channel::<Call>(QUEUE);
    if let Some(metrics) = metrics {
        tokio::spawn(metrics.serve(calls.clone()));
    }
    let server = tokio::spawn(server::serve(listener, calls, events));
    engine.start().await?;

    let mut look_around = interval(LOOK_AROUND);
    look_around.set_missed_tick_behavior(MissedTickBehavior::Delay);
    log::info!("serving {}", options.socket.display());
    tell(NotifyState::Ready);
    let is_stop = |request: &Request| matches!(request, Request::Stop { .. });
    loop {
        tokio::select! {
            Some(Call { request, answer }) = requests.recv() => {
                let ends = is_stop(&request);
                let _ = answer.send(engine.answer(request).await);
                if ends {
                    log::info!("stopping, as a client asks for");
                    break;
                }
            }
            Some(change) = changed_flags.recv() => {
                engine.heed(&change);
                // Nobody listens while the daemon stops.
                let _ = tell_hook.send(change);
            }
            Some(tunnel) = changed_keys.recv() => engine.heed_keys(&tunnel).await,
            () = changes.wait() => {
                // Changes seldom come alone.
                sleep(SETTLE).await;
                report(engine.follow_changes().await);
            }
            _ = look_around.tick() => engine.look_around().await,
            _ = hang_up.recv() => {
                log::info!("reading the configuration file again");
                report(engine.reload().await.map(drop));
            }
            _ = terminate.recv() => {
                log::info!("stopping; tunnels go on without the daemon");
                break;
            }
            _ = interrupt.recv() => {
                log::info!("stopping, and removing the tunnels");
                engine.purge().await;
                break;
            }
        }
    }
    tell(NotifyState::Stopping);
    // A client that waits has its answer before the process is gone.
    drop(requests);
    let _ = server.await;
    Ok(())
}

/// Takes out of the kernel what a daemon that is gone has left in this network namespace.
///
/// # Errors
///
/// There is a daemon, or the kernel refuses.
pub fn purge(pin_dir: &Path) -> Result<(), Failure> {
    must_be_root("stop --purge")?;
    check_bpffs(pin_dir)?;
    if !Pins::is_used(pin_dir)? {
        return Ok(());
    }
    runtime()?.block_on(async {
        let pins = Pins::open(pin_dir)?;
        let keeper = Keeper::find(pins.namespace());
        let ike = Ike::new(DEFAULT_VICI.into(), &name_of(&pins), mpsc::unbounded_channel().0);
        let kernel = Kernel::load(pins)?;
        let nothing = ConfigFile::new(PathBuf::new());
        let no_ports = Config { interfaces: Some(Vec::new()), ..Config::default() };
        let alive = Alive::start(kernel.keepalive(), mpsc::unbounded_channel().0)?;
        let not_told = (alive, Hook::default(), ike);
        let mut engine =
            Engine::new(nothing, no_ports, (kernel, keeper), Netlink::connect()?, Events::new(), not_told);
        engine.start().await?;
        engine.purge().await;
        Ok(())
    })
}

/// What tells this network namespace from others.
fn name_of(pins: &Pins) -> String {
    pins.namespace().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn report(result: Result<(), Failure>) {
    if let Err(failure) = result {
        log::error!("{failure}");
    }
}

/// Tells systemd, where that started this process.
fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        log::warn!("telling systemd: {error}");
    }
}

/// Where the daemon makes and replaces files. The configuration's directory is made, since it could not be later.
fn places(options: &Options, metrics: Option<&Address>) -> Vec<PathBuf> {
    let config = privileges::directory_of(&options.config);
    // Where that fails, the first change that is to be written says why.
    let _ = fs::create_dir_all(&config);
    let metrics = match metrics {
        Some(Address::Unix(path)) => Some(path),
        Some(Address::Loopback(_)) | None => None,
    };
    let files = [&options.socket, &options.pin_dir].into_iter().chain(metrics);
    let directories = files.map(|path| privileges::directory_of(path));
    [config, options.state_dir.clone()].into_iter().chain(directories).collect()
}

/// Each tunnel takes a descriptor: as many as the system lets this process have.
fn raise_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        log::warn!("raising the number of descriptors: {error}");
    }
}

/// One daemon for a state directory.
fn lock(directory: &Path) -> Result<File, Failure> {
    let failed =
        |error: &std::io::Error| Failure::io(format!("state directory {}", directory.display()), error);
    fs::create_dir_all(directory).map_err(|error| failed(&error))?;
    let lock = File::create(directory.join("lock")).map_err(|error| failed(&error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Failure::new(
            FailureKind::Conflict,
            format!("state directory {}: another daemon uses it", directory.display()),
        )
        .with_hint("stop that one first, or give another --state-dir")),
        Err(TryLockError::Error(error)) => Err(failed(&error)),
    }
}
