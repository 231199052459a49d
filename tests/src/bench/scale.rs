//! Many tunnels and many routes: what a packet costs when its tunnel is one of a million.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use aya::maps::HashMap;

use super::Options;
use super::packet::{self, IPIP, Payload, out_of_tunnel};
use super::rows::Rows;
use super::world::{Place, Setting, Tunnel, World, inside};

/// Sizes of the maps.
const SIZES: [(&str, u32); 4] =
    [("1 tunnel", 1), ("1k tunnels", 1 << 10), ("64k tunnels", 1 << 16), ("1M tunnels", 1 << 20)];
const HOT: u32 = 1 << 10;
/// Sizes of the routing table.
const ROUTES: [(&str, u32); 3] = [("1k routes", 1 << 10), ("100k routes", 100_000), ("1M routes", 1 << 20)];

/// Measures decapsulation, in which a packet names its tunnel itself.
pub(super) fn measure(options: &Options, rows: &mut Rows) -> Result<()> {
    let (rounds, repeat) = if options.quick { (2, 100_000) } else { (5, 1_000_000) };
    let sizes = if options.quick { &SIZES[..3] } else { &SIZES[..] };
    for (name, size) in sizes {
        let place = Place::new();
        place.lead(true);
        inside(&place.host, || tunnels(options, rows, &place, (name, *size), rounds, repeat))
            .with_context(|| name.to_string())?;
    }
    for (name, count) in ROUTES {
        if options.quick && count > 100_000 {
            continue;
        }
        let place = Place::new();
        place.lead(true);
        routes(options, rows, &place, (name, count), rounds, repeat).with_context(|| name.to_owned())?;
    }
    Ok(())
}

/// The remote of a tunnel; the frame's first one, and those behind it.
fn remote(number: u32) -> IpAddr {
    let IpAddr::V4(first) = packet::remote(false) else { panic!("an IPv4 address") };
    Ipv4Addr::from_bits(first.to_bits() + number).into()
}

fn tunnels(
    options: &Options,
    rows: &mut Rows,
    place: &Place,
    (name, size): (&str, u32),
    rounds: usize,
    repeat: u32,
) -> Result<()> {
    let memory = free_memory()?;
    let start = Instant::now();
    // An ID of 0 is never a tunnel.
    let mut world = World::load(&options.object, place, size + 1)?;
    rows.add("scale", &format!("loading, {name}"), "ms", None, vec![start.elapsed().as_secs_f64() * 1e3]);
    let start = Instant::now();
    let ifindex = world.tunnel;
    for number in 0..size {
        let tunnel = Tunnel { id: number + 1, remote: remote(number), ..Tunnel::of(IPIP) };
        world.install(&tunnel, ifindex)?;
    }
    rows.add("scale", &format!("installing, {name}"), "ms", None, vec![start.elapsed().as_secs_f64() * 1e3]);
    rows.add("scale", &format!("memory, {name}"), "MiB", None, vec![memory - free_memory()?]);
    let frame = out_of_tunnel(IPIP, Payload::Udp, 64);
    let wan = world.wan;
    let mut modes = vec![("hot", size.min(HOT))];
    if size > HOT {
        modes.push(("uniform", size));
    }
    for (mode, keys) in modes {
        let (mut base, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let setting = Setting { undo: -20, mask: keys - 1, ..Setting::default() };
            world.set(&frame, setting)?;
            base.push(world.time_many("base_many_out", wan, &frame, repeat)?);
            world.forget()?;
            ours.push(world.time_many("many_out", wan, &frame, repeat)?);
        }
        let base_name = format!("base, {name}, {mode}");
        rows.add("scale", &base_name, "ns", None, base);
        rows.add("scale", &format!("out, {name}, {mode}"), "ns", Some(&base_name), ours);
    }
    if size == 1 << 16 {
        prices(rows, &mut world, size, rounds, repeat)?;
    }
    Ok(())
}

/// What a hash lookup costs among so many keys, and a FIB lookup.
fn prices(rows: &mut Rows, world: &mut World, size: u32, rounds: usize, repeat: u32) -> Result<()> {
    let mut price: HashMap<_, u32, u64> = world.map("PRICE")?;
    for key in 0..size {
        price.insert(key, 0, 0)?;
    }
    let frame = packet::into_tunnel(IPIP.inner, Payload::Udp, 64);
    let lan = world.lan;
    let (mut none, mut hash, mut fib) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        world.set(&frame, Setting { mask: size - 1, ..Setting::default() })?;
        none.push(world.time("price_none", lan, &frame, repeat, true)?);
        hash.push(world.time("price_hash", lan, &frame, repeat, true)?);
        world.set(&frame, Setting { mask: 0, ..Setting::default() })?;
        fib.push(world.time("price_fib", lan, &frame, repeat, true)?);
    }
    rows.add("scale", "base of prices", "ns", None, none);
    rows.add("scale", "hash lookup, 64k keys", "ns", Some("base of prices"), hash);
    rows.add("scale", "FIB lookup", "ns", Some("base of prices"), fib);
    Ok(())
}

/// One tunnel and many routes into it; packets to a thousand of them, and to all.
fn routes(
    options: &Options,
    rows: &mut Rows,
    place: &Place,
    (name, count): (&str, u32),
    rounds: usize,
    repeat: u32,
) -> Result<()> {
    let start = Instant::now();
    let mut ip = place
        .host
        .command("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .context("starting ip")?;
    if let Some(mut input) = ip.stdin.take() {
        let mut text = String::new();
        for number in 0..count {
            let _ = writeln!(text, "route add {}/32 dev ipip0", Ipv4Addr::from_bits(0x0a02_0002 + number));
        }
        input.write_all(text.as_bytes()).context("writing routes")?;
    }
    ensure!(ip.wait()?.success(), "ip did not add all routes");
    rows.add("scale", &format!("adding {name}"), "ms", None, vec![start.elapsed().as_secs_f64() * 1e3]);
    inside(&place.host, || {
        let mut world = World::load(&options.object, place, 1)?;
        let (tunnel, ifindex) = (Tunnel::of(IPIP), world.tunnel);
        world.install(&tunnel, ifindex)?;
        world.start_idents(tunnel.id)?;
        let frame = packet::into_tunnel(IPIP.inner, Payload::Udp, 64);
        let lan = world.lan;
        for (mode, keys) in [("hot", HOT), ("uniform", count.next_power_of_two().min(1 << 20) >> 1)] {
            let (mut base, mut ours) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                world.set(&frame, Setting { undo: 20, mask: keys - 1, ..Setting::default() })?;
                base.push(world.time_many("base_many_into", lan, &frame, repeat)?);
                world.forget()?;
                ours.push(world.time_many("many_into", lan, &frame, repeat)?);
            }
            let base_name = format!("base, {name}, {mode}");
            rows.add("scale", &base_name, "ns", None, base);
            rows.add("scale", &format!("into, {name}, {mode}"), "ns", Some(&base_name), ours);
        }
        Ok(())
    })
}

/// MiB of free memory.
pub(super) fn free_memory() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemFree:")).context("no MemFree")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().context("reading MemFree")?;
    Ok(kib / 1024.0)
}
