//! The near cache as users see it: lives, room, listener.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::codec::Opaque;
use larder::{Cause, ErrorKind, InsertOptions, Near, Source};

use crate::support::{Oops, Users, World, settle};

async fn read(cache: &Users, key: u64) -> Option<u64> {
    cache.get(&key).await.unwrap().map(|loaded| *loaded)
}

#[tokio::test]
async fn a_value_is_fresh_for_its_ttl_and_not_longer() {
    let world = World::new();
    for cache in [world.near_only(), world.remote_only(), world.both()] {
        let cache = cache.ttl("10s").build().await.unwrap();
        cache.insert(&1, 10).await.unwrap();
        let brief = InsertOptions::new().ttl(Duration::from_secs(5));
        cache.insert_with(&2, 20, brief).await.unwrap();
        world.clock.advance(Duration::from_millis(4_999)).await;
        assert_eq!(read(&cache, 2).await, Some(20));
        world.clock.advance(Duration::from_millis(1)).await;
        assert_eq!(read(&cache, 2).await, None);
        world.clock.advance(Duration::from_millis(4_999)).await;
        assert_eq!(read(&cache, 1).await, Some(10));
        world.clock.advance(Duration::from_millis(1)).await;
        assert_eq!(read(&cache, 1).await, None);
        assert!(!cache.contains_key(&1).await.unwrap());
    }
}

#[tokio::test]
async fn a_value_without_ttl_stays() {
    let world = World::new();
    for tiers in [world.near_only(), world.remote_only()] {
        let endless = larder::Cache::<u64, u64>::builder("app:users").without_ttl();
        let cache = match tiers.build().await.unwrap().policy().remote {
            Some(_) => endless.remote(world.remote()),
            None => endless.near(Near::bytes("1MiB")),
        };
        let cache = cache.runtime(world.clock.clone()).build().await.unwrap();
        cache.insert(&1, 10).await.unwrap();
        world.clock.advance(Duration::from_hours(24 * 365)).await;
        assert_eq!(read(&cache, 1).await, Some(10));
    }
}

#[tokio::test]
async fn an_overwritten_value_begins_a_life_of_its_own() {
    let world = World::new();
    for cache in [world.near_only(), world.remote_only(), world.both()] {
        let cache = cache.ttl("10s").build().await.unwrap();
        cache.insert(&1, 10).await.unwrap();
        world.clock.advance(Duration::from_secs(9)).await;
        cache.insert(&1, 11).await.unwrap();
        world.clock.advance(Duration::from_secs(9)).await;
        assert_eq!(read(&cache, 1).await, Some(11));
        world.clock.advance(Duration::from_secs(2)).await;
        cache.insert(&1, 12).await.unwrap();
        assert_eq!(read(&cache, 1).await, Some(12));
    }
}

#[tokio::test]
async fn a_near_copy_is_asked_again_after_the_near_ttl() {
    let world = World::new();
    let near = Near::bytes("1MiB").ttl("5s");
    let cache = world.remote_only().near(near).build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    world.clock.advance(Duration::from_millis(4_999)).await;
    assert_eq!(cache.get(&1).await.unwrap().unwrap().source(), Source::Near);
    world.clock.advance(Duration::from_millis(1)).await;
    let again = cache.get(&1).await.unwrap().unwrap();
    assert_eq!(again.source(), Source::Remote);
    let promoted = cache.get(&1).await.unwrap().unwrap();
    assert_eq!(promoted.source(), Source::Near);
}

#[tokio::test]
async fn jitter_shortens_lives_within_its_bound_and_spreads_them() {
    let world = World::new();
    let cache = world.near_only().ttl("100s").jitter_percent(20);
    let cache = cache.build().await.unwrap();
    for key in 0..500 {
        cache.insert(&key, key).await.unwrap();
    }
    let mut alive = Vec::new();
    for second in [79, 5, 5, 5, 7] {
        world.clock.advance(Duration::from_secs(second)).await;
        let keys: Vec<u64> = (0..500).collect();
        let found = cache.get_many(&keys).await.unwrap();
        alive.push(found.into_iter().flatten().count());
    }
    assert_eq!((alive[0], alive[4]), (500, 0), "before 80 s, after 100 s");
    assert!(alive.is_sorted_by(|a, b| a > b), "{alive:?}");
}

#[tokio::test]
async fn the_byte_budget_holds_under_load() {
    let world = World::new();
    let cache = world.bare::<String>().near(Near::bytes("64KiB"));
    let cache = cache.build().await.unwrap();
    for key in 0..2_000 {
        let length = (key as usize * 37) % 500;
        cache.insert(&key, "x".repeat(length)).await.unwrap();
        let near = cache.stats().near;
        assert!(near.bytes <= near.capacity, "{near:?}");
    }
    let near = cache.stats().near;
    let evicted = near.left.iter().find(|(cause, _)| *cause == Cause::Size);
    assert_eq!(near.entries + evicted.unwrap().1, 2_000);
    assert!(near.bytes > 32 << 10, "room is used: {near:?}");
}

#[tokio::test]
async fn a_weigher_decides_what_a_value_weighs() {
    let world = World::new();
    let cache = world.near_only().weigher(|value| *value as usize);
    let cache = cache.build().await.unwrap();
    cache.insert(&1, 1_000).await.unwrap();
    let light = cache.stats().near.bytes;
    cache.insert(&1, 3_000).await.unwrap();
    assert_eq!(cache.stats().near.bytes, light + 2_000);
}

#[tokio::test]
async fn a_value_that_no_room_can_hold_leaves_no_older_one_behind() {
    let world = World::new();
    let cache = world.near_only().weigher(|value| *value as usize);
    let cache = cache.build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    cache.insert(&1, 2 << 20).await.unwrap();
    assert_eq!(read(&cache, 1).await, None);
}

#[tokio::test]
async fn a_type_without_codec_lives_in_a_near_cache() {
    struct Handle(&'static str);
    let world = World::new();
    let cache = larder::Cache::<u64, Handle>::builder("app:handles")
        .ttl("1h")
        .codec(Opaque)
        .near(Near::bytes("1MiB"))
        .runtime(world.clock.clone());
    let cache = cache.build().await.unwrap();
    cache.insert(&1, Handle("open")).await.unwrap();
    assert_eq!(cache.get(&1).await.unwrap().unwrap().0, "open");
}

#[tokio::test]
async fn the_listener_is_told_what_left_and_why() {
    type Seen = Mutex<Vec<(String, u64, Cause)>>;
    let world = World::new();
    let seen = Arc::new(Seen::default());
    let told = seen.clone();
    let cache = world
        .near_only()
        .ttl("10s")
        .listener(move |key, value, cause| {
            let key = String::from_utf8(key.to_vec()).unwrap();
            told.lock().unwrap().push((key, *value, cause));
        });
    let cache = cache.build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    cache.insert(&1, 11).await.unwrap();
    let _ = cache.invalidate(&1).await.unwrap();
    cache.insert(&2, 20).await.unwrap();
    world.clock.advance(Duration::from_secs(10)).await;
    cache.insert(&3, 30).await.unwrap();
    cache.clear().await.unwrap();
    settle().await;
    let expected = [
        ("1", 10, Cause::Replaced),
        ("1", 11, Cause::Explicit),
        ("2", 20, Cause::Expired),
        ("3", 30, Cause::Explicit),
    ];
    let expected = expected.map(|(key, value, cause)| (key.to_owned(), value, cause));
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_listener_that_panics_harms_nobody() {
    let world = World::new();
    let cache = world.near_only().listener(|_, _, _| panic!("listener"));
    let cache = cache.build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    cache.insert(&1, 11).await.unwrap();
    assert_eq!(read(&cache, 1).await, Some(11));
}

#[tokio::test]
async fn a_listener_may_use_the_cache() {
    let world = World::new();
    let slot = Arc::new(Mutex::new(None::<Users>));
    let inner = slot.clone();
    let cache = world.near_only().listener(move |_, _, _| {
        let cache = inner.lock().unwrap().clone();
        assert!(cache.is_some_and(|cache| cache.stats().near.capacity > 0));
    });
    let cache = cache.build().await.unwrap();
    *slot.lock().unwrap() = Some(cache.clone());
    cache.insert(&1, 10).await.unwrap();
    let _ = cache.invalidate(&1).await.unwrap();
    slot.lock().unwrap().take();
}

#[tokio::test]
async fn expired_entries_are_released_without_being_read() {
    let world = World::new();
    let cache = world.near_only().ttl("10s").build().await.unwrap();
    for key in 0..500 {
        cache.insert(&key, key).await.unwrap();
    }
    assert_eq!(cache.stats().near.entries, 500);
    world.clock.advance(Duration::from_secs(10)).await;
    let near = cache.stats().near;
    assert_eq!((near.entries, near.bytes), (0, 0));
    assert!(near.left.contains(&(Cause::Expired, 500)));
}

#[tokio::test]
async fn a_smaller_near_cache_evicts_and_a_larger_one_holds_more() {
    let world = World::new();
    let cache = world.near_only().weigher(|_| 1_000);
    let cache = cache.build().await.unwrap();
    for key in 0..500 {
        cache.insert(&key, key).await.unwrap();
    }
    cache.resize_near(64 << 10).unwrap();
    assert!(cache.stats().near.bytes <= 64 << 10);
    assert_eq!(cache.policy().near_capacity, 64 << 10);
    cache.resize_near(1 << 20).unwrap();
    for key in 0..500 {
        cache.insert(&key, key).await.unwrap();
    }
    assert!(cache.stats().near.bytes > 256 << 10);
    let zero = cache.resize_near(0).unwrap_err();
    assert_eq!(zero.kind(), ErrorKind::Config);
    let remote = world.remote_only().build().await.unwrap();
    remote.resize_near(1 << 20).unwrap();
    assert_eq!(remote.policy().near_capacity, 0);
}

#[tokio::test]
async fn hits_and_misses_are_counted() {
    let world = World::new();
    let cache = world.near_only().build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    for key in [1, 1, 2] {
        read(&cache, key).await;
    }
    let near = cache.stats().near;
    assert_eq!((near.hits, near.misses, near.entries), (2, 1, 1));
}

#[tokio::test]
async fn the_value_can_be_taken_out_shared_or_not() {
    let world = World::new();
    let cache = world.near_only().build().await.unwrap();
    let loaded = cache.get_or_load(&1, |cx| async move {
        cx.skip();
        Ok::<_, Oops>(10)
    });
    assert_eq!(loaded.await.unwrap().into_value(), 10);
    cache.insert(&1, 11).await.unwrap();
    let shared = cache.get(&1).await.unwrap().unwrap();
    assert_eq!(shared.clone().into_value(), *shared);
    assert_eq!(shared, 11);
}
