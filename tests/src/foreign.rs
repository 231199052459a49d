//! Another's XDP program on an interface: one that lets everything pass.

use std::path::Path;

use aya::programs::{Xdp, xdp::XdpMode};
use aya::{Ebpf, EbpfLoader};
use ipip_common::abi::program;

use crate::netns::Netns;
use crate::offload::{self, Offload};

/// A program that stays attached while this lives. It is ours, but with maps of its own that know no port, so that
/// it does nothing.
#[derive(Debug)]
pub struct ForeignXdp {
    id: u32,
    _program: Ebpf,
}

impl ForeignXdp {
    /// Attaches one to an interface.
    pub fn attach(object: &Path, namespace: &Netns, interface: &str) -> Self {
        let index = namespace.link(interface).index;
        namespace.enter(|| {
            let mut loaded = EbpfLoader::new().load_file(object).expect("loading the programs");
            let xdp: &mut Xdp = loaded.program_mut(program::XDP_PORT).unwrap().try_into().unwrap();
            xdp.load().expect("loading xdp_port");
            xdp.attach_to_if_index(index, XdpMode::Driver).expect("attaching an XDP program");
            let id = xdp.info().expect("asking for the program").id();
            Self { id, _program: loaded }
        })
    }

    /// Its ID, as `ip link` shows it.
    pub fn id(&self) -> u32 {
        self.id
    }
}

/// Makes a veth interface take redirected frames without merging them, so that a capture shows what was sent.
pub fn receive_unmerged(object: &Path, namespace: &Netns, interface: &str) -> ForeignXdp {
    let program = ForeignXdp::attach(object, namespace, interface);
    offload::set(namespace, interface, Offload::GenericReceive, false);
    program
}
