//! Many keys loaded by one call, in virtual time.

mod answers;
mod batcher;
mod limits;
mod together;
mod trouble;

use std::time::Duration;

use larder::embedded::Embedded;
use larder::{Builder, ErrorKind, LoadError, ManyCx, ManyOptions, Near, Refresh, Source};

use crate::support::many::{Asked, Given, Rows, all, bare, cued, spawn_many, tenfold};
use crate::support::{Oops, Op, Users, World, in_time, settle};

/// One of each kind.
async fn kinds(world: &World, set: impl Fn(Builder<u64, u64>) -> Builder<u64, u64>) -> Vec<Users> {
    let mut caches = Vec::new();
    for builder in [world.near_only(), world.remote_only(), world.both()] {
        caches.push(set(builder).build().await.unwrap());
    }
    caches
}

async fn each(world: &World) -> Vec<Users> {
    kinds(world, |it| it.stale_for("1h")).await
}

/// The same with tags, which the watched store does not have.
async fn with_tags(world: &World) -> Vec<Users> {
    let store = Embedded::new(world.clock.clone());
    let remote = || world.bare().remote(store.clone());
    let mut caches = Vec::new();
    for builder in [
        world.near_only(),
        remote(),
        remote().near(Near::bytes("1MiB")),
    ] {
        caches.push(builder.stale_for("1h").build().await.unwrap());
    }
    settle().await;
    caches
}

/// Loads, which must be over soon.
async fn many<F, Fut>(cache: &Users, keys: &[u64], loader: F) -> Given
where
    F: Fn(ManyCx<u64, u64>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Rows> + Send + 'static,
{
    in_time(cache.get_or_load_many(keys, loader)).await
}

/// What is stored. Never loads.
async fn stored(cache: &Users, keys: &[u64]) -> Vec<Option<u64>> {
    let found = cache.get_many(keys).await.unwrap();
    found
        .iter()
        .map(|found| found.as_deref().copied())
        .collect()
}

async fn clear(cache: &Users) {
    let _ = cache.clear().await.unwrap();
}

#[tokio::test]
async fn values_come_in_order_and_a_key_that_is_asked_for_twice_is_loaded_once() {
    let world = World::new();
    for cache in each(&world).await {
        let asked = Asked::default();
        let given = many(&cache, &[3, 1, 3, 2], asked.loader()).await;
        assert_eq!(all(&given), [30, 10, 30, 20]);
        assert_eq!(asked.take(), [[3, 1, 2]]);
        let sources: Vec<_> = given
            .iter()
            .flatten()
            .flatten()
            .map(|it| it.source())
            .collect();
        assert_eq!(sources, [Source::Loaded; 4]);
        // Only what is not there is loaded.
        assert_eq!(
            all(&many(&cache, &[1, 4, 2], asked.loader()).await),
            [10, 40, 20]
        );
        assert_eq!(asked.take(), [[4]]);
        let again = many(&cache, &[4, 3, 2, 1], asked.loader()).await;
        assert_eq!(all(&again), [40, 30, 20, 10]);
        assert!(asked.take().is_empty());
        let loads = cache.stats().loads;
        assert_eq!((loads.succeeded, loads.batches, loads.failed), (4, 2, 0));
        assert!(many(&cache, &[], asked.loader()).await.is_empty());
        clear(&cache).await;
    }
}

#[tokio::test]
async fn a_load_costs_three_round_trips_and_only_the_rest_is_asked_for() {
    let world = World::new();
    let counts = || {
        [
            Op::Get,
            Op::GetMany,
            Op::Lease,
            Op::Fill,
            Op::Release,
            Op::Commit,
        ]
    };
    let calls = || counts().map(|op| world.store.calls(op));
    let mut seen = calls();
    let mut since = || {
        let now = calls();
        let before = std::mem::replace(&mut seen, now);
        std::array::from_fn(|at| now[at] - before[at])
    };
    let cache = world.both().build().await.unwrap();
    let keys: Vec<u64> = (0..50).collect();
    many(&cache, &keys, tenfold_loader()).await;
    assert_eq!(since(), [0, 1, 50, 50, 0, 0], "a load");
    many(&cache, &keys, tenfold_loader()).await;
    assert_eq!(since(), [0; 6], "near hits");
    let other = world.both().build().await.unwrap();
    many(&other, &keys, tenfold_loader()).await;
    assert_eq!(since(), [0, 1, 0, 0, 0, 0], "hits in the remote tier");
    let more: Vec<u64> = (40..60).collect();
    many(&cache, &more, tenfold_loader()).await;
    assert_eq!(since(), [0, 1, 10, 10, 0, 0], "some of both");
}

/// At once, uncounted.
fn tenfold_loader() -> impl Fn(ManyCx<u64, u64>) -> std::future::Ready<Rows> {
    |cx| std::future::ready(tenfold(cx.keys()))
}

#[tokio::test]
async fn each_key_has_an_outcome_of_its_own() {
    let world = World::new();
    for cache in each(&world).await {
        let loader = |cx: ManyCx<u64, _>| async move {
            cx.of(&4).fail("no sense");
            // Not asked for: nobody hears of it.
            cx.of(&99).fail("nobody's");
            Ok(vec![
                (99, Ok(99)),
                (2, Err(Oops("locked"))),
                (1, Ok(11)),
                (4, Ok(40)),
                (1, Ok(10)),
            ])
        };
        let given = many(&cache, &[1, 2, 3, 4], loader).await;
        let expected = [
            Ok(Some(10)),
            Err("the loader failed: locked".to_owned()),
            Ok(None),
            Err("the loader failed: no sense".to_owned()),
        ];
        assert_eq!(bare(&given), expected);
        assert!(matches!(&given[1], Err(LoadError::Loader(error)) if **error == Oops("locked")));
        assert_eq!(
            stored(&cache, &[1, 2, 3, 4, 99]).await,
            [Some(10), None, None, None, None]
        );
        let asked = Asked::default();
        let given = many(&cache, &[1, 2, 3, 4], asked.loader()).await;
        assert_eq!(all(&given), [10, 20, 30, 40]);
        assert_eq!(asked.take(), [[2, 3, 4]]);
        clear(&cache).await;
    }
}

#[tokio::test]
async fn plain_values_and_any_collection_will_do_as_an_answer() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    let map = |cx: ManyCx<u64, _>| async move {
        let rows = cx.keys().iter().map(|key| (*key, key + 1));
        Ok::<_, Oops>(rows.collect::<std::collections::BTreeMap<u64, u64>>())
    };
    let given = in_time(cache.get_or_load_many(&[1, 2], map)).await;
    assert_eq!(all(&given), [2, 3]);
    let names: larder::Cache<String, u64> = larder::Cache::builder("app:names")
        .ttl("1h")
        .near(Near::bytes("1MiB"))
        .runtime(world.clock.clone())
        .build()
        .await
        .unwrap();
    let lengths = |cx: ManyCx<String, _>| async move {
        let rows = cx.keys().iter().map(|key| (key.clone(), key.len() as u64));
        Ok::<_, Oops>(rows.collect::<Vec<_>>())
    };
    let given = in_time(names.get_or_load_many(["ab", "c", "ab"], lengths)).await;
    assert_eq!(all(&given), [2, 1, 2]);
}

#[tokio::test]
async fn each_value_has_its_own_life_and_its_own_tags() {
    let world = World::new();
    for cache in with_tags(&world).await {
        let loader = |cx: ManyCx<u64, _>| async move {
            cx.of(&1).ttl(Duration::from_secs(10));
            cx.of(&2).tag("even");
            cx.of(&3).skip();
            tenfold(cx.keys())
        };
        assert_eq!(
            all(&many(&cache, &[1, 2, 3, 4], loader).await),
            [10, 20, 30, 40]
        );
        let is = async |expected: [Option<u64>; 4]| {
            assert_eq!(stored(&cache, &[1, 2, 3, 4]).await, expected);
        };
        is([Some(10), Some(20), None, Some(40)]).await;
        let _ = cache.invalidate_tag("even").await.unwrap();
        is([Some(10), None, None, Some(40)]).await;
        world.clock.advance(Duration::from_secs(10)).await;
        is([None, None, None, Some(40)]).await;
        clear(&cache).await;
    }
}

#[tokio::test]
async fn large_calls_are_divided_and_a_part_fails_alone() {
    let world = World::new();
    for cache in each(&world).await {
        let asked = Asked::default();
        let noting = asked.clone();
        let loader = move |cx: ManyCx<u64, _>| {
            noting.note(&cx);
            async move {
                match cx.keys().contains(&5) {
                    true => Err(Oops("down")),
                    false => tenfold(cx.keys()),
                }
            }
        };
        let keys: Vec<u64> = (0..10).collect();
        let options = ManyOptions::new().chunk(4);
        let given = in_time(cache.get_or_load_many_with(&keys, options, loader)).await;
        let mut calls = asked.take();
        calls.sort();
        assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
        let failed = calls.iter().find(|call| call.contains(&5)).unwrap();
        for (key, one) in keys.iter().zip(bare(&given)) {
            match failed.contains(key) {
                true => assert_eq!(one, Err("the loader failed: down".to_owned())),
                false => assert_eq!(one, Ok(Some(key * 10))),
            }
        }
        clear(&cache).await;
    }
}

#[tokio::test]
async fn what_changes_during_the_load_is_given_and_not_stored_and_the_rest_is() {
    let world = World::new();
    for cache in each(&world).await {
        let (loader, mut calls) = cued();
        let call = spawn_many(&cache, &[1, 2, 3], loader.clone());
        let first = calls.next().await;
        let _ = cache.invalidate(&2).await.unwrap();
        // Who comes after the change does not share what was read before it.
        let late = spawn_many(&cache, &[2, 3], loader);
        let second = calls.next().await;
        assert_eq!(second.cx.keys(), [2]);
        first.go();
        assert_eq!(all(&in_time(call).await.unwrap()), [10, 20, 30]);
        assert_eq!(stored(&cache, &[1, 2, 3]).await, [Some(10), None, Some(30)]);
        second.answer(Ok(vec![(2, Ok(21))]));
        assert_eq!(all(&in_time(late).await.unwrap()), [21, 30]);
        assert_eq!(
            stored(&cache, &[1, 2, 3]).await,
            [Some(10), Some(21), Some(30)]
        );
        clear(&cache).await;
    }
}

#[tokio::test]
async fn near_values_that_are_due_are_refreshed_by_one_call() {
    let world = World::new();
    for near in [world.near_only(), world.both()] {
        let builder = near.refresh(Refresh::after(Duration::from_secs(60)));
        let cache = builder.build().await.unwrap();
        let asked = Asked::default();
        many(&cache, &[1, 2, 3], asked.loader()).await;
        world.clock.advance(Duration::from_secs(70)).await;
        let _ = cache.insert(&3, 30).await.unwrap();
        asked.take();
        let newer = |cx: ManyCx<u64, _>| async move {
            Ok(cx.keys().iter().map(|key| (*key, Ok(key * 11))).collect())
        };
        let given = many(&cache, &[1, 2, 3], newer).await;
        assert_eq!(all(&given), [10, 20, 30]);
        settle().await;
        assert_eq!(
            stored(&cache, &[1, 2, 3]).await,
            [Some(11), Some(22), Some(30)]
        );
        let stats = cache.stats();
        assert_eq!((stats.loads.batches, stats.refreshes.loaded), (2, 2));
        clear(&cache).await;
    }
}

#[tokio::test]
async fn what_the_source_has_no_more_is_removed_and_fail_safe_does_not_bring_it_back() {
    let world = World::new();
    for cache in each(&world).await {
        for key in [1, 2] {
            let _ = cache.insert(&key, key * 10).await.unwrap();
        }
        world.clock.advance(Duration::from_secs(3_600)).await;
        let only = |cx: ManyCx<u64, _>| async move { tenfold(&cx.keys()[..1]) };
        let given = many(&cache, &[1, 2], only).await;
        assert_eq!(bare(&given), [Ok(Some(10)), Ok(None)]);
        let down = |_: ManyCx<u64, _>| async { Err(Oops("down")) };
        world.clock.advance(Duration::from_secs(3_600)).await;
        let given = many(&cache, &[1, 2], down).await;
        let oops = Err("the loader failed: down".to_owned());
        assert_eq!(bare(&given), [Ok(Some(10)), oops]);
        assert!(given[0].as_ref().unwrap().as_ref().unwrap().is_stale());
        clear(&cache).await;
    }
}

#[tokio::test]
async fn a_wrong_key_and_a_closed_cache_are_errors_of_their_keys() {
    let world = World::new();
    let names: larder::Cache<String, u64> = larder::Cache::builder("app:names")
        .ttl("1h")
        .remote(world.remote())
        .runtime(world.clock.clone())
        .build()
        .await
        .unwrap();
    let (long, short) = ("x".repeat(100_000), "x".to_owned());
    let loader = |cx: ManyCx<String, _>| async move {
        let rows = cx.keys().iter().map(|key| (key.clone(), key.len() as u64));
        Ok::<_, Oops>(rows.collect::<Vec<_>>())
    };
    let kind = |one: &Result<_, LoadError<Oops>>| match one {
        Err(LoadError::Cache(error)) => Some(error.kind()),
        _ => None,
    };
    let given = in_time(names.get_or_load_many([&long, &short], loader)).await;
    assert_eq!(kind(&given[0]), Some(ErrorKind::TooLarge));
    assert_eq!(**given[1].as_ref().unwrap().as_ref().unwrap(), 1);
    names.close().await;
    let given = in_time(names.get_or_load_many([&long, &short], loader)).await;
    assert_eq!(kind(&given[1]), Some(ErrorKind::Closed));
}
