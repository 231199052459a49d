//! The command line's side of the socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::sockopt::PeerCredentials;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::protocol::{Reply, Request, read_reply, write_request};
use crate::events::Told;
use crate::failure::{Failure, FailureKind};

/// How long the daemon may be silent: until its answer it sends a space now and then.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the daemon at this socket.
///
/// # Errors
///
/// The daemon's own failure, or the way to it: [`FailureKind::NoDaemon`] if nobody serves the socket.
pub fn call(path: &Path, request: &Request) -> Result<Reply, Failure> {
    ask(path, request).map(|(reply, _)| reply)
}

/// Subscribes to events: those to come, and with a number also those after it that are kept.
///
/// # Errors
///
/// As those of [`call`].
pub fn follow(path: &Path, after: Option<u64>) -> Result<Feed, Failure> {
    let (reply, input) = ask(path, &Request::Events { after })?;
    let Reply::Events { kept, .. } = reply else {
        return Err(Failure::new(FailureKind::Failed, "the daemon answered something else than events"));
    };
    let failed = |error| Failure::io(format!("listening to the daemon at {}", path.display()), &error);
    input.get_ref().set_read_timeout(None).map_err(failed)?;
    Ok(Feed { kept, path: path.to_owned(), input })
}

/// The events that a daemon tells, without an end of its own.
#[derive(Debug)]
pub struct Feed {
    /// How many are kept ones, which come first and at once.
    pub kept: u64,
    path: PathBuf,
    input: BufReader<UnixStream>,
}

impl Iterator for Feed {
    type Item = Result<Told, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        let socket = self.path.display();
        Some(match self.input.read_until(b'\n', &mut line) {
            Ok(0) => Err(Failure::new(FailureKind::NoDaemon, format!("the daemon at {socket} has ended"))
                .with_hint("subscribe again when it runs")),
            Ok(_) => match read_reply(&line) {
                Ok(Reply::Event(told)) => Ok(told),
                Ok(_) => {
                    Err(Failure::new(FailureKind::Failed, "the daemon told something else than an event"))
                }
                Err(failure) => Err(failure),
            },
            Err(error) => Err(Failure::io(format!("listening to the daemon at {socket}"), &error)),
        })
    }
}

fn ask(path: &Path, request: &Request) -> Result<(Reply, BufReader<UnixStream>), Failure> {
    let stream = UnixStream::connect(path).map_err(|error| unreachable(path, &error))?;
    let line = write_request(request)?;
    let mut input = BufReader::new(stream);
    let answer = exchange(&mut input, line.as_bytes())
        .map_err(|error| Failure::io(format!("talking to the daemon at {}", path.display()), &error))?;
    if answer.trim_ascii().is_empty() {
        let message = format!("the daemon at {} left without an answer", path.display());
        return Err(Failure::new(FailureKind::Failed, message).with_hint("its log says why"));
    }
    Ok((read_reply(&answer)?, input))
}

/// Asks the daemon at this socket to end, and waits until its process has.
///
/// # Errors
///
/// As of [`call`]; or the daemon does not end.
pub fn stop(path: &Path, purge: bool) -> Result<Reply, Failure> {
    let daemon = UnixStream::connect(path).map_err(|error| unreachable(path, &error))?;
    let process = process(&daemon);
    let reply = call(path, &Request::Stop { purge })?;
    let failed = |error: &io::Error| Failure::io("waiting until the daemon has ended", error);
    let Some(process) = process.map_err(|error| failed(&error))? else { return Ok(reply) };
    let limit = Timespec::try_from(PATIENCE).map_err(|error| failed(&io::Error::other(error)))?;
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit))
        .map_err(|error| failed(&error.into()))?;
    if ended == 0 {
        return Err(failed(&io::ErrorKind::TimedOut.into()).with_hint("its log says what it does"));
    }
    Ok(reply)
}

/// A handle on the process at the other end; none where it is in another PID namespace.
fn process(daemon: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let peer = nix::sys::socket::getsockopt(daemon, PeerCredentials)?;
    match Pid::from_raw(peer.pid()) {
        Some(pid) => Ok(Some(pidfd_open(pid, PidfdFlags::empty())?)),
        None => Ok(None),
    }
}

fn exchange(input: &mut BufReader<UnixStream>, line: &[u8]) -> io::Result<Vec<u8>> {
    let stream = input.get_mut();
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A daemon that turns clients away says why before it closes.
    stream.write_all(line).or_else(|error| if is_hang_up(&error) { Ok(()) } else { Err(error) })?;
    let mut answer = Vec::new();
    match input.read_until(b'\n', &mut answer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no sign of life within {} s", PATIENCE.as_secs()),
        )),
        Err(error) if !is_hang_up(&error) => Err(error),
        _ => Ok(answer),
    }
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn unreachable(path: &Path, error: &io::Error) -> Failure {
    let socket = path.display();
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Failure::new(FailureKind::NoPermission, format!("socket {socket}: {error}"))
            .with_hint("run it as root, or as a member of the group ipip");
    }
    Failure::new(FailureKind::NoDaemon, format!("no daemon serves {socket}: {error}"))
        .with_hint("start one with `ipip-ctl daemon`, or name its socket with --socket")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::thread;

    #[test]
    fn nobody_there_is_no_daemon() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ipip.sock");
        let failure = call(&path, &Request::Print).unwrap_err();
        assert_eq!(failure.kind, FailureKind::NoDaemon);
        assert!(failure.message.contains("ipip.sock") && failure.hint.is_some());
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(call(&path, &Request::Print).unwrap_err().kind, FailureKind::NoDaemon);
    }

    #[test]
    fn a_daemon_that_leaves_or_babbles_is_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ipip.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            drop(listener.accept().unwrap());
            listener.accept().unwrap().0.write_all(b"hello\n").unwrap();
            listener.accept().unwrap().0.write_all(b"  ").unwrap();
        });
        assert_eq!(call(&path, &Request::Print).unwrap_err().kind, FailureKind::Failed);
        assert_eq!(call(&path, &Request::Print).unwrap_err().kind, FailureKind::Failed);
        let failure = call(&path, &Request::Print).unwrap_err();
        assert!(failure.message.contains("left without an answer"), "{failure}");
        server.join().unwrap();
    }
}
