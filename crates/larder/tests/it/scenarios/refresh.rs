//! Refresh in the background: loaders wait for their cue, and time passes as it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Cx, Refresh};
use tokio::sync::oneshot;

use super::{Scene, Users, fail, following, read, scenes, until};
use crate::support::{Oops, Paused, in_time, paused};

const OLD: u64 = 1;
const NEW: u64 = 2;
const INSERTED: u64 = 3;

/// Every read is due a moment after its value was stored.
const SOON: Duration = Duration::from_millis(30);

impl Scene {
    /// Nodes with near caches that refresh early, and one that looks at the store alone.
    async fn refreshing<const N: usize>(&self, refresh: &Refresh) -> ([Users; N], Users) {
        let mut nodes = Vec::new();
        for _ in 0..N {
            nodes.push(following(self.bare().refresh(refresh.clone())).await);
        }
        let nodes = nodes.try_into().unwrap_or_else(|_| unreachable!("so many"));
        (nodes, self.looking().await)
    }
}

/// Reads until that begins a refresh, which waits for its cue. What is read must be of this value,
/// and fresh or not.
async fn refresh(node: &Users, key: u64, value: u64, stale: bool) -> Paused<u64> {
    let begun = node.stats().refreshes.begun;
    let waiting = std::cell::RefCell::new(None);
    until(async || {
        let (loader, load) = paused();
        let found = node.get_or_load(&key, loader).await.unwrap();
        assert_eq!(*found, value);
        let is_begun = node.stats().refreshes.begun > begun;
        if is_begun {
            assert_eq!(found.is_stale(), stale);
            *waiting.borrow_mut() = Some(load);
        }
        is_begun
    })
    .await;
    let mut load = waiting.into_inner().expect("it has begun");
    load.begun().await;
    load
}

/// Waits until a refresh of this node has come to its end.
async fn ended(node: &Users) {
    until(async || node.stats().refreshes.under_way == 0).await;
}

#[tokio::test]
async fn k05_a_removal_during_an_eager_refresh_leaves_neither_the_old_nor_the_new_value() {
    for scene in scenes() {
        for refreshed in [Ok(NEW), Err(Oops("down"))] {
            for removing in [0, 1] {
                let early = Refresh::after(SOON);
                let (nodes, looking): ([Users; 2], _) = scene.refreshing(&early).await;
                let _ = nodes[0].insert(&1, OLD).await.unwrap();
                super::holds(&nodes[1], 1, OLD).await;
                let load = refresh(&nodes[0], 1, OLD, false).await;
                let _ = nodes[removing].invalidate(&1).await.unwrap();
                load.answer(refreshed);
                ended(&nodes[0]).await;
                super::loses(&nodes[0], 1, OLD).await;
                super::loses(&nodes[1], 1, OLD).await;
                for node in [&nodes[0], &nodes[1], &looking] {
                    assert_eq!(read(node, 1).await, None, "{}", scene.name);
                    assert_eq!(fail(node, 1).await, None, "{}", scene.name);
                }
                assert_eq!(nodes[0].stats().refreshes.loaded, 0);
            }
        }
    }
}

#[tokio::test]
async fn k05_a_set_during_an_eager_refresh_is_what_stays() {
    for scene in scenes() {
        for setting in [0, 1] {
            let (nodes, looking): ([Users; 2], _) = scene.refreshing(&Refresh::after(SOON)).await;
            let _ = nodes[0].insert(&1, OLD).await.unwrap();
            let load = refresh(&nodes[0], 1, OLD, false).await;
            let _ = nodes[setting].insert(&1, INSERTED).await.unwrap();
            load.answer(Ok(NEW));
            ended(&nodes[0]).await;
            for node in [&nodes[0], &nodes[1]] {
                super::holds(node, 1, INSERTED).await;
            }
            assert_eq!(read(&looking, 1).await, Some(INSERTED), "{}", scene.name);
        }
    }
}

#[tokio::test]
async fn k05_a_removal_during_a_refresh_of_a_served_stale_value_leaves_nothing() {
    for scene in scenes() {
        for removing in [0, 1] {
            let stale = || scene.bare().ttl(SOON).refresh(Refresh::stale());
            let nodes = [following(stale()).await, following(stale()).await];
            let _ = nodes[0].insert(&1, OLD).await.unwrap();
            let load = refresh(&nodes[0], 1, OLD, true).await;
            let _ = nodes[removing].invalidate(&1).await.unwrap();
            load.answer(Ok(NEW));
            ended(&nodes[0]).await;
            for node in &nodes {
                super::loses(node, 1, OLD).await;
                assert_eq!(read(node, 1).await, None, "{}", scene.name);
                assert_eq!(fail(node, 1).await, None, "{}", scene.name);
            }
        }
    }
}

#[tokio::test]
async fn g10_a_refresh_overtaken_by_its_tag_is_not_kept() {
    for scene in scenes() {
        for invalidating in [0, 1] {
            let (nodes, looking): ([Users; 2], _) = scene.refreshing(&Refresh::after(SOON)).await;
            let tagged = |value, wait: Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>| {
                move |cx: Cx<u64, _>| async move {
                    if let Some((begin, end)) = wait {
                        let _ = begin.send(());
                        let _ = end.await;
                    }
                    // Named only now: what counts is when the load began.
                    cx.tag("t");
                    Ok::<_, Oops>(value)
                }
            };
            assert_eq!(
                *nodes[0].get_or_load(&1, tagged(OLD, None)).await.unwrap(),
                OLD
            );
            super::holds(&nodes[1], 1, OLD).await;
            let (go_on, begun) = {
                let cue = std::cell::RefCell::new(None);
                until(async || {
                    let ((begin, begun), (go_on, end)) = (oneshot::channel(), oneshot::channel());
                    let load = tagged(NEW, Some((begin, end)));
                    assert_eq!(*nodes[0].get_or_load(&1, load).await.unwrap(), OLD);
                    let is_begun = nodes[0].stats().refreshes.begun > 0;
                    *cue.borrow_mut() = Some((go_on, begun));
                    is_begun
                })
                .await;
                cue.into_inner().unwrap()
            };
            in_time(begun).await.unwrap();
            let _ = nodes[invalidating].invalidate_tag("t").await.unwrap();
            go_on.send(()).unwrap();
            ended(&nodes[0]).await;
            for node in &nodes {
                super::loses(node, 1, OLD).await;
            }
            for node in nodes.iter().chain([&looking]) {
                assert_eq!(read(node, 1).await, None, "{}", scene.name);
                assert_eq!(fail(node, 1).await, None, "{}", scene.name);
            }
            let refreshes = nodes[0].stats().refreshes;
            assert_eq!((refreshes.refused, refreshes.loaded), (1, 0));
        }
    }
}

#[tokio::test]
async fn f13_an_eager_refresh_holds_nobody_up_and_outlives_its_caller() {
    for scene in scenes() {
        let ([a], looking) = scene.refreshing(&Refresh::after(SOON)).await;
        let _ = a.insert(&1, OLD).await.unwrap();
        let load = refresh(&a, 1, OLD, false).await;
        for _ in 0..50 {
            let found = in_time(a.get_or_load(&1, |_| async { Err(Oops("another load")) })).await;
            assert_eq!(*found.unwrap(), OLD);
        }
        load.answer(Ok(NEW));
        ended(&a).await;
        super::holds(&a, 1, NEW).await;
        assert_eq!(read(&looking, 1).await, Some(NEW));
        assert_eq!(a.stats().refreshes.begun, 1, "{}", scene.name);
    }
}

#[tokio::test]
async fn f15_of_five_nodes_that_reach_the_point_together_one_loads() {
    for scene in scenes() {
        // All the time of the test is one fresh life, and all of it but its beginning is past the
        // point.
        let early = Refresh::after(SOON).retry(SOON);
        let (nodes, _): ([Users; 5], _) = scene.refreshing(&early).await;
        let _ = nodes[0].insert(&1, OLD).await.unwrap();
        for node in &nodes {
            super::holds(node, 1, OLD).await;
        }
        let load = refresh(&nodes[0], 1, OLD, false).await;
        let loads = Arc::new(AtomicU64::new(0));
        let ask = async |node: &Users| {
            let loads = loads.clone();
            let load = move |_| async move {
                loads.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Oops>(NEW)
            };
            *in_time(node.get_or_load(&1, load)).await.unwrap()
        };
        for node in &nodes[1..] {
            until(async || {
                assert_eq!(ask(node).await, OLD);
                node.stats().refreshes.given_up > 0
            })
            .await;
        }
        assert_eq!(loads.load(Ordering::Relaxed), 0, "{}", scene.name);
        load.answer(Ok(NEW));
        ended(&nodes[0]).await;
        for node in &nodes[1..] {
            until(async || ask(node).await == NEW).await;
        }
        let adopted = nodes[1..].iter().map(|node| node.stats().refreshes.adopted);
        assert!(adopted.sum::<u64>() > 0, "{}", scene.name);
    }
}

#[tokio::test]
async fn f16_tags_of_the_refreshed_value_take_the_place_of_the_old_ones() {
    for scene in scenes() {
        let ([a, b], _) = scene.refreshing(&Refresh::after(SOON)).await;
        let tagged = |tag: &'static str, value| {
            move |cx: Cx<u64, _>| async move {
                cx.tag(tag);
                Ok::<_, Oops>(value)
            }
        };
        a.get_or_load(&1, tagged("a", OLD)).await.unwrap();
        until(async || *a.get_or_load(&1, tagged("b", NEW)).await.unwrap() == NEW).await;
        ended(&a).await;
        let _ = b.invalidate_tag("a").await.unwrap();
        assert_eq!(read(&b, 1).await, Some(NEW), "{}", scene.name);
        let _ = b.invalidate_tag("b").await.unwrap();
        assert_eq!(read(&b, 1).await, None, "{}", scene.name);
        super::loses(&a, 1, NEW).await;
    }
}

#[tokio::test]
async fn f21_a_stale_value_is_given_at_once_while_the_load_of_another_caller_runs() {
    for scene in scenes() {
        // Long enough that what is refreshed is still fresh when it is looked at.
        let ttl = Duration::from_millis(1_000);
        let node = following(scene.bare().ttl(ttl).refresh(Refresh::stale())).await;
        let _ = node.insert(&1, OLD).await.unwrap();
        let load = refresh(&node, 1, OLD, true).await;
        for _ in 0..50 {
            let found =
                in_time(node.get_or_load(&1, |_| async { Err(Oops("another load")) })).await;
            let found = found.unwrap();
            assert_eq!((*found, found.is_stale()), (OLD, true), "{}", scene.name);
        }
        load.answer(Ok(NEW));
        ended(&node).await;
        assert_eq!(node.stats().refreshes.loaded, 1);
        let found = node.get_or_load(&1, |_| async { Err(Oops("not needed")) });
        assert_eq!(*found.await.unwrap(), NEW);
    }
}
