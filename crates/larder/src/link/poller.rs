//! The task that asks how far the log is, and so earns the lease of the near cache.

use std::sync::Arc;
use std::time::Duration;

use larder_core::lane::POLL;
use larder_core::runtime::Runtime;

use super::Link;

/// What a poll mentions and has not arrived is usually on its way.
const GRACE: Duration = Duration::from_millis(20);

pub(super) async fn run<V: Send + Sync + 'static>(link: Arc<Link<V>>, runtime: Arc<dyn Runtime>) {
    while !link.is_over() {
        let asked = runtime.now();
        if let Err(error) = poll(&link, &*runtime).await {
            // The lease runs out by itself; the store's own link tells people what is wrong.
            tracing::debug!(%error, "bus: a poll failed");
        }
        let taken = runtime.now().since(asked);
        runtime
            .sleep(POLL.saturating_sub(taken).max(POLL / 10))
            .await;
    }
}

async fn poll<V: Send + Sync + 'static>(
    link: &Link<V>,
    runtime: &dyn Runtime,
) -> larder_core::Result<()> {
    let Some(bus) = link.store.describe().bus else {
        return Ok(());
    };
    let sent = link.lane.lock().poll(runtime.now());
    let log = bus.poll().await?;
    let Some(gap) = link.answer(sent, log) else {
        return Ok(());
    };
    runtime.sleep(GRACE).await;
    if link.has(gap.last) {
        Ok(())
    } else {
        link.replay(gap).await
    }
}
