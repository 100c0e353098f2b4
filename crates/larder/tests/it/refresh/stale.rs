//! Stale values that are served while they are refreshed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use larder::core::Runtime;
use larder::{ErrorKind, Layout, LoadError, Refresh, Source};
use larder_testkit::sim::Cut;

use super::{RETRY, TTL, caches, counted, peek, read, refreshes};
use crate::support::{Oops, Op, World, in_time, on_a_network, paused, settle, spawn_load};

#[tokio::test]
async fn a_stale_value_is_served_at_once_while_one_load_runs_behind() {
    let world = World::new();
    for cache in caches(&world, &Refresh::stale()).await {
        cache.insert(&1, 10).await.unwrap();
        world.clock.advance(TTL).await;
        let (loader, mut load) = paused();
        let got = in_time(cache.get_or_load(&1, loader)).await.unwrap();
        assert_eq!((*got, got.is_stale()), (10, true));
        load.begun().await;
        let runs = Arc::default();
        let asked = world.store.calls(Op::Get) + world.store.calls(Op::Lease);
        for _ in 0..100 {
            let got = in_time(cache.get_or_load(&1, counted(&runs)))
                .await
                .unwrap();
            assert_eq!((*got, got.is_stale()), (10, true));
        }
        // The first of them asked for all.
        assert_eq!(
            world.store.calls(Op::Get) + world.store.calls(Op::Lease),
            asked
        );
        assert_eq!(
            peek(&cache).await,
            None,
            "who brings no loader gets what is fresh"
        );
        load.answer(Ok(20));
        settle().await;
        let got = read(&cache, 99).await;
        assert_eq!((*got, got.is_stale()), (20, false));
        assert_eq!(runs.load(Ordering::Relaxed), 0);
        let stats = cache.stats();
        assert_eq!((stats.refreshes.begun, stats.refreshes.loaded), (1, 1));
        assert_eq!(
            (stats.refreshes.stale_served, stats.loads.stale_served),
            (101, 0)
        );
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn fresh_values_are_left_alone_and_early_refreshes_may_serve_stale_ones_too() {
    let world = World::new();
    for (refresh, begun) in [(Refresh::stale(), 0), (Refresh::after(0.8).and_stale(), 1)] {
        for cache in caches(&world, &refresh).await {
            cache.insert(&1, 10).await.unwrap();
            world.clock.advance(TTL - Duration::from_secs(1)).await;
            let (loader, load) = paused();
            assert_eq!(*cache.get_or_load(&1, loader).await.unwrap(), 10);
            settle().await;
            assert_eq!(refreshes(&cache).begun, begun);
            // The refresh takes longer than the fresh life.
            for _ in 0..3 {
                world.clock.advance(Duration::from_millis(400)).await;
            }
            if begun == 1 {
                let got = read(&cache, 99).await;
                assert_eq!((*got, got.is_stale()), (10, true));
            }
            load.answer(Ok(20));
            settle().await;
        }
    }
}

#[tokio::test]
async fn what_was_invalidated_or_expired_is_not_served_while_it_is_loaded() {
    let world = World::new();
    for cache in caches(&world, &Refresh::stale()).await {
        for change in ["invalidate", "clear", "expire", "prefix"] {
            cache.insert(&1, 10).await.unwrap();
            // Before or after its end.
            if change != "expire" {
                world.clock.advance(TTL).await;
            }
            match change {
                "invalidate" => drop(cache.invalidate(&1).await.unwrap()),
                "clear" => drop(cache.clear().await.unwrap()),
                "prefix" => drop(cache.invalidate_prefix("1").await.unwrap()),
                _ => drop(cache.expire(&1).await.unwrap()),
            }
            let (loader, mut load) = paused();
            let call = spawn_load(&cache, 1, loader);
            load.begun().await;
            let other = spawn_load(&cache, 1, |_| async { Ok(99) });
            settle().await;
            assert!(!call.is_finished() && !other.is_finished(), "{change}");
            load.answer(Err(Oops("down")));
            let outcomes = [call.await.unwrap(), other.await.unwrap()];
            for outcome in outcomes {
                // Fail-safe is another matter.
                let stale = outcome.ok().map(|got| (*got, got.is_stale()));
                assert_eq!(
                    stale,
                    (change == "expire").then_some((10, true)),
                    "{change}"
                );
            }
            let _ = cache.invalidate(&1).await.unwrap();
        }
        assert_eq!(refreshes(&cache).stale_served, 0);
    }
}

#[tokio::test]
async fn after_the_stale_life_readers_wait() {
    let world = World::new();
    for builder in [world.near_only(), world.remote_only(), world.both()] {
        let builder = builder.ttl(TTL).stale_for("30s").refresh(Refresh::stale());
        let cache = builder.build().await.unwrap();
        cache.insert(&1, 10).await.unwrap();
        world.clock.advance(TTL + Duration::from_secs(29)).await;
        let (loader, load) = paused();
        assert!(cache.get_or_load(&1, loader).await.unwrap().is_stale());
        for _ in 0..3 {
            world.clock.advance(Duration::from_millis(500)).await;
        }
        let late = spawn_load(&cache, 1, |_| async { Ok(99) });
        settle().await;
        assert!(!late.is_finished(), "a value beyond its life was given out");
        load.answer(Ok(20));
        world.clock.advance(Duration::from_millis(500)).await;
        let got = late.await.unwrap().unwrap();
        assert_eq!((*got, got.is_stale()), (20, false));
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn loaders_wait_for_what_they_read_and_their_values_are_stored() {
    let world = World::new();
    for pages in caches(&world, &Refresh::stale()).await {
        let users = pages.clone();
        users.insert(&1, 10).await.unwrap();
        world.clock.advance(TTL).await;
        let (inner, mut load) = paused();
        let reading = users.clone();
        let page = spawn_load(&pages, 2, move |_| async move {
            let user = reading.get_or_load(&1, inner).await;
            user.map(|user| *user + 1).map_err(|_| Oops("inner"))
        });
        load.begun().await;
        settle().await;
        assert!(!page.is_finished());
        load.answer(Ok(20));
        assert_eq!(*page.await.unwrap().unwrap(), 21);
        assert_eq!(pages.get(&2).await.unwrap().map(|page| *page), Some(21));
        // A refresh that somebody else has begun is waited for as well.
        world.clock.advance(TTL).await;
        let (outside, mut load) = paused();
        assert!(users.get_or_load(&1, outside).await.unwrap().is_stale());
        load.begun().await;
        let reading = users.clone();
        let page = spawn_load(&pages, 3, move |_| async move {
            let user = reading.get_or_load(&1, |_| async { Err(Oops("not needed")) });
            user.await.map(|user| *user + 1).map_err(|_| Oops("inner"))
        });
        settle().await;
        assert!(!page.is_finished());
        load.answer(Ok(30));
        assert_eq!(*page.await.unwrap().unwrap(), 31);
        assert_eq!(pages.get(&3).await.unwrap().map(|page| *page), Some(31));
        let _ = users.invalidate_many([&1, &2, &3]).await.unwrap();
    }
}

#[tokio::test]
async fn of_nodes_that_find_a_stale_value_one_loads_and_the_others_adopt() {
    let world = World::new();
    let mut nodes = Vec::new();
    for builder in [world.both(), world.both(), world.remote_only()] {
        let builder = builder.ttl(TTL).stale_for("1h").refresh(Refresh::stale());
        nodes.push(builder.build().await.unwrap());
    }
    nodes[0].insert(&1, 10).await.unwrap();
    world.clock.advance(TTL).await;
    let (loader, mut load) = paused();
    assert!(nodes[0].get_or_load(&1, loader).await.unwrap().is_stale());
    load.begun().await;
    let runs = Arc::default();
    // Not so long that others give up, and longer than the pauses between their questions.
    for _ in 0..8 {
        for node in &nodes {
            let got = in_time(node.get_or_load(&1, counted(&runs))).await.unwrap();
            assert_eq!((*got, got.is_stale()), (10, true));
        }
        world.clock.advance(Duration::from_millis(250)).await;
    }
    load.answer(Ok(20));
    settle().await;
    for _ in 0..5 {
        world.clock.advance(Duration::from_millis(250)).await;
    }
    for node in &nodes {
        let got = in_time(node.get_or_load(&1, counted(&runs))).await.unwrap();
        assert_eq!((*got, got.is_stale()), (20, false));
    }
    assert_eq!(runs.load(Ordering::Relaxed), 0, "one load in the cluster");
}

#[tokio::test]
async fn a_refresh_gives_way_to_a_holder_that_does_not_come_to_an_end() {
    let world = World::new();
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let builder = world.both().ttl(TTL).stale_for("1h");
        nodes.push(builder.refresh(Refresh::stale()).build().await.unwrap());
    }
    nodes[0].insert(&1, 10).await.unwrap();
    world.clock.advance(TTL).await;
    let (loader, load) = paused();
    assert!(nodes[0].get_or_load(&1, loader).await.unwrap().is_stale());
    let runs = Arc::default();
    for _ in 0..80 {
        let got = in_time(nodes[1].get_or_load(&1, counted(&runs)))
            .await
            .unwrap();
        assert!(got.is_stale());
        world.clock.advance(Duration::from_millis(500)).await;
    }
    // Longer than a load in the foreground would wait: that loads by itself then, and in vain.
    assert_eq!(runs.load(Ordering::Relaxed), 0);
    assert!(refreshes(&nodes[1]).given_up > 5);
    load.answer(Ok(20));
    settle().await;
}

/// A copy that the log does not vouch for any more is not served as stale either.
#[test]
fn what_may_have_been_changed_elsewhere_is_not_served_while_it_is_refreshed() {
    on_a_network(|mut network| async move {
        let other = network.node().await;
        let builder = network.bare(1).ttl("10s").refresh(Refresh::stale());
        let node = builder
            .near(larder::Near::bytes("1MiB"))
            .build()
            .await
            .unwrap();
        network.pass(Duration::from_millis(600)).await;
        let load = |_| async { Ok::<_, Oops>(10) };
        assert_eq!(*node.get_or_load(&1, load).await.unwrap(), 10);
        network.pass(Duration::from_millis(9_500)).await;
        network.cut(1, Cut::Both);
        let _ = other.invalidate(&1).await.unwrap();
        // Its fresh life ends, and so does the lease of the bus.
        network.pass(Duration::from_millis(1_600)).await;
        let runtime = network.runtime.clone();
        let load = move |_| async move {
            runtime.sleep(Duration::from_millis(300)).await;
            Ok::<_, Oops>(20)
        };
        let got = node.get_or_load(&1, load).await.unwrap();
        assert_eq!(
            (*got, got.source(), got.is_stale()),
            (20, Source::Loaded, false)
        );
    });
}

#[tokio::test]
async fn a_session_reads_its_writes_among_values_that_are_refreshed() {
    let world = World::new();
    for cache in caches(&world, &Refresh::after(0.8).and_stale()).await {
        let mut session = cache.session();
        session.insert(&1, 10).await.unwrap();
        world.clock.advance(TTL).await;
        let (loader, mut load) = paused();
        let got = session.get_or_load(&1, loader).await.unwrap();
        assert_eq!((*got, got.is_stale()), (10, true));
        load.begun().await;
        session.insert(&1, 30).await.unwrap();
        load.answer(Ok(20));
        settle().await;
        let load = |_| async { Ok::<_, Oops>(99) };
        assert_eq!(*session.get_or_load(&1, load).await.unwrap(), 30);
        assert_eq!(refreshes(&cache).loaded, 0);
        world.clock.advance(RETRY).await;
    }
}

#[tokio::test]
async fn settings_of_refresh_that_make_no_sense_are_refused() {
    let world = World::new();
    let both = || world.both().stale_for("1h");
    let cases = [
        (both().refresh(Refresh::after(1.0)), "refresh: 1 is no part"),
        (both().refresh(Refresh::after(0.0)), "refresh: 0 is no part"),
        (both().refresh(Refresh::after(f64::NAN)), "no part"),
        (both().refresh(Refresh::after("soon")), "refresh: \"soon\""),
        (both().refresh(Refresh::after("0s")), "more than zero"),
        (both().refresh(Refresh::after("2h")), "never happens"),
        (both().refresh(Refresh::by_chance(0.0)), "beta is 0"),
        (
            both().refresh(Refresh::by_chance(f64::INFINITY)),
            "beta is inf",
        ),
        (
            both().refresh(Refresh::stale().retry("0s")),
            "refresh retry",
        ),
        (both().refresh(Refresh::stale().limit(0)), "refresh limit"),
        (world.both().refresh(Refresh::stale()), "add .stale_for"),
    ];
    for (builder, expected) in cases {
        let error = builder.build().await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    let redis = crate::support::redis_at(([127, 0, 0, 1], 1).into());
    let plain = world.bare::<u64>().remote(redis).layout(Layout::Plain);
    let plain: larder::Builder<u64, u64> = plain.refresh(Refresh::after(0.8));
    let error = plain.build().await.map(drop).unwrap_err();
    assert!(error.to_string().contains("needs leases"), "{error}");
    let policy = both().refresh(Refresh::after(0.8).limit(7));
    let policy = policy.build().await.unwrap().policy().refresh.unwrap();
    assert_eq!((policy.limit, policy.serves_stale), (7, false));
    assert_eq!(policy.retry, Duration::from_secs(1));
}

#[tokio::test]
async fn an_error_of_a_refresh_is_nobodys_error() {
    let world = World::new();
    for cache in caches(&world, &Refresh::stale()).await {
        cache.insert(&1, 10).await.unwrap();
        world.clock.advance(TTL).await;
        let fail = |_| async { Err(Oops("down")) };
        for _ in 0..5 {
            let got = in_time(cache.get_or_load(&1, fail)).await;
            assert!(got.unwrap().is_stale());
            settle().await;
        }
        // Once, and not again before the pause is over.
        assert_eq!(
            (refreshes(&cache).failed, cache.stats().loads.failed),
            (1, 1)
        );
        world.clock.advance(RETRY).await;
        assert!(
            in_time(cache.get_or_load(&1, fail))
                .await
                .unwrap()
                .is_stale()
        );
        settle().await;
        assert_eq!(refreshes(&cache).failed, 2);
        // Nothing stale is left: now it is.
        let _ = cache.invalidate(&1).await.unwrap();
        let error = in_time(cache.get_or_load(&1, fail)).await.unwrap_err();
        assert!(matches!(error, LoadError::Loader(_)));
    }
}
