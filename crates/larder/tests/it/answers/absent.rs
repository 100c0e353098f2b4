//! The answer that there is no record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use larder::bytes::ByteCache;
use larder::core::Runtime;
use larder::embedded::Embedded;
use larder::{Cx, ErrorKind, LoadError, LoadOptions, Source};

use super::{LATER, TTL, caches, deny, fail, load, peek, refused};
use crate::support::{Oops, Op, Users, World, in_time};

const NEGATIVE: Duration = Duration::from_secs(10);

fn is_absent<T>(answer: &Result<T, LoadError<Oops>>) -> bool {
    matches!(answer, Err(error) if error.is_absent())
}

#[tokio::test]
async fn what_the_source_does_not_have_is_remembered_for_a_life_of_its_own() {
    let world = World::new();
    for cache in caches(&world).await {
        assert!(is_absent(&deny(&cache).await));
        for _ in 0..3 {
            assert!(is_absent(&fail(&cache).await), "the loader is not asked");
            assert_eq!(peek(&cache).await, None);
            assert!(!cache.contains_key(&1).await.unwrap());
            let many = cache.get_many([&1, &2]).await.unwrap();
            assert!(many.iter().all(Option::is_none));
            world.clock.advance(NEGATIVE / 4).await;
        }
        world.clock.advance(NEGATIVE / 2).await;
        assert!(matches!(fail(&cache).await, Err(LoadError::Loader(_))));
        assert_eq!(*load(&cache, 10).await, 10);
        let loads = cache.stats().loads;
        assert_eq!((loads.succeeded, loads.absent, loads.failed), (2, 1, 1));
        let _ = cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn the_near_cache_remembers_it_without_a_round_trip() {
    let world = World::new();
    let builder = world.both().ttl(TTL).negative_ttl(NEGATIVE);
    let cache = builder.build().await.unwrap();
    assert!(is_absent(&deny(&cache).await));
    let asked = || [Op::Get, Op::GetMany, Op::Lease].map(|op| world.store.calls(op));
    let before = asked();
    let near = cache.stats().near;
    assert_eq!(peek(&cache).await, None);
    assert!(is_absent(&fail(&cache).await));
    assert!(!cache.contains_key(&1).await.unwrap());
    let options = LoadOptions::new().default_value(99);
    let unused = |_| async { Err::<u64, _>(Oops("not needed")) };
    let answer = in_time(cache.get_or_load_with(&1, options, unused)).await;
    assert!(is_absent(&answer), "no default in place of an answer");
    assert_eq!(asked(), before);
    let counts = cache.stats().near;
    assert_eq!((counts.hits, counts.misses), (near.hits + 4, near.misses));
}

#[tokio::test]
async fn other_nodes_are_told_by_the_remote_tier() {
    let world = World::new();
    for builder in [world.remote_only(), world.both()] {
        let one = world.both().negative_ttl(NEGATIVE).build().await.unwrap();
        let two = builder.build().await.unwrap();
        assert!(is_absent(&deny(&one).await));
        assert_eq!(peek(&two).await, None);
        assert!(is_absent(&fail(&two).await));
        world.clock.advance(NEGATIVE / 2).await;
        assert!(is_absent(&fail(&two).await));
        // No copy outlives what it is a copy of.
        world.clock.advance(NEGATIVE / 2).await;
        assert!(matches!(fail(&two).await, Err(LoadError::Loader(_))));
    }
}

#[tokio::test]
async fn an_insert_or_an_invalidation_ends_it() {
    let world = World::new();
    for cache in caches(&world).await {
        assert!(is_absent(&deny(&cache).await));
        let _ = cache.insert(&1, 10).await.unwrap();
        assert_eq!(peek(&cache).await, Some(10));
        for change in 0..4 {
            let _ = cache.invalidate(&1).await.unwrap();
            assert!(is_absent(&deny(&cache).await));
            assert!(is_absent(&fail(&cache).await));
            match change {
                0 => drop(cache.invalidate(&1).await.unwrap()),
                1 => drop(cache.expire(&1).await.unwrap()),
                2 => drop(cache.clear().await.unwrap()),
                _ => drop(cache.expire_all().await.unwrap()),
            }
            let after = fail(&cache).await;
            assert!(
                matches!(after, Err(LoadError::Loader(_))),
                "{change}: {after:?}"
            );
        }
        let _ = cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn its_tags_make_it_void() {
    let world = World::new();
    let store = Embedded::new(world.clock.clone());
    for builder in [world.near_only(), world.near_only().remote(store)] {
        let cache = builder.negative_ttl(NEGATIVE).build().await.unwrap();
        let tagged = |cx: Cx<u64, u64>| async move {
            cx.tag("t");
            cx.absent::<Result<u64, Oops>>().await
        };
        assert!(is_absent(&in_time(cache.get_or_load(&1, tagged)).await));
        assert!(is_absent(&fail(&cache).await));
        let _ = cache.invalidate_tag("t").await.unwrap();
        assert!(matches!(fail(&cache).await, Err(LoadError::Loader(_))));
    }
}

#[tokio::test]
async fn it_takes_the_place_of_a_value_for_fail_safe_too() {
    let world = World::new();
    for negative in [Duration::ZERO, NEGATIVE] {
        for builder in [world.near_only(), world.remote_only(), world.both()] {
            let builder = builder.ttl(TTL).stale_for("1h").negative_ttl(negative);
            let cache = builder.build().await.unwrap();
            load(&cache, 10).await;
            world.clock.advance(LATER).await;
            assert!(is_absent(&deny(&cache).await));
            world.clock.advance(NEGATIVE * 2).await;
            assert!(matches!(fail(&cache).await, Err(LoadError::Loader(_))));
            assert_eq!(refused(&cache), []);
            let _ = cache.clear().await.unwrap();
        }
    }
}

#[tokio::test]
async fn without_a_life_it_is_not_remembered_unless_the_loader_gives_it_one() {
    let world = World::new();
    for builder in [world.near_only(), world.remote_only(), world.both()] {
        let cache = builder.build().await.unwrap();
        assert!(is_absent(&deny(&cache).await));
        assert!(matches!(fail(&cache).await, Err(LoadError::Loader(_))));
        let lasting = |cx: Cx<u64, u64>| async move {
            cx.ttl(NEGATIVE);
            cx.absent::<Result<u64, Oops>>().await
        };
        assert!(is_absent(&in_time(cache.get_or_load(&1, lasting)).await));
        assert!(is_absent(&fail(&cache).await));
        world.clock.advance(NEGATIVE).await;
        assert!(matches!(fail(&cache).await, Err(LoadError::Loader(_))));
    }
}

#[tokio::test]
async fn a_loading_cache_gives_none_and_asks_again_after_that_life() {
    let world = World::new();
    for builder in [world.near_only(), world.remote_only(), world.both()] {
        let asked = Arc::new(AtomicU64::new(0));
        let count = asked.clone();
        let builder = builder
            .negative_ttl(NEGATIVE)
            .loader(move |cx: Cx<u64, u64>| {
                count.fetch_add(1, Ordering::Relaxed);
                async move { cx.absent::<Result<u64, Oops>>().await }
            });
        let cache: Users = builder.build().await.unwrap();
        for round in 1..4 {
            for _ in 0..3 {
                assert!(cache.get(&1).await.unwrap().is_none());
                assert!(cache.get_many([&1]).await.unwrap()[0].is_none());
            }
            assert_eq!(asked.load(Ordering::Relaxed), round);
            world.clock.advance(NEGATIVE).await;
        }
        let _ = cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn all_who_wait_are_told_that_there_is_none() {
    let world = World::new();
    for cache in caches(&world).await {
        let (begin, begun) = tokio::sync::oneshot::channel::<()>();
        let first = crate::support::spawn_load(&cache, 1, move |cx| async move {
            let _ = begun.await;
            cx.absent().await
        });
        crate::support::settle().await;
        let second = crate::support::spawn_load(&cache, 1, |_| async { Err(Oops("not needed")) });
        crate::support::settle().await;
        begin.send(()).unwrap();
        for call in [first, second] {
            assert!(is_absent(&in_time(call).await.unwrap()));
        }
        assert_eq!(cache.stats().loads.shared, 1);
        let _ = cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_made_from_absence_is_void_once_there_is_something() {
    let world = World::new();
    let store = Embedded::new(world.clock.clone());
    for builder in [world.near_only(), world.near_only().remote(store)] {
        let cache = builder.negative_ttl("1h").build().await.unwrap();
        let made = async || {
            let reading = cache.clone();
            let load = move |_| async move {
                let deny = |cx: Cx<u64, u64>| async move { cx.absent::<Result<_, Oops>>().await };
                match reading.get_or_load(&1, deny).await {
                    Ok(found) => Ok::<_, Oops>(*found + 100),
                    Err(error) if error.is_absent() => Ok(0),
                    Err(_) => Err(Oops("unexpected")),
                }
            };
            let made = in_time(cache.get_or_load(&2, load)).await.unwrap();
            (*made, made.source())
        };
        assert_eq!(made().await, (0, Source::Loaded));
        assert_eq!(made().await, (0, Source::Near));
        // Once more, from a negative entry that is there.
        let _ = cache.invalidate(&2).await.unwrap();
        assert_eq!(made().await, (0, Source::Loaded));
        assert_eq!(made().await, (0, Source::Near));
        let _ = cache.insert(&1, 10).await.unwrap();
        assert_eq!(made().await, (110, Source::Loaded));
        assert_eq!(refused(&cache), []);
    }
}

#[tokio::test]
async fn to_a_client_of_a_node_it_is_an_absent_key() {
    let world = World::new();
    let store = Embedded::new(world.clock.clone());
    let builder = world.near_only().remote(store.clone());
    let cache = builder.negative_ttl(NEGATIVE).build().await.unwrap();
    let runtime: Arc<dyn Runtime> = world.clock.clone();
    let node = ByteCache::new(Arc::new(store), runtime).database(0);
    let key = Bytes::from_static(b"app:users:1");
    load(&cache, 10).await;
    assert!(node.get(&key).await.unwrap().is_some());
    let _ = cache.invalidate(&1).await.unwrap();
    assert!(is_absent(&deny(&cache).await));
    assert!(node.get(&key).await.unwrap().is_none());
    assert_eq!(node.get_many(&[key]).await.unwrap(), [None]);
}

#[tokio::test]
async fn a_listener_hears_of_values_only() {
    let world = World::new();
    let heard = Arc::new(AtomicU64::new(0));
    let hear = heard.clone();
    let cache = world.near_only().ttl(TTL).negative_ttl(NEGATIVE);
    let cache = cache.listener(move |_, value, _| {
        hear.fetch_add(*value, Ordering::Relaxed);
    });
    let cache = cache.build().await.unwrap();
    assert!(is_absent(&deny(&cache).await));
    let _ = cache.insert(&1, 10).await.unwrap();
    let _ = cache.invalidate(&1).await.unwrap();
    assert_eq!(heard.load(Ordering::Relaxed), 10);
}

#[tokio::test]
async fn a_life_that_is_no_time_is_refused() {
    let world = World::new();
    let error = world.near_only().negative_ttl("soon").build().await;
    let error = error.err().expect("it is no time");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("negative_ttl"), "{error}");
}
