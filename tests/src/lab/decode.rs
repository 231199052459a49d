//! An underlay frame by an independent parser, every length and checksum of it compared.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use etherparse::{Icmpv4Type, IpNumber, Ipv4HeaderSlice, NetSlice, SlicedPacket, TransportSlice};

use crate::topology::Sites;

/// What fits on the wire: the MTU and an Ethernet header.
const LONGEST: usize = 1514;

/// A frame in words.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    /// One line a header.
    pub(super) lines: Vec<String>,
    /// How much it shows: a ping's request is easiest to read.
    pub(super) beauty: u8,
    /// The router put it together from several that came over the wire; its transport checksum is not done yet.
    pub(super) merged: bool,
}

/// Takes a frame apart: nothing if it is not IPv4, else in words, or what is wrong with it.
pub(super) fn frame(bytes: &[u8]) -> Result<Option<Decoded>, String> {
    let sliced = SlicedPacket::from_ethernet(bytes).map_err(|error| format!("malformed: {error}"))?;
    let Some(NetSlice::Ipv4(outer)) = &sliced.net else { return Ok(None) };
    let header = outer.header();
    let ends = [Sites::HOST1, Sites::HOST2];
    let pair = [header.source_addr(), header.destination_addr()];
    let between = pair == ends || pair == [ends[1], ends[0]];
    if !between || header.protocol() != IpNumber::IPV4 {
        let [from, to] = pair;
        return Err(format!("outside the tunnel: {from} -> {to}, protocol {}", header.protocol().0));
    }
    let mut decoded = Decoded::default();
    decoded.lines.push(ethernet(bytes));
    decoded.lines.push(ip("outer", header)?);
    let inner_bytes = outer.payload().payload;
    let inner = SlicedPacket::from_ip(inner_bytes).map_err(|error| format!("inner malformed: {error}"))?;
    let Some(NetSlice::Ipv4(packet)) = &inner.net else { return Err("inner: not IPv4".to_owned()) };
    decoded.lines.push(ip("inner", packet.header())?);
    let addresses = (packet.header().source(), packet.header().destination());
    decoded.merged = bytes.len() > LONGEST;
    let (line, beauty) = transport(inner.transport.as_ref(), addresses, decoded.merged)?;
    decoded.lines.push(line);
    decoded.beauty = beauty;
    Ok(Some(decoded))
}

fn ethernet(bytes: &[u8]) -> String {
    let mac = |at: usize| {
        let mut text = String::new();
        for byte in bytes.iter().skip(at).take(6) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{byte:02x}", if text.is_empty() { "" } else { ":" });
        }
        text
    };
    format!("Ethernet    {} -> {}, IPv4, {} bytes", mac(6), mac(0), bytes.len())
}

fn ip(name: &str, header: Ipv4HeaderSlice<'_>) -> Result<String, String> {
    let checksum = header.header_checksum();
    let right = header.to_header().calc_header_checksum();
    let (source, destination) = (header.source_addr(), header.destination_addr());
    if checksum != right {
        return Err(format!(
            "{name} header {source} -> {destination}: checksum {checksum:#06x}, not {right:#06x}"
        ));
    }
    let number = header.protocol();
    let protocol = if number == IpNumber::IPV4 { "IP in IP" } else { number.keyword_str().unwrap_or("?") };
    Ok(format!(
        "{name} IPv4  {source} -> {destination}, protocol {} ({protocol})\n            \
         TTL {}, length {}, ID {:#06x}, DF {}, checksum {checksum:#06x} valid",
        number.0,
        header.ttl(),
        header.total_len(),
        header.identification(),
        u8::from(header.dont_fragment()),
    ))
}

fn transport(
    slice: Option<&TransportSlice<'_>>,
    (source, destination): ([u8; 4], [u8; 4]),
    merged: bool,
) -> Result<(String, u8), String> {
    let too_long = |error| format!("inner: {error}");
    let (text, beauty, checksum, right) = match slice {
        Some(TransportSlice::Icmpv4(icmp)) => {
            let kind = icmp.icmp_type();
            let (text, beauty) = if let Icmpv4Type::EchoRequest(echo) = &kind {
                (format!("echo request, sequence {}", echo.seq), 3)
            } else {
                (format!("type {}, code {}", icmp.type_u8(), icmp.code_u8()), 2)
            };
            (format!("ICMP        {text}"), beauty, icmp.checksum(), kind.calc_checksum(icmp.payload()))
        }
        Some(TransportSlice::Tcp(tcp)) => {
            let ports = (tcp.source_port(), tcp.destination_port());
            let text = format!("TCP         {} -> {}, {} bytes", ports.0, ports.1, tcp.payload().len());
            let right = tcp.calc_checksum_ipv4(source, destination).map_err(too_long)?;
            (text, 1, tcp.checksum(), right)
        }
        Some(TransportSlice::Udp(udp)) => {
            let header = udp.to_header();
            let text = format!(
                "UDP         {} -> {}, {} bytes",
                header.source_port,
                header.destination_port,
                udp.payload().len()
            );
            let right = header
                .calc_checksum_ipv4_raw(source, destination, udp.payload())
                .map_err(|error| format!("inner: {error}"))?;
            (text, 1, udp.checksum(), right)
        }
        Some(TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_)) | None => {
            let (from, to) = (Ipv4Addr::from(source), Ipv4Addr::from(destination));
            return Err(format!("inner: neither ICMP, TCP nor UDP, {from} -> {to}"));
        }
    };
    if merged {
        return Ok((text, 0));
    }
    if checksum != right {
        return Err(format!("{text}: checksum {checksum:#06x}, not {right:#06x}"));
    }
    Ok((format!("{text}, checksum {checksum:#06x} valid"), beauty))
}
