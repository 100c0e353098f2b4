//! Refreshes that fail: the old value stays, and they are not tried again at once.

use std::time::Duration;

use larder::{Loaded, Refresh, Refusal};

use super::{POINT, RETRY, TTL, caches, peek, read, refreshes, refused};
use crate::support::{Oops, Op, Trouble, World, in_time, paused, settle, spawn_load};

async fn fail(cache: &super::Users) -> Loaded<u64> {
    let failing = cache.get_or_load(&1, |_| async { Err(Oops("down")) });
    in_time(failing).await.unwrap()
}

async fn panics(cache: &super::Users) -> Loaded<u64> {
    let load = |_| -> std::future::Ready<Result<u64, Oops>> { panic!("on fire") };
    in_time(cache.get_or_load(&1, load)).await.unwrap()
}

#[tokio::test]
async fn a_refresh_that_fails_or_panics_leaves_the_old_value_and_is_tried_again_later() {
    for panicking in [false, true] {
        let world = World::new();
        for cache in caches(&world, &Refresh::after(0.8)).await {
            let _ = cache.insert(&1, 10).await.unwrap();
            world.clock.advance(POINT).await;
            for attempt in 1..=3 {
                for _ in 0..20 {
                    let got = if panicking {
                        panics(&cache).await
                    } else {
                        fail(&cache).await
                    };
                    assert_eq!((*got, got.is_stale()), (10, false));
                    settle().await;
                }
                let stats = cache.stats();
                let counts = &stats.refreshes;
                assert_eq!((counts.begun, counts.failed), (attempt, attempt));
                assert_eq!((stats.loads.failed, stats.loads.stale_served), (attempt, 0));
                world.clock.advance(RETRY).await;
            }
            read(&cache, 20).await;
            settle().await;
            assert_eq!(*read(&cache, 99).await, 20);
        }
    }
}

#[tokio::test]
async fn the_pause_after_a_failure_can_be_set() {
    let world = World::new();
    for cache in caches(&world, &Refresh::after(0.8).retry("5s")).await {
        let _ = cache.insert(&1, 10).await.unwrap();
        world.clock.advance(POINT).await;
        for _ in 0..5 {
            fail(&cache).await;
            settle().await;
            assert_eq!(refreshes(&cache).begun, 1);
            world.clock.advance(Duration::from_millis(990)).await;
        }
        world.clock.advance(Duration::from_millis(100)).await;
        fail(&cache).await;
        settle().await;
        assert_eq!(refreshes(&cache).begun, 2);
    }
}

#[tokio::test]
async fn a_refresh_whose_value_is_not_stored_is_not_repeated_at_once() {
    let world = World::new();
    for cache in caches(&world, &Refresh::after(0.8)).await {
        let _ = cache.insert(&1, 10).await.unwrap();
        world.clock.advance(POINT).await;
        for _ in 0..5 {
            let skipping = cache.get_or_load(&1, |cx| async move {
                cx.skip();
                Ok::<_, Oops>(20)
            });
            in_time(skipping).await.unwrap();
            settle().await;
        }
        assert_eq!(peek(&cache).await, Some(10));
        assert_eq!((refreshes(&cache).begun, refreshes(&cache).refused), (1, 1));
        assert_eq!(refused(&cache), [(Refusal::Skipped, 1)]);
    }
}

#[tokio::test]
async fn who_waits_for_a_refresh_that_fails_gets_the_old_value_as_stale() {
    let world = World::new();
    for cache in caches(&world, &Refresh::after(0.8)).await {
        cache.insert(&1, 10).await.unwrap();
        world.clock.advance(TTL - Duration::from_millis(500)).await;
        let (loader, mut load) = paused();
        assert_eq!(*cache.get_or_load(&1, loader).await.unwrap(), 10);
        load.begun().await;
        world.clock.advance(Duration::from_millis(600)).await;
        let waiting = spawn_load(&cache, 1, |_| async { Err(Oops("down")) });
        settle().await;
        assert!(!waiting.is_finished());
        load.answer(Err(Oops("down")));
        settle().await;
        world.clock.advance(Duration::from_millis(500)).await;
        let got = waiting.await.unwrap().unwrap();
        assert_eq!((*got, got.is_stale()), (10, true));
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn while_the_remote_tier_is_away_nothing_is_refreshed_in_vain() {
    let world = World::new();
    let builder = world.both().ttl(TTL).refresh(Refresh::after(0.8));
    let cache = builder.build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    world.clock.advance(POINT).await;
    world.store.hurt(Trouble::Refuses);
    for _ in 0..5 {
        assert_eq!(*read(&cache, 20).await, 10);
        settle().await;
    }
    let stats = cache.stats();
    assert_eq!((stats.refreshes.given_up, stats.loads.succeeded), (1, 0));
    world.store.heal();
    world.clock.advance(RETRY).await;
    read(&cache, 20).await;
    settle().await;
    assert_eq!(*read(&cache, 99).await, 20);
}

#[tokio::test]
async fn a_stale_copy_is_served_and_refreshed_while_the_remote_tier_is_away() {
    let world = World::new();
    let builder = world.both().ttl(TTL).stale_for("1h");
    let cache = builder.refresh(Refresh::stale()).build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    world.clock.advance(TTL).await;
    world.store.hurt(Trouble::Refuses);
    let (loader, mut load) = paused();
    let got = in_time(cache.get_or_load(&1, loader)).await.unwrap();
    assert_eq!((*got, got.is_stale()), (10, true));
    load.begun().await;
    load.answer(Ok(20));
    settle().await;
    // Unproven, so for a moment only.
    let got = read(&cache, 99).await;
    assert_eq!((*got, got.is_stale()), (20, false));
}

#[tokio::test]
async fn a_refresh_that_fails_gives_its_lease_back_and_the_value_stays() {
    let world = World::new();
    let builder = || world.both().ttl(TTL).refresh(Refresh::after(0.8));
    let (one, two) = (
        builder().build().await.unwrap(),
        builder().build().await.unwrap(),
    );
    one.insert(&1, 10).await.unwrap();
    peek(&two).await;
    world.clock.advance(POINT).await;
    fail(&one).await;
    settle().await;
    assert_eq!(world.store.calls(Op::Release), 1);
    // Another node need not wait for it.
    read(&two, 20).await;
    settle().await;
    assert_eq!(*read(&two, 99).await, 20);
    assert_eq!(*read(&one, 99).await, 10, "its own copy lives on");
    world.clock.advance(RETRY).await;
    read(&one, 99).await;
    settle().await;
    assert_eq!(*read(&one, 99).await, 20);
}
