//! Loads of many keys among each other, among loads of one, and among processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::core::mutant::Mutant;
use larder::{ManyCx, Source};

use super::{clear, each, many, stored, with_tags};
use crate::support::many::{Asked, all, cued, spawn_many, tenfold};
use crate::support::{Oops, World, in_time, needs_alone, paused_load, settle, spawn_load};

/// More than the time for which keys that come late wait for others that do.
const LATE: Duration = Duration::from_millis(60);

#[tokio::test]
async fn who_asks_for_a_key_that_is_being_loaded_joins_that_load() {
    let world = World::new();
    for cache in each(&world).await {
        let (single, load) = paused_load(&cache, 1).await;
        let (loader, mut calls) = cued();
        let first = spawn_many(&cache, &[1, 2, 3], loader.clone());
        let two = calls.next().await;
        assert_eq!(two.cx.keys(), [2, 3]);
        let second = spawn_many(&cache, &[3, 4, 1], loader.clone());
        let three = calls.next().await;
        assert_eq!(three.cx.keys(), [4]);
        let unused = |_| async { Err(Oops("not needed")) };
        let alone = spawn_load(&cache, 2, unused);
        settle().await;
        load.answer(Ok(11));
        two.go();
        three.go();
        assert_eq!(all(&in_time(first).await.unwrap()), [11, 20, 30]);
        assert_eq!(all(&in_time(second).await.unwrap()), [30, 40, 11]);
        assert_eq!(*in_time(alone).await.unwrap().unwrap(), 20);
        assert_eq!(*in_time(single).await.unwrap().unwrap(), 11);
        assert!(calls.now().await.is_none());
        clear(&cache).await;
    }
}

async fn a_key_that_another_process_loads() {
    let world = World::new();
    let node = async || world.both().build().await.unwrap();
    let (here, there) = (node().await, node().await);
    for comes in [true, false] {
        let (elsewhere, load) = paused_load(&there, 1).await;
        let (loader, mut calls) = cued();
        let call = spawn_many(&here, &[1, 2, 3], loader);
        // It holds nobody up.
        let first = calls.now().await.expect("the others are loaded at once");
        assert_eq!(first.cx.keys(), [2, 3]);
        first.go();
        settle().await;
        assert_eq!(stored(&here, &[2, 3]).await, [Some(20), Some(30)]);
        load.answer(if comes { Ok(11) } else { Err(Oops("down")) });
        assert_eq!(in_time(elsewhere).await.unwrap().is_ok(), comes);
        world.clock.advance(Duration::from_millis(250)).await;
        if !comes {
            // Now it is for this process to load it.
            world.clock.advance(LATE).await;
            let second = calls.next().await;
            assert_eq!(second.cx.keys(), [1]);
            second.answer(Ok(vec![(1, Ok(12))]));
        }
        let given = in_time(call).await.unwrap();
        assert_eq!(all(&given), [if comes { 11 } else { 12 }, 20, 30]);
        let source = given[0].as_ref().unwrap().as_ref().unwrap().source();
        assert_eq!(source == Source::Remote, comes);
        assert!(calls.now().await.is_none());
        clear(&here).await;
        clear(&there).await;
    }
}

#[test]
fn a_key_that_another_process_loads_holds_nobody_up() {
    needs_alone(Mutant::WaitForTaken, a_key_that_another_process_loads);
}

#[tokio::test]
async fn keys_that_another_process_gives_back_are_loaded_together() {
    let world = World::new();
    let node = async || world.both().build().await.unwrap();
    let (here, there) = (node().await, node().await);
    let keys: Vec<u64> = (0..20).collect();
    let (loader, mut calls) = cued();
    let one = spawn_many(&there, &keys, loader.clone());
    let first = calls.next().await;
    let two = spawn_many(&here, &keys, loader);
    assert!(calls.now().await.is_none());
    first.answer(Err(Oops("down")));
    assert!(in_time(one).await.unwrap().iter().all(Result::is_err));
    // Each asks again at its own time.
    for _ in 0..5 {
        world.clock.advance(Duration::from_millis(8)).await;
    }
    world.clock.advance(LATE).await;
    let second = calls.next().await;
    assert_eq!(second.cx.keys().len(), keys.len());
    second.go();
    assert_eq!(all(&in_time(two).await.unwrap()).len(), keys.len());
}

#[tokio::test]
async fn two_processes_that_ask_for_the_same_keys_load_each_once() {
    let world = World::new();
    let node = async || world.both().build().await.unwrap();
    let (here, there) = (node().await, node().await);
    let (loader, mut calls) = cued();
    let one = spawn_many(&here, &[1, 2, 3], loader.clone());
    let first = calls.next().await;
    let two = spawn_many(&there, &[4, 3, 2], loader);
    let second = calls.next().await;
    assert_eq!(
        (first.cx.keys(), second.cx.keys()),
        (&[1, 2, 3][..], &[4][..])
    );
    first.go();
    second.go();
    settle().await;
    world.clock.advance(Duration::from_millis(250)).await;
    assert_eq!(all(&in_time(one).await.unwrap()), [10, 20, 30]);
    assert_eq!(all(&in_time(two).await.unwrap()), [40, 30, 20]);
    assert!(calls.now().await.is_none());
}

async fn what_the_loader_reads() {
    let world = World::new();
    for cache in with_tags(&world).await {
        let _ = cache.insert(&9, 1).await.unwrap();
        let rates = cache.clone();
        let loader = move |cx: ManyCx<u64, _>| {
            let rates = rates.clone();
            async move {
                let rate = rates.get(&9).await.unwrap().map_or(0, |rate| *rate);
                Ok(cx.keys().iter().map(|key| (*key, Ok(key * rate))).collect())
            }
        };
        assert_eq!(all(&many(&cache, &[1, 2], loader.clone()).await), [1, 2]);
        assert_eq!(stored(&cache, &[1, 2]).await, [Some(1), Some(2)]);
        let _ = cache.insert(&9, 10).await.unwrap();
        assert_eq!(stored(&cache, &[1, 2]).await, [None, None]);
        assert_eq!(all(&many(&cache, &[1, 2], loader).await), [10, 20]);
        clear(&cache).await;
    }
}

#[test]
fn what_the_loader_reads_from_caches_each_value_depends_on() {
    needs_alone(Mutant::ReadApart, what_the_loader_reads);
}

async fn what_it_has_read_changes() {
    let world = World::new();
    for cache in with_tags(&world).await {
        let _ = cache.insert(&9, 1).await.unwrap();
        let (cue, mut calls) = cued();
        let rates = cache.clone();
        let loader = move |cx: ManyCx<u64, _>| {
            let (rates, cue) = (rates.clone(), cue.clone());
            async move {
                let rate = rates.get(&9).await.unwrap().map_or(0, |rate| *rate);
                let rows = cue(cx).await?;
                let at = |(key, row): (u64, Result<u64, Oops>)| (key, row.map(|row| row * rate));
                Ok(rows.into_iter().map(at).collect::<Vec<_>>())
            }
        };
        let early = spawn_many(&cache, &[1, 2], loader.clone());
        let first = calls.next().await;
        let _ = cache.insert(&9, 2).await.unwrap();
        let late = spawn_many(&cache, &[1, 2], loader);
        settle().await;
        first.go();
        // In a remote tier the first one holds the leases until it has ended.
        world.clock.advance(Duration::from_millis(250)).await;
        world.clock.advance(LATE).await;
        let second = calls.now().await;
        second.expect("nobody joins what is made of the past").go();
        assert_eq!(all(&in_time(early).await.unwrap()), [10, 20]);
        assert_eq!(all(&in_time(late).await.unwrap()), [20, 40]);
        assert_eq!(stored(&cache, &[1, 2]).await, [Some(20), Some(40)]);
        clear(&cache).await;
    }
}

#[test]
fn nobody_joins_a_load_that_has_read_what_was_changed_since() {
    needs_alone(Mutant::ReadApart, what_it_has_read_changes);
}

#[tokio::test]
async fn a_loader_that_asks_for_a_key_of_its_own_is_told_so_and_others_do_not_hang() {
    let world = World::new();
    for cache in with_tags(&world).await {
        let inner = cache.clone();
        let loader = move |cx: ManyCx<u64, _>| {
            let inner = inner.clone();
            async move {
                let own = inner.get_or_load(&2, |_| async { Ok::<_, Oops>(99) }).await;
                assert!(own.unwrap_err().to_string().contains("that it is loading"));
                // Another key is none of its own.
                let other = inner.get_or_load(&7, |_| async { Ok::<_, Oops>(70) }).await;
                assert_eq!(*other.unwrap(), 70);
                let many = inner.get_or_load_many(&[1, 8], |cx: ManyCx<u64, _>| async move {
                    tenfold(cx.keys())
                });
                let many = Box::pin(many).await;
                assert!(many[0].is_err());
                assert_eq!(**many[1].as_ref().unwrap().as_ref().unwrap(), 80);
                tenfold(cx.keys())
            }
        };
        assert_eq!(all(&many(&cache, &[1, 2], loader).await), [10, 20]);
        clear(&cache).await;
    }
}

#[tokio::test]
async fn loads_that_wait_for_each_other_in_a_circle_end() {
    let world = World::new();
    for cache in with_tags(&world).await {
        // The loader of 1 and 2 asks for 3, the loader of 3 asks for 2.
        let (begun_one, begun_two) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (inner, begun, other) = (cache.clone(), begun_one.clone(), begun_two.clone());
        let loader = move |cx: ManyCx<u64, _>| {
            let (inner, begun, other) = (inner.clone(), begun.clone(), other.clone());
            async move {
                begun.fetch_add(1, Ordering::SeqCst);
                both_begun(&begun, &other).await;
                let three = inner.get_or_load(&3, |_| async { Ok::<_, Oops>(30) }).await;
                assert_eq!(*three.unwrap() % 10, 0);
                tenfold(cx.keys())
            }
        };
        let pair = spawn_many(&cache, &[1, 2], loader);
        let inner = cache.clone();
        let single = spawn_load(&cache, 3, move |_| async move {
            begun_two.fetch_add(1, Ordering::SeqCst);
            both_begun(&begun_one, &begun_two).await;
            let two = inner.get_or_load(&2, |_| async { Ok::<_, Oops>(20) }).await;
            Ok(*two.unwrap() + 10)
        });
        assert_eq!(all(&in_time(pair).await.unwrap()), [10, 20]);
        assert_eq!(*in_time(single).await.unwrap().unwrap(), 30);
        clear(&cache).await;
    }
}

async fn both_begun(one: &AtomicU64, two: &AtomicU64) {
    while one.load(Ordering::SeqCst) == 0 || two.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_value_made_of_many_depends_on_each_of_them_and_on_their_absence() {
    let world = World::new();
    for cache in with_tags(&world).await {
        let parts = cache.clone();
        let sum = move |_| {
            let parts = parts.clone();
            async move {
                let parts = parts.get_or_load_many(&[1, 2, 3], |_| async {
                    Ok::<_, Oops>(vec![(1, 10), (2, 20)])
                });
                let found = Box::pin(parts).await;
                Ok::<_, Oops>(found.iter().flatten().flatten().map(|part| **part).sum())
            }
        };
        for part in [1, 3] {
            let total = in_time(cache.get_or_load(&100, sum.clone())).await.unwrap();
            assert_eq!(*total, 30);
            drop(total);
            assert_eq!(stored(&cache, &[100]).await, [Some(30)]);
            let _ = cache.insert(&part, 1).await.unwrap();
            assert_eq!(stored(&cache, &[100]).await, [None], "{part}");
            let _ = cache.invalidate(&part).await.unwrap();
        }
        clear(&cache).await;
    }
}

#[tokio::test]
async fn without_a_remote_tier_that_answers_all_is_loaded_by_one_call() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    world.store.hurt(crate::support::Trouble::Refuses);
    let asked = Asked::default();
    assert_eq!(
        all(&many(&cache, &[1, 2, 3], asked.loader()).await),
        [10, 20, 30]
    );
    assert_eq!(asked.take(), [[1, 2, 3]]);
    // Kept for a moment, so that not every read goes to the source.
    assert_eq!(
        all(&many(&cache, &[1, 2, 3], asked.loader()).await),
        [10, 20, 30]
    );
    assert!(asked.take().is_empty());
}
