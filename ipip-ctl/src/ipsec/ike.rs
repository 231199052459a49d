//! The IKE daemon's share: a thread that keeps every connection known to it, and tells how far the keys are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::charon::{Charon, Keys};
use super::connection::Connection;
use super::vici::Client;
use crate::failure::Failure;

/// How often it is looked whether keys have come, and whether they are still there.
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(5);
/// How long after one attempt at keys the next one begins, and how long where the far end has begun to answer.
const AGAIN: Duration = Duration::from_secs(10);
const PATIENTLY: Duration = Duration::from_secs(30);

/// The connections of all tunnels.
#[derive(Clone, Debug)]
pub struct Ike(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: PathBuf,
    /// How the names begin of what is ours in the IKE daemon: that of another network namespace is not.
    prefix: String,
    state: Mutex<State>,
    bell: Condvar,
    /// Hears the name of a tunnel whose keys came or went.
    changes: UnboundedSender<String>,
}

#[derive(Debug, Default)]
struct State {
    wanted: BTreeMap<String, Wanted>,
    /// Names of connections that are to be forgotten.
    gone: BTreeSet<String>,
    is_started: bool,
    /// All tunnels are known: what else is there under our names is an earlier daemon's.
    is_complete: bool,
    /// Something is to be done at once.
    is_rung: bool,
}

#[derive(Debug)]
struct Wanted {
    connection: Connection,
    loading: Loading,
    tried: Option<Instant>,
    /// Why it has no keys; empty where it has.
    obstacle: String,
}

/// What the IKE daemon has of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loading {
    /// Nothing that is known of.
    New,
    /// Something else under this name.
    Other,
    /// All of it.
    Done,
}

impl Wanted {
    /// Whether it is time to try for keys, of which one knows as much as this; then the attempt is noted.
    fn is_time(&mut self, found: Option<Keys>, now: Instant) -> bool {
        let since = self.tried.map(|tried| now.saturating_duration_since(tried));
        let is_time = match found {
            None => since.is_none_or(|since| since >= AGAIN),
            Some(Keys::Coming | Keys::Wrong) => since.is_some_and(|since| since >= PATIENTLY),
            Some(Keys::Here) => return false,
        };
        if is_time || since.is_none() {
            self.tried = Some(now);
        }
        is_time
    }
}

impl Ike {
    /// Knows of no tunnel yet. `socket` is where the IKE daemon takes orders; `namespace` tells this network namespace from
    /// others; names of tunnels whose keys come or go are told to `changes`.
    #[must_use]
    pub fn new(socket: PathBuf, namespace: &str, changes: UnboundedSender<String>) -> Self {
        let prefix = format!("ipip-ctl-{namespace}-");
        let shared = Shared { socket, prefix, state: Mutex::default(), bell: Condvar::new(), changes };
        Self(Arc::new(shared))
    }

    /// The name of a tunnel's connection.
    #[must_use]
    pub fn name_of(&self, tunnel: &str) -> String {
        format!("{}{tunnel}", self.0.prefix)
    }

    /// Wants keys for a tunnel, and tells why there are none; empty where there are.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub fn want(&self, tunnel: &str, connection: Connection) -> Result<String, Failure> {
        let mut state = self.0.state();
        if let Some(known) = state.wanted.get(tunnel).filter(|known| known.connection == connection) {
            return Ok(known.obstacle.clone());
        }
        let is_known = state.wanted.contains_key(tunnel);
        let loading = if is_known { Loading::Other } else { Loading::New };
        let obstacle = "IPsec: asking the IKE daemon".to_owned();
        state.gone.remove(connection.name());
        let wanted = Wanted { connection, loading, tried: None, obstacle: obstacle.clone() };
        state.wanted.insert(tunnel.to_owned(), wanted);
        self.ring(&mut state)?;
        Ok(obstacle)
    }

    /// All tunnels that the configuration has are wanted now.
    pub fn know_all(&self) {
        let mut state = self.0.state();
        state.is_complete = true;
        if (state.is_started || self.0.socket.exists())
            && let Err(failure) = self.ring(&mut state)
        {
            log::error!("{failure}");
        }
    }

    /// Wants none any more.
    pub fn forget(&self, tunnel: &str) {
        let mut state = self.0.state();
        if let Some(wanted) = state.wanted.remove(tunnel) {
            state.gone.insert(wanted.connection.name().to_owned());
            if let Err(failure) = self.ring(&mut state) {
                log::error!("tunnel {tunnel}: {failure}");
            }
        }
    }

    fn ring(&self, state: &mut State) -> Result<(), Failure> {
        state.is_rung = true;
        self.0.bell.notify_one();
        if !state.is_started {
            let shared = Arc::clone(&self.0);
            thread::Builder::new()
                .name("ike".to_owned())
                .spawn(move || shared.run())
                .map_err(|error| Failure::io("starting a thread for IKE", &error))?;
            state.is_started = true;
        }
        Ok(())
    }

    /// Waits until what is to be forgotten is, but not for long: an IKE daemon that hangs holds nobody up.
    pub fn finish(&self) {
        let end = Instant::now() + LATER;
        while !self.0.state().gone.is_empty() && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the IKE daemon at what is wanted, as long as this process lives.
    fn run(&self) {
        let mut charon = None;
        loop {
            self.wait();
            let done = self.turn(&mut charon);
            if let Err(error) = done {
                charon = None;
                self.is_away(&error);
            }
        }
    }

    /// Waits until something is to be done, or to be looked at.
    fn wait(&self) {
        let mut state = self.state();
        while !state.is_rung {
            if state.wanted.is_empty() && state.gone.is_empty() {
                state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let has_all = state.wanted.values().all(|wanted| wanted.obstacle.is_empty());
            let most = if has_all { LATER } else { SOON };
            let (next, timeout) = self.bell.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner);
            state = next;
            if timeout.timed_out() {
                break;
            }
        }
        state.is_rung = false;
    }

    fn turn(&self, charon: &mut Option<Charon<UnixStream>>) -> io::Result<()> {
        let charon = match charon {
            Some(charon) => charon,
            None => charon.insert(Charon::new(Client::connect(&self.socket)?, self.prefix.clone())),
        };
        let (known, in_part) = charon.known()?;
        // What an earlier daemon left there is nobody's.
        let stale: BTreeSet<String> = {
            let state = self.state();
            let all = known.iter().chain(&in_part);
            let strays = all.filter(|name| state.is_complete && !state.is_wanted(name));
            strays.chain(&state.gone).cloned().collect()
        };
        for name in stale {
            charon.unload(&name)?;
            self.state().gone.remove(&name);
        }
        let tunnels: Vec<String> = self.state().wanted.keys().cloned().collect();
        let mut refused = HashMap::new();
        for tunnel in &tunnels {
            let Some((connection, loading)) =
                self.state().wanted.get(tunnel).map(|wanted| (wanted.connection.clone(), wanted.loading))
            else {
                continue;
            };
            if loading == Loading::Done && known.contains(connection.name()) {
                continue;
            }
            if loading == Loading::Other {
                charon.terminate(connection.name())?;
            }
            let why = charon.load(&connection)?.err();
            if let Some(wanted) =
                self.state().wanted.get_mut(tunnel).filter(|wanted| wanted.connection == connection)
            {
                wanted.loading = if why.is_none() { Loading::Done } else { Loading::New };
                wanted.tried = None;
            }
            refused.extend(why.map(|why| (tunnel.clone(), why)));
        }
        let keys = charon.keys()?;
        for tunnel in &tunnels {
            let Some(name) = self.note(tunnel, &keys, refused.get(tunnel)) else { continue };
            charon.initiate(&name)?;
        }
        Ok(())
    }

    /// Notes how far the keys of a tunnel are. Returns the name of the connection if it is time to try for them.
    fn note(&self, tunnel: &str, keys: &HashMap<String, Keys>, refused: Option<&String>) -> Option<String> {
        let mut state = self.state();
        let wanted = state.wanted.get_mut(tunnel)?;
        let remote = wanted.connection.remote();
        let found = keys.get(wanted.connection.name());
        let obstacle = match (refused, found) {
            (Some(why), _) => format!("IPsec: the IKE daemon refuses the tunnel: {why}"),
            (None, Some(Keys::Here)) => String::new(),
            (None, Some(Keys::Wrong)) => {
                format!("IPsec: {remote} agreed to keys of another mode than transport")
            }
            (None, Some(Keys::Coming) | None) => format!("IPsec: no keys agreed on with {remote} yet"),
        };
        let is_to_try = wanted.loading == Loading::Done && wanted.is_time(found.copied(), Instant::now());
        let name = is_to_try.then(|| wanted.connection.name().to_owned());
        self.tell(tunnel, wanted, obstacle);
        name
    }

    /// Nobody takes orders, or no longer.
    fn is_away(&self, error: &io::Error) {
        let place = self.socket.display();
        let obstacle = if error.kind() == io::ErrorKind::NotFound
            || error.kind() == io::ErrorKind::ConnectionRefused
        {
            format!(
                "IPsec: no IKE daemon at {place}: install and start strongSwan (charon-systemd, strongswan-swanctl)"
            )
        } else {
            format!("IPsec: the IKE daemon at {place}: {error}")
        };
        let mut state = self.state();
        // What it knew is gone with it.
        state.gone.clear();
        for (tunnel, wanted) in &mut state.wanted {
            wanted.loading = Loading::New;
            self.tell(tunnel, wanted, obstacle.clone());
        }
    }

    fn tell(&self, tunnel: &str, wanted: &mut Wanted, obstacle: String) {
        if wanted.obstacle != obstacle {
            wanted.obstacle = obstacle;
            // Nobody listens while the daemon stops.
            let _ = self.changes.send(tunnel.to_owned());
        }
    }
}

impl State {
    fn is_wanted(&self, name: &str) -> bool {
        self.wanted.values().any(|wanted| wanted.connection.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;

    use ipip_common::abi::{Ends, TunnelConfig, TunnelFlags};

    use super::super::Secret;
    use super::super::message::{Message, put_name, read_name};
    use super::*;

    fn connection(secret: &str) -> Connection {
        let config = TunnelConfig {
            id: 1,
            flags: TunnelFlags { carries_ipv4: true, ipsec: true, ..TunnelFlags::default() },
            ifindex: 7,
            underlay: 2,
            ends: Ends::V4 { local: "198.51.100.1".parse().unwrap(), remote: "203.0.113.2".parse().unwrap() },
            mtu: 1400,
            ttl: 64,
            dscp: 0,
            encapsulation_limit: 0,
        };
        Connection::new("ipip-ctl-4-berlin".into(), &config, Secret::parse(secret).unwrap())
    }

    /// A daemon that knows what it was told, and has keys as soon as it is asked for them.
    fn charon(listener: &UnixListener, stray: &str) -> Vec<String> {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut asked, mut known) = (Vec::new(), vec![stray.to_owned()]);
        let mut has_keys = false;
        loop {
            let mut length = [0; 4];
            if stream.read_exact(&mut length).is_err() {
                return asked;
            }
            let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut bytes).unwrap();
            let mut rest = &bytes[1..];
            let name = read_name(&mut rest).unwrap();
            let message = Message::decode(rest).unwrap();
            let yes = Message::new().value("success", "yes");
            let mut replies = Vec::new();
            match name.as_str() {
                "get-conns" => replies.push((1, Message::new().list("conns", &known))),
                "get-shared" => replies.push((1, Message::new().list("keys", &known))),
                "list-sa" => replies.push((5, Message::new())),
                "list-sas" => {
                    let child = Message::new()
                        .value("name", "ipip-ctl-4-berlin")
                        .value("state", "INSTALLED")
                        .value("mode", "TRANSPORT");
                    let children = Message::new().section("ipip-ctl-4-berlin-1", child);
                    let one = Message::new().section("child-sas", children);
                    if has_keys {
                        replies.push((7, Message::new().section("ipip-ctl-4-berlin", one)));
                    }
                    replies.push((1, Message::new()));
                }
                other => {
                    asked.push(other.to_owned());
                    has_keys |= other == "initiate";
                    if other == "load-conn" {
                        known.extend(message.sections().map(|(name, _)| name.to_owned()));
                    }
                    known.retain(|name| other != "unload-conn" || message.text("name") != Some(name));
                    replies.push((1, yes));
                }
            }
            for (kind, reply) in replies {
                let mut body = vec![kind];
                if kind == 7 {
                    put_name(&mut body, "list-sa");
                }
                reply.encode(&mut body);
                let length = u32::try_from(body.len()).unwrap().to_be_bytes();
                stream.write_all(&[&length[..], &body].concat()).unwrap();
            }
        }
    }

    #[test]
    fn a_tunnel_is_made_known_and_keys_are_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("charon.vici");
        let (told, mut changes) = tokio::sync::mpsc::unbounded_channel();
        let ike = Ike::new(path.clone(), "4", told);
        assert!(ike.want("berlin", connection("one")).unwrap().contains("asking"));
        assert_eq!(changes.blocking_recv().unwrap(), "berlin");
        let obstacle = ike.want("berlin", connection("one")).unwrap();
        assert!(obstacle.contains("no IKE daemon") && obstacle.contains("charon-systemd"), "{obstacle}");
        let listener = UnixListener::bind(&path).unwrap();
        let served = thread::spawn(move || charon(&listener, "ipip-ctl-4-paris"));
        ike.know_all();
        while !ike.want("berlin", connection("one")).unwrap().is_empty() {
            assert_eq!(changes.blocking_recv().unwrap(), "berlin");
        }
        // Another secret is another agreement.
        assert!(!ike.want("berlin", connection("two")).unwrap().is_empty());
        while !ike.want("berlin", connection("two")).unwrap().is_empty() {
            assert_eq!(changes.blocking_recv().unwrap(), "berlin");
        }
        ike.forget("berlin");
        ike.finish();
        drop(served);
        assert!(ike.0.state().gone.is_empty());
    }

    #[test]
    fn attempts_keep_their_distance() {
        let mut wanted = Wanted {
            connection: connection("one"),
            loading: Loading::Done,
            tried: None,
            obstacle: String::new(),
        };
        let start = Instant::now();
        assert!(!wanted.is_time(Some(Keys::Here), start));
        assert!(wanted.is_time(None, start));
        assert!(!wanted.is_time(None, start + AGAIN / 2));
        assert!(!wanted.is_time(Some(Keys::Coming), start + AGAIN));
        assert!(wanted.is_time(None, start + AGAIN));
        assert!(wanted.is_time(Some(Keys::Wrong), start + AGAIN + PATIENTLY));
        wanted.tried = None;
        // The far end was first.
        assert!(!wanted.is_time(Some(Keys::Coming), start));
        assert!(wanted.is_time(Some(Keys::Coming), start + PATIENTLY));
    }
}
