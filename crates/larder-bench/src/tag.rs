//! What it costs to invalidate a tag that a million entries bear, and the reads that follow, beside
//! the same with a tag of one entry.
//!
//! Both tags are in one cache of a million entries with near copies of all of them. A thousand reads
//! follow each invalidation, and then a thousand loads, of other keys, each of a key whose value is
//! void: by the tag that was just invalidated, if nearly all entries bear it; beside the only one that
//! bears its tag by a third one, which went a moment before. So both do the same reads among the same
//! entries, and what differs is how many of them the tag had.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use larder::embedded::Embedded;
use larder::redis::Redis;
use larder::{Cache, InsertOptions, Near, Remote, TokioRuntime};
use larder_testkit::servers::{RedisOptions, RedisServer};

use crate::measure::{median, now};

const ENTRIES: u64 = 1_000_000;
const READS: u64 = 1_000;
const ROUNDS: u64 = 3;
/// Times that all keys are read until all are held, and the rest between two of them: together longer
/// than the version floors of so many inserts are kept, which refuse what is read meanwhile.
const PASSES: u32 = 40;
const REST: Duration = Duration::from_secs(2);
/// Attempts at one insert.
const ATTEMPTS: usize = 20;
/// Inserts under way at once while a cache is filled.
const INSERTS: usize = 256;

type Rows = Cache<u64, u64>;

pub(crate) fn run() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be built");
    println!("{ROUNDS} rounds; medians in microseconds, of the ratio that of each round");
    println!("| store | what | 1 entry | {ENTRIES} entries | ratio |");
    println!("|---|---|---:|---:|---:|");
    runtime.block_on(async {
        let store = Embedded::new(Arc::new(TokioRuntime::current()));
        measure("embedded", store).await;
    });
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let redis = Redis::open(&server.url()).expect("the address is sound");
    runtime.block_on(measure("Redis", redis));
}

async fn measure(store: &str, remote: impl Remote + 'static) {
    let cache = cache(remote).await;
    let (mut by_one, mut by_many) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Tags that the loads of earlier rounds do not bear.
        let [one, few, many] = ["one", "few", "many"].map(|tag| format!("{tag}:{round}"));
        let tag = |key: u64| match key {
            0 => one.clone(),
            _ if key < 2 * READS => few.clone(),
            _ => many.clone(),
        };
        fill(&cache, tag).await;
        let voided = cache.invalidate_tag(&few).await;
        voided.expect("the store takes it");
        by_one.push(take(&cache, &one, 0).await);
        by_many.push(take(&cache, &many, 2 * READS).await);
    }
    for (at, what) in ["invalidate", "1 000 reads", "1 000 loads", "together"]
        .into_iter()
        .enumerate()
    {
        let of = |rounds: &[[f64; 4]]| rounds.iter().map(|round| round[at]).collect::<Vec<_>>();
        let (mut ones, mut manies) = (of(&by_one), of(&by_many));
        let ratios = manies.iter().zip(&ones).map(|(many, one)| many / one);
        let ratio = median(&mut ratios.collect::<Vec<_>>());
        println!(
            "| {store} | {what} | {:.0} | {:.0} | {ratio:.2} |",
            median(&mut ones),
            median(&mut manies)
        );
    }
}

async fn cache(remote: impl Remote + 'static) -> Rows {
    let builder = Cache::builder("bench:rows").ttl("1h").remote(remote);
    let cache = builder.near(Near::bytes("1GiB")).build().await;
    cache.expect("the settings are valid")
}

/// Stores all entries, each with its tag, and sees to it that there is a near copy of each.
async fn fill(cache: &Rows, tag: impl Fn(u64) -> String) {
    let tag = &tag;
    let insert = |key: u64| async move {
        // On a machine that is busy elsewhere a server may take too long once in a million times.
        for _ in 0..ATTEMPTS {
            let options = InsertOptions::new().tag(tag(key));
            if cache.insert_with(&key, key, options).await.is_ok() {
                return;
            }
        }
        panic!("the store does not take {key}");
    };
    let inserts = stream::iter((0..ENTRIES).map(insert)).buffer_unordered(INSERTS);
    inserts.collect::<()>().await;
    for _ in 0..PASSES {
        let hits = cache.stats().near.hits;
        // An error is no near hit either.
        let read = |key: u64| async move { cache.get(&key).await.map(drop).unwrap_or_default() };
        let reads = stream::iter((0..ENTRIES).map(read)).buffer_unordered(INSERTS);
        reads.collect::<()>().await;
        if cache.stats().near.hits == hits + ENTRIES {
            return;
        }
        tokio::time::sleep(REST).await;
    }
    panic!("the near cache does not come to hold all keys");
}

/// Invalidates the tag and reads, twice a thousand keys beginning with `first`: microseconds for the
/// invalidation, the reads, the loads, and together.
async fn take(cache: &Rows, tag: &str, first: u64) -> [f64; 4] {
    let begun = now();
    let voided = cache.invalidate_tag(tag).await;
    voided.expect("the store takes it");
    let invalidated = now();
    for key in first..first + READS {
        let found = cache.get(&key).await.expect("the store answers");
        assert!(found.is_none(), "it is void");
    }
    let read = now();
    for key in first + READS..first + 2 * READS {
        let tag = tag.to_owned();
        let loaded = cache.get_or_load(&key, |cx| async move {
            cx.tag(tag);
            Ok::<u64, std::convert::Infallible>(7)
        });
        assert_eq!(*loaded.await.expect("the loader never fails"), 7);
    }
    let loaded = now();
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    [
        micros(invalidated - begun),
        micros(read - invalidated),
        micros(loaded - read),
        micros(loaded - begun),
    ]
}
