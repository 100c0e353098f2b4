//! Single keys that are loaded together because they were asked for within a short while.

use std::time::Duration;

use larder::{Batcher, ErrorKind, LoadError, Loaded, ManyCx, Source, Timeouts};
use tokio::task::JoinHandle;

use super::{clear, each, kinds, stored};
use crate::support::many::{Asked, cued, tenfold};
use crate::support::{Oops, Op, World, in_time, settle, spawn_load};

type Users = Batcher<u64, u64, Oops>;
type Got = Result<Option<Loaded<u64>>, LoadError<Oops>>;

const WINDOW: Duration = Duration::from_millis(5);

fn spawn_get(users: &Users, key: u64) -> JoinHandle<Got> {
    let users = users.clone();
    tokio::spawn(async move { in_time(users.get(&key)).await })
}

async fn value(get: JoinHandle<Got>) -> Option<u64> {
    in_time(get).await.unwrap().unwrap().map(|found| *found)
}

#[tokio::test]
async fn what_is_asked_for_within_the_window_is_one_look_and_one_load() {
    let world = World::new();
    for cache in each(&world).await {
        let asked = Asked::default();
        let users = cache.batcher(WINDOW, 100, asked.loader()).unwrap();
        let _ = cache.insert(&4, 44).await.unwrap();
        let looks = || world.store.calls(Op::GetMany) + world.store.calls(Op::Get);
        let before = looks();
        let gets: Vec<_> = [1, 2, 3, 4].map(|key| spawn_get(&users, key)).into();
        settle().await;
        assert!(asked.take().is_empty(), "it waits for more");
        let late = spawn_get(&users, 5);
        world.clock.advance(WINDOW).await;
        assert_eq!(asked.take(), [[1, 2, 3, 5]]);
        let mut values = Vec::new();
        for get in gets {
            values.push(value(get).await.unwrap());
        }
        assert_eq!(values, [10, 20, 30, 44]);
        assert_eq!(value(late).await, Some(50));
        assert!(looks() - before <= 1);
        // Another window, with what is there at once.
        let get = spawn_get(&users, 6);
        assert_eq!(stored(&cache, &[1, 6]).await, [Some(10), None]);
        world.clock.advance(WINDOW).await;
        assert_eq!(value(get).await, Some(60));
        assert_eq!(asked.take(), [[6]]);
        clear(&cache).await;
    }
}

#[tokio::test]
async fn so_many_keys_are_loaded_at_once_and_duplicates_do_not_count() {
    let world = World::new();
    for cache in each(&world).await {
        let asked = Asked::default();
        let users = cache.batcher(WINDOW, 3, asked.loader()).unwrap();
        let twice: Vec<_> = [1, 2, 1, 2, 1].map(|key| spawn_get(&users, key)).into();
        settle().await;
        assert!(asked.take().is_empty(), "they are two");
        let third = spawn_get(&users, 3);
        settle().await;
        assert_eq!(asked.take(), [[1, 2, 3]]);
        assert_eq!(value(third).await, Some(30));
        for (get, expected) in twice.into_iter().zip([10, 20, 10, 20, 10]) {
            assert_eq!(value(get).await, Some(expected));
        }
        // A flood is divided; what is left waits for its time.
        let gets: Vec<_> = (10..17).map(|key| spawn_get(&users, key)).collect();
        settle().await;
        assert_eq!(asked.take(), [[10, 11, 12], [13, 14, 15]]);
        world.clock.advance(WINDOW).await;
        assert_eq!(asked.take(), [[16]]);
        for (get, key) in gets.into_iter().zip(10..) {
            assert_eq!(value(get).await, Some(key * 10));
        }
        clear(&cache).await;
    }
}

#[tokio::test]
async fn who_goes_away_leaves_the_others_as_they_are() {
    let world = World::new();
    for cache in each(&world).await {
        let asked = Asked::default();
        let users = cache.batcher(WINDOW, 100, asked.loader()).unwrap();
        let leaving = [spawn_get(&users, 1), spawn_get(&users, 2)];
        settle().await;
        let staying = [spawn_get(&users, 2), spawn_get(&users, 3)];
        settle().await;
        leaving.iter().for_each(JoinHandle::abort);
        settle().await;
        world.clock.advance(WINDOW).await;
        assert_eq!(asked.take(), [[2, 3]]);
        let [two, three] = staying;
        assert_eq!((value(two).await, value(three).await), (Some(20), Some(30)));
        // All of a window may go.
        let alone = spawn_get(&users, 4);
        settle().await;
        alone.abort();
        world.clock.advance(WINDOW).await;
        assert!(asked.take().is_empty());
        clear(&cache).await;
    }
}

#[tokio::test]
async fn a_load_of_one_key_and_a_batch_share_what_they_load() {
    let world = World::new();
    for cache in each(&world).await {
        let (loader, mut calls) = cued();
        let users = cache.batcher(WINDOW, 100, loader).unwrap();
        let first = spawn_get(&users, 1);
        settle().await;
        let single = spawn_load(&cache, 1, |_| async { Err(Oops("not needed")) });
        world.clock.advance(WINDOW).await;
        let call = calls.next().await;
        // It runs: who comes now joins it, and waits for no window.
        let late = spawn_get(&users, 1);
        settle().await;
        call.answer(Ok(vec![(1, Ok(10))]));
        assert_eq!(value(first).await, Some(10));
        assert_eq!(value(late).await, Some(10));
        assert_eq!(*in_time(single).await.unwrap().unwrap(), 10);
        world.clock.advance(WINDOW).await;
        assert!(calls.now().await.is_none());
        assert_eq!(stored(&cache, &[1]).await, [Some(10)]);
        clear(&cache).await;
    }
}

#[tokio::test]
async fn each_key_of_a_batch_has_its_own_outcome_and_its_own_patience() {
    let world = World::new();
    let hard = |it: larder::Builder<u64, u64>| it.timeouts(Timeouts::new().hard("1s"));
    for cache in kinds(&world, hard).await {
        let users = cache.batcher(WINDOW, 2, |cx: ManyCx<u64, _>| async move {
            let mut rows = tenfold(&cx.keys()[..1])?;
            rows.push((2, Err(Oops("locked"))));
            Ok(rows)
        });
        let users = users.unwrap();
        let (one, two) = (spawn_get(&users, 1), spawn_get(&users, 2));
        assert_eq!(value(one).await, Some(10));
        assert_eq!(
            in_time(two).await.unwrap().unwrap_err().to_string(),
            "the loader failed: locked"
        );
        let (three, four) = (spawn_get(&users, 3), spawn_get(&users, 4));
        assert_eq!((value(three).await, value(four).await), (Some(30), None));
        let (loader, mut calls) = cued();
        let slow = cache.batcher(WINDOW, 100, loader).unwrap();
        let get = spawn_get(&slow, 7);
        world.clock.advance(WINDOW).await;
        let call = calls.next().await;
        world.clock.advance(Duration::from_secs(1)).await;
        let Err(LoadError::Cache(error)) = in_time(get).await.unwrap() else {
            panic!("the time is over")
        };
        assert_eq!(error.kind(), ErrorKind::Timeout);
        call.go();
        settle().await;
        assert_eq!(stored(&cache, &[7]).await, [Some(70)]);
        clear(&cache).await;
    }
}

#[tokio::test]
async fn a_loader_may_ask_its_own_batcher_for_more() {
    let world = World::new();
    for cache in each(&world).await {
        let inner: std::sync::Arc<std::sync::OnceLock<Users>> = Default::default();
        let own = inner.clone();
        let loader = move |cx: ManyCx<u64, _>| {
            let own = own.clone();
            async move {
                if cx.keys().contains(&1) {
                    let other = Box::pin(own.get().unwrap().get(&7)).await;
                    assert_eq!(*other.unwrap().unwrap(), 70);
                    let itself = Box::pin(own.get().unwrap().get(&1)).await;
                    assert!(itself.is_err());
                }
                tenfold(cx.keys())
            }
        };
        let users = inner.get_or_init(|| cache.batcher(WINDOW, 100, loader).unwrap());
        let get = spawn_get(users, 1);
        world.clock.advance(WINDOW).await;
        world.clock.advance(WINDOW).await;
        assert_eq!(value(get).await, Some(10));
        clear(&cache).await;
    }
}

#[tokio::test]
async fn a_window_of_nothing_is_an_error_that_says_what_to_do() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    let refused = |made: Result<Users, larder::Error>| {
        let error = made.err().expect("it is refused");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("batcher window"), "{error}");
    };
    let loader = |cx: ManyCx<u64, _>| std::future::ready(tenfold(cx.keys()));
    refused(cache.batcher("0s", 10, loader));
    refused(cache.batcher("2ms", 0, loader));
    refused(cache.batcher("soon", 10, loader));
    let users: Users = cache.batcher("2ms", 1, loader).unwrap();
    let found = in_time(users.get(&1)).await.unwrap().unwrap();
    assert_eq!((*found, found.source()), (10, Source::Loaded));
    cache.close().await;
    let Err(LoadError::Cache(error)) = in_time(users.get(&1)).await else {
        panic!("it is closed")
    };
    assert_eq!(error.kind(), ErrorKind::Closed);
}
