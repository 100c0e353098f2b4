//! What the types promise: sharing, sizes, settings, closing.

use std::sync::Arc;
use std::time::Duration;

use larder::codec::Opaque;
use larder::embedded::Embedded;
use larder::{Builder, Cache, ErrorKind, Layout, LoadError, Loaded, Near};

use crate::support::{Oops, Users, World, paused_load};

fn is_shared<T: Clone + Send + Sync + 'static>() {}

fn is_send<F: Future + Send>(future: F) -> F {
    future
}

#[test]
fn a_cache_and_its_values_are_cheap_to_share() {
    is_shared::<Cache<String, Vec<u8>>>();
    is_shared::<Loaded<Vec<u8>>>();
    is_shared::<larder::Error>();
    assert!(size_of::<Users>() <= 32);
}

/// A future holds what it is given and little more: callers nest them, and each level costs.
#[tokio::test]
async fn futures_are_send_and_small() {
    let cache = World::new().both().build().await.unwrap();
    let loader = |_| async { Ok::<_, Oops>(1) };
    let sizes = [
        ("get", size_of_val(&is_send(cache.get(&1)))),
        ("get_many", size_of_val(&is_send(cache.get_many(&[1])))),
        (
            "get_or_load",
            size_of_val(&is_send(cache.get_or_load(&1, loader))),
        ),
        ("insert", size_of_val(&is_send(cache.insert(&1, 1)))),
        (
            "insert_many",
            size_of_val(&is_send(cache.insert_many([(1, 1)]))),
        ),
        ("invalidate", size_of_val(&is_send(cache.invalidate(&1)))),
        (
            "invalidate_many",
            size_of_val(&is_send(cache.invalidate_many(&[1]))),
        ),
        ("expire", size_of_val(&is_send(cache.expire(&1)))),
        (
            "contains_key",
            size_of_val(&is_send(cache.contains_key(&1))),
        ),
        ("clear", size_of_val(&is_send(cache.clear()))),
        ("close", size_of_val(&is_send(cache.close()))),
    ];
    for (name, size) in sizes {
        assert!(size <= 512, "{name}: {size} bytes");
    }
}

#[tokio::test]
async fn clones_are_the_same_cache() {
    let cache = World::new().near_only().build().await.unwrap();
    cache.clone().insert(&1, 10).await.unwrap();
    assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 10);
}

async fn problem<C: larder::core::Codec<u64>>(builder: Builder<u64, u64, C>) -> String {
    let error = builder.build().await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[tokio::test]
async fn all_wrong_settings_are_named_at_once() {
    let builder = Cache::<u64, u64>::builder("app users")
        .ttl("soon")
        .stale_for("1 fortnight")
        .lease(Duration::ZERO)
        .tombstone("x")
        .max_value(0)
        .jitter_percent(101)
        .near(Near::bytes("lots").ttl("0s"));
    let error = problem(builder).await;
    for named in [
        "\"app users\"",
        "ttl: \"soon\"",
        "stale_for: \"1 fortnight\"",
        "lease: must be more than zero",
        "tombstone: \"x\"",
        "max_value: must be more than zero",
        "jitter_percent is 101",
        "near capacity: \"lots\"",
        "near ttl: must be more than zero",
    ] {
        assert!(error.contains(named), "{named} is not in {error}");
    }
}

#[tokio::test]
async fn settings_that_do_not_fit_together_are_refused() {
    let near = || Near::bytes("1MiB");
    let builder = || Cache::<u64, u64>::builder("app:users");
    let store = || Embedded::new(Arc::new(larder::TokioRuntime::current()));
    let cases = [
        (problem(builder().near(near())).await, "there is no ttl"),
        (
            problem(builder().near(near()).ttl("1h").without_ttl()).await,
            "choose one",
        ),
        (
            problem(builder().ttl("0s").near(near())).await,
            "ttl: must be more than zero",
        ),
        (problem(builder().ttl("1h")).await, "neither a near cache"),
        (
            problem(builder().ttl("1h").codec(Opaque).remote(store())).await,
            "need a codec",
        ),
        (
            problem(builder().ttl("1h").layout(Layout::Plain).remote(store())).await,
            "plain layout",
        ),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{expected} is not in {error}");
    }
}

#[tokio::test]
async fn a_wrong_name_is_refused_with_character_and_position() {
    for (name, expected) in [
        ("app:us ers", "the character ' ' at position 7"),
        ("app:usérs", "the character 'é' at position 7"),
        ("a*b", "the character '*' at position 2"),
        ("app::users", "an empty segment at position 5"),
        ("", "an empty segment at position 1"),
        ("app:", "an empty segment at position 5"),
    ] {
        let builder = Cache::builder(name).ttl("1h").near(Near::bytes("1MiB"));
        let error = problem(builder).await;
        assert!(error.contains(expected), "{expected} is not in {error}");
    }
    let long = "x".repeat(200);
    let builder = Cache::builder(&long).ttl("1h").near(Near::bytes("1MiB"));
    assert!(problem(builder).await.contains("200 bytes"));
}

#[test]
#[should_panic(expected = "runtime")]
fn a_cache_without_surroundings_cannot_be_built() {
    let builder = Cache::<u64, u64>::builder("app:users").ttl("1h");
    let build = std::pin::pin!(builder.near(Near::bytes("1MiB")).build());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let _ = build.poll(&mut context);
}

#[tokio::test]
async fn the_policy_tells_the_settings_in_force() {
    let world = World::new();
    let cache = world
        .both()
        .ttl("10m")
        .stale_for("1h")
        .lease("2s")
        .max_value("1MiB")
        .jitter_percent(7)
        .near(Near::bytes("2MiB").ttl("30s"));
    let policy = cache.build().await.unwrap().policy();
    assert_eq!(policy.name, "app:users");
    assert_eq!(policy.ttl, Some(Duration::from_secs(600)));
    assert_eq!(policy.stale_for, Duration::from_secs(3_600));
    assert_eq!(policy.jitter_percent, 7);
    assert_eq!(policy.near_capacity, 2 << 20);
    assert_eq!(policy.near_ttl, Duration::from_secs(30));
    assert_eq!(policy.remote.as_deref(), Some("probed store"));
    assert_eq!(policy.max_value, 1 << 20);
    assert_eq!(policy.lease, Duration::from_secs(2));
}

#[tokio::test]
async fn a_closed_cache_refuses_and_its_remote_tier_keeps_the_values() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    cache.clone().close().await;
    let kind = |error: larder::Error| error.kind();
    let closed = ErrorKind::Closed;
    assert_eq!(cache.get(&1).await.map_err(kind).unwrap_err(), closed);
    assert_eq!(
        cache.get_many(&[1]).await.map_err(kind).unwrap_err(),
        closed
    );
    assert_eq!(cache.insert(&1, 1).await.map_err(kind), Err(closed));
    assert_eq!(cache.insert_many([(1, 1)]).await.map_err(kind), Err(closed));
    assert_eq!(cache.invalidate(&1).await.map_err(kind), Err(closed));
    assert_eq!(cache.expire(&1).await.map_err(kind), Err(closed));
    assert_eq!(cache.clear().await.map_err(kind), Err(closed));
    assert_eq!(cache.contains_key(&1).await.map_err(kind), Err(closed));
    match cache.get_or_load(&1, |_| async { Ok::<_, Oops>(1) }).await {
        Err(LoadError::Cache(error)) => assert_eq!(error.kind(), closed),
        other => panic!("{other:?}"),
    }
    assert_eq!(cache.stats().near.entries, 0);
    let other = world.both().build().await.unwrap();
    assert_eq!(*other.get(&1).await.unwrap().unwrap(), 10);
}

#[tokio::test]
async fn a_load_under_way_ends_although_the_cache_is_closed() {
    let cache = World::new().near_only().build().await.unwrap();
    let (call, load) = paused_load(&cache, 1).await;
    cache.close().await;
    load.answer(Ok(10));
    assert_eq!(*call.await.unwrap().unwrap(), 10);
    assert_eq!(cache.stats().near.entries, 0);
}

#[tokio::test]
async fn a_dropped_cache_stops_its_background_work() {
    let world = World::new();
    let cache = world.near_only().build().await.unwrap();
    let runtime = Arc::downgrade(&world.clock);
    drop(cache);
    let World { clock, store } = world;
    drop(store);
    clock.advance(Duration::from_secs(2)).await;
    drop(clock);
    assert!(runtime.upgrade().is_none(), "something still runs on it");
}
