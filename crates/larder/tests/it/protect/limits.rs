//! How many loads ask the source at once, and what becomes of the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{ErrorKind, LoadError, LoadLimit, Ramp, Refresh, StaleReason};

use super::{TTL, age, counted, counts, kind, stale};
use crate::support::{Oops, Users, World, in_time, paused, paused_load, settle, spawn_load};

/// One of each kind, with this limit.
async fn limited(world: &World, limit: &LoadLimit) -> Vec<Users> {
    stale(world, |it| it.load_limit(limit.clone())).await
}

#[tokio::test]
async fn so_many_loads_run_and_the_others_wait_in_order() {
    let world = World::new();
    for at in 0..3 {
        let limit = LoadLimit::new(2);
        let cache = &limited(&world, &limit).await[at];
        let (one, load_one) = paused_load(cache, 1).await;
        let (two, load_two) = paused_load(cache, 2).await;
        let (third, mut load_three) = paused();
        let three = spawn_load(cache, 3, third);
        settle().await;
        let (fourth, mut load_four) = paused();
        let four = spawn_load(cache, 4, fourth);
        settle().await;
        assert!(!load_three.has_begun() && !load_four.has_begun());
        let stats = limit.stats();
        assert_eq!((stats.running, stats.waiting, stats.refused), (2, 2, 0));
        load_two.answer(Ok(20));
        assert_eq!(*in_time(two).await.unwrap().unwrap(), 20);
        load_three.begun().await;
        settle().await;
        assert!(!load_four.has_begun());
        load_one.answer(Err(Oops("down")));
        assert!(in_time(one).await.unwrap().is_err());
        load_four.begun().await;
        load_three.answer(Ok(30));
        load_four.answer(Ok(40));
        assert_eq!(*in_time(three).await.unwrap().unwrap(), 30);
        assert_eq!(*in_time(four).await.unwrap().unwrap(), 40);
        let stats = limit.stats();
        assert_eq!((stats.running, stats.waiting), (0, 0));
        let _ = cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn beyond_the_queue_and_its_deadline_is_an_error_or_the_stale_value() {
    let world = World::new();
    for at in 0..3 {
        let limit = LoadLimit::new(1).queue(1).queue_for("2s");
        let cache = &limited(&world, &limit).await[at];
        age(&world, cache).await;
        let (running, load) = paused_load(cache, 9).await;
        let waiting = spawn_load(cache, 2, |_| async { Ok(99) });
        settle().await;
        // The queue is full.
        let refused = in_time(cache.get_or_load(&3, |_| async { Ok::<_, Oops>(99) })).await;
        let Err(LoadError::Cache(error)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(error.kind(), ErrorKind::Overloaded);
        assert!(error.to_string().contains("app:users"), "{error}");
        let got = in_time(cache.get_or_load(&1, counted(&Arc::default())))
            .await
            .unwrap();
        assert_eq!(
            (*got, got.stale_reason()),
            (10, Some(StaleReason::Overloaded))
        );
        assert!(matches!(got.error::<Oops>(), Some(LoadError::Cache(_))));
        // Its deadline passes.
        world.clock.advance(Duration::from_secs(2)).await;
        assert_eq!(kind(in_time(waiting).await.unwrap()), ErrorKind::Overloaded);
        assert_eq!((limit.stats().waiting, limit.stats().refused), (0, 3));
        assert_eq!(
            (counts(cache).overloaded, cache.stats().loads.failed),
            (3, 0)
        );
        // Those who were refused hold no lease.
        load.answer(Ok(90));
        in_time(running).await.unwrap().unwrap();
        for key in [1, 2, 3] {
            let again = in_time(cache.get_or_load(&key, |_| async { Ok::<_, Oops>(20) }));
            assert_eq!(*again.await.unwrap(), 20);
        }
        let _ = cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn who_goes_away_leaves_the_queue() {
    let world = World::new();
    let limit = LoadLimit::new(1);
    for cache in limited(&world, &limit).await {
        let (running, load) = paused_load(&cache, 1).await;
        let waiting = spawn_load(&cache, 2, |_| async { Ok(99) });
        settle().await;
        assert_eq!(limit.stats().waiting, 1);
        waiting.abort();
        settle().await;
        assert_eq!(limit.stats().waiting, 0);
        load.answer(Ok(10));
        in_time(running).await.unwrap().unwrap();
        assert_eq!(limit.stats().running, 0);
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn several_caches_share_a_limit_and_keep_their_own_queues() {
    let world = World::new();
    let limit = LoadLimit::new(1);
    let [one, two, three] = &limited(&world, &limit).await[..] else {
        unreachable!("there are three kinds")
    };
    let (running, load) = paused_load(one, 1).await;
    let (loader, mut waits) = paused();
    let waiting = spawn_load(two, 2, loader);
    settle().await;
    assert!(!waits.has_begun());
    let strict = world.both().load_limit(limit.clone().queue(0));
    let strict = strict.build().await.unwrap();
    let refused = in_time(strict.get_or_load(&3, |_| async { Ok::<_, Oops>(99) })).await;
    assert_eq!(kind(refused), ErrorKind::Overloaded);
    load.answer(Ok(10));
    in_time(running).await.unwrap().unwrap();
    waits.begun().await;
    waits.answer(Ok(20));
    assert_eq!(*in_time(waiting).await.unwrap().unwrap(), 20);
    assert_eq!(counts(three).overloaded, 0);
}

#[tokio::test]
async fn a_load_inside_of_another_one_goes_with_it() {
    let world = World::new();
    let limit = LoadLimit::new(1).queue(0);
    for cache in limited(&world, &limit).await {
        let users = cache.clone();
        let page = spawn_load(&cache, 1, move |_| async move {
            let user = users.get_or_load(&2, |_| async { Ok::<_, Oops>(20) }).await;
            user.map(|user| *user + 1).map_err(|_| Oops("inner"))
        });
        assert_eq!(*in_time(page).await.unwrap().unwrap(), 21);
        let _ = cache.invalidate_many([&1, &2]).await.unwrap();
    }
}

#[tokio::test]
async fn a_refresh_does_not_queue() {
    let world = World::new();
    let limit = LoadLimit::new(1);
    let set =
        |it: larder::Builder<u64, u64>| it.load_limit(limit.clone()).refresh(Refresh::stale());
    for cache in stale(&world, set).await {
        age(&world, &cache).await;
        let (running, load) = paused_load(&cache, 2).await;
        let runs = Arc::default();
        let got = in_time(cache.get_or_load(&1, counted(&runs)))
            .await
            .unwrap();
        assert_eq!(
            (*got, got.stale_reason()),
            (10, Some(StaleReason::Refreshing))
        );
        settle().await;
        assert_eq!(
            (limit.stats().waiting, runs.load(Ordering::Relaxed)),
            (0, 0)
        );
        assert_eq!(cache.stats().refreshes.given_up, 1);
        load.answer(Ok(20));
        in_time(running).await.unwrap().unwrap();
        world.clock.advance(Duration::from_millis(1_010)).await;
        // Now there is room.
        let got = in_time(cache.get_or_load(&1, counted(&runs))).await;
        assert!([10, 100].contains(&*got.unwrap()));
        settle().await;
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        let _ = cache.invalidate_many([&1, &2]).await.unwrap();
    }
}

#[tokio::test]
async fn who_queues_keeps_the_lease_and_other_nodes_wait() {
    let world = World::new();
    let limit = LoadLimit::new(1).queue_for("1h");
    let node = world.both().load_limit(limit).build().await.unwrap();
    let other = world.both().build().await.unwrap();
    let (_running, load) = paused_load(&node, 1).await;
    let waiting = spawn_load(&node, 2, |_| async { Ok(20) });
    settle().await;
    let runs = Arc::<AtomicU64>::default();
    let elsewhere = spawn_load(&other, 2, counted(&runs));
    // Three lives of the lease.
    for _ in 0..36 {
        world.clock.advance(Duration::from_millis(250)).await;
    }
    assert!(!elsewhere.is_finished());
    load.answer(Ok(10));
    assert_eq!(*in_time(waiting).await.unwrap().unwrap(), 20);
    world.clock.advance(Duration::from_millis(250)).await;
    assert_eq!(*in_time(elsewhere).await.unwrap().unwrap(), 20);
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

/// How many of these loads have begun by now.
async fn begun(cache: &Users, keys: std::ops::Range<u64>, runs: &Arc<AtomicU64>) {
    for key in keys {
        let (cache, runs) = (cache.clone(), runs.clone());
        tokio::spawn(async move {
            let loaded = cache.get_or_load(&key, counted(&runs)).await;
            assert!(loaded.is_ok(), "{loaded:?}");
        });
    }
    settle().await;
}

#[tokio::test]
async fn after_a_start_and_after_a_clear_the_source_sees_a_ramp() {
    let world = World::new();
    for at in 0..3 {
        let ramp = Ramp::from(10.0).double_every("1s").over("4s");
        let limit = LoadLimit::unlimited().queue_for("1m").ramp(ramp);
        let cache = &limited(&world, &limit).await[at];
        for _ in 0..2 {
            assert!(limit.stats().is_ramping);
            let runs = Arc::default();
            begun(cache, 0..500, &runs).await;
            let mut each = Vec::new();
            for _ in 0..5 {
                let before = runs.load(Ordering::Relaxed);
                for _ in 0..200 {
                    world.clock.advance(Duration::from_millis(5)).await;
                }
                each.push(runs.load(Ordering::Relaxed) - before);
            }
            let expected = [14, 29, 58, 115];
            for (begun, expected) in each.iter().zip(expected) {
                assert!(begun.abs_diff(expected) <= 3 + expected / 5, "{each:?}");
            }
            // It is over: the rest comes at once, and nobody is paced any more.
            assert_eq!(runs.load(Ordering::Relaxed), 500, "{each:?}");
            assert!(!limit.stats().is_ramping);
            let _ = cache.clear().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_expires_all_at_once_is_served_stale_while_the_ramp_lasts() {
    let world = World::new();
    let ramp = Ramp::from(1.0).double_every("1h").over("1h");
    let limit = LoadLimit::unlimited().queue(0).ramp(ramp);
    for at in 0..3 {
        let set = |it: larder::Builder<u64, u64>| it.load_limit(limit.clone()).ttl("2h");
        let cache = &stale(&world, set).await[at];
        let values = (0..50).map(|key| (key, key));
        let _ = cache.insert_many(values).await.unwrap();
        world.clock.advance(TTL).await;
        let _ = cache.expire_all().await.unwrap();
        let runs = Arc::<AtomicU64>::default();
        for key in 0..50 {
            let got = in_time(cache.get_or_load(&key, counted(&runs)))
                .await
                .unwrap();
            assert!(*got == 100 || (*got, got.is_stale()) == (key, true));
        }
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        let _ = cache.clear().await.unwrap();
    }
}
