//! Tags and clears.

use std::sync::Arc;
use std::time::Duration;

use larder::core::runtime::BoxFuture;
use larder::core::{Mono, Runtime, Timestamp};
use larder::{Cx, InsertOptions, Refusal, TokioRuntime};
use tokio::sync::oneshot;

use super::{Place, Users, fail, following, holds, load, load_tagged, loses, read, scenes, until};
use crate::support::{in_time, paused_load, spawn_load};

#[tokio::test]
async fn g01_by_tag_removes_only_what_bears_it() {
    const X: u64 = 1;
    const Y: u64 = 2;
    const Z: u64 = 3;
    for scene in scenes() {
        let ([a, b], looking) = scene.both().await;
        load_tagged(&a, X, &["t1", "t2"], 10).await;
        load_tagged(&a, Y, &["t2"], 20).await;
        load(&a, Z, 30).await;
        for (key, value) in [(X, 10), (Y, 20), (Z, 30)] {
            holds(&a, key, value).await;
            holds(&b, key, value).await;
        }
        a.invalidate_tag("t1").await.unwrap();
        loses(&b, X, 10).await;
        for node in [&a, &b, &looking] {
            let found = [
                read(node, X).await,
                read(node, Y).await,
                read(node, Z).await,
            ];
            assert_eq!(found, [None, Some(20), Some(30)], "{}", scene.name);
        }
        b.invalidate_tag("t2").await.unwrap();
        loses(&a, Y, 20).await;
        for node in [&a, &b, &looking] {
            let found = [
                read(node, X).await,
                read(node, Y).await,
                read(node, Z).await,
            ];
            assert_eq!(found, [None, None, Some(30)], "{}", scene.name);
        }
    }
}

#[tokio::test]
async fn g02_a_value_stored_again_bears_its_new_tags_only() {
    for scene in scenes() {
        let ([a, b], looking) = scene.both().await;
        load_tagged(&a, 1, &["old"], 10).await;
        holds(&b, 1, 10).await;
        let _ = a.invalidate(&1).await.unwrap();
        load_tagged(&a, 1, &["new"], 20).await;
        holds(&b, 1, 20).await;
        a.invalidate_tag("old").await.unwrap();
        // A record behind the other: the first has been applied where the second shows.
        let _ = a.insert(&2, 1).await.unwrap();
        holds(&b, 2, 1).await;
        for node in [&a, &b, &looking] {
            assert_eq!(read(node, 1).await, Some(20), "{}", scene.name);
        }
        a.invalidate_tag("new").await.unwrap();
        loses(&b, 1, 20).await;
        assert_eq!(read(&looking, 1).await, None, "{}", scene.name);
    }
}

#[tokio::test]
async fn g03_what_was_stored_after_the_invalidation_stays() {
    for scene in scenes() {
        let ([a, b], looking) = scene.both().await;
        load_tagged(&a, 1, &["t"], 10).await;
        holds(&b, 1, 10).await;
        a.invalidate_tag("t").await.unwrap();
        assert_eq!(load_tagged(&a, 1, &["t"], 20).await, 20, "{}", scene.name);
        let tagged = InsertOptions::new().tag("t");
        let _ = a.insert_with(&2, 30, tagged).await.unwrap();
        holds(&b, 1, 20).await;
        holds(&b, 2, 30).await;
        for node in [&a, &b, &looking] {
            let found = [read(node, 1).await, read(node, 2).await];
            assert_eq!(found, [Some(20), Some(30)], "{}", scene.name);
        }
    }
}

#[tokio::test]
async fn g04_a_value_whose_tag_is_invalid_is_not_there() {
    for scene in scenes() {
        let ([a, b], looking) = scene.both().await;
        load_tagged(&a, 1, &["t"], 10).await;
        holds(&b, 1, 10).await;
        a.invalidate_tag("t").await.unwrap();
        loses(&b, 1, 10).await;
        for node in [&a, &b, &looking] {
            assert!(!node.contains_key(&1).await.unwrap(), "{}", scene.name);
            let many = node.get_many(&[1]).await.unwrap();
            assert!(many[0].is_none(), "{}", scene.name);
        }
    }
}

#[tokio::test]
async fn g05_invalidating_tags_does_not_forget_other_invalidations() {
    for scene in scenes() {
        let ([a, b], looking) = scene.both().await;
        for (key, tags) in [(1, &["t1"][..]), (2, &["t2"]), (3, &["t1", "t2"])] {
            let options = tags
                .iter()
                .fold(InsertOptions::new(), |options, tag| options.tag(*tag));
            let _ = a.insert_with(&key, 10, options).await.unwrap();
            holds(&b, key, 10).await;
        }
        a.invalidate_tag("t1").await.unwrap();
        for tag in ["t2", "t3", "t1"] {
            b.invalidate_tag(tag).await.unwrap();
        }
        a.invalidate_tags(["t3", "t2"]).await.unwrap();
        for key in 1..4 {
            loses(&b, key, 10).await;
            for node in [&a, &b, &looking] {
                assert_eq!(read(node, key).await, None, "{}: {key}", scene.name);
            }
        }
    }
}

#[tokio::test]
async fn g06_a_number_that_is_lost_brings_nothing_back() {
    for scene in scenes() {
        let Place::Redis(server) = &scene.place else {
            continue;
        };
        let ([a, b], looking) = scene.both().await;
        load_tagged(&a, 1, &["lost"], 10).await;
        load_tagged(&a, 2, &["kept"], 20).await;
        a.invalidate_tag("lost").await.unwrap();
        // As an eviction does. The first byte of these keys cannot be an argument of a command line.
        let script = "local n = 0 for _, k in ipairs(redis.call('KEYS', '?stag:*lost')) do \
                      n = n + redis.call('DEL', k) end return n";
        assert_eq!(server.cli(&["EVAL", script, "0"]), "1");
        let late = following(scene.bare()).await;
        for node in [&a, &b, &looking, &late] {
            assert_eq!(read(node, 1).await, None);
            assert_eq!(fail(node, 1).await, None, "not even under fail-safe");
        }
        // What is stored from now on is sound, and other tags are as they were.
        assert_eq!(load_tagged(&a, 1, &["lost"], 11).await, 11);
        holds(&b, 1, 11).await;
        assert_eq!(read(&late, 2).await, Some(20));
    }
}

#[tokio::test]
async fn g08_many_tags_on_many_nodes() {
    const TAGS: [&str; 8] = ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"];
    const KEYS: u64 = 64;
    for scene in scenes() {
        let (nodes, looking): ([Users; 3], _) = scene.both().await;
        for key in 0..KEYS {
            // By the bits of the key.
            let bears = (0..6).filter(|bit| key >> bit & 1 == 1);
            let options = bears.fold(InsertOptions::new(), |options, bit| options.tag(TAGS[bit]));
            let by = &nodes[key as usize % 3];
            let _ = by.insert_with(&key, key, options).await.unwrap();
        }
        for node in &nodes {
            for key in 0..KEYS {
                holds(node, key, key).await;
            }
        }
        nodes[0].invalidate_tags([TAGS[1], TAGS[7]]).await.unwrap();
        nodes[1].invalidate_tag(TAGS[4]).await.unwrap();
        for node in nodes.iter().chain([&looking]) {
            for key in 0..KEYS {
                let expected = (key >> 1 & 1 == 0 && key >> 4 & 1 == 0).then_some(key);
                if expected.is_none() {
                    loses(node, key, key).await;
                }
                assert_eq!(read(node, key).await, expected, "{}: {key}", scene.name);
            }
        }
    }
}

#[tokio::test]
async fn g09_a_cleared_value_is_not_there_for_fail_safe_either() {
    for scene in scenes() {
        let ([a, b], looking) = scene.both().await;
        load(&a, 1, 10).await;
        load_tagged(&a, 2, &["t"], 20).await;
        holds(&b, 1, 10).await;
        holds(&b, 2, 20).await;
        let _ = a.expire(&1).await.unwrap();
        a.clear().await.unwrap();
        loses(&b, 2, 20).await;
        for node in [&a, &b, &looking] {
            for key in [1, 2] {
                assert_eq!(read(node, key).await, None, "{}", scene.name);
                assert_eq!(fail(node, key).await, None, "{}: {key}", scene.name);
            }
        }
        // And what comes after it is kept.
        assert_eq!(load(&b, 1, 11).await, 11);
        holds(&a, 1, 11).await;
    }
}

#[tokio::test]
async fn g09_what_expires_with_its_cache_is_there_for_fail_safe_only() {
    for scene in scenes() {
        let ([a, b], looking) = scene.both().await;
        load(&a, 1, 10).await;
        load_tagged(&a, 2, &["t"], 20).await;
        load(&a, 3, 30).await;
        holds(&b, 1, 10).await;
        holds(&b, 2, 20).await;
        let (call, loading) = paused_load(&b, 4).await;
        a.expire_all().await.unwrap();
        loses(&b, 2, 20).await;
        for node in [&a, &b, &looking] {
            for (key, value) in [(1, 10), (2, 20), (3, 30)] {
                assert_eq!(read(node, key).await, None, "{}", scene.name);
                let offered = fail(node, key).await;
                assert_eq!(offered, Some((value, true)), "{}: {key}", scene.name);
            }
        }
        // What was under way is not kept.
        loading.answer(Ok(40));
        assert_eq!(*call.await.unwrap().unwrap(), 40);
        assert_eq!(read(&looking, 4).await, None, "{}", scene.name);
        // What comes after it is, and what is invalid is not even stale.
        assert_eq!(load(&b, 1, 11).await, 11);
        holds(&a, 1, 11).await;
        a.invalidate_tag("t").await.unwrap();
        let _ = a.invalidate(&3).await.unwrap();
        loses(&b, 3, 30).await;
        for key in [2, 3] {
            assert_eq!(fail(&a, key).await, None, "{}: {key}", scene.name);
            assert_eq!(fail(&looking, key).await, None, "{}: {key}", scene.name);
        }
        a.expire_all().await.unwrap();
        a.clear().await.unwrap();
        assert_eq!(fail(&a, 1).await, None, "{}", scene.name);
        assert_eq!(fail(&looking, 1).await, None, "{}", scene.name);
    }
}

#[tokio::test]
async fn g10_a_load_overtaken_by_its_tag_is_given_to_its_caller_and_not_kept() {
    for scene in scenes() {
        // On the node that loads, and on another one.
        for invalidating in [0, 1] {
            let (nodes, looking): ([Users; 2], _) = scene.both().await;
            let (begin, begun) = oneshot::channel();
            let (go_on, wait) = oneshot::channel::<()>();
            let key = invalidating as u64;
            let call = spawn_load(&nodes[0], key, move |cx: Cx<u64, _>| async move {
                let _ = begin.send(());
                let _ = wait.await;
                // Named only now: what counts is when the load began.
                cx.tag("t");
                Ok(10)
            });
            in_time(begun).await.unwrap();
            nodes[invalidating].invalidate_tag("t").await.unwrap();
            go_on.send(()).unwrap();
            assert_eq!(*in_time(call).await.unwrap().unwrap(), 10);
            for node in nodes.iter().chain([&looking]) {
                assert_eq!(read(node, key).await, None, "{}", scene.name);
            }
            let refused = nodes[0].stats().refused;
            assert!(refused.contains(&(Refusal::TagRaced, 1)), "{refused:?}");
            assert_eq!(load_tagged(&nodes[0], key, &["t"], 20).await, 20);
            holds(&nodes[1], key, 20).await;
        }
    }
}

/// A node whose wall clock is wrong.
struct Skewed {
    real: TokioRuntime,
    by_ms: i64,
}

impl Runtime for Skewed {
    fn now(&self) -> Mono {
        self.real.now()
    }

    fn wall(&self) -> Timestamp {
        Timestamp(self.real.wall().0.saturating_add_signed(self.by_ms))
    }

    fn random(&self) -> u64 {
        self.real.random()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.real.spawn(task);
    }

    fn sleep(&self, after: Duration) -> BoxFuture<'static, ()> {
        self.real.sleep(after)
    }
}

#[tokio::test]
async fn g11_wrong_clocks_change_nothing() {
    for scene in scenes() {
        let [a] = scene.nodes().await;
        for by_ms in [-3_600_000, -5_000, 5_000, 3_600_000] {
            let real = TokioRuntime::current();
            let skewed = scene.bare().runtime(Arc::new(Skewed { real, by_ms }));
            let b = following(skewed).await;
            for (first, second) in [(&a, &b), (&b, &a)] {
                load_tagged(second, 1, &["t"], 10).await;
                holds(second, 1, 10).await;
                // What was loaded before it goes, and what is loaded after it stays.
                first.invalidate_tag("t").await.unwrap();
                loses(second, 1, 10).await;
                assert_eq!(load_tagged(second, 1, &["t"], 20).await, 20);
                holds(second, 1, 20).await;
                holds(first, 1, 20).await;
                let _ = first.invalidate(&1).await.unwrap();
                until(async || read(second, 1).await.is_none()).await;
            }
        }
    }
}
