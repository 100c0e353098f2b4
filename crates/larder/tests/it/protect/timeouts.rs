//! Readers that do not wait for ever, and loads that go on without them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use larder::{ErrorKind, LoadOptions, Refusal, StaleReason, Timeouts};

use super::{HARD, SOFT, TTL, age, counted, counts, kind, peek, stale, timed};
use crate::support::{Oops, Trouble, World, in_time, paused, paused_load, settle, spawn_load};

#[tokio::test]
async fn a_soft_timeout_gives_the_stale_value_and_the_load_is_stored_later() {
    let world = World::new();
    for cache in timed(&world).await {
        age(&world, &cache).await;
        let (call, load) = paused_load(&cache, 1).await;
        world.clock.advance(SOFT - Duration::from_millis(1)).await;
        assert!(!call.is_finished());
        world.clock.advance(Duration::from_millis(1)).await;
        let got = in_time(call).await.unwrap().unwrap();
        assert_eq!(
            (*got, got.stale_reason()),
            (10, Some(StaleReason::TimedOut))
        );
        settle().await;
        assert!(!load.is_dropped());
        assert_eq!((counts(&cache).left_behind, counts(&cache).behind), (1, 1));
        load.answer(Ok(20));
        settle().await;
        assert_eq!(peek(&cache).await, Some(20));
        assert_eq!(
            (counts(&cache).landed_behind, counts(&cache).behind),
            (1, 0)
        );
        assert_eq!(cache.stats().loads.succeeded, 1);
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn without_a_stale_value_the_soft_timeout_means_nothing_and_the_hard_one_an_error() {
    let world = World::new();
    for cache in timed(&world).await {
        let (call, load) = paused_load(&cache, 1).await;
        world.clock.advance(HARD - Duration::from_millis(1)).await;
        assert!(!call.is_finished());
        world.clock.advance(Duration::from_millis(1)).await;
        assert_eq!(kind(in_time(call).await.unwrap()), ErrorKind::Timeout);
        settle().await;
        assert!(!load.is_dropped());
        load.answer(Ok(20));
        settle().await;
        let unused = |_| async { Err(Oops("not needed")) };
        assert_eq!(*cache.get_or_load(&1, unused).await.unwrap(), 20);
        let found = counts(&cache);
        assert_eq!((found.timed_out, found.landed_behind), (1, 1));
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn a_load_behind_is_refused_what_was_written_since_it_began() {
    let world = World::new();
    let (node, other) = (
        &timed(&world).await[2],
        world.remote_only().build().await.unwrap(),
    );
    age(&world, node).await;
    let (call, load) = paused_load(node, 1).await;
    world.clock.advance(SOFT).await;
    assert!(in_time(call).await.unwrap().unwrap().is_stale());
    let _ = other.insert(&1, 40).await.unwrap();
    load.answer(Ok(30));
    settle().await;
    assert_eq!((peek(node).await, peek(&other).await), (Some(40), Some(40)));
    let refused = node.stats().refused.into_iter().filter(|(_, n)| *n > 0);
    let reasons: Vec<_> = refused.collect();
    assert!(
        matches!(
            reasons[..],
            [(Refusal::LeaseRevoked | Refusal::LeaseLost, 1)]
        ),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn an_error_behind_is_nobodys_error_and_the_key_is_free() {
    let world = World::new();
    for cache in timed(&world).await {
        age(&world, &cache).await;
        let (call, load) = paused_load(&cache, 1).await;
        world.clock.advance(SOFT).await;
        assert!(in_time(call).await.unwrap().is_ok());
        load.answer(Err(Oops("down")));
        settle().await;
        assert_eq!(
            (counts(&cache).behind, counts(&cache).landed_behind),
            (0, 0)
        );
        let runs = Arc::default();
        assert_eq!(
            *in_time(cache.get_or_load(&1, counted(&runs)))
                .await
                .unwrap(),
            100
        );
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn all_who_come_share_the_load_behind_and_the_late_ones_do_not_wait() {
    let world = World::new();
    for cache in timed(&world).await {
        age(&world, &cache).await;
        let runs = Arc::default();
        let (first, load) = paused_load(&cache, 1).await;
        let calls: Vec<_> = (0..100)
            .map(|_| spawn_load(&cache, 1, counted(&runs)))
            .collect();
        world.clock.advance(SOFT).await;
        for call in calls.into_iter().chain([first]) {
            assert!(in_time(call).await.unwrap().unwrap().is_stale());
        }
        for _ in 0..10 {
            // The clock stands still.
            let got = in_time(cache.get_or_load(&1, counted(&runs)))
                .await
                .unwrap();
            assert_eq!((*got, got.is_stale()), (10, true));
        }
        assert_eq!(runs.load(Ordering::Relaxed), 0);
        assert_eq!(counts(&cache).left_behind, 1);
        load.answer(Ok(20));
        settle().await;
        assert_eq!(peek(&cache).await, Some(20));
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn a_soft_timeout_of_zero_gives_what_is_there_at_once() {
    let world = World::new();
    for cache in stale(&world, |it| it).await {
        age(&world, &cache).await;
        let (loader, load) = paused();
        let options = LoadOptions::new().soft_timeout(Duration::ZERO);
        let got = in_time(cache.get_or_load_with(&1, options, loader))
            .await
            .unwrap();
        assert_eq!(
            (*got, got.stale_reason()),
            (10, Some(StaleReason::TimedOut))
        );
        load.answer(Ok(20));
        settle().await;
        assert_eq!(peek(&cache).await, Some(20));
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn who_does_not_wait_for_the_load_of_another_gets_the_stale_value_or_an_error_now() {
    let world = World::new();
    for cache in stale(&world, |it| it).await {
        for is_stale in [true, false] {
            if is_stale {
                age(&world, &cache).await;
            }
            let (leader, load) = paused_load(&cache, 1).await;
            let options = LoadOptions::new().wait(Duration::ZERO);
            let runs = Arc::default();
            let got = in_time(cache.get_or_load_with(&1, options, counted(&runs))).await;
            match is_stale {
                true => assert_eq!(*got.unwrap(), 10),
                false => assert_eq!(kind(got), ErrorKind::Timeout),
            }
            assert_eq!(runs.load(Ordering::Relaxed), 0);
            // The leader waits for its own load.
            load.answer(Ok(20));
            assert_eq!(*in_time(leader).await.unwrap().unwrap(), 20);
            let _ = cache.invalidate(&1).await.unwrap();
        }
        // Who leads waits.
        let options = LoadOptions::new().wait(Duration::ZERO);
        let own = in_time(cache.get_or_load_with(&1, options, counted(&Arc::default()))).await;
        assert_eq!(*own.unwrap(), 100);
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn so_many_loads_go_on_behind_and_the_others_are_dropped() {
    let world = World::new();
    let timeouts = Timeouts::new().hard(HARD).behind(2);
    for cache in stale(&world, |it| it.timeouts(timeouts.clone())).await {
        let mut loads = Vec::new();
        for key in 1..=3 {
            loads.push(paused_load(&cache, key).await);
        }
        world.clock.advance(HARD).await;
        let mut dropped = 0;
        for (call, load) in loads {
            assert_eq!(kind(in_time(call).await.unwrap()), ErrorKind::Timeout);
            settle().await;
            dropped += usize::from(load.is_dropped());
            load.answer(Ok(20));
        }
        settle().await;
        assert_eq!(dropped, 1);
        let found = counts(&cache);
        assert_eq!((found.left_behind, found.behind_limited), (2, 1));
        // Its lease was given back.
        for key in 1..=3 {
            let again = in_time(cache.get_or_load(&key, |_| async { Ok::<_, Oops>(30) }));
            assert!([20, 30].contains(&*again.await.unwrap()));
            let _ = cache.invalidate(&key).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_load_behind_ends_after_a_while_unless_somebody_waits_for_it() {
    let world = World::new();
    let timeouts = Timeouts::new().hard(HARD).behind_for("10s");
    for cache in stale(&world, |it| it.timeouts(timeouts.clone())).await {
        for is_awaited in [false, true] {
            let (call, load) = paused_load(&cache, 1).await;
            world.clock.advance(HARD).await;
            assert!(in_time(call).await.unwrap().is_err());
            world.clock.advance(Duration::from_secs(9)).await;
            assert!(!load.is_dropped());
            let waiting = is_awaited.then(|| spawn_load(&cache, 1, |_| async { Ok(99) }));
            settle().await;
            world.clock.advance(Duration::from_secs(1)).await;
            assert_eq!(load.is_dropped(), !is_awaited);
            load.answer(Ok(20));
            if let Some(waiting) = waiting {
                assert_eq!(*in_time(waiting).await.unwrap().unwrap(), 20);
            }
            let _ = cache.invalidate(&1).await.unwrap();
        }
    }
}

#[tokio::test]
async fn closing_the_cache_ends_what_goes_on_behind() {
    let world = World::new();
    for cache in timed(&world).await {
        let (call, load) = paused_load(&cache, 1).await;
        world.clock.advance(HARD).await;
        assert!(in_time(call).await.unwrap().is_err());
        cache.close().await;
        settle().await;
        assert!(load.is_dropped());
    }
}

#[tokio::test]
async fn what_was_made_void_meanwhile_is_not_given_when_the_time_is_over() {
    let world = World::new();
    for change in ["tag", "clear", "prefix", "key"] {
        let timeouts = Timeouts::new().soft(SOFT).hard(HARD);
        let cache = world.near_only().ttl(TTL).stale_for("1h");
        let cache = cache.timeouts(timeouts).build().await.unwrap();
        let tagged = larder::InsertOptions::new().tag("t");
        let _ = cache.insert_with(&1, 10, tagged).await.unwrap();
        world.clock.advance(TTL).await;
        let (call, load) = paused_load(&cache, 1).await;
        match change {
            "tag" => drop(cache.invalidate_tag("t").await.unwrap()),
            "clear" => drop(cache.clear().await.unwrap()),
            "prefix" => drop(cache.invalidate_prefix("1").await.unwrap()),
            _ => drop(cache.invalidate(&1).await.unwrap()),
        }
        world.clock.advance(SOFT).await;
        assert!(!call.is_finished(), "{change}");
        load.answer(Ok(20));
        assert_eq!(*in_time(call).await.unwrap().unwrap(), 20);
    }
}

#[tokio::test]
async fn a_remote_tier_that_does_not_answer_holds_nobody_up_who_has_a_near_copy() {
    let world = World::new();
    let cache = &timed(&world).await[2];
    age(&world, cache).await;
    let gate = world.store.gate(crate::support::Op::Get);
    let (loader, load) = paused();
    let call = spawn_load(cache, 1, loader);
    gate.reached().await;
    world.clock.advance(SOFT).await;
    let got = in_time(call).await.unwrap().unwrap();
    assert_eq!(
        (*got, got.stale_reason()),
        (10, Some(StaleReason::TimedOut))
    );
    gate.open();
    load.answer(Ok(20));
    settle().await;
    assert_eq!(peek(cache).await, Some(20));
}

#[tokio::test]
async fn loaders_wait_for_what_they_read_and_their_loads_end_with_them() {
    let world = World::new();
    for cache in timed(&world).await {
        age(&world, &cache).await;
        let (inner, mut load) = paused();
        let reading = cache.clone();
        let page = spawn_load(&cache, 2, move |_| async move {
            let read = reading.get_or_load(&1, inner).await;
            read.map(|read| *read + 1).map_err(|_| Oops("inner"))
        });
        load.begun().await;
        world.clock.advance(SOFT).await;
        assert!(!page.is_finished(), "a loader was given a stale value");
        world.clock.advance(HARD).await;
        settle().await;
        assert!(in_time(page).await.unwrap().is_err());
        let _ = cache.invalidate_many([&1, &2]).await.unwrap();
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_stored_behind_is_no_trouble_either() {
    let world = World::new();
    let cache = &timed(&world).await[2];
    age(&world, cache).await;
    let (call, load) = paused_load(cache, 1).await;
    world.clock.advance(SOFT).await;
    assert!(in_time(call).await.unwrap().is_ok());
    world.store.hurt(Trouble::Refuses);
    load.answer(Ok(20));
    settle().await;
    world.store.heal();
    // Its lease could not be given back, and ends.
    world.clock.advance(Duration::from_secs(3)).await;
    let again = in_time(cache.get_or_load(&1, counted(&Arc::default())));
    assert_eq!(*again.await.unwrap(), 100);
}
