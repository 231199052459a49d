use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::api::protocol::DaemonStatus;
use crate::report::tests::three;

const SHORT: Duration = Duration::from_millis(200);

/// A server of a daemon with three tunnels.
struct Fixture {
    _directory: tempfile::TempDir,
    path: PathBuf,
    server: JoinHandle<()>,
    daemon: JoinHandle<()>,
}

async fn start(patience: Duration) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.sock");
    let (calls, mut called) = mpsc::channel::<Call>(8);
    let server = Server::bind(Address::Unix(path.clone())).await.unwrap();
    let server = tokio::spawn(server.serve_patiently(calls, patience));
    let daemon = tokio::spawn(async move {
        while let Some(Call { request, answer }) = called.recv().await {
            let reply = if request == protocol::Request::Print {
                Reply::Tunnels { tunnels: three().into() }
            } else {
                Reply::Status(DaemonStatus::default())
            };
            // The scrape may have been left.
            let _ = answer.send(Ok(reply));
        }
    });
    Fixture { _directory: directory, path, server, daemon }
}

impl Fixture {
    async fn ask(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(&self.path).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // What of a request was not read makes the end an error.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8(answer).unwrap()
    }
}

#[tokio::test]
async fn a_scrape_gets_the_metrics_and_their_type() {
    let fixture = start(PATIENCE).await;
    let answer = fixture.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    assert!(
        body.contains("ipip_tunnel_running{tunnel=\"berlin\"} 1\n") && body.ends_with("# EOF\n"),
        "{body}"
    );
}

#[tokio::test]
async fn anything_else_is_refused() {
    let fixture = start(PATIENCE).await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "405"),
        ("babble\r\n\r\n", "400"),
        (&format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(HEAD_MAX)), "431"),
    ] {
        let answer = fixture.ask(request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
    }
    // It lives on.
    assert!(fixture.ask("GET /metrics HTTP/1.0\r\n\r\n").await.contains("# EOF"));
}

#[tokio::test]
async fn clients_that_say_nothing_do_not_keep_the_places() {
    let fixture = start(SHORT).await;
    let mut idle = Vec::new();
    for _ in 0..CLIENTS_MAX * 2 {
        let mut stream = UnixStream::connect(&fixture.path).await.unwrap();
        stream.write_all(b"GET /metr").await.unwrap();
        idle.push(stream);
    }
    let answer = fixture.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_daemon_that_stops_is_told_and_ends_it() {
    let fixture = start(PATIENCE).await;
    fixture.daemon.abort();
    timeout(PATIENCE, fixture.server).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_taken_address_is_a_conflict() {
    let first = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let Listener::Tcp(listener) = &first.listener else { panic!("no TCP") };
    let failure = Server::bind(Address::Loopback(listener.local_addr().unwrap())).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert!(failure.message.starts_with("metrics: address 127.0.0.1:"), "{failure}");
}
