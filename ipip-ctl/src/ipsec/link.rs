//! What carries the packets of tunnels with IPsec: tasks on a thread of its own, which wait for the interface and for the
//! sockets, and hand what comes to the paths that all tiers have.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ipip_common::abi::{Carried, Ends, Family, Reason, TunnelConfig, TunnelEntry};
use ipip_common::packet::ipv6::next_header;
use ipip_common::path::{decap::decap, encap::encap};
use ipip_common::verdict::Verdict;
use ipnet::IpNet;
use nix::libc;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::counters::Counters;
use super::guard;
use super::packet::Packet;
use super::request_id;
use super::socket::Raw;
use super::world::World;
use crate::dataplane::KeepaliveMaps;
use crate::failure::{Failure, FailureKind};
use crate::icmp::{self, Sender};
use crate::tun::{OFFLOAD_HEADER, is_offloaded};

/// So many packets of one tunnel are carried before another one has its turn.
const BATCH: usize = 64;
/// After so many times of that it is looked whether the kernel's policies are still there.
const GUARD: u32 = 16;
/// How often what was counted goes where everybody reads it.
const COUNT: Duration = Duration::from_millis(250);

/// The thread that carries packets.
#[derive(Clone, Debug)]
pub struct Carriers {
    handle: Handle,
    maps: KeepaliveMaps,
    guarded: Guarded,
}

/// The ends of every tunnel that is carried: two kinds of tunnels may share them.
type Guarded = Arc<Mutex<Vec<Ends>>>;

/// What carries one tunnel, until it is dropped.
#[derive(Debug)]
pub struct Link {
    guarded: Guarded,
    carrier: Arc<Carrier>,
    tasks: Vec<JoinHandle<()>>,
}

/// A tunnel, and its sockets.
#[derive(Debug)]
pub struct Carrier {
    config: TunnelConfig,
    entry: TunnelEntry,
    allowed: Vec<IpNet>,
    sockets: Vec<Arc<Raw>>,
    counters: Counters,
    maps: KeepaliveMaps,
}

impl Carriers {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system has none left.
    pub fn start(maps: KeepaliveMaps) -> Result<Self, Failure> {
        let failed = |error: &io::Error| Failure::io("starting a thread for IPsec", error);
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(|error| failed(&error))?;
        let handle = runtime.handle().clone();
        thread::Builder::new()
            .name("ipsec".to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .map_err(|error| failed(&error))?;
        Ok(Self { handle, maps, guarded: Guarded::default() })
    }

    /// Begins to carry a tunnel between its interface, whose descriptor has no offloads, and sockets that only its keys
    /// open.
    ///
    /// # Errors
    ///
    /// The kernel has no IPsec, or refuses.
    pub fn open(
        &self,
        tun: BorrowedFd<'_>,
        config: TunnelConfig,
        allowed: &[IpNet],
    ) -> Result<Link, Failure> {
        let failed = |error: &io::Error| Failure::io("taking the interface", error);
        load();
        guard::raise(&config.ends).map_err(|error| refused(&error))?;
        let protocols =
            Carried::ALL.into_iter().filter(|kind| config.flags.carries(*kind)).map(Carried::protocol);
        let open = |protocol| Raw::open(config.ends, protocol, request_id(config.id)).map(Arc::new);
        let sockets: Vec<Arc<Raw>> =
            protocols.map(open).collect::<io::Result<_>>().map_err(|error| refused(&error))?;
        let (reader, writer) = (
            tun.try_clone_to_owned().map_err(|error| failed(&error))?,
            tun.try_clone_to_owned().map(File::from).map_err(|error| failed(&error))?,
        );
        let writer = Arc::new(writer);
        let carrier = Arc::new(Carrier {
            config,
            entry: TunnelEntry::new(&config),
            allowed: allowed.to_vec(),
            sockets,
            counters: Counters::default(),
            maps: self.maps.clone(),
        });
        let mut tasks = vec![
            self.handle.spawn(into_tunnel(reader, Arc::clone(&carrier))),
            self.handle.spawn(count(Arc::clone(&carrier))),
        ];
        for socket in &carrier.sockets {
            let task = out_of_tunnel(Arc::clone(socket), Arc::clone(&writer), Arc::clone(&carrier));
            tasks.push(self.handle.spawn(task));
        }
        let guarded = Arc::clone(&self.guarded);
        guarded.lock().unwrap_or_else(PoisonError::into_inner).push(config.ends);
        Ok(Link { guarded, carrier, tasks })
    }
}

/// Has the kernel load its side of IPsec, where that is a module: whoever asks for such a socket has it loaded.
fn load() {
    const XFRM: i32 = 6;
    let netlink = socket2::Domain::from(libc::AF_NETLINK);
    if let Err(error) = socket2::Socket::new(netlink, socket2::Type::RAW, Some(XFRM.into())) {
        log::debug!("asking for a socket of XFRM: {error}");
    }
}

fn refused(error: &io::Error) -> Failure {
    let failure = Failure::new(FailureKind::Unsupported, format!("sockets with IPsec: {error}"));
    match error.raw_os_error() {
        Some(libc::ENOPROTOOPT | libc::EINVAL) => {
            failure.with_hint("the kernel needs CONFIG_XFRM_USER: modprobe xfrm_user")
        }
        _ => failure,
    }
}

impl Link {
    /// The tunnel goes, or its protection does: what the kernel may say of its packets is its own affair again.
    pub fn withdraw(self) {
        let (ends, guarded) = (self.carrier.config.ends, Arc::clone(&self.guarded));
        drop(self);
        if !guarded.lock().unwrap_or_else(PoisonError::into_inner).contains(&ends) {
            guard::lift(&ends);
        }
    }

    /// What carries the tunnel, for probes.
    #[must_use]
    pub const fn carrier(&self) -> &Arc<Carrier> {
        &self.carrier
    }

    /// Whether it is between these ends.
    #[must_use]
    pub fn is_between(&self, ends: Ends) -> bool {
        self.carrier.config.ends == ends
    }

    /// Whether it was opened for just that.
    #[must_use]
    pub fn is_for(&self, config: &TunnelConfig, allowed: &[IpNet]) -> bool {
        self.carrier.config == *config && self.carrier.allowed == allowed
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        let mut guarded = self.guarded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = guarded.iter().position(|ends| *ends == self.carrier.config.ends) {
            guarded.swap_remove(at);
        }
        drop(guarded);
        self.carrier.count();
    }
}

impl Carrier {
    /// Sends a packet with its outer header.
    ///
    /// # Errors
    ///
    /// The kernel has no keys, or no way.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        let byte = |at: usize| packet.get(at).copied().unwrap_or_default();
        let protocol = match self.entry.family() {
            Family::V4 => byte(9),
            Family::V6 if byte(6) == next_header::DESTINATION => byte(40),
            Family::V6 => byte(6),
        };
        let socket = self.sockets.iter().find(|socket| socket.protocol() == protocol);
        socket.ok_or(io::ErrorKind::InvalidInput)?.send(packet)
    }

    /// Brings what was counted to where everybody reads it.
    pub fn count(&self) {
        if let Some((traffic, refused)) = self.counters.take() {
            self.maps.add(self.config.id, &traffic, &refused);
        }
    }

    fn world(&self) -> World<'_> {
        World {
            entry: &self.entry,
            allowed: &self.allowed,
            maps: &self.maps,
            counters: &self.counters,
            carried: Cell::new(0),
        }
    }

    /// A packet that the interface sends.
    fn encapsulate(&self, packet: &mut Packet, sender: &mut Sender) {
        if is_offloaded(packet.front(OFFLOAD_HEADER)) {
            // It was on its way before the offloads went off.
            self.counters.refuse(Reason::PartialChecksum);
            return;
        }
        let world = self.world();
        match encap(packet, &world) {
            Verdict::Forward(_) => match self.send(packet.bytes()) {
                Ok(()) => self.counters.sent(world.carried.get()),
                Err(error) => self.counters.refuse(reason(&error)),
            },
            Verdict::Pass(Reason::NestingLimit) => {
                let problem = icmp::nesting_limit(packet.bytes());
                if let Some(Err(error)) = problem.map(|problem| sender.send(&problem, self.config.ifindex)) {
                    log::debug!("answering a packet with encapsulation limit 0: {error}");
                }
            }
            Verdict::Foreign
            | Verdict::Pass(_)
            | Verdict::Drop(_)
            | Verdict::Taken
            | Verdict::HandOver(_) => {}
        }
    }

    /// A packet that came by IPsec.
    fn decapsulate(&self, packet: &mut Packet, tun: &File) {
        let world = self.world();
        if let Verdict::Forward(_) = decap(packet, &world) {
            let mut tun = tun;
            match tun.write_all(packet.for_interface()) {
                Ok(()) => self.counters.received(world.carried.get()),
                // The interface is down.
                Err(_) => self.counters.refuse(Reason::NoRoute),
            }
        }
    }
}

/// Why the kernel did not send a packet.
fn reason(error: &io::Error) -> Reason {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ESRCH | libc::EREMOTE) => Reason::NoKeys,
        Some(libc::EMSGSIZE) => Reason::TooBig,
        Some(libc::ENOBUFS | libc::ENOMEM) => Reason::NoRoom,
        _ => Reason::NoRoute,
    }
}

async fn into_tunnel(tun: OwnedFd, carrier: Arc<Carrier>) {
    // A `File` owns its descriptor and always gives the same one, as the reactor asks for.
    // SAFETY: see above.
    let Ok(tun) = (unsafe { AsyncFd::register(File::from(tun)) }) else { return };
    let (mut packet, mut sender) = (Packet::new(), Sender::default());
    loop {
        let Ok(mut ready) = tun.readable().await else { return };
        for _ in 0..BATCH {
            match ready.try_io(|tun| tun.get_ref().read(packet.room(OFFLOAD_HEADER))) {
                Ok(Ok(length)) => {
                    packet.take(length.saturating_sub(OFFLOAD_HEADER));
                    carrier.encapsulate(&mut packet, &mut sender);
                }
                // The interface is gone.
                Ok(Err(_)) => return,
                Err(_would_block) => break,
            }
        }
        tokio::task::yield_now().await;
    }
}

async fn out_of_tunnel(socket: Arc<Raw>, tun: Arc<File>, carrier: Arc<Carrier>) {
    // What is shared owns its descriptor too.
    // SAFETY: see above.
    let Ok(socket) = (unsafe { AsyncFd::register(socket) }) else { return };
    let mut packet = Packet::new();
    loop {
        let Ok(mut ready) = socket.readable().await else { return };
        for _ in 0..BATCH {
            match ready.try_io(|socket| socket.get_ref().receive(&mut packet)) {
                Ok(Ok(())) => carrier.decapsulate(&mut packet, &tun),
                // An error of ICMP, which the socket has told now.
                Ok(Err(_)) => {}
                Err(_would_block) => break,
            }
        }
        tokio::task::yield_now().await;
    }
}

async fn count(carrier: Arc<Carrier>) {
    for turn in 1_u32.. {
        tokio::time::sleep(COUNT).await;
        carrier.count();
        // Others may flush policies, as IKE daemons do that think them their own.
        if turn.is_multiple_of(GUARD)
            && let Err(error) = guard::raise(&carrier.config.ends)
        {
            log::error!("blocking ICMP errors about protected packets: {error}");
        }
    }
}
