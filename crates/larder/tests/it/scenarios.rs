//! The scenarios that other systems' tests and bugs taught: two or three nodes each, over the
//! embedded store and over a real Redis. Names begin with a scenario's id; `docs/scenarios.md` lists
//! them all, those that are tested elsewhere among them.
//!
//! `LARDER_MUTANT=StripeCount` takes that rule out of everything that happens in them: then those
//! that it is for must fail.

mod answers;
mod backlog;
mod bus;
mod loads;
mod many;
mod page;
mod races;
mod recovery;
mod refresh;
mod tags;
mod tiers;
mod timeouts;

use std::sync::Arc;
use std::time::Duration;

use larder::core::mutant::{Mutant, activate_everywhere};
use larder::embedded::Embedded;
use larder::redis::Redis;
use larder::{Builder, Cache, Cx, Near, Source, TokioRuntime};
use larder_testkit::servers::RedisServer;

use crate::support::{Oops, Users, address, redis_at, server};

pub(super) const PATIENT: Duration = Duration::from_secs(20);

/// Where the nodes of a scenario keep their values.
pub(super) struct Scene {
    pub(super) name: &'static str,
    place: Place,
}

enum Place {
    Embedded(Embedded),
    Redis(Box<RedisServer>),
}

/// A scene over each place that there is.
pub(super) fn scenes() -> Vec<Scene> {
    take_out();
    let embedded = Embedded::new(Arc::new(TokioRuntime::current()));
    let places = [
        Some(("embedded", Place::Embedded(embedded))),
        server().map(|server| ("redis", Place::Redis(server.into()))),
    ];
    let scene = |(name, place)| Scene { name, place };
    places.into_iter().flatten().map(scene).collect()
}

/// Time limits are not the subject: machines are busy.
pub(super) fn patient(server: &RedisServer) -> Redis {
    let redis = redis_at(address(server)).response_timeout(PATIENT);
    redis.connect_timeout(PATIENT).without_breaker()
}

/// Takes the rule out that the environment names.
pub(super) fn take_out() {
    let name = std::env::var("LARDER_MUTANT").unwrap_or_default();
    let mut known = Mutant::ALL.into_iter().chain(Mutant::SCENARIOS);
    let mutant = known.find(|mutant| format!("{mutant:?}") == name);
    assert!(mutant.is_some() || name.is_empty(), "{name} is no rule");
    // For all tests of the process: the environment is that of all of them.
    mutant.into_iter().for_each(activate_everywhere);
}

impl Scene {
    /// A node without a near cache, which sees what the store has.
    pub(super) fn bare(&self) -> Builder<u64, u64> {
        self.named("app:users")
    }

    /// A cache of another name.
    pub(super) fn named<V>(&self, name: &str) -> Builder<u64, V> {
        let builder = Cache::builder(name).ttl("1h").stale_for("1h");
        match &self.place {
            Place::Embedded(store) => builder.remote(store.clone()),
            Place::Redis(server) => builder.remote(patient(server)),
        }
    }

    /// Nodes with near caches that follow the log.
    pub(super) async fn nodes<const N: usize>(&self) -> [Users; N] {
        let mut nodes = Vec::new();
        for _ in 0..N {
            nodes.push(following(self.bare()).await);
        }
        nodes.try_into().unwrap_or_else(|_| unreachable!("so many"))
    }

    /// A node without a near cache.
    pub(super) async fn looking(&self) -> Users {
        self.bare().build().await.unwrap()
    }

    /// Nodes, and one that looks at the store alone.
    pub(super) async fn both<const N: usize>(&self) -> ([Users; N], Users) {
        (self.nodes().await, self.looking().await)
    }
}

/// Builds a node with a near cache, and waits until it follows the log.
pub(super) async fn following(builder: Builder<u64, u64>) -> Users {
    let cache = builder.near(Near::bytes("1MiB")).build().await.unwrap();
    // The first poll counts as a flush.
    until(async || cache.stats().bus.flushes > 0).await;
    cache
}

/// Looks again and again, on this thread, until something holds.
pub(super) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    let held = tokio::time::timeout(PATIENT, looking).await;
    held.expect("it holds within 20 s");
}

/// Reads or loads `value`.
pub(super) async fn load(cache: &Users, key: u64, value: u64) -> u64 {
    load_tagged(cache, key, &[], value).await
}

/// The same with tags.
pub(super) async fn load_tagged(
    cache: &Users,
    key: u64,
    tags: &'static [&'static str],
    value: u64,
) -> u64 {
    let loader = move |cx: Cx<u64, _>| async move {
        tags.iter().for_each(|tag| cx.tag(*tag));
        Ok::<_, Oops>(value)
    };
    *cache.get_or_load(&key, loader).await.unwrap()
}

/// What is there. Never loads.
pub(super) async fn read(cache: &Users, key: u64) -> Option<u64> {
    cache.get(&key).await.unwrap().map(|found| *found)
}

/// What fail-safe has to offer when the source is down: the value, and whether it is marked.
pub(super) async fn fail(cache: &Users, key: u64) -> Option<(u64, bool)> {
    let failed = cache.get_or_load(&key, |_| async { Err(Oops("down")) });
    let found = failed.await.ok()?;
    Some((*found, found.is_stale()))
}

/// Waits until a node answers from its near copy, which must be of this value.
pub(super) async fn holds(cache: &Users, key: u64, value: u64) {
    until(async || {
        let found = cache.get(&key).await.ok().flatten();
        found.is_some_and(|found| (*found, found.source()) == (value, Source::Near))
    })
    .await;
}

/// Waits until a node no longer gives this value.
pub(super) async fn loses(cache: &Users, key: u64, value: u64) {
    until(async || {
        let found = cache.get(&key).await;
        found.is_ok_and(|found| found.is_none_or(|found| *found != value))
    })
    .await;
}

/// How often a server has been asked for values. Scripts that ask are among it.
pub(super) fn reads(server: &RedisServer) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let calls = stats.lines().filter_map(|line| {
        let (command, counts) = line.split_once(":calls=")?;
        let is_read = matches!(command, "cmdstat_get" | "cmdstat_mget");
        let count = counts.split(',').next().filter(|_| is_read);
        count?.parse::<u64>().ok()
    });
    calls.sum()
}

/// How many records of the bus a node has applied.
pub(super) fn heard(cache: &Users) -> u64 {
    cache.stats().bus.received
}
