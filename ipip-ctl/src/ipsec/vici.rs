//! A client of strongSwan's control interface, over a socket: requests, replies, and the events that answer in parts.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::message::{Message, put_name, read_name};

/// Kinds of packets.
const REQUEST: u8 = 0;
const REPLY: u8 = 1;
const UNKNOWN: u8 = 2;
const REGISTER: u8 = 3;
const UNREGISTER: u8 = 4;
const CONFIRM: u8 = 5;
const EVENT: u8 = 7;

/// The largest packet that the protocol has, bytes.
const LARGEST: u32 = 512 * 1024;
/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection.
#[derive(Debug)]
pub(super) struct Client<S> {
    stream: S,
}

impl Client<UnixStream> {
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }
}

impl<S: Read + Write> Client<S> {
    /// Asks, and waits for the reply.
    pub(super) fn request(&mut self, command: &str, message: &Message) -> io::Result<Message> {
        self.send(REQUEST, command, message)?;
        loop {
            let (kind, rest) = self.receive()?;
            match kind {
                REPLY => return decode(&rest),
                UNKNOWN => {
                    return Err(io::Error::new(io::ErrorKind::Unsupported, format!("no command {command}")));
                }
                // Late, of a question before.
                _ => {}
            }
        }
    }

    /// Asks a question that is answered by events of this name.
    pub(super) fn collect(&mut self, command: &str, event: &str) -> io::Result<Vec<Message>> {
        self.register(REGISTER, event)?;
        self.send(REQUEST, command, &Message::new())?;
        let mut all = Vec::new();
        loop {
            let (kind, rest) = self.receive()?;
            match kind {
                EVENT => {
                    let mut rest = rest.as_slice();
                    if read_name(&mut rest).is_some_and(|name| name == event) {
                        all.push(decode(rest)?);
                    }
                }
                REPLY => break,
                _ => return Err(io::Error::new(io::ErrorKind::Unsupported, format!("no command {command}"))),
            }
        }
        self.register(UNREGISTER, event)?;
        Ok(all)
    }

    fn register(&mut self, kind: u8, event: &str) -> io::Result<()> {
        self.send(kind, event, &Message::new())?;
        loop {
            match self.receive()?.0 {
                CONFIRM => return Ok(()),
                EVENT => {}
                _ => return Err(io::Error::new(io::ErrorKind::Unsupported, format!("no event {event}"))),
            }
        }
    }

    fn send(&mut self, kind: u8, name: &str, message: &Message) -> io::Result<()> {
        let mut bytes = vec![0; 4];
        bytes.push(kind);
        put_name(&mut bytes, name);
        message.encode(&mut bytes);
        let length = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
        if let Some(front) = bytes.first_chunk_mut::<4>() {
            *front = length.to_be_bytes();
        }
        let sent = self.stream.write_all(&bytes);
        // It may hold a secret.
        bytes.fill(0);
        std::hint::black_box(&bytes);
        sent
    }

    fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        let Some(rest) = length.checked_sub(1).filter(|_| length <= LARGEST) else { return Err(garbled()) };
        let mut kind = [0];
        self.stream.read_exact(&mut kind)?;
        let mut bytes = vec![0; usize::try_from(rest).unwrap_or_default()];
        self.stream.read_exact(&mut bytes)?;
        Ok((kind[0], bytes))
    }
}

fn decode(bytes: &[u8]) -> io::Result<Message> {
    Message::decode(bytes).ok_or_else(garbled)
}

fn garbled() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what came is not of the protocol")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// What is read stands there beforehand, what is written is kept.
    struct Script {
        replies: Cursor<Vec<u8>>,
        asked: Vec<u8>,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.replies.read(buffer)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.asked.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn client(replies: &[&[u8]]) -> Client<Script> {
        let replies = Cursor::new(replies.concat());
        Client { stream: Script { replies, asked: Vec::new() } }
    }

    #[test]
    fn a_request_has_its_reply() {
        let mut client = client(&[b"\x00\x00\x00\x0e\x01\x03\x07success\x00\x03yes"]);
        // The last byte of the value is missing in the length above.
        assert!(client.request("version", &Message::new()).is_err());
        let mut client =
            self::client(&[b"\x00\x00\x00\x0e\x01\x03\x07success\x00\x02no", b"\x00\x00\x00\x01\x02"]);
        let reply = client.request("unload-conn", &Message::new().value("name", "a")).unwrap();
        assert_eq!(reply.text("success"), Some("no"));
        assert_eq!(client.stream.asked, b"\x00\x00\x00\x16\x00\x0bunload-conn\x03\x04name\x00\x01a");
        assert_eq!(client.request("what", &Message::new()).unwrap_err().kind(), io::ErrorKind::Unsupported);
        assert!(client.request("gone", &Message::new()).is_err());
    }

    #[test]
    fn events_are_collected_up_to_the_reply() {
        let mut client = client(&[
            b"\x00\x00\x00\x01\x05",
            b"\x00\x00\x00\x0d\x07\x07list-sa\x01\x01a\x02",
            b"\x00\x00\x00\x0d\x07\x07list-sa\x01\x01b\x02",
            b"\x00\x00\x00\x01\x01",
            b"\x00\x00\x00\x01\x05",
        ]);
        let all = client.collect("list-sas", "list-sa").unwrap();
        let names: Vec<&str> = all.iter().flat_map(|one| one.sections().map(|(name, _)| name)).collect();
        assert_eq!(names, ["a", "b"]);
        let expected =
            b"\x00\x00\x00\x09\x03\x07list-sa\x00\x00\x00\x0a\x00\x08list-sas\x00\x00\x00\x09\x04\x07list-sa";
        assert_eq!(client.stream.asked, expected);
        let mut wrong = self::client(&[b"\xff\xff\xff\xff"]);
        assert_eq!(wrong.collect("list-sas", "list-sa").unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
