//! What a loader of many keys answers beside values, for each key by itself.

use std::time::Duration;

use larder::embedded::Embedded;
use larder::{Builder, LoadError, ManyCx, Near, StaleReason, untracked};

use super::{clear, each, kinds, many, stored};
use crate::support::many::{Asked, Rows, all, bare, cued, spawn_many, tenfold};
use crate::support::{Oops, Op, Users, World, in_time, paused, settle, spawn_load};

const TTL: Duration = Duration::from_secs(100);
const NEGATIVE: Duration = Duration::from_secs(10);

async fn remembering(world: &World) -> Vec<Users> {
    let set = |it: Builder<u64, u64>| it.ttl(TTL).stale_for("1h").negative_ttl(NEGATIVE);
    kinds(world, set).await
}

/// A loader that finds no more than the first key.
fn first_only() -> impl Fn(ManyCx<u64, u64>) -> std::future::Ready<Rows> {
    |cx| std::future::ready(tenfold(&cx.keys()[..1]))
}

#[tokio::test]
async fn what_is_left_out_is_remembered_as_long_as_absence_is() {
    let world = World::new();
    for cache in remembering(&world).await {
        let given = many(&cache, &[1, 2, 3], first_only()).await;
        assert_eq!(bare(&given), [Ok(Some(10)), Ok(None), Ok(None)]);
        let asked = Asked::default();
        world.clock.advance(NEGATIVE / 2).await;
        let given = many(&cache, &[3, 1, 2], asked.loader()).await;
        assert_eq!(bare(&given), [Ok(None), Ok(Some(10)), Ok(None)]);
        let users = cache.batcher("2ms", 1, asked.loader()).unwrap();
        assert!(in_time(users.get(&2)).await.unwrap().is_none());
        let single = in_time(cache.get_or_load(&3, |_| async { Err(Oops("down")) })).await;
        assert!(matches!(single, Err(LoadError::Absent)));
        assert!(asked.take().is_empty(), "nobody is asked");
        world.clock.advance(NEGATIVE / 2).await;
        let given = many(&cache, &[1, 2, 3], asked.loader()).await;
        assert_eq!(all(&given), [10, 20, 30]);
        assert_eq!(asked.take(), [[2, 3]]);
        let loads = cache.stats().loads;
        assert_eq!((loads.succeeded, loads.absent, loads.failed), (5, 2, 0));
        clear(&cache).await;
    }
}

#[tokio::test]
async fn absence_is_near_and_other_processes_find_it_in_the_remote_tier() {
    let world = World::new();
    let node = async || {
        let it = world.both().negative_ttl(NEGATIVE);
        it.build().await.unwrap()
    };
    let (here, there) = (node().await, node().await);
    many(&here, &[1, 2, 3], first_only()).await;
    let calls =
        || [Op::Get, Op::GetMany, Op::Lease, Op::Fill, Op::Commit].map(|op| world.store.calls(op));
    let asked = Asked::default();
    let none = [Ok(None), Ok(None)];
    let before = calls();
    assert_eq!(bare(&many(&here, &[2, 3], asked.loader()).await), none);
    assert_eq!(calls(), before, "near hits");
    assert_eq!(bare(&many(&there, &[2, 3], asked.loader()).await), none);
    assert_eq!(world.store.calls(Op::GetMany), before[1] + 1);
    assert_eq!(world.store.calls(Op::Lease), before[2]);
    assert!(asked.take().is_empty());
}

#[tokio::test]
async fn who_has_joined_the_load_is_told_that_there_is_none() {
    let world = World::new();
    for cache in each(&world).await {
        let (loader, mut calls) = cued();
        let first = spawn_many(&cache, &[1], loader.clone());
        let call = calls.next().await;
        let second = spawn_many(&cache, &[1], loader);
        let single = spawn_load(&cache, 1, |_| async { Err(Oops("not needed")) });
        settle().await;
        call.answer(Ok(vec![]));
        assert_eq!(bare(&in_time(first).await.unwrap()), [Ok(None)]);
        assert_eq!(bare(&in_time(second).await.unwrap()), [Ok(None)]);
        let single = in_time(single).await.unwrap();
        assert!(matches!(single, Err(LoadError::Absent)));
        clear(&cache).await;
    }
}

#[tokio::test]
async fn each_key_has_its_previous_value_and_an_answer_of_its_own() {
    let world = World::new();
    for cache in remembering(&world).await {
        let there = [(1, 11), (2, 22), (3, 33)];
        let _ = cache.insert_many(there).await.unwrap();
        world.clock.advance(TTL).await;
        let loader = |cx: ManyCx<u64, _>| async move {
            let previous = |key: u64| cx.of(&key).previous().map(|it| **it);
            let seen = [1, 2, 3, 4, 99].map(previous);
            assert_eq!(seen, [Some(11), Some(22), Some(33), None, None]);
            let one = cx.of(&1);
            one.not_modified();
            cx.of(&2).absent();
            // Nothing to be held against.
            cx.of(&4).not_modified();
            // The load has not ended: it goes on to the others, and to what else there is to say.
            settle().await;
            one.ttl(TTL / 2);
            Ok(vec![(2, Ok(20)), (3, Ok(30)), (4, Ok(40))])
        };
        let given = bare(&many(&cache, &[1, 2, 3, 4], loader).await);
        assert_eq!(given[..3], [Ok(Some(11)), Ok(None), Ok(Some(30))]);
        let error = given[3].as_ref().unwrap_err();
        assert!(error.contains("no previous value"), "{error}");
        let loads = cache.stats().loads;
        assert_eq!((loads.confirmed, loads.absent, loads.batches), (1, 1, 1));
        let is = async |expected: [Option<u64>; 4]| {
            assert_eq!(stored(&cache, &[1, 2, 3, 4]).await, expected);
        };
        is([Some(11), None, Some(30), None]).await;
        world.clock.advance(TTL / 2).await;
        is([None, None, Some(30), None]).await;
        clear(&cache).await;
    }
}

#[tokio::test]
async fn where_the_loader_fails_its_answers_count_for_nothing() {
    let world = World::new();
    for cache in remembering(&world).await {
        let _ = cache.insert_many([(1, 11), (2, 22)]).await.unwrap();
        world.clock.advance(TTL).await;
        let loader = |cx: ManyCx<u64, _>| async move {
            cx.of(&1).not_modified();
            cx.of(&2).absent();
            Rows::Err(Oops("down"))
        };
        let given = many(&cache, &[1, 2], loader).await;
        assert_eq!(all(&given), [11, 22]);
        let reasons = given.iter().flatten().flatten().map(|it| it.stale_reason());
        assert!(reasons.eq([Some(StaleReason::Failed); 2]));
        let loads = cache.stats().loads;
        assert_eq!((loads.confirmed, loads.absent, loads.failed), (0, 0, 2));
        clear(&cache).await;
    }
}

#[tokio::test]
async fn absence_does_not_hide_what_came_meanwhile() {
    let world = World::new();
    for cache in remembering(&world).await {
        let (loader, mut calls) = cued();
        let call = spawn_many(&cache, &[1, 2], loader);
        let load = calls.next().await;
        let _ = cache.insert(&2, 22).await.unwrap();
        load.answer(Ok(vec![]));
        let given = bare(&in_time(call).await.unwrap());
        assert_eq!(given, [Ok(None), Ok(None)], "they asked before it");
        assert_eq!(stored(&cache, &[1, 2]).await, [None, Some(22)]);
        let asked = Asked::default();
        let given = many(&cache, &[1, 2], asked.loader()).await;
        assert_eq!(bare(&given), [Ok(None), Ok(Some(22))]);
        assert!(asked.take().is_empty());
        clear(&cache).await;
    }
}

#[tokio::test]
async fn what_is_made_of_absence_that_another_load_has_found_depends_on_it() {
    let world = World::new();
    let store = Embedded::new(world.clock.clone());
    let remote = || world.bare().remote(store.clone());
    let builders = [
        world.near_only(),
        remote(),
        remote().near(Near::bytes("1MiB")),
    ];
    for builder in builders {
        let cache = builder.negative_ttl(NEGATIVE).build().await.unwrap();
        settle().await;
        let (loader, mut calls) = cued();
        let asking = spawn_many(&cache, &[3], loader);
        let call = calls.next().await;
        let parts = cache.clone();
        let (cue, mut cued_load) = paused::<u64, u64>();
        let sum = spawn_load(&cache, 100, move |cx| async move {
            let begun = untracked(cue(cx)).await?;
            let none = |_: ManyCx<u64, _>| async { Ok::<_, Oops>(Vec::<(u64, u64)>::new()) };
            let found = Box::pin(parts.get_or_load_many(&[3], none)).await;
            Ok(begun + found.iter().flatten().flatten().count() as u64)
        });
        cued_load.begun().await;
        cued_load.answer(Ok(5));
        settle().await;
        let nothing: Rows = Ok(vec![]);
        call.answer(nothing);
        in_time(asking).await.unwrap();
        assert_eq!(*in_time(sum).await.unwrap().unwrap(), 5);
        assert_eq!(stored(&cache, &[100]).await, [Some(5)]);
        let _ = cache.insert(&3, 30).await.unwrap();
        assert_eq!(stored(&cache, &[100]).await, [None]);
        clear(&cache).await;
    }
}
