//! What a loader can answer beside a value: that the previous one still holds, and that there is none.

mod absent;
mod overtaken;
mod same;

use std::time::Duration;

use larder::{LoadError, Loaded, Refusal};

use crate::support::{Oops, Users, World, in_time};

/// What each of the caches of these tests has for a ttl.
const TTL: Duration = Duration::from_secs(100);
const LATER: Duration = Duration::from_secs(101);

/// One of each kind.
async fn caches(world: &World) -> [Users; 3] {
    let build = async |builder: larder::Builder<u64, u64>| {
        let builder = builder.ttl(TTL).stale_for("1h").negative_ttl("10s");
        builder.build().await.unwrap()
    };
    [
        build(world.near_only()).await,
        build(world.remote_only()).await,
        build(world.both()).await,
    ]
}

/// Reads with a loader that gives `value`.
async fn load(cache: &Users, value: u64) -> Loaded<u64> {
    let load = move |_| async move { Ok::<_, Oops>(value) };
    in_time(cache.get_or_load(&1, load)).await.unwrap()
}

/// Reads with a loader that answers that nothing has changed.
async fn confirm(cache: &Users) -> Result<Loaded<u64>, LoadError<Oops>> {
    let load = |cx: larder::Cx<u64, u64>| async move { cx.not_modified().await };
    in_time(cache.get_or_load(&1, load)).await
}

/// Reads with a loader that answers that there is no record.
async fn deny(cache: &Users) -> Result<Loaded<u64>, LoadError<Oops>> {
    let load = |cx: larder::Cx<u64, u64>| async move { cx.absent().await };
    in_time(cache.get_or_load(&1, load)).await
}

/// Reads with a loader that fails: what is there, and whether that is stale.
async fn fail(cache: &Users) -> Result<(u64, bool), LoadError<Oops>> {
    let read = in_time(cache.get_or_load(&1, |_| async { Err(Oops("down")) })).await;
    read.map(|found| (*found, found.is_stale()))
}

/// What is there. Never loads.
async fn peek(cache: &Users) -> Option<u64> {
    cache.get(&1).await.unwrap().map(|found| *found)
}

fn refused(cache: &Users) -> Vec<(Refusal, u64)> {
    let refused = cache.stats().refused.into_iter();
    refused.filter(|(_, count)| *count > 0).collect()
}
