//! Prefixes, patterns and all of a cache, as users invalidate them: alone, over the embedded store,
//! and over a real Redis, on one node and on two.

use std::sync::Arc;

use larder::embedded::Embedded;
use larder::redis::Redis;
use larder::{Builder, Cache, ErrorKind, Layout, Near, Refusal, Source, TokioRuntime};
use larder_testkit::servers::{RedisOptions, RedisServer};
use tokio::sync::oneshot;

use crate::support::{Oops, in_time};

type Pages = Cache<String, u64>;

fn pages() -> Builder<String, u64> {
    Cache::builder("app:pages").ttl("1h").stale_for("1h")
}

fn server() -> Option<RedisServer> {
    RedisServer::start_or_skip(RedisOptions::new())
}

fn near() -> Near {
    Near::bytes("1MiB")
}

/// Two nodes each: alone they are one.
async fn worlds() -> Vec<(&'static str, Pages, Pages)> {
    let alone = pages().near(near()).build().await.unwrap();
    let store = Embedded::new(Arc::new(TokioRuntime::current()));
    let over = || pages().remote(store.clone()).near(near());
    let bare = || {
        let name = Cache::<String, u64>::builder("app:bare");
        name.ttl("1h").stale_for("1h").remote(store.clone())
    };
    let mut worlds = vec![
        ("alone", alone.clone(), alone),
        (
            "embedded",
            over().build().await.unwrap(),
            over().build().await.unwrap(),
        ),
        (
            "embedded, no near cache",
            bare().build().await.unwrap(),
            bare().build().await.unwrap(),
        ),
    ];
    if let Some(server) = server() {
        let over = |near| {
            let redis = Redis::open(&server.url()).unwrap();
            pages().remote(redis).near(near)
        };
        let (one, other) = (over(near()), over(near()));
        worlds.push((
            "redis",
            one.build().await.unwrap(),
            other.build().await.unwrap(),
        ));
        // It lives as long as the test.
        std::mem::forget(server);
    }
    worlds
}

async fn load(cache: &Pages, key: &str, value: u64) -> larder::Loaded<u64> {
    let load = move |_| async move { Ok::<_, Oops>(value) };
    cache.get_or_load(&key.to_owned(), load).await.unwrap()
}

async fn read(cache: &Pages, key: &str) -> Option<u64> {
    cache
        .get(&key.to_owned())
        .await
        .unwrap()
        .map(|value| *value)
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    in_time(async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_voids_what_matches_on_every_node_and_nothing_else() {
    for (world, one, other) in worlds().await {
        let keys = [
            "search:shoes:page:1",
            "search:shoes:page:22",
            "search:boots:page:1",
            "x y%",
        ];
        for key in keys {
            load(&one, key, 1).await;
            assert_eq!(read(&other, key).await, Some(1), "{world}: {key}");
        }
        one.invalidate_pattern("search:shoes:page:*").await.unwrap();
        for (key, expected) in keys.into_iter().zip([None, None, Some(1), Some(1)]) {
            assert_eq!(read(&one, key).await, expected, "{world}: {key}");
        }
        until(async || read(&other, "search:shoes:page:1").await.is_none()).await;
        assert_eq!(
            read(&other, "search:boots:page:1").await,
            Some(1),
            "{world}"
        );
        // What comes after it stays.
        assert_eq!(
            load(&other, "search:shoes:page:1", 2).await.source(),
            Source::Loaded
        );
        assert_eq!(read(&one, "search:shoes:page:1").await, Some(2), "{world}");
        one.invalidate_prefix("x y").await.unwrap();
        assert_eq!(
            read(&one, "x y%").await,
            None,
            "{world}: keys are escaped alike"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_and_a_clear_void_inserted_values_too() {
    for (world, one, other) in worlds().await {
        one.insert(&"a:1".to_owned(), 1).await.unwrap();
        one.insert(&"b:1".to_owned(), 1).await.unwrap();
        assert_eq!(read(&other, "a:1").await, Some(1), "{world}");
        other.invalidate_prefix("a:").await.unwrap();
        assert_eq!(read(&other, "a:1").await, None, "{world}");
        assert_eq!(read(&other, "b:1").await, Some(1), "{world}");
        one.insert(&"a:1".to_owned(), 2).await.unwrap();
        assert_eq!(read(&one, "a:1").await, Some(2), "{world}");
        one.clear().await.unwrap();
        assert_eq!(read(&one, "a:1").await, None, "{world}");
        until(async || read(&other, "b:1").await.is_none()).await;
        assert!(!one.contains_key(&"b:1".to_owned()).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_under_way_is_not_stored_after_an_area_that_covers_it() {
    for (world, one, other) in worlds().await {
        for covers in [true, false] {
            let key = "shoes:7".to_owned();
            one.clear().await.unwrap();
            let (began, has_begun) = oneshot::channel();
            let (go_on, may_go_on) = oneshot::channel::<()>();
            let loading = tokio::spawn({
                let (one, key) = (one.clone(), key.clone());
                async move {
                    let load = move |_| async move {
                        began.send(()).unwrap();
                        may_go_on.await.unwrap();
                        Ok::<_, Oops>(1)
                    };
                    *one.get_or_load(&key, load).await.unwrap()
                }
            });
            has_begun.await.unwrap();
            let prefix = if covers { "shoes:" } else { "boots:" };
            other.invalidate_prefix(prefix).await.unwrap();
            go_on.send(()).unwrap();
            assert_eq!(loading.await.unwrap(), 1, "its caller gets it");
            let stored = read(&other, &key).await;
            assert_eq!(stored, (!covers).then_some(1), "{world}: {prefix}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fail_safe_never_brings_back_what_an_area_has_voided() {
    for (world, one, _) in worlds().await {
        load(&one, "shoes:1", 1).await;
        one.invalidate_prefix("shoes:").await.unwrap();
        let failing = |_| async { Err::<u64, _>(Oops("no")) };
        let failed = one.get_or_load(&"shoes:1".to_owned(), failing).await;
        assert!(failed.is_err(), "{world}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_areas_and_slow_loads_get_on_with_each_other() {
    for (world, one, _) in worlds().await {
        one.clear().await.unwrap();
        for n in 0..100 {
            one.invalidate_prefix(&format!("other:{n}:")).await.unwrap();
            load(&one, "mine", 1).await;
        }
        let refused = one.stats().refused;
        let raced = refused
            .iter()
            .find(|(reason, _)| *reason == Refusal::TagRaced);
        assert_eq!(raced.map(|(_, count)| *count), Some(0), "{world}");
        // Only the limit of areas makes older values void.
        assert!(
            one.stats().loads.succeeded <= 3,
            "{world}: {:?}",
            one.stats().loads
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_of_void_values_is_released_behind() {
    for (world, one, _) in worlds().await {
        for n in 0..2_000_u64 {
            one.insert(&format!("shoes:{n}"), n).await.unwrap();
        }
        one.insert(&"kept".to_owned(), 1).await.unwrap();
        one.invalidate_prefix("shoes:").await.unwrap();
        if one.policy().near_capacity > 0 {
            until(async || one.stats().near.entries <= 1).await;
        }
        assert_eq!(read(&one, "kept").await, Some(1), "{world}");
    }
    let Some(server) = server() else { return };
    let redis = || Redis::open(&server.url()).unwrap();
    let cache = pages().remote(redis()).build().await.unwrap();
    for n in 0..2_000_u64 {
        cache.insert(&format!("shoes:{n}"), n).await.unwrap();
    }
    cache.clear().await.unwrap();
    until(async || server.cli(&["KEYS", "app:pages:*"]).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plain_layout_removes_one_by_one() {
    let Some(server) = server() else { return };
    let redis = Redis::open(&server.url()).unwrap();
    let plain = pages().remote(redis).layout(Layout::Plain).near(near());
    let cache = plain.build().await.unwrap();
    for key in ["a:1", "a:2", "b:1", "b:2"] {
        cache.insert(&key.to_owned(), 1).await.unwrap();
    }
    cache.invalidate_prefix("a:").await.unwrap();
    cache.invalidate_pattern("?:2").await.unwrap();
    assert_eq!(server.cli(&["KEYS", "app:pages:*"]), "app:pages:b:1");
    for (key, expected) in [("a:1", None), ("b:2", None), ("b:1", Some(1))] {
        assert_eq!(read(&cache, key).await, expected, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plain_layout_expires_one_by_one() {
    let Some(server) = server() else { return };
    let redis = Redis::open(&server.url()).unwrap();
    let plain = pages().remote(redis).layout(Layout::Plain).near(near());
    let cache = plain.build().await.unwrap();
    cache.insert(&"a:1".to_owned(), 1).await.unwrap();
    cache.expire_all().await.unwrap();
    assert_eq!(read(&cache, "a:1").await, None);
}

#[tokio::test]
async fn what_expires_with_a_near_cache_is_there_for_fail_safe_only() {
    let cache = pages().near(near()).stale_for("1h").build().await.unwrap();
    cache.insert(&"a".to_owned(), 1).await.unwrap();
    let outer = cache.clone();
    let from_it = move |_| async move {
        let inner = outer.get(&"a".to_owned()).await.map_err(|_| Oops("lost"))?;
        Ok::<_, Oops>(10 * *inner.ok_or(Oops("gone"))?)
    };
    let made = cache.get_or_load(&"b".to_owned(), from_it).await.unwrap();
    assert_eq!(*made, 10);
    cache.expire_all().await.unwrap();
    let fails = |_| async { Err::<u64, _>(Oops("down")) };
    assert_eq!(read(&cache, "a").await, None);
    let offered = cache.get_or_load(&"a".to_owned(), fails).await.unwrap();
    assert_eq!((*offered, offered.is_stale()), (1, true));
    // What depends on a key is void when the key expires, with its cache or alone.
    assert_eq!(read(&cache, "b").await, None);
    cache.get_or_load(&"b".to_owned(), fails).await.unwrap_err();
    cache.insert(&"a".to_owned(), 2).await.unwrap();
    assert_eq!(read(&cache, "a").await, Some(2));
}

#[tokio::test]
async fn bad_areas_are_refused_and_say_why() {
    let cache = pages().near(near()).build().await.unwrap();
    let long = "x".repeat(300);
    for outcome in [
        cache.invalidate_prefix(&long).await,
        cache.invalidate_pattern(&long).await,
        cache.invalidate_pattern("").await,
    ] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid);
    }
    cache.close().await;
    let closed = cache.invalidate_prefix("x").await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed);
}
