//! The previous value, and the answer that it still holds.

use std::sync::Arc;
use std::time::Duration;

use larder::core::mutant::Mutant;
use larder::embedded::Embedded;
use larder::{Cx, LoadError, Refresh, Source};
use parking_lot::Mutex;

use super::{LATER, TTL, caches, confirm, fail, load, peek, refused};
use crate::support::{Oops, Op, Users, World, in_time, needs_alone, settle};

/// Reads with a loader that gives `value`; what that was shown, and whether it was stale.
async fn shown(cache: &Users, value: u64) -> Option<(u64, bool)> {
    let seen = Arc::new(Mutex::new(None));
    let see = seen.clone();
    let load = move |cx: Cx<u64, u64>| async move {
        *see.lock() = cx.previous().map(|old| (**old, old.is_stale()));
        Ok::<_, Oops>(value)
    };
    in_time(cache.get_or_load(&1, load)).await.unwrap();
    settle().await;
    seen.lock().take()
}

#[tokio::test]
async fn a_loader_is_shown_the_value_that_it_is_to_replace() {
    let world = World::new();
    for cache in caches(&world).await {
        assert_eq!(shown(&cache, 10).await, None, "there was none");
        world.clock.advance(LATER).await;
        assert_eq!(shown(&cache, 11).await, Some((10, true)));
        world.clock.advance(LATER).await;
        assert_eq!(shown(&cache, 12).await, Some((11, true)));
        // What somebody has ended the fresh life of may still be used if a load fails.
        let _ = cache.expire(&1).await.unwrap();
        assert_eq!(shown(&cache, 13).await, Some((12, true)));
        world.clock.advance(TTL + Duration::from_secs(3_600)).await;
        assert_eq!(shown(&cache, 14).await, None, "its stale life is over");
        let _ = cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn a_refresh_is_shown_the_value_that_is_served_meanwhile() {
    let world = World::new();
    for builder in [world.near_only(), world.remote_only(), world.both()] {
        let cache = builder.ttl(TTL).refresh(Refresh::after(0.5));
        let cache = cache.build().await.unwrap();
        load(&cache, 10).await;
        world.clock.advance(TTL * 6 / 10).await;
        assert_eq!(shown(&cache, 11).await, Some((10, false)));
        assert_eq!(peek(&cache).await, Some(11));
        let _ = cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn what_was_invalidated_is_shown_to_no_loader() {
    let world = World::new();
    let store = Embedded::new(world.clock.clone());
    let built = [
        world.near_only(),
        world.bare().remote(store.clone()),
        world.near_only().remote(store.clone()),
    ];
    for builder in built {
        let cache = builder.ttl(TTL).stale_for("1h").build().await.unwrap();
        for change in 0..4 {
            let tagged = |cx: Cx<u64, u64>| async move {
                cx.tag("t");
                Ok::<_, Oops>(10)
            };
            in_time(cache.get_or_load(&1, tagged)).await.unwrap();
            world.clock.advance(LATER).await;
            let _ = match change {
                0 => cache.invalidate(&1).await.unwrap(),
                1 => cache.invalidate_tag("t").await.unwrap(),
                2 => cache.invalidate_prefix("1").await.unwrap(),
                _ => cache.clear().await.unwrap(),
            };
            assert_eq!(shown(&cache, 11).await, None, "change {change}");
            let _ = cache.clear().await.unwrap();
        }
    }
}

#[tokio::test]
async fn not_modified_gives_the_value_another_life_and_sends_none_of_it() {
    let world = World::new();
    for cache in caches(&world).await {
        let first = load(&cache, 10).await.version();
        let asked = || [Op::Fill, Op::Confirm, Op::Commit].map(|op| world.store.calls(op));
        let [fills, confirms, commits] = asked();
        world.clock.advance(LATER).await;
        let same = confirm(&cache).await.unwrap();
        assert_eq!((*same, same.is_stale()), (10, false));
        assert_eq!(same.source(), Source::Loaded);
        assert!(same.version() > first, "later than all before");
        let has_remote = u64::from(cache.policy().remote.is_some());
        assert_eq!(asked(), [fills, confirms + has_remote, commits]);
        // A whole life, from now on, and a stale one after it.
        world.clock.advance(TTL - Duration::from_secs(1)).await;
        assert_eq!(peek(&cache).await, Some(10));
        world.clock.advance(Duration::from_secs(2)).await;
        assert_eq!(peek(&cache).await, None);
        assert_eq!(fail(&cache).await.unwrap(), (10, true));
        let loads = cache.stats().loads;
        assert_eq!((loads.succeeded, loads.confirmed), (2, 1));
        assert_eq!(refused(&cache), []);
        let _ = cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn a_confirmed_value_has_the_life_that_its_loader_says() {
    let world = World::new();
    for cache in caches(&world).await {
        load(&cache, 10).await;
        world.clock.advance(LATER).await;
        let shortly = |cx: Cx<u64, u64>| async move {
            cx.ttl(Duration::from_secs(5));
            cx.stale_for(Duration::ZERO);
            cx.not_modified::<Result<_, Oops>>().await
        };
        in_time(cache.get_or_load(&1, shortly)).await.unwrap();
        world.clock.advance(Duration::from_secs(4)).await;
        assert_eq!(peek(&cache).await, Some(10));
        world.clock.advance(Duration::from_secs(2)).await;
        assert!(fail(&cache).await.is_err(), "it has no stale life");
        let _ = cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn the_same_bytes_once_more_are_not_sent_and_others_are() {
    let world = World::new();
    for cache in [world.remote_only(), world.both()] {
        let cache = cache.ttl(TTL).stale_for("1h").build().await.unwrap();
        let first = load(&cache, 10).await.version();
        let asked = || [Op::Fill, Op::Confirm].map(|op| world.store.calls(op));
        let [fills, confirms] = asked();
        world.clock.advance(LATER).await;
        let same = load(&cache, 10).await;
        assert_eq!(asked(), [fills, confirms + 1]);
        assert!(same.version() > first);
        assert_eq!(peek(&cache).await, Some(10));
        world.clock.advance(LATER).await;
        load(&cache, 11).await;
        assert_eq!(asked(), [fills + 1, confirms + 1]);
        assert_eq!(peek(&cache).await, Some(11));
        assert_eq!(cache.stats().loads.confirmed, 1);
        let _ = cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn not_modified_without_a_previous_value_is_an_error_that_says_so() {
    let world = World::new();
    for cache in caches(&world).await {
        match confirm(&cache).await {
            Err(LoadError::Failed(message)) => {
                assert!(message.contains("no previous value"), "{message}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(cache.stats().loads.failed, 1);
        assert_eq!(peek(&cache).await, None);
    }
}

#[tokio::test]
async fn an_answer_ends_the_load_from_whatever_task_it_comes() {
    let world = World::new();
    for cache in caches(&world).await {
        load(&cache, 10).await;
        world.clock.advance(LATER).await;
        let elsewhere = |cx: Cx<u64, u64>| async move {
            let answer = tokio::spawn(async move {
                let _never = cx.not_modified::<()>();
            });
            answer.await.unwrap();
            std::future::pending::<Result<u64, Oops>>().await
        };
        assert_eq!(
            *in_time(cache.get_or_load(&1, elsewhere)).await.unwrap(),
            10
        );
        // What it returns in spite of that is of no meaning.
        world.clock.advance(LATER).await;
        let both = |cx: Cx<u64, u64>| async move {
            let _never = cx.not_modified::<()>();
            Err::<u64, _>(Oops("not heard"))
        };
        assert_eq!(*in_time(cache.get_or_load(&1, both)).await.unwrap(), 10);
        let _ = cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn a_confirmed_value_keeps_its_tags_and_takes_on_new_ones() {
    let world = World::new();
    let store = Embedded::new(world.clock.clone());
    for with_remote in [false, true] {
        let builder = || match with_remote {
            true => world.near_only().remote(store.clone()),
            false => world.near_only(),
        };
        let cache = builder().ttl(TTL).stale_for("1h").build().await.unwrap();
        for (named, voids) in [("a", "a"), ("b", "a"), ("b", "b")] {
            let tagged = |cx: Cx<u64, u64>| async move {
                cx.tag("a");
                Ok::<_, Oops>(10)
            };
            in_time(cache.get_or_load(&1, tagged)).await.unwrap();
            for _ in 0..3 {
                world.clock.advance(LATER).await;
                let again = move |cx: Cx<u64, u64>| async move {
                    cx.tag(named);
                    cx.not_modified::<Result<_, Oops>>().await
                };
                in_time(cache.get_or_load(&1, again)).await.unwrap();
                assert_eq!(peek(&cache).await, Some(10));
            }
            let _ = cache.invalidate_tag(voids).await.unwrap();
            assert_eq!(peek(&cache).await, None, "{named}, {voids}");
            assert!(fail(&cache).await.is_err());
        }
        assert_eq!(refused(&cache), []);
    }
}

#[tokio::test]
async fn copies_elsewhere_end_when_they_would_have_and_find_the_longer_life() {
    let world = World::new();
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let builder = world.both().ttl(TTL).refresh(Refresh::after(0.8));
        nodes.push(builder.build().await.unwrap());
    }
    load(&nodes[0], 10).await;
    assert_eq!(peek(&nodes[1]).await, Some(10));
    world.clock.advance(TTL * 9 / 10).await;
    assert_eq!(*confirm(&nodes[0]).await.unwrap(), 10);
    settle().await;
    assert_eq!(nodes[0].stats().refreshes.loaded, 1);
    // Past the point of the old life it adopts the new one, and does not load for itself.
    assert_eq!(*load(&nodes[1], 99).await, 10);
    settle().await;
    let counts = nodes[1].stats().refreshes;
    assert_eq!((counts.adopted, counts.loaded), (1, 0));
    world.clock.advance(TTL / 2).await;
    let near = load(&nodes[1], 99).await;
    assert_eq!((*near, near.source()), (10, Source::Near));
}

#[tokio::test]
async fn a_value_that_the_remote_tier_has_lost_is_written_anew() {
    let world = World::new();
    let cache = world.both().ttl(TTL).refresh(Refresh::after(0.5));
    let cache = cache.build().await.unwrap();
    load(&cache, 10).await;
    let other = world.remote_only().build().await.unwrap();
    // Nobody is told: there is no log.
    let _ = other.invalidate(&1).await.unwrap();
    world.clock.advance(TTL * 6 / 10).await;
    assert_eq!(*confirm(&cache).await.unwrap(), 10);
    settle().await;
    assert_eq!(peek(&other).await, Some(10));
    assert_eq!(cache.stats().loads.confirmed, 0);
    assert_eq!(refused(&cache), []);
}

#[tokio::test]
async fn a_value_that_is_confirmed_for_ever_holds_no_more_than_itself_twice() {
    let world = World::new();
    let cache = world.near_only().ttl(TTL).stale_for("1h");
    let cache = cache.build().await.unwrap();
    load(&cache, 10).await;
    let one = cache.stats().near.bytes;
    for _ in 0..100 {
        world.clock.advance(LATER).await;
        assert_eq!(*confirm(&cache).await.unwrap(), 10);
    }
    let bytes = cache.stats().near.bytes;
    assert!(bytes <= 3 * one, "{bytes} after {one}");
}

#[test]
fn a_value_that_was_expired_while_it_was_confirmed_stays_so() {
    needs_alone(Mutant::ConfirmUnfenced, || async {
        let world = World::new();
        let store = Embedded::new(world.clock.clone());
        let builder = || world.bare().ttl(TTL).stale_for("1h").remote(store.clone());
        let (cache, other) = (
            builder().build().await.unwrap(),
            builder().build().await.unwrap(),
        );
        load(&cache, 10).await;
        world.clock.advance(LATER).await;
        let expire = move |cx: Cx<u64, u64>| async move {
            let _ = other.expire(&1).await.unwrap();
            cx.not_modified::<Result<_, Oops>>().await
        };
        assert_eq!(*in_time(cache.get_or_load(&1, expire)).await.unwrap(), 10);
        assert_eq!(peek(&cache).await, None);
    });
}
