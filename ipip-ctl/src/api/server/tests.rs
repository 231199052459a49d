use std::path::PathBuf;

use tokio::task::JoinHandle;

use super::*;
use crate::api::client;
use crate::api::protocol::{PROTOCOL, read_reply};
use crate::events::Event;

const SHORT: Duration = Duration::from_millis(200);

/// A server whose daemon removes whatever it is asked to remove, `slow` slowly, and leaves all other calls unanswered.
struct Fixture {
    _directory: tempfile::TempDir,
    path: PathBuf,
    events: Events,
    server: JoinHandle<()>,
    daemon: JoinHandle<()>,
}

fn start(patience: Duration) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ipip.sock");
    let listener = bind(&path).unwrap();
    let (calls, mut called) = mpsc::channel::<Call>(8);
    let events = Events::default();
    let server = tokio::spawn(serve_patiently(listener, calls, events.clone(), patience));
    let daemon = tokio::spawn(async move {
        while let Some(Call { request, answer }) = called.recv().await {
            if let Request::Remove { tunnels } = request {
                if tunnels[0] == "slow" {
                    sleep(SHORT).await;
                }
                answer.send(Ok(told(&tunnels[0]))).unwrap();
            }
        }
    });
    Fixture { _directory: directory, path, events, server, daemon }
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
async fn a_client_that_waits_sees_that_the_daemon_lives() {
    let fixture = start(SHORT);
    let mut stream = fixture.connect().await;
    stream.write_all(removal("slow").as_bytes()).await.unwrap();
    let mut line = Vec::new();
    timeout(PATIENCE, stream.read_until(b'\n', &mut line)).await.unwrap().unwrap();
    let signs = line.iter().take_while(|byte| **byte == b' ').count();
    assert!((1..=5).contains(&signs), "{signs} signs of life");
    assert_eq!(read_reply(&line), Ok(told("slow")));
    let path = fixture.path.clone();
    let request = Request::Remove { tunnels: vec!["slow".into()] };
    let reply = tokio::task::spawn_blocking(move || client::call(&path, &request)).await.unwrap();
    assert_eq!(reply, Ok(told("slow")));
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

fn subscription(after: &str) -> String {
    format!("{{\"protocol\":{PROTOCOL},\"request\":{{\"events\":{{{after}}}}}}}\n")
}

fn added(number: usize) -> Event {
    Event::Added { tunnel: format!("t{number}") }
}

#[tokio::test]
async fn subscriber_gets_what_is_kept_and_what_comes() {
    let fixture = start(PATIENCE);
    fixture.events.emit(added(1));
    let first = fixture.events.subscribe(None).last;
    fixture.events.emit(added(2));
    let mut client = fixture.connect().await;
    client.get_mut().write_all(subscription(&format!("\"after\":{first}")).as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut client).await, Ok(Reply::Events { kept: 1, last: first + 1 }));
    let Ok(Reply::Event(kept)) = read_answer(&mut client).await else { panic!("no event") };
    assert_eq!((kept.sequence, kept.event), (first + 1, added(2)));
    fixture.events.emit(added(3));
    let Ok(Reply::Event(new)) = read_answer(&mut client).await else { panic!("no event") };
    assert_eq!((new.sequence, new.event), (first + 2, added(3)));
}

#[tokio::test]
async fn subscriber_that_never_reads_is_dropped_and_holds_up_nobody() {
    let fixture = start(SHORT);
    let mut client = fixture.connect().await;
    client.get_mut().write_all(subscription("").as_bytes()).await.unwrap();
    assert!(matches!(read_answer(&mut client).await, Ok(Reply::Events { kept: 0, .. })));
    let started = std::time::Instant::now();
    let reason = "x".repeat(10_000);
    for _ in 0..2_000 {
        fixture.events.emit(Event::ReloadFailed { reason: reason.clone() });
        tokio::task::yield_now().await;
    }
    assert!(started.elapsed() < PATIENCE, "an event waited for a reader");
    // Others are served meanwhile, and the server has left the slow one.
    let mut other = fixture.connect().await;
    other.get_mut().write_all(removal("a").as_bytes()).await.unwrap();
    assert!(read_answer(&mut other).await.is_ok());
    let mut all = Vec::new();
    timeout(PATIENCE, client.read_to_end(&mut all)).await.unwrap().unwrap();
    assert!(all.len() < 2_000 * reason.len(), "it got everything");
}

#[tokio::test]
async fn subscribers_leave_places_to_others() {
    let fixture = start(PATIENCE);
    let mut clients = Vec::new();
    for number in 0..=SUBSCRIBERS_MAX {
        let mut client = fixture.connect().await;
        client.get_mut().write_all(subscription("").as_bytes()).await.unwrap();
        let answer = read_answer(&mut client).await;
        assert_eq!(answer.is_ok(), number < SUBSCRIBERS_MAX, "{answer:?}");
        clients.push(client);
    }
    // One that is refused may ask for something else.
    let last = clients.last_mut().unwrap();
    last.get_mut().write_all(removal("a").as_bytes()).await.unwrap();
    assert_eq!(read_answer(last).await, Ok(told("a")));
    // A place is free again as soon as its subscriber has left.
    clients.remove(0);
    wait_until(|| async {
        let mut client = fixture.connect().await;
        client.get_mut().write_all(subscription("").as_bytes()).await.unwrap();
        read_answer(&mut client).await.is_ok()
    })
    .await;
}

async fn wait_until<F: Future<Output = bool>>(probe: impl Fn() -> F) {
    let wait = async {
        while !probe().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap();
}
