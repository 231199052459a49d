//! Events over the socket: from the subscription until the client leaves, is too slow, or the daemon ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::protocol::{Reply, write_reply};
use crate::events::{Missed, Subscription};
use crate::failure::{Failure, FailureKind};

/// Sends a client its events. Whatever it says meanwhile, also that it says no more, ends this.
pub(super) async fn feed(
    mut subscription: Subscription,
    input: &mut BufReader<OwnedReadHalf>,
    output: &mut OwnedWriteHalf,
    patience: Duration,
) {
    let kept = std::mem::take(&mut subscription.kept);
    let count = u64::try_from(kept.len()).unwrap_or(u64::MAX);
    let mut lines =
        write_reply(Ok(Reply::Events { kept: count, last: subscription.last })).unwrap_or_default();
    for told in kept {
        lines.push_str(&write_reply(Ok(Reply::Event((*told).clone()))).unwrap_or_default());
    }
    if !send(output, &lines, patience).await {
        return;
    }
    let mut word = [0];
    loop {
        let next = tokio::select! {
            next = subscription.next() => next,
            _ = input.read(&mut word) => return,
        };
        let (answer, is_last) = match next {
            Ok(told) => (Ok(Reply::Event((*told).clone())), false),
            Err(Missed::Some(count)) => (Err(too_slow(count)), true),
            Err(Missed::End) => return,
        };
        if !send(output, &write_reply(answer).unwrap_or_default(), patience).await || is_last {
            return;
        }
    }
}

fn too_slow(count: u64) -> Failure {
    Failure::new(FailureKind::Failed, format!("events: the client is too slow: {count} are lost to it"))
        .with_hint("subscribe again, after the last that came")
}

/// Whether the client took it.
async fn send(output: &mut OwnedWriteHalf, lines: &str, patience: Duration) -> bool {
    match timeout(patience, output.write_all(lines.as_bytes())).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            log::debug!("writing to a client: {error}");
            false
        }
        Err(_) => {
            log::warn!("a client does not read its events; left it");
            false
        }
    }
}
