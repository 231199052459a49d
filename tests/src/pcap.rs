//! Captures of what tests saw, under `target/pcap`, for people and for protocol analysers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};

/// Writes Ethernet frames to `target/pcap/<name>.pcap`, one a second, and returns the file's path.
pub fn write(name: &str, frames: &[&[u8]]) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pcap");
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("creating {}: {error}", folder.display()));
    let path = folder.join(format!("{}.pcap", file_name(name)));
    let file = File::create(&path).unwrap_or_else(|error| panic!("creating {}: {error}", path.display()));
    let mut writer = PcapWriter::with_header(file, PcapHeader::default()).expect("writing a capture");
    for (second, frame) in frames.iter().enumerate() {
        let length = u32::try_from(frame.len()).unwrap();
        let time = Duration::from_secs(u64::try_from(second).unwrap());
        writer.write_packet(&PcapPacket::new(time, length, frame)).expect("writing a capture");
    }
    path
}

/// A case's name as a file name: words with dashes between them.
fn file_name(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}
