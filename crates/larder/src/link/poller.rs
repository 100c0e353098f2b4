//! The task that asks how far the log is, and so earns the lease of the near cache.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use larder_core::bus::Reader;
use larder_core::lane::POLL;
use larder_core::runtime::{Mono, Runtime};

use super::Link;

/// What a poll mentions and has not arrived is usually on its way.
const GRACE: Duration = Duration::from_millis(20);

/// The shortest time between two polls, however many ask for one.
const SPACING: Duration = Duration::from_millis(5);

pub(super) async fn run<V: Send + Sync + 'static>(link: Arc<Link<V>>, runtime: Arc<dyn Runtime>) {
    let mut is_waited_for = false;
    while !link.is_over() {
        let asked = runtime.now();
        match link.watch(&*runtime, poll(&link, &*runtime)).await {
            // Whoever waits was told of less than has been applied by now.
            Ok(Polled::Behind) if is_waited_for => link.nudged.notify_one(),
            Ok(Polled::Behind | Polled::Current) => {}
            // The lease runs out by itself; the store's own link tells people what is wrong.
            Err(error) => tracing::debug!(%error, "bus: a poll failed"),
        }
        is_waited_for = pause(&link, &*runtime, asked).await && !is_waited_for;
    }
    leave(&link).await;
}

/// Waits for the time of the next poll, or until somebody asks for one; tells which.
async fn pause<V: Send + Sync + 'static>(
    link: &Link<V>,
    runtime: &dyn Runtime,
    asked: Mono,
) -> bool {
    let rest = |period: Duration| period.saturating_sub(runtime.now().since(asked));
    let nudged = Box::pin(link.nudged.notified());
    let usual = rest(POLL).max(POLL / 10);
    let is_nudged = matches!(select(nudged, runtime.sleep(usual)).await, Either::Left(_));
    if is_nudged {
        runtime.sleep(rest(SPACING)).await;
    }
    is_nudged
}

enum Polled {
    /// The shard knows how far this cache is.
    Current,
    /// This cache has applied more since it asked.
    Behind,
}

async fn poll<V: Send + Sync + 'static>(
    link: &Link<V>,
    runtime: &dyn Runtime,
) -> larder_core::Result<Polled> {
    let Some(bus) = link.store.describe().bus else {
        return Ok(Polled::Current);
    };
    let (sent, reader) = {
        let lane = link.lane.lock();
        let applied = lane.position();
        let reader = Reader {
            applied,
            ..link.reader.clone()
        };
        (lane.poll(runtime.now()), reader)
    };
    let log = bus.poll(&reader).await?;
    if let Some(gap) = link.answer(sent, log) {
        runtime.sleep(GRACE).await;
        if !link.has(gap.last) {
            link.replay(gap).await?;
        }
    }
    let told = reader
        .applied
        .filter(|at| at.incarnation == log.incarnation);
    Ok(match told {
        Some(told) if told.seq >= log.seq => Polled::Current,
        _ => Polled::Behind,
    })
}

/// Takes this cache off the list of readers, so that nobody waits for it any more.
async fn leave<V: Send + Sync + 'static>(link: &Link<V>) {
    let reader = Reader {
        leaves: true,
        ..link.reader.clone()
    };
    if let Some(bus) = link.store.describe().bus {
        // If this fails, the shard forgets it by itself after a while.
        let _ = bus.poll(&reader).await;
    }
}
