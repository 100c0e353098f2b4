//! Every verb, on every arrangement of tiers: one body, in memory and on a real server.

use std::sync::Arc;
use std::time::Duration;

use larder::embedded::Embedded;
use larder::redis::Redis;
use larder::{Builder, Cache, ErrorKind, InsertOptions, Layout, Near, TokioRuntime};
use larder_testkit::servers::{RedisOptions, RedisServer};

use crate::support::{Oops, Users};

fn builder() -> Builder<u64, u64> {
    Cache::builder("app:users").ttl("1h").stale_for("1h")
}

fn near() -> Near {
    Near::bytes("1MiB")
}

fn embedded() -> Embedded {
    Embedded::new(Arc::new(TokioRuntime::current()))
}

async fn read(cache: &Users, key: u64) -> Option<u64> {
    cache.get(&key).await.unwrap().map(|loaded| *loaded)
}

async fn reading(cache: &Users) {
    assert_eq!(read(cache, 1).await, None);
    assert!(!cache.contains_key(&1).await.unwrap());
    cache.insert(&1, 10).await.unwrap();
    assert_eq!(read(cache, 1).await, Some(10));
    assert!(cache.contains_key(&1).await.unwrap());
    cache.insert(&1, 11).await.unwrap();
    assert_eq!(read(cache, 1).await, Some(11));
}

async fn many(cache: &Users) {
    let keys: Vec<u64> = (100..300).collect();
    cache
        .insert_many(keys.iter().map(|key| (*key, key * 10)))
        .await
        .unwrap();
    let asked = [299, 1_000, 100, 299];
    let found = cache.get_many(&asked).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|value| value.map(|v| *v)).collect();
    assert_eq!(found, [Some(2_990), None, Some(1_000), Some(2_990)]);
    let receipt = cache.invalidate_many(keys.iter().chain(&[1_000])).await;
    assert_eq!(receipt.unwrap().existed(), 200);
    assert_eq!(read(cache, 100).await, None);

    assert!(cache.get_many::<u64>([]).await.unwrap().is_empty());
    cache.insert_many::<u64>([]).await.unwrap();
    let nothing = cache.invalidate_many::<u64>([]).await.unwrap();
    assert_eq!(nothing.existed(), 0);
}

async fn removing(cache: &Users) {
    cache.insert(&2, 20).await.unwrap();
    assert_eq!(cache.invalidate(&2).await.unwrap().existed(), 1);
    assert_eq!(cache.invalidate(&2).await.unwrap().existed(), 0);
    assert_eq!(read(cache, 2).await, None);

    cache.insert(&2, 21).await.unwrap();
    assert_eq!(cache.expire(&2).await.unwrap().existed(), 1);
    assert_eq!(read(cache, 2).await, None);

    cache.insert_many([(3, 30), (4, 40)]).await.unwrap();
    cache.clear().await.unwrap();
    assert_eq!((read(cache, 3).await, read(cache, 4).await), (None, None));
}

async fn loading(cache: &Users) {
    let load = |_| async { Ok::<_, Oops>(50) };
    assert_eq!(*cache.get_or_load(&5, load).await.unwrap(), 50);
    assert_eq!(read(cache, 5).await, Some(50));
    let unused = |_| async { Err(Oops("not needed")) };
    assert_eq!(*cache.get_or_load(&5, unused).await.unwrap(), 50);
    let failed = cache.get_or_load(&6, unused).await;
    assert!(failed.is_err());
    assert_eq!(read(cache, 6).await, None);
}

async fn options(cache: &Users) {
    let zero = InsertOptions::new().ttl(Duration::ZERO);
    let refused = cache.insert_with(&7, 70, zero).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let day = InsertOptions::new().ttl(Duration::from_secs(86_400));
    cache.insert_with(&7, 70, day).await.unwrap();
    assert_eq!(read(cache, 7).await, Some(70));
}

async fn all_verbs(cache: Builder<u64, u64>) {
    let cache = cache.build().await.unwrap();
    reading(&cache).await;
    many(&cache).await;
    removing(&cache).await;
    loading(&cache).await;
    options(&cache).await;
    let stats = cache.stats();
    assert_eq!(stats.remote.damaged, 0);
    assert!(
        stats.errors.iter().all(|(_, count)| *count == 0),
        "{stats:?}"
    );
    assert!(stats.near.hits + stats.remote.hits > 0);
}

#[tokio::test]
async fn all_verbs_work_in_the_near_cache_alone() {
    all_verbs(builder().near(near())).await;
}

#[tokio::test]
async fn all_verbs_work_on_the_embedded_store() {
    all_verbs(builder().remote(embedded())).await;
}

#[tokio::test]
async fn all_verbs_work_with_a_near_cache_over_the_embedded_store() {
    all_verbs(builder().near(near()).remote(embedded())).await;
}

#[tokio::test]
async fn all_verbs_work_on_redis() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    all_verbs(builder().remote(Redis::open(&server.url()).unwrap())).await;
}

#[tokio::test]
async fn all_verbs_work_with_a_near_cache_over_redis() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let redis = Redis::open(&server.url()).unwrap();
    all_verbs(builder().near(near()).remote(redis)).await;
}

#[tokio::test]
async fn all_verbs_work_in_the_plain_layout() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    for near_cache in [None, Some(near())] {
        let redis = Redis::open(&server.url()).unwrap();
        let mut plain = builder().remote(redis).layout(Layout::Plain);
        if let Some(near) = near_cache {
            plain = plain.near(near);
        }
        all_verbs(plain).await;
        server.cli(&["FLUSHALL"]);
    }
}
