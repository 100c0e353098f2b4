//! Refresh of values that are still fresh.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Cache, Near, Refresh, Source};

use super::{POINT, RETRY, TTL, caches, counted, peek, read, refreshes};
use crate::support::{Oops, Op, World, in_time, paused, paused_load, settle, spawn_load};

#[tokio::test]
async fn a_read_past_the_point_gets_the_value_at_once_and_one_load_runs_behind() {
    for refresh in [Refresh::after(0.8), Refresh::after("80s")] {
        let world = World::new();
        for cache in caches(&world, &refresh).await {
            cache.insert(&1, 10).await.unwrap();
            world.clock.advance(POINT).await;
            let (loader, mut load) = paused();
            let got = in_time(cache.get_or_load(&1, loader)).await.unwrap();
            assert_eq!((*got, got.is_stale()), (10, false));
            load.begun().await;
            // Everybody else goes on with the old value, and loads nothing.
            let runs = Arc::default();
            for _ in 0..100 {
                let got = in_time(cache.get_or_load(&1, counted(&runs)))
                    .await
                    .unwrap();
                assert_eq!(*got, 10);
            }
            load.answer(Ok(20));
            settle().await;
            assert_eq!(*read(&cache, 99).await, 20);
            assert_eq!(runs.load(Ordering::Relaxed), 0);
            let counts = refreshes(&cache);
            assert_eq!((counts.begun, counts.loaded, counts.under_way), (1, 1, 0));
            // It has a whole life of its own.
            world.clock.advance(POINT - Duration::from_secs(1)).await;
            assert_eq!(*read(&cache, 99).await, 20);
            assert_eq!(refreshes(&cache).begun, 1);
        }
    }
}

#[tokio::test]
async fn before_the_point_and_without_the_option_nothing_is_refreshed() {
    let world = World::new();
    let mut all = caches(&world, &Refresh::after(0.8)).await;
    for cache in &all {
        cache.insert(&1, 10).await.unwrap();
    }
    world.clock.advance(POINT - Duration::from_secs(1)).await;
    all.push(world.both().ttl(TTL).build().await.unwrap());
    all[3].insert(&1, 10).await.unwrap();
    for cache in &all[..3] {
        assert_eq!(*read(cache, 99).await, 10);
    }
    world.clock.advance(TTL - Duration::from_secs(1)).await;
    assert_eq!(*read(&all[3], 99).await, 10);
    for cache in &all {
        settle().await;
        assert_eq!(refreshes(cache).begun, 0);
    }
}

#[tokio::test]
async fn nobody_reads_and_nothing_is_refreshed() {
    let world = World::new();
    for cache in caches(&world, &Refresh::after(0.5)).await {
        cache.insert(&1, 10).await.unwrap();
        world.clock.advance(Duration::from_secs(60)).await;
        read(&cache, 20).await;
        settle().await;
        // Reads that bring no loader, and none at all.
        world.clock.advance(Duration::from_secs(60)).await;
        assert_eq!(peek(&cache).await, Some(20));
        assert!(cache.contains_key(&1).await.unwrap());
        world.clock.advance(Duration::from_secs(60)).await;
        assert_eq!(refreshes(&cache).begun, 1);
        assert_eq!(peek(&cache).await, None);
    }
}

#[tokio::test]
async fn the_point_is_that_of_the_value_and_not_of_a_near_copy() {
    let world = World::new();
    let near = Near::bytes("1MiB").ttl("5s");
    let builder = world.remote_only().near(near).ttl(TTL);
    let cache = builder.refresh(Refresh::after(0.8)).build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    for _ in 0..15 {
        world.clock.advance(Duration::from_millis(5_100)).await;
        assert_eq!(*read(&cache, 99).await, 10);
    }
    settle().await;
    assert_eq!(refreshes(&cache).begun, 0, "76 s have passed");
    world.clock.advance(Duration::from_secs(4)).await;
    assert_eq!(*read(&cache, 20).await, 10);
    settle().await;
    assert_eq!(*read(&cache, 99).await, 20);
}

#[tokio::test]
async fn of_nodes_that_reach_the_point_together_one_loads_and_the_others_adopt() {
    let world = World::new();
    let mut nodes = Vec::new();
    for node in 0..5 {
        let builder = if node == 4 {
            world.remote_only()
        } else {
            world.both()
        };
        let builder = builder.ttl(TTL).refresh(Refresh::after(0.8));
        nodes.push(builder.build().await.unwrap());
    }
    nodes[0].insert(&1, 10).await.unwrap();
    for node in &nodes {
        assert_eq!(peek(node).await, Some(10));
    }
    world.clock.advance(POINT).await;
    let (loader, mut load) = paused();
    assert_eq!(*nodes[0].get_or_load(&1, loader).await.unwrap(), 10);
    load.begun().await;
    let runs = Arc::default();
    for _ in 0..3 {
        for node in &nodes {
            let got = in_time(node.get_or_load(&1, counted(&runs))).await.unwrap();
            assert_eq!((*got, got.is_stale()), (10, false));
        }
        settle().await;
    }
    load.answer(Ok(20));
    settle().await;
    world.clock.advance(RETRY).await;
    for node in &nodes {
        // This read looks again, the next one has what it found.
        in_time(node.get_or_load(&1, counted(&runs))).await.unwrap();
        settle().await;
        let got = in_time(node.get_or_load(&1, counted(&runs))).await.unwrap();
        assert_eq!(*got, 20);
    }
    assert_eq!(runs.load(Ordering::Relaxed), 0, "one load in the cluster");
    for node in &nodes[1..4] {
        let counts = refreshes(node);
        assert_eq!((counts.given_up, counts.adopted, counts.loaded), (1, 1, 0));
    }
}

#[tokio::test]
async fn a_refresh_costs_two_round_trips_and_one_that_finds_a_newer_value_one() {
    let world = World::new();
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let builder = world.both().ttl(TTL).refresh(Refresh::after(0.8));
        nodes.push(builder.build().await.unwrap());
    }
    nodes[0].insert(&1, 10).await.unwrap();
    peek(&nodes[1]).await;
    world.clock.advance(POINT).await;
    let asked =
        || [Op::Get, Op::Lease, Op::Fill, Op::Commit, Op::Release].map(|op| world.store.calls(op));
    let before = asked();
    assert_eq!(*read(&nodes[0], 20).await, 10);
    settle().await;
    let loaded = asked();
    assert_eq!(
        loaded,
        [
            before[0],
            before[1] + 1,
            before[2] + 1,
            before[3],
            before[4]
        ]
    );
    let adopting = nodes[1].get_or_load(&1, |_| async { Err(Oops("not needed")) });
    assert_eq!(*adopting.await.unwrap(), 10);
    settle().await;
    assert_eq!(asked()[1], loaded[1] + 1);
    assert_eq!(asked()[2..], loaded[2..]);
    let got = read(&nodes[1], 99).await;
    assert_eq!((*got, got.source()), (20, Source::Near));
    assert_eq!(refreshes(&nodes[1]).adopted, 1);
}

#[tokio::test]
async fn a_reader_whose_copy_ends_meanwhile_shares_the_load_of_the_refresh() {
    let world = World::new();
    for cache in caches(&world, &Refresh::after(0.8)).await {
        cache.insert(&1, 10).await.unwrap();
        world.clock.advance(POINT).await;
        let (loader, mut load) = paused();
        assert_eq!(*cache.get_or_load(&1, loader).await.unwrap(), 10);
        load.begun().await;
        for _ in 0..11 {
            world.clock.advance(Duration::from_millis(900)).await;
            read(&cache, 99).await;
        }
        for _ in 0..12 {
            world.clock.advance(Duration::from_millis(900)).await;
        }
        let late = spawn_load(&cache, 1, |_| async { Ok(99) });
        settle().await;
        assert!(
            !late.is_finished(),
            "fresh no more, and not asked for stale ones"
        );
        load.answer(Ok(20));
        world.clock.advance(Duration::from_millis(500)).await;
        assert_eq!(*late.await.unwrap().unwrap(), 20);
    }
}

#[tokio::test]
async fn a_refresh_goes_on_without_its_reader() {
    let world = World::new();
    for cache in caches(&world, &Refresh::after(0.8).and_stale()).await {
        for wait in [POINT, TTL] {
            cache.insert(&1, 10).await.unwrap();
            world.clock.advance(wait).await;
            let (call, load) = paused_load(&cache, 1).await;
            assert!(call.is_finished());
            call.abort();
            settle().await;
            assert!(!load.is_dropped());
            load.answer(Ok(20));
            settle().await;
            assert_eq!(peek(&cache).await, Some(20));
            let _ = cache.invalidate(&1).await.unwrap();
            world.clock.advance(RETRY).await;
        }
        assert_eq!(cache.stats().loads.abandoned, 0);
    }
}

#[tokio::test]
async fn a_refresh_stops_with_its_cache() {
    let world = World::new();
    for closed in [false, true] {
        for cache in caches(&world, &Refresh::after(0.8).and_stale()).await {
            cache.insert(&1, 10).await.unwrap();
            world.clock.advance(POINT).await;
            let (loader, mut load) = paused();
            assert_eq!(*cache.get_or_load(&1, loader).await.unwrap(), 10);
            load.begun().await;
            let clone = cache.clone();
            drop(cache);
            settle().await;
            assert!(!load.is_dropped(), "there is another clone");
            if closed {
                clone.close().await;
            } else {
                drop(clone);
            }
            settle().await;
            assert!(load.is_dropped());
        }
    }
}

#[tokio::test]
async fn a_loading_cache_refreshes_through_its_own_loader() {
    let world = World::new();
    let runs = Arc::new(AtomicU64::new(0));
    let counted = runs.clone();
    let builder = world.both().ttl(TTL).refresh(Refresh::after(0.8));
    let cache = builder.loader(move |_| {
        let run = counted.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, Oops>(run) }
    });
    let cache = cache.build().await.unwrap();
    assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 0);
    let mut session = cache.session();
    for round in 0..3 {
        world.clock.advance(POINT).await;
        let got = match round {
            0 => cache.get(&1).await.unwrap(),
            1 => cache.get_many(&[1]).await.unwrap().remove(0),
            _ => session.get(&1).await.unwrap(),
        };
        assert_eq!(*got.unwrap(), round);
        settle().await;
        assert_eq!(*cache.get(&1).await.unwrap().unwrap(), round + 1);
    }
    assert_eq!(runs.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn by_chance_the_likelier_the_longer_the_load_takes() {
    let world = World::new();
    for cache in caches(&world, &Refresh::by_chance(1.0)).await {
        let (call, load) = paused_load(&cache, 1).await;
        for _ in 0..4 {
            world.clock.advance(Duration::from_millis(500)).await;
        }
        load.answer(Ok(10));
        call.await.unwrap().unwrap();
        // e^(-98/2) is never, and e^(-4/2) of two hundred reads is.
        world.clock.advance(Duration::from_millis(1_500)).await;
        for _ in 0..200 {
            read(&cache, 99).await;
        }
        settle().await;
        assert_eq!(refreshes(&cache).begun, 0);
        world.clock.advance(Duration::from_millis(94_500)).await;
        let mut reads = 0;
        while refreshes(&cache).begun == 0 {
            read(&cache, 20).await;
            reads += 1;
            assert!(reads < 200);
        }
        settle().await;
        assert_eq!(*read(&cache, 99).await, 20);
        let _ = cache.invalidate(&1).await.unwrap();
    }
    // Nobody knows what it would take to load this one.
    for cache in caches(&world, &Refresh::by_chance(1.0)).await {
        cache.insert(&1, 10).await.unwrap();
        world.clock.advance(Duration::from_millis(99_990)).await;
        for _ in 0..200 {
            read(&cache, 99).await;
        }
        assert_eq!(refreshes(&cache).begun, 0);
    }
}

#[tokio::test]
async fn a_value_without_end_is_refreshed_at_a_time_but_has_no_parts() {
    for (refresh, begun) in [(Refresh::after("1h"), 1), (Refresh::after(0.8), 0)] {
        let world = World::new();
        let cache = Cache::builder("app:users").without_ttl().refresh(refresh);
        let cache = cache.near(Near::bytes("1MiB")).runtime(world.clock.clone());
        let cache: super::Users = cache.build().await.unwrap();
        cache.insert(&1, 10).await.unwrap();
        world.clock.advance(Duration::from_secs(3_600)).await;
        read(&cache, 20).await;
        settle().await;
        assert_eq!(refreshes(&cache).begun, begun);
    }
}

#[tokio::test]
async fn no_more_refreshes_run_than_the_limit_and_other_reads_get_their_values() {
    let world = World::new();
    for cache in caches(&world, &Refresh::after(0.8).and_stale().limit(3)).await {
        for wait in [POINT, TTL] {
            for key in 0..10 {
                cache.insert(&key, 10).await.unwrap();
            }
            world.clock.advance(wait).await;
            let mut loads = Vec::new();
            for key in 0..10 {
                let (loader, load) = paused();
                let got = in_time(cache.get_or_load(&key, loader)).await.unwrap();
                assert_eq!((*got, got.is_stale()), (10, wait == TTL));
                loads.push(load);
            }
            settle().await;
            let counts = refreshes(&cache);
            let before = if wait == POINT { 0 } else { 7 };
            assert_eq!((counts.under_way, counts.limited), (3, before + 7));
            for mut load in loads {
                assert!(load.has_begun() || load.is_dropped());
                load.answer(Ok(20));
            }
            settle().await;
            let counts = refreshes(&cache);
            assert_eq!((counts.under_way, counts.loaded % 3), (0, 0));
            for key in 0..10 {
                let _ = cache.invalidate(&key).await.unwrap();
            }
        }
    }
}
