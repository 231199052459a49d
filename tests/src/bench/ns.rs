//! Nanoseconds of a packet, by test runs of the kernel.

use anyhow::Result;

use super::Options;
use super::packet::{KINDS, Kind, Payload, into_tunnel, out_of_tunnel};
use super::rows::Rows;
use super::world::{Place, Setting, Tunnel, World, inside};

/// One thing to time.
struct Job {
    name: String,
    program: &'static str,
    base: Option<&'static str>,
    tunnel: Tunnel,
    is_same_port: bool,
    is_from_wan: bool,
    frame: Vec<u8>,
    undo: i32,
}

/// Encapsulation of a kind.
fn into(name: &str, kind: Kind, program: &'static str) -> Job {
    Job {
        name: name.to_owned(),
        program,
        base: Some("base into"),
        tunnel: Tunnel::of(kind),
        is_same_port: true,
        is_from_wan: false,
        frame: into_tunnel(kind.inner, Payload::Udp, 64),
        undo: kind.overhead(),
    }
}

/// Decapsulation of a kind.
fn out(name: &str, kind: Kind, program: &'static str) -> Job {
    Job {
        base: Some("base out"),
        is_from_wan: true,
        frame: out_of_tunnel(kind, Payload::Udp, 64),
        undo: -kind.overhead(),
        ..into(name, kind, program)
    }
}

/// Everything, floors first.
fn jobs() -> Vec<Job> {
    let [ipip, _, fourin6, ..] = KINDS;
    let mut jobs = vec![
        Job { base: None, ..into("base into", ipip, "base_into") },
        Job { base: None, ..out("base out", ipip, "base_out") },
        into("floor into, 20 bytes", ipip, "floor_into20"),
        into("floor into, 40 bytes", fourin6, "floor_into40"),
        out("floor out, 20 bytes", ipip, "floor_out20"),
        out("floor out, 40 bytes", fourin6, "floor_out40"),
        Job { is_same_port: false, ..into("floor into, redirected", ipip, "onto_into20") },
        Job { is_same_port: false, ..out("floor out, redirected", ipip, "onto_out20") },
    ];
    for kind in KINDS {
        let name = kind.name;
        jobs.push(into(&format!("{name} into"), kind, "port_into"));
        jobs.push(out(&format!("{name} out"), kind, "port_out"));
        jobs.push(into(&format!("{name} into, unknown flow"), kind, "miss_into"));
        jobs.push(out(&format!("{name} out, unknown flow"), kind, "miss_out"));
    }
    jobs.push(Job { is_same_port: false, ..into("ipip into, redirected", ipip, "port_into") });
    jobs.push(Job { is_same_port: false, ..out("ipip out, redirected", ipip, "port_out") });
    for (direction, base) in [("into", "base_syn_into"), ("out", "base_syn_out")] {
        let frame = if direction == "into" {
            into_tunnel(ipip.inner, Payload::Syn, 74)
        } else {
            out_of_tunnel(ipip, Payload::Syn, 74)
        };
        let job = if direction == "into" { into } else { out };
        let (name, program) =
            (format!("base SYN {direction}"), if direction == "into" { "syn_into" } else { "syn_out" });
        jobs.push(Job { base: None, frame: frame.clone(), ..job(&name, ipip, base) });
        let base = if direction == "into" { "base SYN into" } else { "base SYN out" };
        jobs.push(Job { base: Some(base), frame, ..job(&format!("ipip {direction}, SYN"), ipip, program) });
    }
    for (what, payload, length) in [("TCP", Payload::Tcp, 68), ("1454 bytes", Payload::Udp, 1454)] {
        let frame = into_tunnel(ipip.inner, payload, length);
        jobs.push(Job { frame, ..into(&format!("ipip into, {what}"), ipip, "port_into") });
        let frame = out_of_tunnel(ipip, payload, length);
        jobs.push(Job { frame, ..out(&format!("ipip out, {what}"), ipip, "port_out") });
    }
    jobs
}

/// Times everything, round by round, so that a disturbance hits all alike.
pub(super) fn measure(options: &Options, rows: &mut Rows) -> Result<()> {
    let (rounds, repeat) = match (options.counting, options.quick) {
        (true, _) => (2, 20_000),
        (false, true) => (3, 100_000),
        (false, false) => (9, 1_000_000),
    };
    let place = Place::new();
    let timed = inside(&place.host, || -> Result<Vec<(Job, Vec<f64>)>> {
        let mut world = World::load(&options.object, &place, 1)?;
        let mut timed: Vec<(Job, Vec<f64>)> = jobs().into_iter().map(|job| (job, Vec::new())).collect();
        for round in 0..rounds {
            for (job, times) in &mut timed {
                place.lead(job.is_same_port);
                // The answer leads to the client, or back to the gateway.
                let (tunnel, ifindex) = (job.tunnel, world.tunnel);
                world.install(&tunnel, ifindex)?;
                if round == 0 {
                    world.start_idents(tunnel.id)?;
                }
                let wan = world.wan;
                let lan = world.lan;
                let (ingress, other) = if job.is_from_wan { (wan, lan) } else { (lan, wan) };
                world.set(&job.frame, Setting { undo: job.undo, ifindex: other, ..Setting::default() })?;
                world.forget()?;
                times.push(world.time(job.program, ingress, &job.frame, repeat, false)?);
            }
        }
        Ok(timed)
    })?;
    for (job, times) in timed {
        rows.add("ns", &job.name, "ns", job.base, times);
    }
    Ok(())
}
