//! What protects the source, and those who wait for it, in virtual time.

mod fail_safe;
mod limits;
mod settings;
mod timeouts;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Builder, Cx, ErrorKind, LoadError, Loaded, ProtectionStats, Timeouts};

use crate::support::{Oops, Users, World, in_time};

const TTL: Duration = Duration::from_secs(100);
const SOFT: Duration = Duration::from_millis(50);
const HARD: Duration = Duration::from_secs(2);

type Read = Result<Loaded<u64>, LoadError<Oops>>;

/// One of each kind, with a stale value under the key 1.
async fn stale(world: &World, set: impl Fn(Builder<u64, u64>) -> Builder<u64, u64>) -> Vec<Users> {
    let mut caches = Vec::new();
    for builder in [world.near_only(), world.remote_only(), world.both()] {
        caches.push(set(builder.ttl(TTL).stale_for("1h")).build().await.unwrap());
    }
    caches
}

/// The same with both timeouts.
async fn timed(world: &World) -> Vec<Users> {
    stale(world, |it| {
        it.timeouts(Timeouts::new().soft(SOFT).hard(HARD))
    })
    .await
}

/// Gives the key 1 a stale value.
async fn age(world: &World, cache: &Users) {
    let _ = cache.insert(&1, 10).await.unwrap();
    world.clock.advance(TTL).await;
}

/// What a loader gives that counts its runs: 100 for the first.
fn counted(
    runs: &Arc<AtomicU64>,
) -> impl FnOnce(Cx<u64, u64>) -> std::future::Ready<Result<u64, Oops>> + Send + use<> {
    let runs = runs.clone();
    move |_| std::future::ready(Ok(runs.fetch_add(1, Ordering::Relaxed) + 100))
}

async fn fail(cache: &Users) -> Read {
    in_time(cache.get_or_load(&1, |_| async { Err(Oops("down")) })).await
}

/// The kind of the cache's own error.
fn kind(read: Read) -> ErrorKind {
    match read {
        Err(LoadError::Cache(error)) => error.kind(),
        other => panic!("{other:?}"),
    }
}

fn counts(cache: &Users) -> ProtectionStats {
    cache.stats().protection
}

async fn peek(cache: &Users) -> Option<u64> {
    cache.get(&1).await.unwrap().map(|found| *found)
}
