//! The task that takes records as they are pushed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use larder_core::bus::Pushed;
use larder_core::runtime::Runtime;

use super::{Link, Way};

/// First and longest pause before subscribing again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How often a listener to whom nothing is said looks whether its cache is still there.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn run<V: Send + Sync + 'static>(link: Arc<Link<V>>, runtime: Arc<dyn Runtime>) {
    let mut pause = RETRY.0;
    while !link.is_over() {
        match listen(&link, &*runtime).await {
            Ok(()) => pause = RETRY.0,
            // Said once by the store's own link; polls go on and find what is missed.
            Err(error) => tracing::debug!(%error, "bus: no subscription"),
        }
        let jitter = Duration::from_millis(runtime.random() % 50);
        runtime.sleep(pause + jitter).await;
        pause = (pause * 2).min(RETRY.1);
    }
}

/// Listens until the subscription is lost or the cache is gone.
async fn listen<V: Send + Sync + 'static>(
    link: &Link<V>,
    runtime: &dyn Runtime,
) -> larder_core::Result<()> {
    let Some(bus) = link.store.describe().bus else {
        return Ok(());
    };
    let mut subscription = bus.subscribe().await?;
    let _hearing = link.waiters.hear();
    let mut look = runtime.sleep(LOOK);
    while !link.is_over() {
        match select(subscription.next(), look).await {
            Either::Left((Some(Pushed::Record(record)), unfinished)) => {
                look = unfinished;
                if let Some(gap) = link.take(&record, Way::Pushed) {
                    link.replay(gap).await?;
                }
            }
            Either::Left((Some(Pushed::Nudge), unfinished)) => {
                look = unfinished;
                link.nudged.notify_one();
            }
            Either::Left((Some(Pushed::Free(key)), unfinished)) => {
                look = unfinished;
                link.free(&key);
            }
            Either::Left((None, _)) => break,
            Either::Right(((), _)) => look = runtime.sleep(LOOK),
        }
    }
    Ok(())
}
