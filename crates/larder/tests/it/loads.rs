//! One load per key at a time, and what becomes of its outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{LoadError, Refusal, Source};

use crate::support::{Oops, Op, World, in_time, paused, paused_load, settle, spawn_load};

/// What a test reads off the counts of refusals.
fn refused(stats: &larder::Stats, reason: Refusal) -> u64 {
    let mut counts = stats.refused.iter();
    counts.find(|(of, _)| *of == reason).unwrap().1
}

#[tokio::test]
async fn a_thousand_callers_share_one_load() {
    let world = World::new();
    for cache in [world.near_only(), world.remote_only(), world.both()] {
        let cache = cache.build().await.unwrap();
        let runs = Arc::new(AtomicU64::new(0));
        let (first, load) = paused_load(&cache, 1).await;
        let calls: Vec<_> = (0..1_000)
            .map(|_| {
                let runs = runs.clone();
                spawn_load(&cache, 1, move |_| async move {
                    runs.fetch_add(1, Ordering::Relaxed);
                    Ok(99)
                })
            })
            .collect();
        settle().await;
        load.answer(Ok(10));
        assert_eq!(*first.await.unwrap().unwrap(), 10);
        for call in calls {
            assert_eq!(*call.await.unwrap().unwrap(), 10);
        }
        assert_eq!(runs.load(Ordering::Relaxed), 0);
        let loads = cache.stats().loads;
        assert_eq!((loads.succeeded, loads.shared), (1, 1_000));
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn loads_of_different_keys_run_side_by_side() {
    let cache = World::new().near_only().build().await.unwrap();
    let (one, load_one) = paused_load(&cache, 1).await;
    let (two, load_two) = paused_load(&cache, 2).await;
    load_two.answer(Ok(20));
    assert_eq!(*two.await.unwrap().unwrap(), 20);
    load_one.answer(Ok(10));
    assert_eq!(*one.await.unwrap().unwrap(), 10);
}

#[tokio::test]
async fn the_source_of_a_value_is_told() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    let other = world.both().build().await.unwrap();
    let load = || async { Ok::<_, Oops>(10) };
    let loaded = cache.get_or_load(&1, move |_| load()).await.unwrap();
    assert_eq!(
        (loaded.source(), loaded.is_stale()),
        (Source::Loaded, false)
    );
    let near = cache.get_or_load(&1, move |_| load()).await.unwrap();
    assert_eq!(near.source(), Source::Near);
    world.clock.advance(Duration::from_secs(5)).await;
    let remote = other.get_or_load(&1, move |_| load()).await.unwrap();
    assert_eq!(remote.source(), Source::Remote);
    assert_eq!(remote.age(), Duration::from_secs(5));
    assert_eq!(remote.version(), loaded.version());
}

#[tokio::test]
async fn every_waiter_gets_the_same_error_and_the_key_is_free_again() {
    let cache = World::new().both().build().await.unwrap();
    let (first, load) = paused_load(&cache, 1).await;
    let second = spawn_load(&cache, 1, |_| async { Ok(99) });
    settle().await;
    load.answer(Err(Oops("no such user")));
    let errors = [first.await.unwrap(), second.await.unwrap()].map(|result| match result {
        Err(LoadError::Loader(error)) => error,
        other => panic!("{other:?}"),
    });
    assert_eq!(*errors[0], Oops("no such user"));
    assert!(Arc::ptr_eq(&errors[0], &errors[1]));
    // At once: no lease of the failed load is waited for, the clock stands still.
    let again = in_time(cache.get_or_load(&1, |_| async { Ok::<_, Oops>(10) })).await;
    assert_eq!(*again.unwrap(), 10);
    assert_eq!(cache.stats().loads.failed, 1);
}

#[tokio::test]
async fn every_waiter_hears_of_a_panic_and_the_key_is_free_again() {
    let cache = World::new().both().build().await.unwrap();
    let (begin, begun) = tokio::sync::oneshot::channel::<()>();
    let first = spawn_load(&cache, 1, move |_| async move {
        let _ = begun.await;
        panic!("the database is on fire")
    });
    settle().await;
    let second = spawn_load(&cache, 1, |_| async { Ok(99) });
    settle().await;
    begin.send(()).unwrap();
    for call in [first, second] {
        match call.await.unwrap() {
            Err(LoadError::Panicked(message)) => assert_eq!(&*message, "the database is on fire"),
            other => panic!("{other:?}"),
        }
    }
    let again = in_time(cache.get_or_load(&1, |_| async { Ok::<_, Oops>(10) })).await;
    assert_eq!(*again.unwrap(), 10);
}

#[tokio::test]
async fn a_loader_that_panics_before_its_first_await_is_contained_too() {
    let cache = World::new().near_only().build().await.unwrap();
    let call = cache.get_or_load(&1, |_| -> std::future::Ready<Result<u64, Oops>> {
        panic!("at once")
    });
    assert!(matches!(call.await, Err(LoadError::Panicked(_))));
}

#[tokio::test]
async fn a_follower_with_another_type_of_error_runs_its_own_loader() {
    let cache = World::new().near_only().build().await.unwrap();
    let (first, load) = paused_load(&cache, 1).await;
    let second = tokio::spawn({
        let cache = cache.clone();
        async move {
            let own = |_| async { Err(std::fmt::Error) };
            cache.get_or_load::<_, std::fmt::Error, _, _>(&1, own).await
        }
    });
    settle().await;
    load.answer(Err(Oops("first")));
    assert!(matches!(first.await.unwrap(), Err(LoadError::Loader(_))));
    match second.await.unwrap() {
        Err(LoadError::Loader(error)) => assert_eq!(*error, std::fmt::Error),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_load_goes_on_for_those_who_still_wait() {
    let cache = World::new().near_only().build().await.unwrap();
    let (first, load) = paused_load(&cache, 1).await;
    let second = spawn_load(&cache, 1, |_| async { Ok(99) });
    settle().await;
    first.abort();
    settle().await;
    assert!(!load.is_dropped());
    load.answer(Ok(10));
    assert_eq!(*second.await.unwrap().unwrap(), 10);
}

#[tokio::test]
async fn a_load_for_which_nobody_waits_is_dropped() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    let (call, load) = paused_load(&cache, 1).await;
    call.abort();
    settle().await;
    assert!(load.is_dropped());
    assert_eq!(cache.stats().loads.abandoned, 1);
    // Its lease was given back: the next load begins although the clock stands still.
    let again = in_time(cache.get_or_load(&1, |_| async { Ok::<_, Oops>(10) })).await;
    assert_eq!(*again.unwrap(), 10);
}

#[tokio::test]
async fn the_remote_tier_is_asked_once_for_a_hundred_callers() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    let writer = world.remote_only().build().await.unwrap();
    writer.insert(&1, 10).await.unwrap();
    let gate = world.store.gate(Op::Get);
    let calls: Vec<_> = (0..100)
        .map(|_| spawn_load(&cache, 1, |_| async { Ok(99) }))
        .collect();
    gate.reached().await;
    settle().await;
    gate.open();
    for call in calls {
        assert_eq!(*call.await.unwrap().unwrap(), 10);
    }
    assert_eq!(world.store.calls(Op::Get), 1);
    assert_eq!(cache.stats().loads.succeeded, 0);
}

#[tokio::test]
async fn a_load_costs_three_round_trips_and_a_remote_hit_one() {
    let world = World::new();
    let cache = world.remote_only().build().await.unwrap();
    let load = |_| async { Ok::<_, Oops>(10) };
    cache.get_or_load(&1, load).await.unwrap();
    let asked = |op| world.store.calls(op);
    let trips = [Op::Get, Op::Lease, Op::Fill, Op::Commit, Op::Release].map(asked);
    assert_eq!(trips, [1, 1, 1, 0, 0]);
    cache.get_or_load(&1, load).await.unwrap();
    assert_eq!((asked(Op::Get), asked(Op::Lease)), (2, 1));
}

#[tokio::test]
async fn the_loader_knows_its_key_and_sets_the_life_of_the_value() {
    let world = World::new();
    for cache in [world.near_only(), world.remote_only(), world.both()] {
        let cache = cache.stale_for("1h").build().await.unwrap();
        let loaded = cache.get_or_load(&7, |cx| async move {
            cx.ttl(Duration::from_secs(10));
            cx.stale_for(Duration::from_secs(10));
            Ok::<_, Oops>(cx.key() * 10)
        });
        assert_eq!(*loaded.await.unwrap(), 70);
        world.clock.advance(Duration::from_secs(9)).await;
        assert!(cache.get(&7).await.unwrap().is_some());
        world.clock.advance(Duration::from_secs(2)).await;
        assert!(cache.get(&7).await.unwrap().is_none());
        let fail = |_| async { Err(Oops("down")) };
        assert!(
            in_time(cache.get_or_load(&7, fail))
                .await
                .unwrap()
                .is_stale()
        );
        world.clock.advance(Duration::from_secs(10)).await;
        assert!(in_time(cache.get_or_load(&7, fail)).await.is_err());
    }
}

#[tokio::test]
async fn a_loader_that_skips_gives_its_value_to_its_callers_only() {
    let world = World::new();
    for cache in [world.near_only(), world.both()] {
        let cache = cache.build().await.unwrap();
        let loaded = cache.get_or_load(&1, |cx| async move {
            cx.skip();
            Ok::<_, Oops>(10)
        });
        assert_eq!(*loaded.await.unwrap(), 10);
        assert!(cache.get(&1).await.unwrap().is_none());
        assert_eq!(refused(&cache.stats(), Refusal::Skipped), 1);
        // And it holds no lease.
        let again = in_time(cache.get_or_load(&1, |_| async { Ok::<_, Oops>(11) })).await;
        assert_eq!(again.unwrap().source(), Source::Loaded);
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn a_value_that_is_too_large_is_returned_and_not_stored() {
    let world = World::new();
    let cache = world.bare::<String>().remote(world.remote());
    let cache = cache.max_value(100).build().await.unwrap();
    let load = |_| async { Ok::<_, Oops>("x".repeat(200)) };
    assert_eq!(cache.get_or_load(&1, load).await.unwrap().len(), 200);
    assert!(cache.get(&1).await.unwrap().is_none());
    assert_eq!(refused(&cache.stats(), Refusal::TooLarge), 1);
    // And it holds no lease.
    let again = in_time(cache.get_or_load(&1, load)).await;
    assert_eq!(again.unwrap().len(), 200);
}

#[tokio::test]
async fn a_loading_cache_loads_what_it_does_not_find() {
    let world = World::new();
    let runs = Arc::new(AtomicU64::new(0));
    let counted = runs.clone();
    let cache = world.both().loader(move |cx| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            match cx.key() {
                0 => Err(Oops("no such user")),
                key => Ok(key * 10),
            }
        }
    });
    let cache = cache.build().await.unwrap();
    assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 10);
    assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 10);
    let many = cache.get_many(&[3, 1, 2, 3]).await.unwrap();
    let many: Vec<_> = many.into_iter().map(|value| *value.unwrap()).collect();
    assert_eq!(many, [30, 10, 20, 30]);
    assert_eq!(runs.load(Ordering::Relaxed), 3);
    let error = cache.get(&0).await.unwrap_err();
    assert_eq!(error.kind(), larder::ErrorKind::Load);
    assert!(error.to_string().contains("no such user"), "{error}");
    assert!(in_time(cache.get_many(&[1, 0])).await.is_err());
    assert!(!cache.contains_key(&9).await.unwrap(), "contains loads");
}

#[tokio::test]
async fn a_value_inserted_during_a_load_serves_those_who_come_after_it() {
    let cache = World::new().near_only().build().await.unwrap();
    let (loader, load) = paused();
    let call = spawn_load(&cache, 1, loader);
    settle().await;
    cache.insert(&1, 20).await.unwrap();
    let second = cache.get_or_load(&1, |_| async { Ok::<_, Oops>(99) }).await;
    assert_eq!(*second.unwrap(), 20);
    load.answer(Ok(10));
    call.await.unwrap().unwrap();
}
