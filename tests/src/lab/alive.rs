//! The end of the show: one end of the tunnel stops for a while, and the other notices.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::stop;
use super::text::Style;
use super::world::{TUNNEL, World};

/// How often the far end is asked, and how many probes may go unanswered.
const KEEPALIVE: &str = "100ms,3";
/// The longest time that something may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What happened.
pub(super) struct Seen {
    /// The round-trip time of the probes, before.
    rtt: Option<f64>,
    /// Until the flag went; `None`: it did not.
    gone: Option<Duration>,
    /// What the tunnel says of itself then.
    reason: String,
    /// Until it came back.
    back: Option<Duration>,
}

/// Stops host2's end and lets it go on.
pub(super) fn watch(world: &World) -> Result<Seen> {
    let [near, far] = &world.daemons;
    near.ask(&["set", TUNNEL, "--keepalive", KEEPALIVE])?;
    until(|| Ok(near.tunnel()?["liveness"]["answers"].as_u64() > Some(2)))?;
    let rtt = near.tunnel()?["liveness"]["rtt-mean-us"].as_f64();
    far.ask(&["disable", TUNNEL])?;
    let gone = until(|| Ok(near.tunnel()?["running"] == false))?;
    let reason = near.tunnel()?["reason"].as_str().unwrap_or_default().to_owned();
    far.ask(&["enable", TUNNEL])?;
    let back = until(|| Ok(near.tunnel()?["running"] == true))?;
    Ok(Seen { rtt, gone, reason, back })
}

impl Seen {
    /// As text, and whether the flag went and came back.
    pub(super) fn lines(&self, style: Style) -> (Vec<String>, bool) {
        let after = |time: Option<Duration>| {
            time.map_or("never".to_owned(), |time| format!("after {:.2} s", time.as_secs_f64()))
        };
        let rtt = self.rtt.map_or_else(|| "none".to_owned(), |us| format!("{:.2} ms", us / 1000.0));
        let lines = vec![
            style.bold("the far end"),
            format!("  probes of host1 (keepalive={KEEPALIVE}) come back in {rtt}"),
            format!("  host2 stops:    R goes {}", after(self.gone)),
            format!("                  {}", self.reason),
            format!("  host2 goes on:  R is back {}", after(self.back)),
        ];
        (lines, self.gone.is_some() && self.back.is_some())
    }
}

/// How long it took until that was so; `None` where it never was.
fn until(mut is_so: impl FnMut() -> Result<bool>) -> Result<Option<Duration>> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if is_so()? {
            return Ok(Some(start.elapsed()));
        }
        stop::pause(Duration::from_millis(10))?;
    }
    Ok(None)
}
