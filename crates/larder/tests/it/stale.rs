//! Fail-safe: a stale value instead of an error, when that is allowed and never otherwise.

use std::time::Duration;

use larder::{LoadError, Source};

use crate::support::{Oops, Trouble, Users, World, in_time};

async fn fail(cache: &Users) -> Result<larder::Loaded<u64>, LoadError<Oops>> {
    in_time(cache.get_or_load(&1, |_| async { Err(Oops("down")) })).await
}

async fn caches(world: &World) -> [(Users, Source); 3] {
    let built = [
        (world.near_only(), Source::Near),
        (world.remote_only(), Source::Remote),
        (world.both(), Source::Remote),
    ];
    let mut caches = Vec::new();
    for (cache, source) in built {
        let cache = cache.ttl("10s").stale_for("30s").build().await.unwrap();
        caches.push((cache, source));
    }
    caches.try_into().unwrap_or_else(|_| unreachable!())
}

#[tokio::test]
async fn a_stale_value_is_served_when_the_load_fails() {
    let world = World::new();
    for (cache, source) in caches(&world).await {
        cache.insert(&1, 10).await.unwrap();
        world.clock.advance(Duration::from_secs(11)).await;
        assert!(cache.get(&1).await.unwrap().is_none());
        let stale = fail(&cache).await.unwrap();
        assert_eq!((*stale, stale.is_stale()), (10, true));
        assert_eq!(stale.source(), source);
        assert_eq!(cache.stats().loads.stale_served, 1);
    }
}

#[tokio::test]
async fn nothing_is_served_beyond_its_stale_life() {
    let world = World::new();
    for (cache, _) in caches(&world).await {
        cache.insert(&1, 10).await.unwrap();
        world.clock.advance(Duration::from_secs(40)).await;
        assert!(matches!(fail(&cache).await, Err(LoadError::Loader(_))));
    }
}

#[tokio::test]
async fn an_expired_value_is_kept_for_fail_safe() {
    let world = World::new();
    for (cache, _) in caches(&world).await {
        cache.insert(&1, 10).await.unwrap();
        assert_eq!(cache.expire(&1).await.unwrap().existed(), 1);
        assert!(cache.get(&1).await.unwrap().is_none());
        assert!(!cache.contains_key(&1).await.unwrap());
        assert_eq!(*fail(&cache).await.unwrap(), 10);
        let loaded = in_time(cache.get_or_load(&1, |_| async { Ok::<_, Oops>(20) })).await;
        assert_eq!(*loaded.unwrap(), 20);
        assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 20);
    }
}

#[tokio::test]
async fn an_invalidated_value_is_not_brought_back_by_fail_safe() {
    let world = World::new();
    for (cache, _) in caches(&world).await {
        for expired_first in [false, true] {
            cache.insert(&1, 10).await.unwrap();
            if expired_first {
                let _ = cache.expire(&1).await.unwrap();
            }
            let _ = cache.invalidate(&1).await.unwrap();
            assert!(fail(&cache).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_near_copy_does_not_bring_back_what_another_node_invalidated() {
    let world = World::new();
    let [_, _, (one, _)] = caches(&world).await;
    let two = world.remote_only().build().await.unwrap();
    one.insert(&1, 10).await.unwrap();
    let _ = two.invalidate(&1).await.unwrap();
    world.clock.advance(Duration::from_secs(11)).await;
    assert!(fail(&one).await.is_err());
}

#[tokio::test]
async fn a_near_copy_is_served_when_both_the_remote_tier_and_the_source_are_down() {
    let world = World::new();
    let [_, _, (cache, _)] = caches(&world).await;
    cache.insert(&1, 10).await.unwrap();
    world.clock.advance(Duration::from_secs(11)).await;
    world.store.hurt(Trouble::Refuses);
    let stale = fail(&cache).await.unwrap();
    assert_eq!((*stale, stale.is_stale()), (10, true));
    assert_eq!(stale.source(), Source::Near);
}

#[tokio::test]
async fn a_panic_is_hidden_by_a_stale_value_too() {
    let world = World::new();
    for (cache, _) in caches(&world).await {
        cache.insert(&1, 10).await.unwrap();
        let _ = cache.expire(&1).await.unwrap();
        let load = |_| async { panic!("down") };
        let stale = cache.get_or_load::<_, Oops, _, _>(&1, load).await.unwrap();
        assert!(stale.is_stale());
    }
}

#[tokio::test]
async fn without_a_stale_life_an_error_is_an_error() {
    let world = World::new();
    let cache = world.both().ttl("10s").build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    world.clock.advance(Duration::from_secs(10)).await;
    assert!(fail(&cache).await.is_err());
}
