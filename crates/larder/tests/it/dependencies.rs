//! What a loader reads from caches, its value depends on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::embedded::Embedded;
use larder::redis::Redis;
use larder::{Builder, Cache, ErrorKind, LoadError, Near, Refusal, Source, TokioRuntime};
use larder_testkit::servers::{RedisOptions, RedisServer};

use crate::support::Oops;

type Numbers = Cache<u64, u64>;

fn server() -> Option<RedisServer> {
    RedisServer::start_or_skip(RedisOptions::new())
}

fn near() -> Near {
    Near::bytes("1MiB")
}

fn numbers(name: &str) -> Builder<u64, u64> {
    Cache::builder(name)
        .ttl("1h")
        .stale_for("1h")
        .lease("200ms")
}

/// Two caches on one node, and the outer one on another.
struct World {
    name: &'static str,
    inner: Numbers,
    outer: Numbers,
    elsewhere: Numbers,
}

async fn worlds() -> Vec<World> {
    let alone = numbers("app:outer").near(near()).build().await.unwrap();
    let mut worlds = vec![World {
        name: "alone",
        inner: numbers("app:inner").near(near()).build().await.unwrap(),
        elsewhere: alone.clone(),
        outer: alone,
    }];
    let store = Embedded::new(Arc::new(TokioRuntime::current()));
    let over = |name| numbers(name).remote(store.clone());
    for (name, is_near) in [("embedded", true), ("embedded, no near cache", false)] {
        let build = |cache| {
            let builder = over(cache);
            if is_near {
                builder.near(near())
            } else {
                builder
            }
        };
        // Names of their own: both worlds share the store.
        let (inner, outer) = if is_near {
            ("app:inner", "app:outer")
        } else {
            ("bare:inner", "bare:outer")
        };
        worlds.push(World {
            name,
            inner: build(inner).build().await.unwrap(),
            outer: build(outer).build().await.unwrap(),
            elsewhere: build(outer).build().await.unwrap(),
        });
    }
    if let Some(server) = server() {
        let build = |name| {
            let redis = Redis::open(&server.url()).unwrap();
            numbers(name).remote(redis).near(near())
        };
        worlds.push(World {
            name: "redis",
            inner: build("app:inner").build().await.unwrap(),
            outer: build("app:outer").build().await.unwrap(),
            elsewhere: build("app:outer").build().await.unwrap(),
        });
        std::mem::forget(server);
    }
    worlds
}

fn plain(value: u64) -> impl FnOnce(larder::Cx<u64, u64>) -> Ready + Send + 'static {
    move |_| std::future::ready(Ok::<_, Oops>(value))
}

type Ready = std::future::Ready<Result<u64, Oops>>;

impl World {
    /// Loads key 1 of the outer cache, which is ten times key 1 of the inner one.
    async fn outer(&self, inner_value: u64) -> larder::Loaded<u64> {
        let inner = self.inner.clone();
        let load = move |_| async move {
            let inner = inner.get_or_load(&1, plain(inner_value)).await.unwrap();
            Ok::<_, Oops>(*inner * 10)
        };
        self.outer.get_or_load(&1, load).await.unwrap()
    }

    async fn stored(&self) -> Option<u64> {
        self.outer.get(&1).await.unwrap().map(|value| *value)
    }

    async fn stored_elsewhere(&self) -> Option<u64> {
        self.elsewhere.get(&1).await.unwrap().map(|value| *value)
    }

    async fn until_void(&self, what: &str) {
        let void = async {
            while self.stored().await.is_some() || self.stored_elsewhere().await.is_some() {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), void).await;
        assert!(in_time.is_ok(), "{}: {what}", self.name);
    }
}

fn refused(cache: &Numbers, refusal: Refusal) -> u64 {
    let refused = cache.stats().refused;
    let found = refused.iter().find(|(reason, _)| *reason == refusal);
    found.map_or(0, |(_, count)| *count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_the_inner_value_voids_the_outer_one() {
    for world in worlds().await {
        for change in [
            "invalidate",
            "expire",
            "insert",
            "prefix",
            "pattern",
            "clear",
            "dependents",
        ] {
            world.inner.clear().await.unwrap();
            world.until_void("the clear before").await;
            assert_eq!(*world.outer(7).await, 70);
            assert_eq!(
                world.stored().await,
                Some(70),
                "{}: stored at once",
                world.name
            );
            assert_eq!(world.stored_elsewhere().await, Some(70), "{}", world.name);
            let changed = match change {
                "invalidate" => world.inner.invalidate(&1).await.unwrap(),
                "expire" => world.inner.expire(&1).await.unwrap(),
                "insert" => world.inner.insert(&1, 8).await.unwrap(),
                "prefix" => world.inner.invalidate_prefix("1").await.unwrap(),
                "pattern" => world.inner.invalidate_pattern("?").await.unwrap(),
                "clear" => world.inner.clear().await.unwrap(),
                _ => world.inner.invalidate_dependents(&1).await.unwrap(),
            };
            drop(changed);
            world.until_void(change).await;
            let inner = world.inner.get(&1).await.unwrap().map(|value| *value);
            let expected = match change {
                "insert" => Some(8),
                "dependents" => Some(7),
                _ => None,
            };
            assert_eq!(inner, expected, "{}: {change}", world.name);
        }
    }
}

/// Nothing changes in the record of the inner value, so that its version proves nothing here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dependents_that_are_being_loaded_are_not_stored() {
    for world in worlds().await {
        let _ = world.inner.get_or_load(&1, plain(7)).await.unwrap();
        // The first load names what nobody had named before, and may be refused for that.
        for round in 0..3 {
            let (read, is_read) = tokio::sync::oneshot::channel();
            let (go, may_go) = tokio::sync::oneshot::channel::<()>();
            let (inner, outer) = (world.inner.clone(), world.outer.clone());
            let load = move |cx: larder::Cx<u64, _>| async move {
                cx.tag("t");
                let inner = inner.get(&1).await.unwrap().unwrap();
                read.send(()).unwrap();
                may_go.await.unwrap();
                Ok::<_, Oops>(*inner * 10)
            };
            let loading = tokio::spawn(async move { outer.get_or_load(&1, load).await });
            is_read.await.unwrap();
            if round == 2 {
                let _ = world.inner.invalidate_dependents(&1).await.unwrap();
            }
            go.send(()).unwrap();
            assert_eq!(*loading.await.unwrap().unwrap(), 70);
            let stored = world.stored().await;
            if round > 0 {
                assert_eq!(stored, (round == 1).then_some(70), "{}", world.name);
            }
            let _ = world.outer.invalidate(&1).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_of_the_inner_value_void_the_outer_one() {
    for world in worlds().await {
        let inner = world.inner.clone();
        let load = move |_| async move {
            let tagged = |cx: larder::Cx<u64, _>| async move {
                cx.tag("tenant:7");
                Ok::<_, Oops>(7)
            };
            Ok::<_, Oops>(*inner.get_or_load(&1, tagged).await.unwrap() * 10)
        };
        world.outer.get_or_load(&1, load).await.unwrap();
        assert_eq!(world.stored().await, Some(70), "{}", world.name);
        assert_eq!(world.stored_elsewhere().await, Some(70), "{}", world.name);
        world.inner.invalidate_tag("tenant:7").await.unwrap();
        world.until_void("tag").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dependencies_reach_through_values_in_between() {
    for world in worlds().await {
        let (inner, outer) = (world.inner.clone(), world.outer.clone());
        let middle = move |_| async move {
            let inner = inner.get_or_load(&1, plain(7)).await.unwrap();
            Ok::<_, Oops>(*inner * 10)
        };
        // The middle one is there before the outer one is loaded.
        outer.get_or_load(&2, middle).await.unwrap();
        let top = move |_| async move {
            let middle = outer.get(&2).await.unwrap().unwrap();
            Ok::<_, Oops>(*middle + 1)
        };
        assert_eq!(*world.outer.get_or_load(&1, top).await.unwrap(), 71);
        assert_eq!(world.stored().await, Some(71), "{}", world.name);
        let _ = world.inner.invalidate(&1).await.unwrap();
        world.until_void("through the middle").await;
        assert!(
            world.outer.get(&2).await.unwrap().is_none(),
            "{}",
            world.name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_there_is_depended_on_too() {
    for world in worlds().await {
        for way in ["get", "get_many", "contains_key"] {
            let inner = world.inner.clone();
            let load = move |_| async move {
                let found = match way {
                    "get" => inner.get(&1).await.unwrap().is_some(),
                    "get_many" => inner.get_many(&[1, 2]).await.unwrap()[0].is_some(),
                    _ => inner.contains_key(&1).await.unwrap(),
                };
                Ok::<_, Oops>(u64::from(found))
            };
            assert_eq!(*world.outer.get_or_load(&1, load).await.unwrap(), 0);
            assert_eq!(world.stored().await, Some(0), "{}: {way}", world.name);
            world.inner.insert(&1, 7).await.unwrap();
            world.until_void(way).await;
            let _ = world.inner.invalidate(&1).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_inner_value_during_the_load_keeps_the_outer_one_out() {
    for world in worlds().await {
        for _ in 0..3 {
            let inner = world.inner.clone();
            let load = move |_| async move {
                let value = *inner.get_or_load(&1, plain(7)).await.unwrap();
                let _ = inner.invalidate(&1).await.unwrap();
                Ok::<_, Oops>(value * 10)
            };
            assert_eq!(*world.outer.get_or_load(&1, load).await.unwrap(), 70);
            assert_eq!(world.stored().await, None, "{}", world.name);
        }
        assert!(
            refused(&world.outer, Refusal::DependencyRaced) >= 3,
            "{}",
            world.name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_changes_leave_the_outer_value_alone() {
    for world in worlds().await {
        world.outer(7).await;
        world.inner.insert(&2, 1).await.unwrap();
        let _ = world.inner.invalidate(&3).await.unwrap();
        world.outer.invalidate_tag("unused").await.unwrap();
        world.outer.invalidate_prefix("2").await.unwrap();
        assert_eq!(world.stored().await, Some(70), "{}", world.name);
        assert_ne!(world.outer(8).await.source(), Source::Loaded);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn areas_that_do_not_concern_the_inner_key_do_not_keep_the_outer_value_out() {
    for world in worlds().await {
        world.inner.get_or_load(&1, plain(7)).await.unwrap();
        // After the inner value was proven, and before the outer load.
        world.inner.invalidate_prefix("2").await.unwrap();
        world.outer(7).await;
        if world.name != "alone" {
            assert_eq!(world.stored().await, Some(70), "{}", world.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spawned_tasks_count_when_they_are_tracked_and_untracked_reads_do_not() {
    for world in worlds().await {
        for (tracked, expected) in [(true, None), (false, Some(70))] {
            let inner = world.inner.clone();
            let load = move |_| async move {
                let read = async move { *inner.get_or_load(&1, plain(7)).await.unwrap() };
                let value = if tracked {
                    tokio::spawn(larder::tracked(read)).await.unwrap()
                } else {
                    larder::untracked(read).await
                };
                Ok::<_, Oops>(value * 10)
            };
            world.outer.get_or_load(&1, load).await.unwrap();
            assert_eq!(world.stored().await, Some(70), "{}", world.name);
            let _ = world.inner.invalidate(&1).await.unwrap();
            if expected.is_none() {
                world.until_void("tracked").await;
            }
            assert_eq!(world.stored().await, expected, "{}", world.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_depends_on_another_store_is_not_kept() {
    let store = |n: u64| {
        let _ = n;
        Embedded::new(Arc::new(TokioRuntime::current()))
    };
    let inner = numbers("app:inner").remote(store(1)).near(near());
    let inner = inner.build().await.unwrap();
    let outer = numbers("app:outer").remote(store(2)).near(near());
    let outer = outer.build().await.unwrap();
    let read = inner.clone();
    let load =
        move |_| async move { Ok::<_, Oops>(*read.get_or_load(&1, plain(7)).await.unwrap()) };
    assert_eq!(*outer.get_or_load(&1, load).await.unwrap(), 7);
    assert!(outer.get(&1).await.unwrap().is_none());
    assert_eq!(refused(&outer, Refusal::ForeignDependency), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_made_from_a_stale_one_is_not_kept() {
    for world in worlds().await {
        world.inner.insert(&1, 7).await.unwrap();
        let _ = world.inner.expire(&1).await.unwrap();
        let inner = world.inner.clone();
        let load = move |_| async move {
            let failing = |_| async { Err::<u64, _>(Oops("no")) };
            let stale = inner.get_or_load(&1, failing).await.unwrap();
            assert!(stale.is_stale());
            Ok::<_, Oops>(*stale * 10)
        };
        assert_eq!(*world.outer.get_or_load(&1, load).await.unwrap(), 70);
        assert_eq!(world.stored().await, None, "{}", world.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_that_asks_for_its_own_key_gets_an_error_and_no_deadlock() {
    for world in worlds().await {
        let inner = world.inner.clone();
        let load = move |_| async move {
            match inner.get_or_load(&1, plain(1)).await {
                Err(LoadError::Cache(error)) => {
                    assert_eq!(error.kind(), ErrorKind::Load);
                    Err::<u64, _>(Oops("no"))
                }
                other => panic!("{other:?}"),
            }
        };
        let answer = world.inner.get_or_load(&1, load);
        let answer = tokio::time::timeout(Duration::from_secs(5), answer)
            .await
            .unwrap();
        assert!(
            matches!(answer, Err(LoadError::Loader(_))),
            "{}",
            world.name
        );
        // Nothing is left behind.
        assert_eq!(*world.inner.get_or_load(&1, plain(2)).await.unwrap(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_that_wait_for_each_other_end() {
    for world in worlds().await {
        let rounds = Arc::new(AtomicU64::new(0));
        for _ in 0..20 {
            let (a, b) = (world.inner.clone(), world.inner.clone());
            let both = Arc::new(tokio::sync::Barrier::new(2));
            let side = |cache: Numbers, own: u64, other: u64| {
                let (both, rounds) = (both.clone(), rounds.clone());
                tokio::spawn(async move {
                    let asked = cache.clone();
                    let load = move |_| async move {
                        both.wait().await;
                        let other = asked.get_or_load(&other, plain(other)).await.unwrap();
                        rounds.fetch_add(1, Ordering::Relaxed);
                        Ok::<_, Oops>(*other + 1)
                    };
                    cache.get_or_load(&own, load).await.map(|value| *value)
                })
            };
            let (one, two) = (side(a, 1, 2), side(b, 2, 1));
            for side in [one, two] {
                let ended = tokio::time::timeout(Duration::from_secs(5), side).await;
                let ended = ended
                    .map_err(|_| world.name)
                    .expect("nobody waits for ever");
                ended.unwrap().unwrap();
            }
            world.inner.clear().await.unwrap();
        }
        assert_eq!(rounds.load(Ordering::Relaxed), 40, "{}", world.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_and_dependencies_can_be_named_after_the_load() {
    for world in worlds().await {
        if world.name == "alone" {
            let refused = world.outer.tag(&1, ["late"]).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Refused);
            continue;
        }
        assert!(
            !world.outer.tag(&1, ["late"]).await.unwrap(),
            "nothing there"
        );
        for how in ["tag", "depend", "kept tag", "kept dependency"] {
            world.inner.clear().await.unwrap();
            world.until_void("the clear before").await;
            // It has a tag and a dependency from its load already.
            let inner = world.inner.clone();
            let load = move |cx: larder::Cx<u64, _>| async move {
                cx.tag("early");
                Ok::<_, Oops>(*inner.get_or_load(&1, plain(7)).await.unwrap() * 10)
            };
            world.outer.get_or_load(&1, load).await.unwrap();
            assert_eq!(world.stored_elsewhere().await, Some(70), "{}", world.name);
            assert!(
                world.outer.tag(&1, ["late"]).await.unwrap(),
                "{}",
                world.name
            );
            assert!(
                world.outer.depend(&1, &world.inner, &2).await.unwrap(),
                "{}",
                world.name
            );
            assert_eq!(world.stored().await, Some(70), "{}", world.name);
            assert_eq!(world.stored_elsewhere().await, Some(70), "{}", world.name);
            match how {
                "tag" => drop(world.outer.invalidate_tag("late").await.unwrap()),
                "depend" => drop(world.inner.insert(&2, 1).await.unwrap()),
                "kept tag" => drop(world.outer.invalidate_tag("early").await.unwrap()),
                _ => drop(world.inner.invalidate(&1).await.unwrap()),
            }
            world.until_void(how).await;
        }
    }
}
