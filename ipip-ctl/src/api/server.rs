//! The daemon's side of the socket. It reads requests, hands them on, and writes the answers.
//!
//! A client can neither fill the memory nor hold a place for ever: lines, clients and waits have limits. A change may take
//! as long as it does: until its answer a client gets a space now and then, which JSON allows in front of it.

use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::feed::feed;
use super::protocol::{Reply, Request, read_request, write_reply};
use crate::events::{Events, Subscription};
use crate::failure::{Failure, FailureKind};

pub use super::bind::bind;

/// The longest request, in bytes: a configuration file of more tunnels than there can be.
pub const LINE_MAX: usize = 8 * 1024 * 1024;
/// How many clients are served at once.
pub const CLIENTS_MAX: usize = CLIENTS as usize;
const CLIENTS: u32 = 64;
/// How many of them may be subscribers to events, who stay.
pub const SUBSCRIBERS_MAX: usize = 32;
/// How long a client may take for a request, and for reading its answer.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// So many signs of life a client gets within that time, while it waits for its answer.
const SIGNS: u32 = 5;
/// The pause after the system refused to accept a client, as when it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Reply, Failure>>,
}

/// What a client can reach.
#[derive(Clone, Debug)]
struct Desk {
    calls: mpsc::Sender<Call>,
    events: Events,
    subscribers: Arc<Semaphore>,
    patience: Duration,
}

/// Serves clients until nobody takes their calls any more, and the answers to the last ones are sent.
pub async fn serve(listener: UnixListener, calls: mpsc::Sender<Call>, events: Events) {
    serve_patiently(listener, calls, events, PATIENCE).await;
}

async fn serve_patiently(
    listener: UnixListener,
    calls: mpsc::Sender<Call>,
    events: Events,
    patience: Duration,
) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    let desk = Desk { calls, events, subscribers: Arc::new(Semaphore::new(SUBSCRIBERS_MAX)), patience };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = desk.calls.closed() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                log::warn!("accepting a client: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let desk = desk.clone();
                tokio::spawn(async move {
                    converse(stream, &desk).await;
                    drop(place);
                });
            }
            Err(_) => turn_away(stream),
        }
    }
    // The last answers go out.
    let _ = timeout(patience, places.acquire_many(CLIENTS)).await;
}

/// Answers one client's requests one after the other, until it leaves or breaks the rules.
async fn converse(stream: UnixStream, desk: &Desk) {
    let patience = desk.patience;
    let (input, mut output) = stream.into_split();
    let mut input = BufReader::new(input);
    let mut open = true;
    while open {
        let line = tokio::select! {
            line = timeout(patience, read_line(&mut input)) => line,
            () = desk.calls.closed() => return,
        };
        let answer = match line {
            Ok(Ok(Line::End)) => return,
            Ok(Ok(Line::Whole(line))) => match read_request(&line) {
                Ok(Request::Events { after }) => match desk.subscribe(after) {
                    Ok((subscription, _place)) => {
                        return tokio::select! {
                            () = feed(subscription, &mut input, &mut output, patience) => {}
                            () = desk.calls.closed() => {}
                        };
                    }
                    Err(failure) => Err(failure),
                },
                Ok(request) => {
                    let mut answer = pin!(ask(request, &desk.calls));
                    loop {
                        if let Ok(answer) = timeout(patience / SIGNS, &mut answer).await {
                            break answer;
                        }
                        // A client that has left shows when the answer is written.
                        let _ = timeout(patience, output.write_all(b" ")).await;
                    }
                }
                Err(failure) => Err(failure),
            },
            Ok(Ok(Line::TooLong)) => {
                open = false;
                Err(Failure::new(FailureKind::Usage, format!("request: longer than {LINE_MAX} bytes")))
            }
            Ok(Err(error)) => {
                log::debug!("reading from a client: {error}");
                return;
            }
            Err(_) => {
                open = false;
                Err(Failure::new(
                    FailureKind::Usage,
                    format!("request: none within {} s", patience.as_secs()),
                ))
            }
        };
        let line = write_reply(answer).unwrap_or_default();
        match timeout(patience, output.write_all(line.as_bytes())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                log::debug!("writing to a client: {error}");
                return;
            }
            Err(_) => {
                log::warn!("a client does not read its answer; left it");
                return;
            }
        }
    }
}

impl Desk {
    /// A subscription, and the place that it takes.
    fn subscribe(&self, after: Option<u64>) -> Result<(Subscription, OwnedSemaphorePermit), Failure> {
        let place = Arc::clone(&self.subscribers).try_acquire_owned().map_err(|_| {
            let message = format!("events: {SUBSCRIBERS_MAX} clients listen already");
            Failure::new(FailureKind::Failed, message).with_hint("end one of them")
        })?;
        Ok((self.events.subscribe(after), place))
    }
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
    End,
}

async fn read_line(input: &mut BufReader<OwnedReadHalf>) -> io::Result<Line> {
    let mut line = Vec::new();
    let limit = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
    input.take(limit).read_until(b'\n', &mut line).await?;
    Ok(if line.is_empty() {
        Line::End
    } else if line.len() >= LINE_MAX && line.last() != Some(&b'\n') {
        Line::TooLong
    } else {
        Line::Whole(line)
    })
}

/// Hands a request to the daemon, and waits for its answer.
///
/// # Errors
///
/// The daemon's own failure, or it is stopping.
pub async fn ask(request: Request, calls: &mpsc::Sender<Call>) -> Result<Reply, Failure> {
    let stopping =
        || Failure::new(FailureKind::Failed, "the daemon is stopping").with_hint("try again when it runs");
    let (answer, answered) = oneshot::channel();
    calls.send(Call { request, answer }).await.map_err(|_| stopping())?;
    answered.await.map_err(|_| stopping())?
}

/// The line is short and the socket's buffer empty, so that this does not wait for the client.
fn turn_away(stream: UnixStream) {
    let failure = Failure::new(FailureKind::Failed, format!("the daemon has {CLIENTS_MAX} clients already"))
        .with_hint("try again in a moment");
    let line = write_reply(Err(failure)).unwrap_or_default();
    if let Err(error) = stream.into_std().and_then(|mut stream| stream.write_all(line.as_bytes())) {
        log::debug!("turning a client away: {error}");
    }
}

#[cfg(test)]
mod tests;
