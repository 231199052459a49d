//! Three namespaces in a row on one CPU: a generator, a router, a sink.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aya::programs::{TestRun as _, TestRunAttrs, TestRunOptions};

use super::world::{Setting, World};

/// Frames that the generator has in flight together.
const BATCH: u32 = 64;
/// Frames of a first run, which shows how many fit into the time; and at most.
const FIRST: u32 = 1 << 14;
const MOST: u32 = 1 << 24;
/// Shares of lost packets above this make a round void.
const LOSS: f64 = 0.01;

/// Where frames come from and where they end.
pub(super) struct Rig {
    /// The generator's end of the cable to the router.
    pub(super) generator: u32,
    /// Interfaces that nothing arrives at.
    pub(super) spare: [u32; 2],
    /// The sink's end of the cable from the router.
    pub(super) sink: u32,
}

/// One round: packets per microsecond, or nothing where too many were lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) mpps: f64,
    pub(super) lost: f64,
}

impl Rig {
    /// Sends frames for so long and counts those that arrive. `generate` is loaded in the world around the router.
    pub(super) fn run(
        &self,
        ends: &mut World,
        frame: &[u8],
        time: Duration,
        arrived: &mut dyn FnMut(&mut World) -> Result<u64>,
    ) -> Result<Round> {
        let program = if frame.len() < 80 { "generate" } else { "generate_long" };
        ends.set(frame, Setting { ifindex: self.generator, ..Setting::default() })?;
        let before = arrived(ends)?;
        // As many as the time allows, in one run of the kernel: to begin one takes a while.
        let (mut sent, mut repeat, mut elapsed) = (0_u64, FIRST, Duration::ZERO);
        for _ in 0..2 {
            let start = Instant::now();
            self.send(ends, program, frame, repeat)?;
            elapsed = start.elapsed();
            sent += u64::from(repeat);
            if elapsed < time / 4 {
                let more = f64::from(repeat) * time.as_secs_f64() / elapsed.as_secs_f64().max(1e-6);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is bounded")]
                let more = more.min(f64::from(MOST)) as u32;
                repeat = more.max(FIRST);
            } else {
                break;
            }
        }
        let timed = u64::from(repeat);
        // What is still on its way on this CPU gets its turn now.
        std::thread::sleep(Duration::from_millis(5));
        let got = arrived(ends)? - before;
        #[expect(clippy::cast_precision_loss, reason = "numbers of packets stay below 2^52")]
        let (sent, got, timed) = (sent as f64, got as f64, timed as f64);
        let lost = 1.0 - got / sent;
        Ok(Round { mpps: timed * (1.0 - lost) / elapsed.as_secs_f64() / 1e6, lost })
    }

    fn send(&self, ends: &mut World, program: &str, frame: &[u8], repeat: u32) -> Result<()> {
        let context: Vec<u8> = [0, u32::try_from(frame.len())?, 0, self.generator, 0, 0]
            .into_iter()
            .flat_map(u32::to_ne_bytes)
            .collect();
        let program = ends.program(program)?;
        program
            .test_run(TestRunOptions {
                data_in: Some(frame),
                ctx_in: Some(&context),
                repeat,
                attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
                ..TestRunOptions::default()
            })
            .context("sending frames")?;
        Ok(())
    }

    /// Attaches the sink. The generator's own interface needs a program too, to have a receive queue. The generators are on
    /// others, which saves waiting for a grace period of the kernel.
    pub(super) fn open(&self, ends: &mut World) -> Result<()> {
        ends.attach("ignore", self.generator)?;
        for (program, ifindex) in ["generate", "generate_long"].into_iter().zip(self.spare) {
            ends.attach(program, ifindex)?;
        }
        self.take_sink(ends)
    }

    /// Attaches the sink of frames.
    pub(super) fn take_sink(&self, ends: &mut World) -> Result<()> {
        ends.attach("sink", self.sink)
    }
}

/// Rounds until `wanted` are good; says how many were not.
pub(super) fn rounds(wanted: usize, mut round: impl FnMut() -> Result<Round>) -> Result<(Vec<f64>, usize)> {
    let (mut good, mut void) = (Vec::new(), 0);
    while good.len() < wanted {
        let round = round()?;
        if round.lost > LOSS {
            void += 1;
            ensure!(
                void < 3 * wanted,
                "the machine is too busy: {:.1} % of the packets were lost",
                round.lost * 100.0
            );
        } else {
            good.push(round.mpps);
        }
    }
    Ok((good, void))
}
