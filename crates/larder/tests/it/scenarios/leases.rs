//! Leases that nobody gives back, that nobody can have, and that their own holder waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{ErrorKind, LoadError, Loaded, Near, Refusal, Source, Timeouts};

use super::{Place, Scene, Users, following, holds, load, read, scenes, until};
use crate::support::{Oops, Trouble, World, in_time, paused_load, settle, spawn_load};

/// Nobody waits for the end of such a lease: within it the patience of a test is over.
const LONG: &str = "1m";
const HARD: Duration = Duration::from_millis(300);

impl Scene {
    /// Two nodes whose leases last.
    async fn holding(&self) -> [Users; 2] {
        let node = || following(self.bare().lease(LONG));
        [node().await, node().await]
    }
}

async fn fail(cache: &Users, key: u64) -> Result<Loaded<u64>, LoadError<Oops>> {
    in_time(cache.get_or_load(&key, |_| async { Err(Oops("down")) })).await
}

#[tokio::test]
async fn s03_a_load_that_fails_frees_its_key_at_once() {
    for scene in scenes() {
        let [a, b] = scene.holding().await;
        let (call, loading) = paused_load(&a, 1).await;
        let waiting = spawn_load(&b, 1, |_| async { Ok(20) });
        loading.answer(Err(Oops("down")));
        assert!(in_time(call).await.unwrap().is_err(), "{}", scene.name);
        assert_eq!(*in_time(waiting).await.unwrap().unwrap(), 20);
        for (node, key) in [(&a, 2), (&b, 3)] {
            assert!(fail(node, key).await.is_err());
            assert_eq!(in_time(load(node, key, 10)).await, 10, "{}", scene.name);
        }
    }
}

#[tokio::test]
async fn s07_a_loader_that_waits_for_itself_gets_an_error_and_leaves_nothing_behind() {
    for scene in scenes() {
        let limited = scene
            .bare()
            .lease(LONG)
            .timeouts(Timeouts::new().hard(HARD));
        let limited = following(limited).await;
        let [node, other] = scene.holding().await;
        // In a task that the cache knows nothing of it is not told at once, but in time.
        for (node, key, is_spawned) in [(&node, 1, false), (&limited, 2, true)] {
            let expected = match is_spawned {
                true => ErrorKind::Timeout,
                false => ErrorKind::Load,
            };
            let itself = node.clone();
            let loader = move |_| async move {
                let again = async move { load_or_kind(&itself, key).await };
                let kind = match is_spawned {
                    true => tokio::spawn(again).await.unwrap(),
                    false => again.await,
                };
                assert_eq!(kind, Some(expected));
                Err::<u64, _>(Oops("no"))
            };
            let failed = in_time(node.get_or_load(&key, loader)).await;
            match failed.unwrap_err() {
                LoadError::Loader(error) => assert_eq!(*error, Oops("no")),
                LoadError::Cache(error) => assert_eq!(error.kind(), expected),
                other => panic!("{other:?}"),
            }
            until(async || node.stats().protection.behind == 0).await;
            assert_eq!(read(&other, key).await, None, "{}", scene.name);
            assert_eq!(in_time(load(&other, key, 20)).await, 20, "{}", scene.name);
        }
    }
}

/// The kind of the error that the cache gives to whoever loads this key.
async fn load_or_kind(cache: &Users, key: u64) -> Option<ErrorKind> {
    let loaded = cache.get_or_load(&key, |_| async { Ok::<_, Oops>(99) });
    match loaded.await {
        Err(LoadError::Cache(error)) => Some(error.kind()),
        _ => None,
    }
}

#[tokio::test]
async fn s14_a_cache_that_is_closed_keeps_no_lease_that_nobody_waits_for() {
    for scene in scenes() {
        let limited = scene
            .bare()
            .lease(LONG)
            .timeouts(Timeouts::new().hard(HARD));
        let a = following(limited).await;
        let [b, c] = scene.holding().await;
        // One load goes on behind; for another one somebody waits, and gets its value.
        let (late, behind) = paused_load(&a, 1).await;
        assert!(in_time(late).await.unwrap().is_err(), "{}", scene.name);
        let (call, loading) = paused_load(&c, 2).await;
        a.close().await;
        c.close().await;
        until(async || behind.is_dropped()).await;
        assert_eq!(in_time(load(&b, 1, 20)).await, 20, "{}", scene.name);
        let waiting = spawn_load(&b, 2, |_| async { Ok(99) });
        loading.answer(Ok(10));
        assert_eq!(*in_time(call).await.unwrap().unwrap(), 10);
        assert_eq!(*in_time(waiting).await.unwrap().unwrap(), 10);
    }
}

/// Over a server that is full and says so: it is read from, and takes nothing.
#[tokio::test]
async fn s15_while_leases_cannot_be_had_each_node_loads_once_and_all_get_their_value() {
    const CALLERS: usize = 100;
    for scene in scenes() {
        let Place::Redis(server) = &scene.place else {
            continue;
        };
        let [a, b] = scene.nodes().await;
        let _ = a.insert(&2, 2).await.unwrap();
        holds(&b, 2, 2).await;
        let _ = a.expire(&2).await.unwrap();
        until(async || read(&b, 2).await.is_none()).await;
        server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
        for node in [&a, &b] {
            let loads = Arc::<AtomicU64>::default();
            let (first, loading) = paused_load(node, 1).await;
            let calls: Vec<_> = (0..CALLERS)
                .map(|_| {
                    let loads = loads.clone();
                    spawn_load(node, 1, move |_| async move {
                        loads.fetch_add(1, Ordering::SeqCst);
                        Ok(99)
                    })
                })
                .collect();
            settle().await;
            loading.answer(Ok(10));
            assert_eq!(*in_time(first).await.unwrap().unwrap(), 10);
            for call in calls {
                assert_eq!(*in_time(call).await.unwrap().unwrap(), 10);
            }
            assert_eq!(loads.load(Ordering::SeqCst), 0);
            let mut refused = node.stats().refused.into_iter();
            assert!(refused.any(|(reason, n)| reason == Refusal::Unproven && n > 0));
            // What is stale there can be read, and serves when the source is down too.
            assert_eq!(super::fail(node, 2).await, Some((2, true)));
        }
        server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
        // The value without proof is not used for long; then the nodes agree.
        until(async || read(&a, 1).await.is_none() && read(&b, 1).await.is_none()).await;
        assert_eq!(load(&a, 1, 20).await, 20);
        holds(&b, 1, 20).await;
    }
}

/// In virtual time, and without a bus.
#[tokio::test]
async fn s15_without_leases_fail_safe_has_what_the_remote_tier_has_and_no_more() {
    let world = World::new();
    let near = || Near::bytes("1MiB").ttl("10s");
    let writer = world.remote_only().stale_for("1h").build().await.unwrap();
    let one = world.remote_only().near(near()).stale_for("1h");
    let one = one.build().await.unwrap();
    for key in [1, 2, 3] {
        let _ = writer.insert(&key, 10).await.unwrap();
        one.get(&key).await.unwrap();
    }
    let _ = writer.invalidate(&1).await.unwrap();
    let _ = writer.insert(&2, 20).await.unwrap();
    let _ = writer.expire(&2).await.unwrap();
    let _ = writer.expire(&3).await.unwrap();
    world.clock.advance(Duration::from_secs(11)).await;
    world.store.hurt(Trouble::RefusesLeases);
    // The near copy is of a value that was removed.
    assert!(matches!(fail(&one, 1).await, Err(LoadError::Loader(_))));
    for (cache, key, value) in [(&one, 2, 20), (&one, 3, 10), (&writer, 2, 20)] {
        let stale = fail(cache, key).await.unwrap();
        assert_eq!((*stale, stale.source()), (value, Source::Remote));
        let loaded = cache.get_or_load(&key, |_| async { Ok::<_, Oops>(30) });
        assert_eq!(*in_time(loaded).await.unwrap(), 30);
    }
}
