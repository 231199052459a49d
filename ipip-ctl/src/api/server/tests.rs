use std::path::PathBuf;

use tokio::task::JoinHandle;

use super::*;
use crate::api::client;
use crate::api::protocol::{PROTOCOL, read_reply};

const SHORT: Duration = Duration::from_millis(200);

/// A server whose daemon removes whatever it is asked to remove, and leaves all other calls unanswered.
struct Fixture {
    _directory: tempfile::TempDir,
    path: PathBuf,
    server: JoinHandle<()>,
    daemon: JoinHandle<()>,
}

fn start(patience: Duration) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ipip.sock");
    let listener = bind(&path).unwrap();
    let (calls, mut called) = mpsc::channel::<Call>(8);
    let server = tokio::spawn(serve_patiently(listener, calls, patience));
    let daemon = tokio::spawn(async move {
        while let Some(Call { request, answer }) = called.recv().await {
            if let Request::Remove { tunnels } = request {
                answer.send(Ok(told(&tunnels[0]))).unwrap();
            }
        }
    });
    Fixture { _directory: directory, path, server, daemon }
}

impl Fixture {
    async fn connect(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(&self.path).await.unwrap())
    }
}

async fn read_answer(stream: &mut BufReader<UnixStream>) -> Result<Reply, Failure> {
    let mut line = Vec::new();
    timeout(PATIENCE, stream.read_until(b'\n', &mut line)).await.unwrap().unwrap();
    assert!(!line.is_empty(), "the server left without an answer");
    read_reply(&line)
}

fn removal(name: &str) -> String {
    format!("{{\"protocol\":{PROTOCOL},\"request\":{{\"remove\":{{\"tunnels\":[\"{name}\"]}}}}}}\n")
}

/// The fixture's answer: the name that it was asked to remove.
fn told(name: &str) -> Reply {
    Reply::Added { name: name.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_and_server_understand_each_other() {
    let fixture = start(PATIENCE);
    let path = fixture.path.clone();
    let call = |request: Request| {
        let path = path.clone();
        tokio::task::spawn_blocking(move || client::call(&path, &request))
    };
    let reply = call(Request::Remove { tunnels: vec!["ipip1".into()] }).await.unwrap();
    assert_eq!(reply, Ok(told("ipip1")));
    assert_eq!(call(Request::Print).await.unwrap().unwrap_err().kind, FailureKind::Failed);
}

#[tokio::test]
async fn one_connection_serves_many_requests_and_survives_garbage() {
    let fixture = start(PATIENCE);
    let mut client = fixture.connect().await;
    for round in 0..3 {
        client.get_mut().write_all(b"garbage\n").await.unwrap();
        assert_eq!(read_answer(&mut client).await.unwrap_err().kind, FailureKind::Usage);
        let name = format!("ipip{round}");
        client.get_mut().write_all(removal(&name).as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut client).await, Ok(told(&name)));
    }
}

#[tokio::test]
async fn last_line_needs_no_end() {
    let fixture = start(PATIENCE);
    let mut client = fixture.connect().await;
    client.get_mut().write_all(removal("a").trim_end().as_bytes()).await.unwrap();
    client.get_mut().shutdown().await.unwrap();
    assert_eq!(read_answer(&mut client).await, Ok(told("a")));
}

#[tokio::test]
async fn longest_line_passes_and_a_longer_one_ends_the_conversation() {
    let fixture = start(PATIENCE);
    let mut client = fixture.connect().await;
    let name = "x".repeat(LINE_MAX - removal("").len());
    assert_eq!(removal(&name).len(), LINE_MAX);
    client.get_mut().write_all(removal(&name).as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut client).await, Ok(told(&name)));
    client.get_mut().write_all(removal(&(name + "x")).as_bytes()).await.unwrap();
    let failure = read_answer(&mut client).await.unwrap_err();
    assert!(failure.message.contains("longer than"), "{failure}");
    assert_eq!(client.read_u8().await.map_err(|_| ()), Err(()));
}

#[tokio::test]
async fn half_a_line_is_not_waited_for_for_ever() {
    let fixture = start(SHORT);
    let mut client = fixture.connect().await;
    client.get_mut().write_all(b"{\"protocol\":").await.unwrap();
    let failure = read_answer(&mut client).await.unwrap_err();
    assert!(failure.message.contains("none within"), "{failure}");
}

#[tokio::test]
async fn client_that_never_reads_loses_its_place() {
    let fixture = start(SHORT);
    let (_input, mut output) = UnixStream::connect(&fixture.path).await.unwrap().into_split();
    let request = removal(&"x".repeat(LINE_MAX / 2));
    let flood = async {
        loop {
            if output.write_all(request.as_bytes()).await.is_err() {
                return;
            }
        }
    };
    timeout(PATIENCE, flood).await.unwrap();
}

#[tokio::test]
async fn one_client_too_many_is_told_so_and_others_are_served() {
    let fixture = start(PATIENCE);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS_MAX {
        clients.push(fixture.connect().await);
    }
    let failure = read_answer(&mut fixture.connect().await).await.unwrap_err();
    assert!(failure.message.contains("clients already"), "{failure}");
    let last = clients.last_mut().unwrap();
    last.get_mut().write_all(removal("a").as_bytes()).await.unwrap();
    assert!(read_answer(last).await.is_ok());
}

#[tokio::test]
async fn serving_ends_with_the_daemon() {
    let fixture = start(PATIENCE);
    fixture.daemon.abort();
    timeout(PATIENCE, fixture.server).await.unwrap().unwrap();
}
