//! A labelled packet (RFC 3032): its label stack, and what of the IP packet underneath a tunnel needs to know.

use super::{
    cursor,
    extension::Limit,
    flow::{Flow, Ports, mix},
    inner::{Flaw, Inner},
    ipv4::Ipv4,
    ipv6::{self, Ipv6},
    transport::Transport,
};
use crate::{
    abi::{Carried, Family, Labels, Reason, TunnelEntry},
    env::Env,
    frame::Frame,
    verdict::Hop,
};

/// Bytes of a label stack entry.
pub const ENTRY: u32 = 4;
/// Entries of a stack that is looked through. Below more of them the packet is carried as it is.
const DEEPEST: u32 = 4;
/// Bytes that an Ethernet frame holds at least (IEEE 802.3 3.2.7): a shorter packet is padded up to it.
pub(crate) const SHORTEST_PAYLOAD: u32 = 46;
/// All ones above the bytes of the deepest stack.
const LONGEST_STACK: u32 = 0x1f;
/// Set in the last entry of a stack.
pub(crate) const BOTTOM_OF_STACK: u32 = 0x100;
/// Bits below the label.
pub(crate) const LABEL_SHIFT: u32 = 12;
/// The three traffic class bits (RFC 5462).
const CLASS: u32 = 0xe00;

/// A label stack in host order, with the packet underneath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mpls {
    top: u32,
    /// The top entry as it arrived, and the last one that was looked at.
    read: [u32; 2],
    hash: u32,
    stack_len: u32,
    /// Bytes underneath the stack, 0 where they are not IP.
    payload_len: u32,
    flow: Flow,
    transport: Transport,
}

impl Mpls {
    /// Reads the stack at `at`.
    #[inline(always)]
    pub fn read(frame: &mut impl Frame, at: u32) -> Option<Self> {
        frame.pull(at.wrapping_add(ENTRY));
        let [top] = frame.words::<1>(at)?;
        let mut stack_len = ENTRY;
        let mut entry = top;
        let mut hash = mix(0, top >> LABEL_SHIFT);
        let mut depth = 1;
        while depth < DEEPEST && entry & BOTTOM_OF_STACK == 0 {
            frame.pull(at.wrapping_add(stack_len).wrapping_add(ENTRY));
            let [next] = frame.words::<1>(at.wrapping_add(stack_len))?;
            entry = next;
            hash = mix(hash, entry >> LABEL_SHIFT);
            stack_len = stack_len.wrapping_add(ENTRY);
            depth = u32::wrapping_add(depth, 1);
        }
        stack_len = cursor::forget(stack_len, top) & LONGEST_STACK;
        let stack = Self {
            top,
            read: [top, entry],
            hash,
            stack_len,
            payload_len: 0,
            flow: Flow {
                family: Family::V4,
                source: [0; 4],
                destination: [0; 4],
                protocol: 0,
                tos: 0,
                ports: Ports::default(),
            },
            transport: Transport::NONE,
        };
        if entry & BOTTOM_OF_STACK == 0 {
            return Some(stack);
        }
        Some(stack.with_payload(frame, at.wrapping_add(stack_len)))
    }

    /// Looks at the packet underneath, at `at`: nothing says what it is but its first bits (RFC 4928 3).
    #[inline(always)]
    fn with_payload(mut self, frame: &mut impl Frame, at: u32) -> Self {
        frame.pull(at.wrapping_add(ipv6::HEADER));
        let Some(first) = frame.byte(at) else { return self };
        if first >> 4 == 4 {
            let Some(header) = Ipv4::read(frame, at) else { return self };
            if header.header_len() < super::ipv4::HEADER || header.total_len() < header.header_len() {
                return self;
            }
            self.payload_len = header.total_len();
            self.transport = Transport::of_ipv4(&header);
            self.flow = header.flow(self.transport.ports(frame, at));
        } else if first >> 4 == 6 {
            let Some(header) = Ipv6::read(frame, at) else { return self };
            self.payload_len = header.payload_len().wrapping_add(ipv6::HEADER);
            self.transport = Transport::of_ipv6(&header);
            self.flow = header.flow(self.transport.ports(frame, at));
        }
        self.transport = self.transport.behind(self.stack_len);
        self
    }

    /// The top label.
    #[must_use]
    #[inline(always)]
    pub const fn label(&self) -> u32 {
        self.top >> LABEL_SHIFT
    }

    /// The top entry's TTL.
    #[must_use]
    #[inline(always)]
    pub const fn ttl(&self) -> u8 {
        (self.top & 0xff) as u8
    }

    /// The traffic class as a class selector (RFC 2474 4.2.2, RFC 5462 2.1): its three bits above, and no ECN.
    #[must_use]
    #[inline(always)]
    pub const fn tos(&self) -> u8 {
        ((self.top & CLASS) >> 4) as u8
    }

    /// Bytes of the label stack, as far as it was looked through.
    #[must_use]
    #[inline(always)]
    pub const fn stack_len(&self) -> u32 {
        self.stack_len
    }

    /// The stack as the key of a flow: one or two entries, with IP underneath. `None`: any other.
    #[must_use]
    #[inline(always)]
    pub const fn labels(&self) -> Option<Labels> {
        let [first, last] = self.read;
        if last & BOTTOM_OF_STACK == 0 || self.payload_len == 0 || self.stack_len > 2 * ENTRY {
            return None;
        }
        let entries = if self.stack_len == ENTRY { [first, 0] } else { [first, last] };
        Some(Labels::new(entries, self.label()))
    }

    /// Bytes of the IP packet underneath; 0 where it is none.
    #[must_use]
    #[inline(always)]
    pub const fn payload_len(&self) -> u32 {
        self.payload_len
    }

    /// The flow of the IP packet underneath.
    #[must_use]
    #[inline(always)]
    pub const fn flow(&self) -> &Flow {
        &self.flow
    }

    /// The transport header of the IP packet underneath.
    #[must_use]
    #[inline(always)]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// A number for the flow: the labels and, where it is IP, the packet underneath.
    #[must_use]
    #[inline(always)]
    pub const fn hash(&self) -> u32 {
        mix(self.hash, self.flow.hash())
    }

    /// The stack with another label on top (a swap).
    #[must_use]
    #[inline(always)]
    pub const fn with_label(mut self, label: u32) -> Self {
        self.top = self.top & 0xfff | label << LABEL_SHIFT;
        self
    }

    /// The stack after forwarding: the top TTL one less. The caller has seen that it is above 1.
    #[must_use]
    #[inline(always)]
    pub const fn with_ttl_decremented(mut self) -> Self {
        self.top = self.top.wrapping_sub(1);
        self
    }

    /// Writes the top entry, all that an edit can change.
    #[inline(always)]
    pub fn write_edits(&self, frame: &mut impl Frame, at: u32) -> Option<()> {
        frame.put_words(at, [self.top])
    }
}

impl Inner for Mpls {
    const KIND: Carried = Carried::Mpls;

    #[inline(always)]
    fn read(frame: &mut impl Frame, at: u32) -> Option<Self> {
        Self::read(frame, at)
    }

    #[inline(always)]
    fn flaw(&self, room: u32) -> Option<Flaw> {
        // Link padding can pass for labels that there is no room for.
        let wanted = u64::from(self.stack_len());
        // A comparison of the two would teach the kernel's verifier something about both, and make it check all that
        // follows again for each of the many lengths of a stack.
        let left = core::hint::black_box(u64::from(room).wrapping_sub(wanted));
        if left >> 63 == 1 {
            return Some(Flaw::Length);
        }
        if self.ttl() == 0 { Some(Flaw::TtlZero) } else { None }
    }

    /// A label stack has no length of its own, and nothing says what stands underneath: it is all that there is.
    #[inline(always)]
    fn total_len(&self, room: u32) -> u32 {
        room
    }

    /// Only in the shortest Ethernet frames can there be padding. There, what looks like IP underneath is believed;
    /// anywhere else it might be something else that begins with the same bits (RFC 4928 3).
    #[inline(always)]
    fn len_in_frame(&self, frame_len: u32) -> u32 {
        let len = self.stack_len().wrapping_add(self.payload_len());
        let is_padded = frame_len <= SHORTEST_PAYLOAD && self.payload_len() != 0 && len < frame_len;
        if is_padded { len } else { frame_len }
    }

    #[inline(always)]
    fn tos(&self) -> u8 {
        self.tos()
    }

    #[inline(always)]
    fn ttl(&self) -> u8 {
        self.ttl()
    }

    #[inline(always)]
    fn flow(&self, _ports: Ports) -> Flow {
        *self.flow()
    }

    #[inline(always)]
    fn hash(&self, _flow: &Flow) -> u32 {
        self.hash()
    }

    #[inline(always)]
    fn labels(&self) -> Option<Labels> {
        self.labels()
    }

    #[inline(always)]
    fn transport(&self) -> Transport {
        self.transport()
    }

    /// RFC 4023 5.1: not fragmented unless it is asked for.
    #[inline(always)]
    fn dont_fragment(&self, _tunnel: &TunnelEntry) -> bool {
        true
    }

    #[inline(always)]
    fn limit(&self, _frame: &mut impl Frame, _at: u32) -> Limit {
        Limit::NONE
    }

    #[inline(always)]
    fn is_plain(&self) -> bool {
        false
    }

    #[inline(always)]
    fn needs_stack(&self) -> Option<Reason> {
        if self.ttl() == 1 { Some(Reason::TtlExpired) } else { None }
    }

    #[inline(always)]
    fn has_forbidden_source(&self) -> bool {
        false
    }

    #[inline(always)]
    fn tunnel<'a>(&mut self, env: &'a impl Env, _flow: &Flow) -> Option<&'a TunnelEntry> {
        let (label, tunnel) = env.tunnel_of_label(self.label())?;
        *self = self.with_label(label);
        Some(tunnel)
    }

    #[inline(always)]
    fn way_on(
        &mut self,
        env: &impl Env,
        tunnel: &TunnelEntry,
        _flow: &Flow,
        len: u32,
    ) -> Result<Hop, Reason> {
        let (label, hop) = env.route_label(tunnel, self.label(), len)?;
        *self = self.with_label(label);
        Ok(hop)
    }

    /// A label stack has no ToS byte, and keeps its class.
    #[inline(always)]
    fn with_tos(self, _tos: u8) -> Self {
        self
    }

    #[inline(always)]
    fn with_ttl_decremented(self) -> Self {
        self.with_ttl_decremented()
    }

    #[inline(always)]
    fn write_edits(&self, frame: &mut impl Frame, at: u32) -> Option<()> {
        self.write_edits(frame, at)
    }
}
