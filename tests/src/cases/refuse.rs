//! What never goes through a tunnel: loops, foreign protocols, frames for others, headers that are cut short.

use super::{arriving, encapsulated, plain_outer, reply};
use crate::bytes::{LOCAL, Packet, REMOTE, ethernet, hex, udp};
use crate::case::{Case, Direction, Expected, Reach, mac};
use ipip_common::abi::Reason;

pub(super) fn cases() -> Vec<Case> {
    [loops(), foreign_protocols(), foreign_addresses(), malformed()].concat()
}

fn loops() -> Vec<Case> {
    let from = |source| udp(b"round").with(|inner| inner.source = source);
    let own = from(LOCAL).with(|inner| inner.destination = REMOTE);
    vec![
        Case::encap("L2 a packet from the tunnel's remote is dropped", &from(REMOTE).bytes())
            .both(&Expected::Drop(Reason::Loop)),
        // Its route does not lead into the tunnel: only a packet that was forced there looks like this.
        Case::encap("L3 a packet from the tunnel's local to its remote is dropped", &own.bytes())
            .xdp(Expected::Foreign)
            .tc(Expected::Drop(Reason::Loop)),
        encapsulated(
            "L3 the tunnel's local address may talk to others",
            from(LOCAL),
            plain_outer(&from(LOCAL)),
        )
        .with(|case| case.looks_broken = true),
    ]
}

/// A frame of another protocol, which tier 1 does not touch and a tunnel does not carry.
fn other(name: &str, ethertype: u16, payload: &[u8]) -> Vec<Case> {
    let into = Case::encap(&format!("{name}, into the tunnel"), &[])
        .with(|case| case.input = ethernet(mac::LAN, mac::CLIENT, ethertype, payload))
        .tc(Expected::Drop(Reason::NotCarried));
    let out = Case::decap(&format!("{name}, on the underlay"), &[])
        .with(|case| case.input = ethernet(mac::WAN, mac::GATEWAY, ethertype, payload));
    vec![into, out]
}

fn foreign_protocols() -> Vec<Case> {
    let arp = hex("0001 0800 0604 0001 0200 0000 0101 0a01 0002 0000 0000 0000 0a01 0001");
    let ipv6 = hex("6000 0000 0008 3a40 2001 0db8 0000 0000 0000 0000 0000 0001
                    2001 0db8 0000 0000 0000 0000 0000 0002 8000 7262 0000 0001");
    let tag = |inner: &Packet| [&hex("0064 0800"), inner.bytes().as_slice()].concat();
    let two_tags = |inner: &Packet| [&hex("0001 8100 0064 0800"), inner.bytes().as_slice()].concat();
    [
        other("D11 ARP is foreign", 0x0806, &arp),
        other("D11 IPv6 is foreign", 0x86dd, &ipv6),
        other("D11 IPv4 under IPv6's EtherType is foreign", 0x86dd, &udp(&[6; 12]).bytes()),
        other(
            "D11 a tunnel's packet under IPv6's EtherType is foreign",
            0x86dd,
            &arriving(&reply(b"")).bytes(),
        ),
        other("D11 MPLS is foreign", 0x8847, &[&hex("0001 0140"), udp(b"label").bytes().as_slice()].concat()),
        other("D11 an 802.3 length is foreign", 0x0040, &[0xaa; 64]),
        tagged("D11 a VLAN tag is foreign", 0x8100, &tag(&udp(b"tag")), &tag(&arriving(&reply(b"tag")))),
        tagged(
            "D11 two VLAN tags are foreign",
            0x88a8,
            &two_tags(&udp(b"tag")),
            &two_tags(&arriving(&reply(b""))),
        ),
    ]
    .concat()
}

/// Tagged frames exist on ports only: in a socket buffer the tag stands outside of the packet, and a tunnel
/// interface has none.
fn tagged(name: &str, ethertype: u16, into: &[u8], out: &[u8]) -> Vec<Case> {
    let mut cases = other(name, ethertype, into);
    cases[0].tc = Expected::Drop(Reason::NotCarried);
    cases[1].input = ethernet(mac::WAN, mac::GATEWAY, ethertype, out);
    cases
}

fn foreign_addresses() -> Vec<Case> {
    let to = |name: &str, destination, direction| {
        let (packet, source) = match direction {
            Direction::Encap => (udp(b"whose"), mac::CLIENT),
            Direction::Decap => (arriving(&reply(b"whose")), mac::GATEWAY),
        };
        let case = if direction == Direction::Encap {
            // What is sent into a tunnel interface was never addressed to anybody.
            encapsulated(name, &packet, plain_outer(&packet)).xdp(Expected::Foreign)
        } else {
            Case::decap(name, &packet.bytes())
        };
        case.with(|case| {
            case.reach = Reach::Programs;
            case.input = ethernet(destination, source, 0x0800, &packet.bytes());
        })
    };
    vec![
        to("D11 a broadcast frame is the stack's, into the tunnel", [0xff; 6], Direction::Encap),
        to("D11 a broadcast frame is the stack's, out of the tunnel", [0xff; 6], Direction::Decap),
        to("D11 a multicast frame is the stack's", [1, 0, 0x5e, 0, 0, 1], Direction::Decap),
        to("D11 a neighbour's frame is not ours, into the tunnel", [2, 0, 0, 0, 9, 9], Direction::Encap),
        to("D11 a neighbour's frame is not ours, out of the tunnel", [2, 0, 0, 0, 9, 9], Direction::Decap),
        to("D11 a frame for another of our ports is not this port's", mac::LAN, Direction::Decap),
        Case::encap("D11 a packet for elsewhere is foreign to tier 1", &{
            udp(b"plain").with(|inner| inner.destination = [10, 3, 0, 2]).bytes()
        })
        .tc(elsewhere())
        .with(|case| (case.inner_len, case.looks_broken) = (33, true)),
        encapsulated("a disabled tunnel carries nothing", udp(b"off"), plain_outer(&udp(b"off")))
            .both(&Expected::Foreign)
            .tunnel(|tunnel| tunnel.flags.enabled = false),
    ]
}

/// Tier 2 does not ask where an inner packet goes: the stack has decided.
fn elsewhere() -> Expected {
    let inner = udp(b"plain").with(|inner| inner.destination = [10, 3, 0, 2]);
    Expected::Carried(plain_outer(&inner).bytes())
}

fn malformed() -> Vec<Case> {
    let bad = |name: &str, change: fn(&mut Packet)| {
        Case::encap(name, &udp(&[8; 40]).with(change).bytes()).both(&Expected::Pass(Reason::Malformed))
    };
    vec![
        bad("D9 an inner length beyond the frame is malformed", |inner| inner.total_len = Some(69)),
        bad("D9 an inner length below its header's is malformed", |inner| inner.total_len = Some(19)),
        bad("D9 an inner length of 0 is malformed", |inner| inner.total_len = Some(0)),
        bad("D9 an inner header length of 16 is malformed", |inner| inner.first_byte = Some(0x44)),
        bad("D9 an inner header length of 0 is malformed", |inner| inner.first_byte = Some(0x40)),
        bad("D9 an inner header length beyond its packet is malformed", |inner| {
            (inner.first_byte, inner.total_len) = (Some(0x4f), Some(40));
        }),
        bad("D9 version 6 under IPv4's EtherType is malformed", |inner| inner.first_byte = Some(0x65)),
        Case::encap("D9 a packet shorter than a header is foreign", &udp(b"").bytes()[..19]),
        Case::decap(
            "D9 an outer packet shorter than a header is foreign",
            &arriving(&reply(b"")).bytes()[..19],
        ),
        Case::decap("D9 an outer packet that ends inside its inner header is malformed", &{
            arriving(&reply(b"")).bytes()[..39].to_vec()
        })
        .both(&Expected::Pass(Reason::Malformed)),
    ]
}
