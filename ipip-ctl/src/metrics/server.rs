//! Answers scrapes over HTTP. As with the daemon's socket, a client can neither hold a place for ever nor take them all.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use super::{Address, Snapshot, exposition};
use crate::api::bind::bind;
use crate::api::protocol::{self, Reply};
use crate::api::server::{Call, ask};
use crate::failure::{Failure, FailureKind};

/// How many scrapes are answered at once; further ones are not accepted until one is done.
pub const CLIENTS_MAX: usize = 8;
/// How long a scrape may take, from the connection to its end.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The most that a request's head may have, in bytes.
const HEAD_MAX: usize = 16 * 1024;
/// The pause after the system refused to accept a client.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A place where metrics are served.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    address: Address,
}

#[derive(Debug)]
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Server {
    /// Listens at this address.
    ///
    /// # Errors
    ///
    /// Somebody else does, or the system refuses.
    pub async fn bind(address: Address) -> Result<Self, Failure> {
        let listener = match &address {
            Address::Unix(path) => bind(path).map(Listener::Unix),
            Address::Loopback(socket) => {
                TcpListener::bind(socket).await.map(Listener::Tcp).map_err(|error| {
                    let taken = error.kind() == io::ErrorKind::AddrInUse;
                    let failure = Failure::io(format!("address {socket}"), &error);
                    if taken {
                        Failure { kind: FailureKind::Conflict, ..failure.with_hint("choose another port") }
                    } else {
                        failure
                    }
                })
            }
        };
        listener.map(|listener| Self { listener, address }).map_err(|failure| failure.within("metrics"))
    }

    /// Answers scrapes with what the daemon tells, until nobody takes calls any more.
    pub async fn serve(self, calls: mpsc::Sender<Call>) {
        log::info!("serving metrics at {}", self.address);
        self.serve_patiently(calls, PATIENCE).await;
    }

    async fn serve_patiently(self, calls: mpsc::Sender<Call>, patience: Duration) {
        let places = Arc::new(Semaphore::new(CLIENTS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = calls.closed() => return,
            };
            match accepted {
                Ok(stream) => {
                    let calls = calls.clone();
                    tokio::spawn(async move {
                        match stream {
                            Stream::Unix(stream) => converse(stream, &calls, patience).await,
                            Stream::Tcp(stream) => converse(stream, &calls, patience).await,
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    log::warn!("accepting a scrape: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address {
            // The next daemon replaces one that stays.
            let _ = fs::remove_file(path);
        }
    }
}

/// What a scrape comes over.
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Listener {
    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
            Self::Tcp(listener) => Ok(Stream::Tcp(listener.accept().await?.0)),
        }
    }
}

/// One connection is one scrape.
async fn converse<S>(stream: S, calls: &mpsc::Sender<Call>, patience: Duration)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request, calls).await));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .keep_alive(false)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(patience, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::debug!("answering a scrape: {error}"),
        Err(_) => log::warn!("a scrape took longer than {} s; left it", patience.as_secs()),
    }
}

async fn answer(request: &Request<Incoming>, calls: &mpsc::Sender<Call>) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "metrics are at /metrics\n".to_owned());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is understood\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match scrape(calls).await {
        Ok(text) => with_type(StatusCode::OK, text, OPEN_METRICS),
        Err(failure) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{failure}\n")),
    }
}

async fn scrape(calls: &mpsc::Sender<Call>) -> Result<String, Failure> {
    let odd = || Failure::new(FailureKind::Failed, "the daemon answered something else");
    let Reply::Tunnels { tunnels } = ask(protocol::Request::Print, calls).await? else { return Err(odd()) };
    let Reply::Status(status) = ask(protocol::Request::Status, calls).await? else { return Err(odd()) };
    // Many tunnels are much text, and the daemon has other things to do meanwhile.
    let written = tokio::task::spawn_blocking(|| exposition(Snapshot { tunnels, status })).await;
    written.unwrap_or_else(|error| Err(Failure::new(FailureKind::Failed, error)))
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    with_type(status, text, PLAIN)
}

fn with_type(status: StatusCode, text: String, kind: HeaderValue) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests;
