//! The messages of strongSwan's control interface (VICI): a tree of sections, values and lists. Pure.

/// What an element begins with.
const SECTION_START: u8 = 1;
const SECTION_END: u8 = 2;
const KEY_VALUE: u8 = 3;
const LIST_START: u8 = 4;
const LIST_ITEM: u8 = 5;
const LIST_END: u8 = 6;

/// The deepest tree that is read.
const DEEPEST: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Element {
    Section(Message),
    Value(Vec<u8>),
    List(Vec<Vec<u8>>),
}

/// A message, or a section of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message(Vec<(String, Element)>);

impl Message {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// With a section.
    pub(super) fn section(mut self, name: &str, section: Self) -> Self {
        self.0.push((name.to_owned(), Element::Section(section)));
        self
    }

    /// With a value.
    pub(super) fn value(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.push((name.to_owned(), Element::Value(value.as_ref().to_owned())));
        self
    }

    /// With a list.
    pub(super) fn list<T: AsRef<[u8]>>(mut self, name: &str, items: impl IntoIterator<Item = T>) -> Self {
        let items = items.into_iter().map(|item| item.as_ref().to_owned());
        self.0.push((name.to_owned(), Element::List(items.collect())));
        self
    }

    /// A value as text; nothing where there is none, or no text.
    pub(super) fn text(&self, wanted: &str) -> Option<&str> {
        self.0.iter().find_map(|(name, element)| match element {
            Element::Value(value) if name == wanted => std::str::from_utf8(value).ok(),
            Element::Value(_) | Element::Section(_) | Element::List(_) => None,
        })
    }

    /// The items of a list that are text.
    pub(super) fn items(&self, wanted: &str) -> Vec<String> {
        let lists = self.0.iter().filter(|(name, _)| name == wanted);
        let items = lists.flat_map(|(_, element)| match element {
            Element::List(items) => items.as_slice(),
            Element::Value(_) | Element::Section(_) => &[],
        });
        items.filter_map(|item| String::from_utf8(item.clone()).ok()).collect()
    }

    /// The sections, by name.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.0.iter().filter_map(|(name, element)| match element {
            Element::Section(section) => Some((name.as_str(), section)),
            Element::Value(_) | Element::List(_) => None,
        })
    }

    /// Appends the bytes that stand for it. Names and values that are longer than can be told are cut.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        for (name, element) in &self.0 {
            match element {
                Element::Section(section) => {
                    bytes.push(SECTION_START);
                    put_name(bytes, name);
                    section.encode(bytes);
                    bytes.push(SECTION_END);
                }
                Element::Value(value) => {
                    bytes.push(KEY_VALUE);
                    put_name(bytes, name);
                    put_value(bytes, value);
                }
                Element::List(items) => {
                    bytes.push(LIST_START);
                    put_name(bytes, name);
                    for item in items {
                        bytes.push(LIST_ITEM);
                        put_value(bytes, item);
                    }
                    bytes.push(LIST_END);
                }
            }
        }
    }

    /// Reads a message; nothing where the bytes are none.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let message = read_section(&mut bytes, 0)?;
        bytes.is_empty().then_some(message)
    }
}

/// Puts a name, as it also stands in front of a message.
pub(super) fn put_name(bytes: &mut Vec<u8>, name: &str) {
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    bytes.push(length);
    bytes.extend(name.bytes().take(usize::from(length)));
}

fn put_value(bytes: &mut Vec<u8>, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend(value.iter().take(usize::from(length)));
}

/// Reads elements up to the end of the section, or of the bytes where it is the message itself.
fn read_section(bytes: &mut &[u8], depth: usize) -> Option<Message> {
    let mut message = Message::new();
    while let Some((kind, rest)) = bytes.split_first() {
        *bytes = rest;
        if *kind == SECTION_END && depth > 0 {
            return Some(message);
        }
        let name = read_name(bytes)?;
        let element = match *kind {
            SECTION_START if depth < DEEPEST => Element::Section(read_section(bytes, depth + 1)?),
            KEY_VALUE => Element::Value(read_value(bytes)?),
            LIST_START => Element::List(read_list(bytes)?),
            _ => return None,
        };
        message.0.push((name, element));
    }
    (depth == 0).then_some(message)
}

fn read_list(bytes: &mut &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut items = Vec::new();
    loop {
        let (kind, rest) = bytes.split_first()?;
        *bytes = rest;
        match *kind {
            LIST_ITEM => items.push(read_value(bytes)?),
            LIST_END => return Some(items),
            _ => return None,
        }
    }
}

/// Takes a name off the front.
pub(super) fn read_name(bytes: &mut &[u8]) -> Option<String> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    *bytes = rest;
    String::from_utf8(name.to_owned()).ok()
}

fn read_value(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *bytes = rest;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The tree `key1 = value1, section1 { sub-section { key2 = value2 }, list1 = item1, item2 }`, byte by byte from the
    /// description of the protocol.
    #[test]
    fn a_message_is_what_the_protocol_says() {
        let message = Message::new().value("key1", "value1").section(
            "section1",
            Message::new()
                .section("sub-section", Message::new().value("key2", "value2"))
                .list("list1", ["item1", "item2"]),
        );
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let expected = [
            b"\x03\x04key1\x00\x06value1".as_slice(),
            b"\x01\x08section1",
            b"\x01\x0bsub-section",
            b"\x03\x04key2\x00\x06value2",
            b"\x02",
            b"\x04\x05list1",
            b"\x05\x00\x05item1",
            b"\x05\x00\x05item2",
            b"\x06",
            b"\x02",
        ];
        assert_eq!(bytes, expected.concat());
        let read = Message::decode(&bytes).unwrap();
        assert_eq!(read, message);
        assert_eq!(read.text("key1"), Some("value1"));
        let (name, section) = read.sections().next().unwrap();
        assert_eq!((name, section.items("list1")), ("section1", vec!["item1".to_owned(), "item2".into()]));
        for cut in 1..bytes.len() {
            // Only between two elements of the message itself is what remains a message.
            assert_eq!(Message::decode(&bytes[..cut]).is_some(), cut == expected[0].len(), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(0..8_u8, 0..64)) {
            if let Some(message) = Message::decode(&bytes) {
                let mut again = Vec::new();
                message.encode(&mut again);
                prop_assert_eq!(bytes, again);
            }
        }
    }
}
