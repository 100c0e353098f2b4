//! Loaders of many keys that fail, panic, or are left.

use std::time::Duration;

use larder::{ManyCx, StaleReason};

use super::{clear, each, many, stored};
use crate::support::many::{Asked, Rows, all, bare, cued, spawn_many, tenfold};
use crate::support::{Oops, Op, World, in_time, settle, spawn_load};

#[tokio::test]
async fn an_error_of_the_call_is_that_of_each_key_and_who_has_a_stale_value_gets_that() {
    let world = World::new();
    for cache in each(&world).await {
        let _ = cache.insert(&1, 1).await.unwrap();
        world.clock.advance(Duration::from_secs(3_600)).await;
        let down = |_: ManyCx<u64, _>| async { Err(Oops("down")) };
        let given = many(&cache, &[1, 2], down).await;
        let oops = "the loader failed: down".to_owned();
        assert_eq!(bare(&given), [Ok(Some(1)), Err(oops.clone())]);
        let stale = given[0].as_ref().unwrap().as_ref().unwrap();
        assert_eq!(stale.stale_reason(), Some(StaleReason::Failed));
        assert_eq!(stale.error::<Oops>().unwrap().to_string(), oops);
        // One error for that key alone.
        let one = |cx: ManyCx<u64, _>| async move {
            let rows = tenfold(cx.keys())?.into_iter();
            Ok(rows
                .map(|(key, row)| (key, row.and(Err(Oops("locked")))))
                .collect())
        };
        let given = many(&cache, &[1], one).await;
        assert_eq!(bare(&given), [Ok(Some(1))]);
        let asked = Asked::default();
        assert_eq!(all(&many(&cache, &[1, 2], asked.loader()).await), [10, 20]);
        assert_eq!(asked.take(), [[1, 2]]);
        clear(&cache).await;
    }
}

/// An answer that panics when it is looked at.
struct Bomb;

impl IntoIterator for Bomb {
    type Item = (u64, u64);
    type IntoIter = std::iter::Empty<(u64, u64)>;

    fn into_iter(self) -> Self::IntoIter {
        panic!("no rows")
    }
}

#[tokio::test]
async fn a_panic_wherever_it_comes_from_is_that_of_each_key_and_all_are_free() {
    let world = World::new();
    for cache in each(&world).await {
        let told = |given: &crate::support::many::Given, what: &str| {
            let expected = Err(format!("the loader panicked: {what}"));
            assert_eq!(bare(given), [expected.clone(), expected]);
        };
        let early = |_: ManyCx<u64, _>| -> std::future::Ready<Rows> { panic!("early") };
        told(&many(&cache, &[1, 2], early).await, "early");
        let late = |_: ManyCx<u64, _>| async {
            settle().await;
            let rows: Rows = Err(Oops("never"));
            rows.inspect_err(|_| panic!("late"))
        };
        told(&many(&cache, &[1, 2], late).await, "late");
        let bomb = |_: ManyCx<u64, _>| async { Ok::<_, Oops>(Bomb) };
        let given = in_time(cache.get_or_load_many(&[1, 2], bomb)).await;
        told(&given, "no rows");
        assert_eq!(stored(&cache, &[1, 2]).await, [None, None]);
        let asked = Asked::default();
        assert_eq!(all(&many(&cache, &[1, 2], asked.loader()).await), [10, 20]);
        clear(&cache).await;
    }
}

#[tokio::test]
async fn who_goes_away_leaves_each_key_to_those_who_wait_for_it() {
    let world = World::new();
    for cache in each(&world).await {
        let (loader, mut calls) = cued();
        let leaving = spawn_many(&cache, &[1, 2, 3], loader);
        let load = calls.next().await;
        let staying = spawn_load(&cache, 2, |_| async { Err(Oops("not needed")) });
        settle().await;
        leaving.abort();
        settle().await;
        assert!(!load.is_dropped());
        // What nobody waits for can be loaded again at once.
        let asked = Asked::default();
        assert_eq!(all(&many(&cache, &[1], asked.loader()).await), [10]);
        assert_eq!(asked.take(), [[1]]);
        load.answer(Ok(vec![(1, Ok(99)), (2, Ok(20)), (3, Ok(99))]));
        assert_eq!(*in_time(staying).await.unwrap().unwrap(), 20);
        assert_eq!(stored(&cache, &[1, 2, 3]).await, [Some(10), Some(20), None]);
        clear(&cache).await;
    }
}

#[tokio::test]
async fn a_loader_that_all_have_left_is_dropped_and_its_leases_are_given_back() {
    let world = World::new();
    for cache in each(&world).await {
        let (loader, mut calls) = cued();
        let call = spawn_many(&cache, &[1, 2, 3], loader);
        let load = calls.next().await;
        let before = world.store.calls(Op::Release);
        call.abort();
        settle().await;
        assert!(load.is_dropped());
        let released = world.store.calls(Op::Release) - before;
        assert!(matches!(released, 0 | 3), "{released}");
        let loads = cache.stats().loads;
        assert_eq!((loads.abandoned, loads.succeeded, loads.failed), (3, 0, 0));
        let asked = Asked::default();
        assert_eq!(
            all(&many(&cache, &[1, 2, 3], asked.loader()).await),
            [10, 20, 30]
        );
        clear(&cache).await;
    }
}

#[tokio::test]
async fn who_goes_away_before_the_look_has_ended_holds_nobody_up() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    let gate = world.store.barrier(Op::GetMany);
    let (loader, mut calls) = cued();
    let leaving = spawn_many(&cache, &[1, 2], loader);
    gate.reached().await;
    let staying = spawn_load(&cache, 2, |_| async { Err(Oops("not needed")) });
    settle().await;
    leaving.abort();
    settle().await;
    gate.open();
    let load = calls.next().await;
    assert_eq!(load.cx.keys(), [2]);
    load.go();
    assert_eq!(*in_time(staying).await.unwrap().unwrap(), 20);
}

#[tokio::test]
async fn what_the_source_has_no_more_is_not_there_when_it_fails_afterwards() {
    let world = World::new();
    for cache in each(&world).await {
        let _ = cache.insert(&1, 10).await.unwrap();
        let _ = cache.expire(&1).await.unwrap();
        let none = |_: ManyCx<u64, _>| async { Ok(vec![]) };
        assert_eq!(bare(&many(&cache, &[1], none).await), [Ok(None)]);
        let down = cache.get_or_load(&1, |_| async { Err(Oops("down")) });
        assert!(in_time(down).await.is_err(), "it is gone for good");
        clear(&cache).await;
    }
}
