//! Refresh: values are loaded again while they are served.

mod early;
mod overtaken;
mod stale;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Loaded, Refresh, RefreshStats, Refusal};

use crate::support::{Oops, Users, World, in_time};

/// What each of the caches of these tests has for a ttl, and where its refresh begins.
const TTL: Duration = Duration::from_secs(100);
const POINT: Duration = Duration::from_secs(80);
/// More than the pause after a refresh that was in vain.
const RETRY: Duration = Duration::from_millis(1_010);

/// One of each kind.
async fn caches(world: &World, refresh: &Refresh) -> Vec<Users> {
    let mut caches = Vec::new();
    for builder in [world.near_only(), world.remote_only(), world.both()] {
        let builder = builder.ttl(TTL).stale_for("1h").refresh(refresh.clone());
        caches.push(builder.build().await.unwrap());
    }
    caches
}

/// Reads, with a loader that gives `value` at once.
async fn read(cache: &Users, value: u64) -> Loaded<u64> {
    let load = move |_| async move { Ok::<_, Oops>(value) };
    in_time(cache.get_or_load(&1, load)).await.unwrap()
}

/// What is there. Never loads.
async fn peek(cache: &Users) -> Option<u64> {
    cache.get(&1).await.unwrap().map(|found| *found)
}

/// A loader that counts its runs.
fn counted(
    runs: &Arc<AtomicU64>,
) -> impl FnOnce(larder::Cx<u64, u64>) -> std::future::Ready<Result<u64, Oops>> + Send + use<> {
    let runs = runs.clone();
    move |_| std::future::ready(Ok(runs.fetch_add(1, Ordering::Relaxed) + 100))
}

fn refreshes(cache: &Users) -> RefreshStats {
    cache.stats().refreshes
}

fn refused(cache: &Users) -> Vec<(Refusal, u64)> {
    let refused = cache.stats().refused.into_iter();
    refused.filter(|(_, count)| *count > 0).collect()
}
