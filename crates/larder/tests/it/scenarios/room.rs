//! How much near caches hold, what leaves them, and what is counted of it. In virtual time, but for
//! what nodes do with each other's values.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use larder::{Cache, Cause, Near};

use super::{Users, fail, read, scenes};
use crate::support::{Oops, World, in_time, settle};

const TTL: Duration = Duration::from_secs(10);

/// Of the nodes one has room for everything, one for little, and one says itself what a value weighs.
#[tokio::test]
async fn z01_each_node_weighs_for_itself_what_reaches_it() {
    const VALUES: u64 = 200;
    const LENGTH: usize = 1_000;
    const LITTLE: u64 = 64 << 10;
    for scene in scenes() {
        let builder = || scene.named::<String>("app:texts");
        let large = builder().near(Near::bytes("8MiB"));
        let large = large.build().await.unwrap();
        let small = builder().near(Near::bytes(LITTLE));
        let small = small.build().await.unwrap();
        let own = builder().near(Near::bytes("8MiB")).weigher(|_| 100_000);
        let own = own.build().await.unwrap();
        for key in 0..VALUES {
            let _ = large.insert(&key, "x".repeat(LENGTH)).await.unwrap();
        }
        for key in 0..VALUES {
            for node in [&large, &small, &own] {
                let found = node.get(&key).await.unwrap().unwrap();
                assert_eq!(found.len(), LENGTH, "{}", scene.name);
                let near = node.stats().near;
                assert!(near.bytes <= near.capacity, "{}", scene.name);
            }
        }
        // Without a weigher it is as heavy as it is long.
        let small = small.stats().near;
        let most = LITTLE / LENGTH as u64;
        assert!((1..=most).contains(&small.entries), "{small:?}");
        assert!(small.bytes >= small.entries * LENGTH as u64);
        let own = own.stats().near;
        assert!((1..=83).contains(&own.entries), "{own:?}");
    }
}

#[tokio::test]
async fn z03_the_size_is_that_of_what_is_held_whatever_happened_to_it() {
    let world = World::new();
    let cache = world.near_only().ttl(TTL).weigher(|value| *value as usize);
    let cache = cache.build().await.unwrap();
    let size = || (cache.stats().near.entries, cache.stats().near.bytes);
    let insert = async |key: u64, value: u64| drop(cache.insert(&key, value).await.unwrap());
    insert(1, 1_000).await;
    let (_, one) = size();
    assert!(one >= 1_000);
    insert(1, 3_000).await;
    assert_eq!(size(), (1, one + 2_000));
    insert(2, 1_000).await;
    assert_eq!(size(), (2, 2 * one + 2_000));
    // One that has ended, but still lies there, is replaced.
    let _ = cache.expire(&1).await.unwrap();
    insert(1, 1_000).await;
    assert_eq!(size(), (2, 2 * one));
    let _ = cache.invalidate(&2).await.unwrap();
    let _ = cache.invalidate(&2).await.unwrap();
    assert_eq!(size(), (1, one));
    insert(3, 4_000).await;
    cache.clear().await.unwrap();
    assert_eq!(size(), (0, 0));
    insert(4, 1_000).await;
    world.clock.advance(TTL).await;
    assert_eq!(size(), (0, 0));
}

/// With a listener that takes its time over the first value; what panics is in `near.rs`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn z04_a_slow_listener_holds_nobody_up_but_the_call_it_runs_in() {
    let (said, hears) = mpsc::channel();
    let (go_on, waits) = mpsc::channel::<()>();
    let (said, waits) = (Mutex::new(said), Mutex::new(waits));
    let is_first = AtomicBool::new(true);
    let cache: Users = Cache::builder("app:users")
        .ttl("1h")
        .near(Near::bytes("1MiB"))
        .listener(move |_, _, _| {
            if is_first.swap(false, Ordering::SeqCst) {
                said.lock().unwrap().send(()).unwrap();
                let _ = waits.lock().unwrap().recv();
            }
        })
        .build()
        .await
        .unwrap();
    let _ = cache.insert(&1, 10).await.unwrap();
    let held_up = std::thread::spawn({
        let cache = cache.clone();
        let runtime = tokio::runtime::Handle::current();
        move || runtime.block_on(cache.invalidate(&1)).unwrap()
    });
    let patience = Duration::from_secs(20);
    tokio::task::spawn_blocking(move || hears.recv_timeout(patience).unwrap())
        .await
        .unwrap();
    // In a task of its own: if it were held up, nobody here could say so.
    let others = tokio::spawn(async move {
        assert_eq!(read(&cache, 1).await, None, "it is gone already");
        for key in 0..1_000 {
            let _ = cache.insert(&key, key).await.unwrap();
            assert_eq!(read(&cache, key).await, Some(key));
            let _ = cache.invalidate(&key).await.unwrap();
        }
        cache.clear().await.unwrap();
    });
    in_time(others).await.unwrap();
    assert!(!held_up.is_finished());
    go_on.send(()).unwrap();
    let ended = tokio::task::spawn_blocking(|| held_up.join().unwrap());
    assert_eq!(in_time(ended).await.unwrap().existed(), 1);
}

#[tokio::test]
async fn z07_a_value_is_dropped_when_it_leaves() {
    let world = World::new();
    let cache = world.bare::<Arc<u64>>().near(Near::bytes("1MiB"));
    let cache = cache.codec(larder::codec::Opaque).ttl(TTL);
    let cache = cache.weigher(|_| 10_000).build().await.unwrap();
    for way in ["invalidated", "replaced", "cleared", "ended", "evicted"] {
        let value = Arc::new(10);
        let left = Arc::downgrade(&value);
        let _ = cache.insert(&1, value).await.unwrap();
        let held = cache.get(&1).await.unwrap().unwrap();
        assert!(left.upgrade().is_some());
        match way {
            "invalidated" => drop(cache.invalidate(&1).await.unwrap()),
            "replaced" => drop(cache.insert(&1, Arc::new(20)).await.unwrap()),
            "cleared" => drop(cache.clear().await.unwrap()),
            "ended" => world.clock.advance(TTL).await,
            _ => {
                cache.resize_near(1_000).unwrap();
                cache.resize_near(1 << 20).unwrap();
            }
        }
        settle().await;
        // Not under the feet of those who have it.
        assert_eq!(**held, 10, "{way}");
        drop(held);
        assert!(left.upgrade().is_none(), "{way}");
    }
}

#[tokio::test]
async fn z09_each_read_and_each_departure_is_counted_once() {
    let world = World::new();
    let cache = world.near_only().ttl(TTL).stale_for("1h");
    let cache = cache.build().await.unwrap();
    assert_eq!(read(&cache, 1).await, None);
    let loaded = cache.get_or_load(&1, |_| async { Ok::<_, Oops>(10) });
    assert_eq!(*loaded.await.unwrap(), 10);
    assert_eq!(read(&cache, 1).await, Some(10));
    let _ = cache.expire(&1).await.unwrap();
    assert_eq!(read(&cache, 1).await, None);
    assert_eq!(fail(&cache, 1).await, Some((10, true)));
    let _ = cache.insert(&1, 20).await.unwrap();
    let _ = cache.invalidate(&1).await.unwrap();
    assert_eq!(fail(&cache, 1).await, None);
    let stats = cache.stats();
    let reads = (stats.near.hits, stats.near.misses);
    assert_eq!(reads, (1, 5));
    let loads = (stats.loads.succeeded, stats.loads.failed);
    assert_eq!(loads, (1, 2));
    assert_eq!(stats.loads.stale_served, 1);
    let left = |cause| {
        let mut all = stats.near.left.iter();
        all.find(|(of, _)| *of == cause).unwrap().1
    };
    let departures = [Cause::Replaced, Cause::Explicit, Cause::Expired].map(left);
    assert_eq!(departures, [1, 1, 0]);
}

/// What is there, and until when.
type Model = BTreeMap<u64, (u64, u64)>;

/// Numbers below a bound, by SplitMix64 (Steele, Lea, Flood 2014).
fn chance(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// Does what chance says to a cache and to a map, and holds them against each other. A cache with
/// room for everything has exactly what the map has, and one with little room no more.
async fn does_as_a_map(seed: u64, capacity: u64) {
    const WEIGHT: u64 = 1_000;
    let mut draw = chance(seed);
    let world = World::new();
    let cache = world.near_only().ttl(TTL).weigher(|_| WEIGHT as usize);
    let cache = cache.near(Near::bytes(capacity)).build().await.unwrap();
    let (mut model, mut now, mut capacity_now) = (Model::new(), 0, capacity);
    let has_room = |capacity: u64| capacity >= 1 << 20;
    for step in 0..400 {
        let key = draw(50);
        match draw(20) {
            0..6 => {
                let _ = cache.insert(&key, step).await.unwrap();
                model.insert(key, (step, now + TTL.as_secs()));
            }
            6..8 => {
                let known = model.get(&key).filter(|(_, until)| *until > now);
                let expected = known.map_or(step, |(value, _)| *value);
                let found = super::load(&cache, key, step).await;
                if known.is_none() || found != expected {
                    assert!(known.is_none() || !has_room(capacity_now), "step {step}");
                    assert_eq!(found, step, "step {step} of {seed}");
                    model.insert(key, (step, now + TTL.as_secs()));
                }
            }
            8..10 => {
                let _ = cache.invalidate(&key).await.unwrap();
                model.remove(&key);
            }
            10 => {
                let _ = cache.expire(&key).await.unwrap();
                model.remove(&key);
            }
            11 if draw(5) == 0 => {
                let _ = cache.clear().await.unwrap();
                model.clear();
            }
            12 => {
                let time = draw(TTL.as_secs() / 2);
                world.clock.advance(Duration::from_secs(time)).await;
                now += time;
            }
            13 if !has_room(capacity) => {
                capacity_now = capacity / (1 + draw(4));
                cache.resize_near(capacity_now).unwrap();
            }
            _ => {
                let found = read(&cache, key).await;
                let known = model.get(&key).filter(|(_, until)| *until > now);
                let known = known.map(|(value, _)| *value);
                let is_evicted = found.is_none() && !has_room(capacity_now);
                assert!(
                    found == known || is_evicted,
                    "step {step} of {seed}: {found:?} for {known:?}"
                );
            }
        }
        let near = cache.stats().near;
        assert!(
            near.bytes <= capacity_now,
            "step {step} of {seed}: {near:?}"
        );
        assert!(
            near.bytes >= near.entries * WEIGHT,
            "step {step} of {seed}: {near:?}"
        );
    }
}

#[tokio::test]
async fn z06_whatever_is_done_to_it_a_near_cache_does_as_a_map_does() {
    for seed in 0..50 {
        does_as_a_map(seed, 1 << 20).await;
        does_as_a_map(seed, 32 << 10).await;
    }
}
