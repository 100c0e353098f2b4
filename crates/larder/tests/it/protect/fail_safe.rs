//! What readers get when a load fails: for how long, how often it is tried, and what they are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{
    ErrorKind, LoadError, LoadLimit, LoadOptions, Refresh, Source, StaleReason, Timeouts,
};

use super::{TTL, age, counted, counts, fail, kind, peek, stale};
use crate::support::{Oops, World, in_time, paused_load, settle};

const PAUSE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn after_a_failed_load_the_key_is_left_alone_for_a_while_and_then_loaded_once() {
    let world = World::new();
    for cache in stale(&world, |it| it.throttle(PAUSE)).await {
        age(&world, &cache).await;
        let failed = fail(&cache).await.unwrap();
        assert_eq!(failed.stale_reason(), Some(StaleReason::Failed));
        let runs = Arc::default();
        for _ in 0..3 {
            let got = in_time(cache.get_or_load(&1, counted(&runs)))
                .await
                .unwrap();
            assert_eq!(
                (*got, got.stale_reason()),
                (10, Some(StaleReason::Throttled))
            );
            world.clock.advance(Duration::from_secs(1)).await;
        }
        assert_eq!(
            (runs.load(Ordering::Relaxed), counts(&cache).throttled),
            (0, 3)
        );
        // To the millisecond that it is rounded up by: no jitter makes it longer or shorter.
        world.clock.advance(PAUSE - Duration::from_secs(3)).await;
        assert!(
            in_time(cache.get_or_load(&1, counted(&runs)))
                .await
                .unwrap()
                .is_stale()
        );
        world.clock.advance(Duration::from_millis(1)).await;
        assert_eq!(
            *in_time(cache.get_or_load(&1, counted(&runs)))
                .await
                .unwrap(),
            100
        );
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn another_key_is_loaded_and_so_is_one_that_has_nothing_stale() {
    let world = World::new();
    for cache in stale(&world, |it| it.throttle(PAUSE)).await {
        age(&world, &cache).await;
        assert!(fail(&cache).await.is_ok());
        let other = in_time(cache.get_or_load(&2, |_| async { Ok::<_, Oops>(20) }));
        assert_eq!(*other.await.unwrap(), 20);
        // What was removed is not held back by the failure of what it was.
        let _ = cache.invalidate(&1).await.unwrap();
        assert!(fail(&cache).await.is_err());
        let loaded = in_time(cache.get_or_load(&1, counted(&Arc::default())));
        assert_eq!(*loaded.await.unwrap(), 100);
        let _ = cache.invalidate_many([&1, &2]).await.unwrap();
    }
}

#[tokio::test]
async fn the_throttle_does_not_prolong_a_stale_life() {
    let world = World::new();
    for cache in stale(&world, |it| it.stale_for("3s").throttle(PAUSE)).await {
        age(&world, &cache).await;
        assert!(fail(&cache).await.unwrap().is_stale());
        world.clock.advance(Duration::from_secs(3)).await;
        assert!(matches!(fail(&cache).await, Err(LoadError::Loader(_))));
    }
}

#[tokio::test]
async fn a_refresh_is_held_back_too() {
    let world = World::new();
    let set = |it: larder::Builder<u64, u64>| {
        it.throttle(PAUSE)
            .refresh(Refresh::stale().retry(Duration::from_millis(1)))
    };
    for cache in stale(&world, set).await {
        age(&world, &cache).await;
        for _ in 0..4 {
            assert!(fail(&cache).await.unwrap().is_stale());
            settle().await;
            world.clock.advance(Duration::from_secs(1)).await;
        }
        assert_eq!(cache.stats().loads.failed, 1);
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn a_default_is_given_where_there_is_nothing_and_is_written_nowhere() {
    let world = World::new();
    for cache in stale(&world, |it| it).await {
        let down = |_| async { Err(Oops("down")) };
        let options = || LoadOptions::new().default_value(7);
        let got = in_time(cache.get_or_load_with(&1, options(), down))
            .await
            .unwrap();
        assert_eq!(
            (*got, got.source(), got.is_stale()),
            (7, Source::Default, true)
        );
        assert_eq!(got.stale_reason(), Some(StaleReason::Failed));
        assert!(matches!(got.error::<Oops>(), Some(LoadError::Loader(_))));
        assert_eq!((peek(&cache).await, counts(&cache).defaults), (None, 1));
        assert!(fail(&cache).await.is_err());
        // A stale value is better.
        age(&world, &cache).await;
        let got = in_time(cache.get_or_load_with(&1, options(), down))
            .await
            .unwrap();
        assert_eq!(*got, 10);
        // And so is one that is loaded.
        let runs = Arc::<AtomicU64>::default();
        let got = in_time(cache.get_or_load_with(&1, options(), counted(&runs)))
            .await
            .unwrap();
        assert_eq!((*got, got.is_stale()), (100, false));
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn a_default_is_given_when_time_or_room_is_over_and_not_for_what_cannot_be() {
    let world = World::new();
    let limit = LoadLimit::new(1).queue(0);
    let set = |it: larder::Builder<u64, u64>| it.load_limit(limit.clone());
    let cache = &stale(&world, set).await[2];
    let (call, load) = paused_load(cache, 2).await;
    let options = || LoadOptions::new().default_value(7);
    let got = in_time(cache.get_or_load_with(&1, options(), counted(&Arc::default())));
    let got = got.await.unwrap();
    assert_eq!(
        (*got, got.stale_reason()),
        (7, Some(StaleReason::Overloaded))
    );
    let options = options().wait(Duration::ZERO);
    let got = in_time(cache.get_or_load_with(&2, options.clone(), counted(&Arc::default())));
    let got = got.await.unwrap();
    assert_eq!((*got, got.stale_reason()), (7, Some(StaleReason::TimedOut)));
    load.answer(Ok(20));
    in_time(call).await.unwrap().unwrap();
    cache.close().await;
    let closed = in_time(cache.get_or_load_with(&1, options, counted(&Arc::default()))).await;
    assert_eq!(kind(closed), ErrorKind::Closed);
}

#[tokio::test]
async fn a_loader_that_says_that_it_failed_has_failed_whatever_it_returns() {
    let world = World::new();
    for cache in stale(&world, |it| it).await {
        let refuse = |cx: larder::Cx<u64, _>| async move {
            cx.fail("the answer made no sense");
            Ok::<_, Oops>(66)
        };
        match in_time(cache.get_or_load(&1, refuse)).await {
            Err(LoadError::Failed(message)) => assert_eq!(&*message, "the answer made no sense"),
            other => panic!("{other:?}"),
        }
        assert_eq!(peek(&cache).await, None);
        age(&world, &cache).await;
        let got = in_time(cache.get_or_load(&1, refuse)).await.unwrap();
        assert_eq!((*got, got.stale_reason()), (10, Some(StaleReason::Failed)));
        assert!(matches!(got.error::<Oops>(), Some(LoadError::Failed(_))));
        assert_eq!(cache.stats().loads.failed, 2);
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn who_gets_a_stale_value_in_place_of_an_error_is_told_of_both() {
    let world = World::new();
    for cache in stale(&world, |it| it).await {
        age(&world, &cache).await;
        let got = fail(&cache).await.unwrap();
        assert_eq!(*got, 10);
        match got.error::<Oops>() {
            Some(LoadError::Loader(error)) => assert_eq!(*error, Oops("down")),
            other => panic!("{other:?}"),
        }
        assert!(got.clone().error::<std::fmt::Error>().is_none());
        let panics = |_| async { panic!("on fire") };
        let got = in_time(cache.get_or_load::<_, Oops, _, _>(&1, panics))
            .await
            .unwrap();
        assert!(matches!(got.error::<Oops>(), Some(LoadError::Panicked(_))));
        let fresh = in_time(cache.get_or_load(&1, counted(&Arc::default())))
            .await
            .unwrap();
        assert!(fresh.error::<Oops>().is_none() && fresh.stale_reason().is_none());
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn a_hard_timeout_of_a_loading_cache_is_its_error() {
    let world = World::new();
    let cache = world.both().ttl(TTL).timeouts(Timeouts::new().hard("1s"));
    let cache = cache.loader(|_| std::future::pending::<Result<u64, Oops>>());
    let cache = cache.build().await.unwrap();
    let asking = cache.clone();
    let call = tokio::spawn(async move { asking.get(&1).await });
    world.clock.advance(Duration::from_secs(1)).await;
    let error = in_time(call).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("app:users"), "{error}");
}
