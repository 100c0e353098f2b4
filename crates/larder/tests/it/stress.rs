//! Many tasks on few keys, on real threads: no read that begins after a change was acknowledged
//! gives an older value.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder::embedded::Embedded;
use larder::redis::Redis;
use larder::{Builder, Cache, Layout, Near, TokioRuntime};
use larder_testkit::servers::{RedisOptions, RedisServer};

use crate::support::Users;

const KEYS: u64 = 3;
const TASKS: u64 = 8;

/// A row of the source, and the last of its values whose change was acknowledged.
#[derive(Default)]
struct Row {
    value: AtomicU64,
    acknowledged: AtomicU64,
}

type Rows = Arc<[Row; KEYS as usize]>;

async fn write(cache: &Users, key: u64, row: &Row, how: u64) {
    let value = row.value.fetch_add(1, Ordering::SeqCst) + 1;
    match how % 4 {
        0 => drop(cache.clear().await.unwrap()),
        1 => drop(cache.expire(&key).await.unwrap()),
        _ => drop(cache.invalidate(&key).await.unwrap()),
    }
    row.acknowledged.fetch_max(value, Ordering::SeqCst);
}

async fn read(cache: &Users, key: u64, rows: &Rows) {
    let least = rows[key as usize].acknowledged.load(Ordering::SeqCst);
    let source = rows.clone();
    let load = move |cx: larder::Cx<u64, _>| async move {
        let value = source[*cx.key() as usize].value.load(Ordering::SeqCst);
        // The gap in which a naive cache is overtaken.
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(value)
    };
    let read = *cache.get_or_load(&key, load).await.unwrap();
    assert!(read >= least, "read {read} after {least} was acknowledged");
}

async fn hammer(cache: Builder<u64, u64>, rounds: u64) {
    let cache = cache.build().await.unwrap();
    let rows = Rows::new(Default::default());
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (cache, rows) = (cache.clone(), rows.clone());
            tokio::spawn(async move {
                for round in 0..rounds {
                    let key = (task + round) % KEYS;
                    if (task * 7 + round) % 5 == 0 {
                        write(&cache, key, &rows[key as usize], task + round).await;
                    } else {
                        read(&cache, key, &rows).await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for key in 0..KEYS {
        read(&cache, key, &rows).await;
    }
    let stats = cache.stats();
    assert!(stats.near.hits + stats.remote.hits > 0, "{stats:?}");
}

fn builder() -> Builder<u64, u64> {
    Cache::builder("app:users").ttl("1h").stale_for("1h")
}

fn near() -> Near {
    Near::bytes("1MiB")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_acknowledged_change_is_undone_in_the_near_cache() {
    hammer(builder().near(near()), 2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_acknowledged_change_is_undone_over_the_embedded_store() {
    let embedded = || Embedded::new(Arc::new(TokioRuntime::current()));
    hammer(builder().remote(embedded()), 500).await;
    hammer(builder().near(near()).remote(embedded()), 500).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_acknowledged_change_is_undone_over_redis() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let redis = || Redis::open(&server.url()).unwrap();
    hammer(builder().remote(redis()), 200).await;
    hammer(builder().near(near()).remote(redis()), 200).await;
}

/// What the plain layout does keep: its process sees its own inserts, in their order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_the_plain_layout_a_task_reads_its_own_inserts() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let redis = Redis::open(&server.url()).unwrap();
    let cache = builder().near(near()).remote(redis).layout(Layout::Plain);
    let cache = cache.build().await.unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|key| {
            let cache = cache.clone();
            tokio::spawn(async move {
                for value in 0..100 {
                    cache.insert(&key, value).await.unwrap();
                    let read = cache.get(&key).await.unwrap();
                    assert_eq!(read.map(|read| *read), Some(value));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}
