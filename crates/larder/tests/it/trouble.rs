//! A remote tier that fails, answers nothing, or loses its replies.

use std::time::Duration;

use larder::{ErrorKind, Near, Refusal, Source};

use crate::support::{Oops, Op, Trouble, World, settle};

#[tokio::test]
async fn a_loaded_value_is_returned_whatever_the_remote_tier_says() {
    let world = World::new();
    world.store.hurt(Trouble::Refuses);
    for cache in [world.both(), world.remote_only()] {
        let cache = cache.build().await.unwrap();
        let loaded = cache.get_or_load(&1, |_| async { Ok::<_, Oops>(10) }).await;
        assert_eq!(*loaded.unwrap(), 10);
        let stats = cache.stats();
        assert!(stats.refused.contains(&(Refusal::Unproven, 1)));
        assert!(stats.errors.contains(&(ErrorKind::Unavailable, 1)));
    }
}

#[tokio::test]
async fn a_value_without_proof_is_kept_for_a_second_at_most() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    world.store.hurt(Trouble::Refuses);
    let load = |value| move |_| async move { Ok::<_, Oops>(value) };
    assert_eq!(*cache.get_or_load(&1, load(10)).await.unwrap(), 10);
    world.clock.advance(Duration::from_millis(999)).await;
    let kept = cache.get_or_load(&1, load(20)).await.unwrap();
    assert_eq!((*kept, kept.source()), (10, Source::Near));
    world.clock.advance(Duration::from_millis(2)).await;
    assert_eq!(*cache.get_or_load(&1, load(30)).await.unwrap(), 30);
}

#[tokio::test]
async fn a_value_without_proof_takes_the_place_of_one_that_is_no_longer_fresh() {
    let world = World::new();
    let near = Near::bytes("1MiB").ttl("5s");
    let cache = world.remote_only().near(near).stale_for("1h");
    let cache = cache.build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    world.store.hurt(Trouble::Refuses);
    world.clock.advance(Duration::from_secs(6)).await;
    let load = |value| move |_| async move { Ok::<_, Oops>(value) };
    assert_eq!(*cache.get_or_load(&1, load(20)).await.unwrap(), 20);
    let again = cache.get_or_load(&1, load(30)).await.unwrap();
    assert_eq!((*again, again.source()), (20, Source::Near));
}

#[tokio::test]
async fn a_fill_whose_reply_is_lost_is_kept_for_a_second_at_most() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    let (call, load) = crate::support::paused_load(&cache, 1).await;
    world.store.hurt(Trouble::LosesReplies);
    load.answer(Ok(10));
    assert_eq!(*call.await.unwrap().unwrap(), 10);
    let other = world.remote_only().build().await.unwrap();
    world.store.heal();
    other.insert(&1, 20).await.unwrap();
    world.clock.advance(Duration::from_millis(1_001)).await;
    assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 20);
}

#[tokio::test]
async fn a_read_that_cannot_be_answered_is_an_error() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    world.store.hurt(Trouble::Refuses);
    let kind = |error: larder::Error| error.kind();
    let unavailable = ErrorKind::Unavailable;
    assert_eq!(cache.get(&1).await.map_err(kind).unwrap_err(), unavailable);
    let many = cache.get_many(&[1, 2]).await;
    assert_eq!(many.map_err(kind).unwrap_err(), unavailable);
    let contains = cache.contains_key(&1).await;
    assert_eq!(contains.map_err(kind).unwrap_err(), unavailable);
}

#[tokio::test]
async fn a_change_that_fails_leaves_nothing_in_the_near_cache() {
    for trouble in [Trouble::Refuses, Trouble::LosesReplies] {
        for changed in ["invalidate", "insert", "expire", "clear"] {
            let world = World::new();
            let cache = world.both().build().await.unwrap();
            cache.insert(&1, 10).await.unwrap();
            world.store.hurt(trouble);
            let outcome = match changed {
                "invalidate" => cache.invalidate(&1).await.map(drop),
                "insert" => cache.insert(&1, 20).await.map(drop),
                "expire" => cache.expire(&1).await.map(drop),
                _ => cache.clear().await.map(drop),
            };
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
            settle().await;
            assert_eq!(cache.stats().near.entries, 0, "{changed}");
        }
    }
}

#[tokio::test]
async fn an_unknown_outcome_keeps_a_load_from_before_it_out() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    let (call, load) = crate::support::paused_load(&cache, 1).await;
    world.store.hurt(Trouble::Refuses);
    cache.invalidate(&1).await.unwrap_err();
    load.answer(Ok(10));
    assert_eq!(*call.await.unwrap().unwrap(), 10);
    assert_eq!(cache.stats().near.entries, 0);
}

#[tokio::test]
async fn a_change_is_seen_through_when_its_future_is_dropped() {
    for changed in ["invalidate", "insert"] {
        let world = World::new();
        let cache = world.both().build().await.unwrap();
        cache.insert(&1, 10).await.unwrap();
        let gate = world.store.gate(Op::Commit);
        let change = tokio::spawn({
            let cache = cache.clone();
            async move {
                match changed {
                    "invalidate" => cache.invalidate(&1).await.map(drop),
                    _ => cache.insert(&1, 20).await.map(drop),
                }
            }
        });
        gate.reached().await;
        change.abort();
        settle().await;
        gate.open();
        settle().await;
        let now = cache.get(&1).await.unwrap().map(|loaded| *loaded);
        assert_eq!(now, (changed == "insert").then_some(20), "{changed}");
    }
}

#[tokio::test]
async fn a_clear_is_seen_through_when_its_future_is_dropped() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    let gate = world.store.gate(Op::Clear);
    let clear = tokio::spawn({
        let cache = cache.clone();
        async move { cache.clear().await }
    });
    gate.reached().await;
    clear.abort();
    settle().await;
    gate.open();
    settle().await;
    assert!(cache.get(&1).await.unwrap().is_none());
    assert_eq!(cache.stats().near.entries, 0);
}

#[tokio::test]
async fn a_copy_promoted_during_a_clear_does_not_survive_it() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    let other = world.remote_only().build().await.unwrap();
    other.insert(&1, 10).await.unwrap();
    let barrier = world.store.barrier(Op::Clear);
    let clearing = tokio::spawn({
        let cache = cache.clone();
        async move { cache.clear().await }
    });
    barrier.reached().await;
    assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 10);
    assert_eq!(cache.stats().near.entries, 1);
    barrier.open();
    clearing.await.unwrap().unwrap();
    assert!(cache.get(&1).await.unwrap().is_none());
}

#[tokio::test]
async fn a_hanging_remote_tier_does_not_delay_near_hits() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    let gate = world.store.gate(Op::Get);
    let miss = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get(&2).await }
    });
    gate.reached().await;
    assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 10);
    assert!(!miss.is_finished());
    miss.abort();
}
