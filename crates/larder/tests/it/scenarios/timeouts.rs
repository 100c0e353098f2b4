//! Readers that do not wait for ever, loads that go on behind, and sources that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{
    ErrorKind, LoadError, LoadLimit, LoadOptions, Loaded, Refusal, StaleReason, Timeouts,
};

use super::{Scene, Users, following, holds, read, scenes, until};
use crate::support::{Oops, in_time, paused, paused_load, spawn_load};

const OLD: u64 = 1;
const NEW: u64 = 2;
const INSERTED: u64 = 3;
const SOFT: Duration = Duration::from_millis(30);

impl Scene {
    /// Nodes of which the first has limits, with a stale value under the key 1, and one that looks at
    /// the store alone.
    async fn timed<const N: usize>(&self, timeouts: Timeouts) -> ([Users; N], Users) {
        let mut nodes = Vec::new();
        for at in 0..N {
            let timeouts = match at {
                0 => timeouts.clone(),
                _ => Timeouts::new(),
            };
            nodes.push(following(self.bare().timeouts(timeouts)).await);
        }
        let looking = self.looking().await;
        let _ = looking.insert(&1, OLD).await.unwrap();
        for node in &nodes {
            until(async || read(node, 1).await == Some(OLD)).await;
        }
        let _ = looking.expire(&1).await.unwrap();
        for node in &nodes {
            until(async || read(node, 1).await.is_none()).await;
        }
        (
            nodes.try_into().unwrap_or_else(|_| unreachable!("so many")),
            looking,
        )
    }
}

fn soft() -> Timeouts {
    Timeouts::new().soft(SOFT)
}

fn is_late(got: &Loaded<u64>) -> bool {
    (**got, got.stale_reason()) == (OLD, Some(StaleReason::TimedOut))
}

#[tokio::test]
async fn f07_a_soft_timeout_gives_the_stale_value_and_the_new_one_comes_without_another_load() {
    for scene in scenes() {
        let ([node], looking) = scene.timed(soft()).await;
        let (call, load) = paused_load(&node, 1).await;
        assert!(
            is_late(&in_time(call).await.unwrap().unwrap()),
            "{}",
            scene.name
        );
        load.answer(Ok(NEW));
        holds(&node, 1, NEW).await;
        assert_eq!(read(&looking, 1).await, Some(NEW));
        assert_eq!(node.stats().loads.succeeded, 1);
    }
}

#[tokio::test]
async fn f09_a_hard_timeout_is_an_error_and_the_value_is_stored_all_the_same() {
    for scene in scenes() {
        let ([node], looking) = scene.timed(Timeouts::new().hard(SOFT)).await;
        let (call, load) = paused_load(&node, 2).await;
        match in_time(call).await.unwrap() {
            Err(LoadError::Cache(error)) => assert_eq!(error.kind(), ErrorKind::Timeout),
            other => panic!("{other:?}"),
        }
        load.answer(Ok(NEW));
        holds(&node, 2, NEW).await;
        assert_eq!(read(&looking, 2).await, Some(NEW), "{}", scene.name);
    }
}

#[tokio::test]
async fn f10_a_load_behind_is_overtaken_by_what_another_node_sets_meanwhile() {
    for scene in scenes() {
        let ([a, b], looking) = scene.timed(soft()).await;
        let (call, load) = paused_load(&a, 1).await;
        assert!(is_late(&in_time(call).await.unwrap().unwrap()));
        let _ = b.insert(&1, INSERTED).await.unwrap();
        load.answer(Ok(NEW));
        until(async || a.stats().protection.behind == 0).await;
        for node in [&a, &b] {
            holds(node, 1, INSERTED).await;
        }
        assert_eq!(read(&looking, 1).await, Some(INSERTED), "{}", scene.name);
        // Others are those of replies that the change has overtaken.
        let late = [Refusal::LeaseRevoked, Refusal::LeaseLost];
        let refused = a.stats().refused.into_iter();
        let refused = refused.filter(|(reason, _)| late.contains(reason));
        assert_eq!(refused.map(|(_, n)| n).sum::<u64>(), 1, "{}", scene.name);
    }
}

#[tokio::test]
async fn f10_a_removal_leaves_neither_the_stale_value_nor_that_of_the_load_behind() {
    for scene in scenes() {
        let ([a, b], looking) = scene.timed(soft()).await;
        let (call, load) = paused_load(&a, 1).await;
        assert!(is_late(&in_time(call).await.unwrap().unwrap()));
        let _ = b.invalidate(&1).await.unwrap();
        load.answer(Ok(NEW));
        until(async || a.stats().protection.behind == 0).await;
        super::loses(&a, 1, OLD).await;
        for node in [&a, &b, &looking] {
            assert_eq!(read(node, 1).await, None, "{}", scene.name);
            assert_eq!(super::fail(node, 1).await, None, "{}", scene.name);
        }
    }
}

#[tokio::test]
async fn f10_a_tag_that_is_invalidated_during_a_load_takes_the_stale_value_with_it() {
    for scene in scenes() {
        let timeouts = Timeouts::new()
            .soft(Duration::from_millis(500))
            .hard(Duration::from_millis(600));
        let a = following(scene.bare().timeouts(timeouts)).await;
        let b = following(scene.bare()).await;
        let tagged = larder::InsertOptions::new().tag("t");
        let _ = a.insert_with(&1, OLD, tagged).await.unwrap();
        let _ = a.expire(&1).await.unwrap();
        // Without the tag it would be given.
        let (call, load) = paused_load(&a, 1).await;
        assert!(is_late(&in_time(call).await.unwrap().unwrap()));
        load.answer(Err(Oops("down")));
        until(async || a.stats().protection.behind == 0).await;

        let (call, load) = paused_load(&a, 1).await;
        let _ = b.invalidate_tag("t").await.unwrap();
        match in_time(call).await.unwrap() {
            Err(LoadError::Cache(error)) => assert_eq!(error.kind(), ErrorKind::Timeout),
            other => panic!("{other:?} over {}", scene.name),
        }
        load.answer(Ok(NEW));
    }
}

#[tokio::test]
async fn f12_a_soft_timeout_keeps_one_load_for_all() {
    for scene in scenes() {
        let ([a, b], _) = scene.timed(soft()).await;
        let loads = Arc::<AtomicU64>::default();
        let (call, load) = paused_load(&a, 1).await;
        assert!(is_late(&in_time(call).await.unwrap().unwrap()));
        let counted = || {
            let loads = loads.clone();
            move |_| async move {
                loads.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Oops>(NEW)
            }
        };
        for _ in 0..50 {
            assert!(is_late(
                &in_time(a.get_or_load(&1, counted())).await.unwrap()
            ));
        }
        // The other node waits for the lease that the load behind still holds.
        let waiting = spawn_load(&b, 1, counted());
        until(async || b.stats().near.misses > 1).await;
        load.answer(Ok(INSERTED));
        assert_eq!(*in_time(waiting).await.unwrap().unwrap(), INSERTED);
        assert_eq!(loads.load(Ordering::SeqCst), 0, "{}", scene.name);
    }
}

#[tokio::test]
async fn s08_who_does_not_wait_for_another_load_gets_the_stale_value_now() {
    for scene in scenes() {
        let ([node], _) = scene.timed(Timeouts::new()).await;
        let (call, load) = paused_load(&node, 1).await;
        let options = LoadOptions::new().wait(Duration::ZERO);
        let (other, _) = paused();
        let got = in_time(node.get_or_load_with(&1, options, other))
            .await
            .unwrap();
        assert!(is_late(&got), "{}", scene.name);
        load.answer(Ok(NEW));
        assert_eq!(*in_time(call).await.unwrap().unwrap(), NEW);
    }
}

#[tokio::test]
async fn f02_after_a_failure_the_source_is_left_alone_and_the_stale_value_is_served() {
    for scene in scenes() {
        let node = following(scene.bare().throttle("1h")).await;
        let _ = node.insert(&1, OLD).await.unwrap();
        let _ = node.expire(&1).await.unwrap();
        assert_eq!(super::fail(&node, 1).await, Some((OLD, true)));
        for _ in 0..20 {
            let again = node.get_or_load(&1, |_| async { Err(Oops("not to be asked")) });
            let got = in_time(again).await.unwrap();
            assert_eq!(
                (*got, got.stale_reason()),
                (OLD, Some(StaleReason::Throttled))
            );
        }
        assert_eq!(node.stats().loads.failed, 1, "{}", scene.name);
        // A new value ends it.
        let _ = node.insert(&1, NEW).await.unwrap();
        assert_eq!(read(&node, 1).await, Some(NEW));
    }
}

#[tokio::test]
async fn f04_a_default_is_given_and_is_written_to_no_tier() {
    for scene in scenes() {
        let ([node], looking) = scene.both().await;
        let options = LoadOptions::new().default_value(NEW);
        let down = |_| async { Err(Oops("down")) };
        let got = in_time(node.get_or_load_with(&1, options, down))
            .await
            .unwrap();
        assert_eq!((*got, got.source()), (NEW, larder::Source::Default));
        assert_eq!(
            (read(&node, 1).await, read(&looking, 1).await),
            (None, None)
        );
    }
}

#[tokio::test]
async fn f22_a_stale_value_and_the_error_it_stands_for_are_both_told() {
    for scene in scenes() {
        let ([node], _) = scene.timed(Timeouts::new()).await;
        let down = |_| async { Err(Oops("down")) };
        let got = in_time(node.get_or_load(&1, down)).await.unwrap();
        assert_eq!(*got, OLD, "{}", scene.name);
        match got.error::<Oops>() {
            Some(LoadError::Loader(error)) => assert_eq!(*error, Oops("down")),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn s09_a_limit_of_loads_holds_for_a_flood_of_keys_and_all_get_their_value() {
    const KEYS: u64 = 300;
    for scene in scenes() {
        let limit = LoadLimit::new(7);
        let node = following(scene.bare().load_limit(limit.clone())).await;
        let (now, most) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let calls: Vec<_> = (0..KEYS)
            .map(|key| {
                let (now, most) = (now.clone(), most.clone());
                spawn_load(&node, key, move |_| async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    for _ in 0..5 {
                        tokio::task::yield_now().await;
                    }
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(key)
                })
            })
            .collect();
        for (key, call) in (0..).zip(calls) {
            assert_eq!(*in_time(call).await.unwrap().unwrap(), key);
        }
        assert_eq!(most.load(Ordering::SeqCst), 7, "{}", scene.name);
        let stats = limit.stats();
        assert_eq!((stats.running, stats.waiting, stats.refused), (0, 0, 0));
    }
}
