//! Many keys loaded by one call, and single ones that are gathered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder::{Batcher, LoadError, Loaded, ManyCx, ManyOptions};

use super::{PATIENT, Place, Users, fail, following, read, reads, scenes, until};
use crate::support::many::{Asked, Rows, all, bare, cued, spawn_many, tenfold};
use crate::support::{Oops, in_time, paused_load, settle};

/// Far longer than a test takes: what is gathered is complete by number, or never.
const NEVER: &str = "10m";

#[tokio::test]
async fn m01_a_load_of_many_that_fails_leaves_what_is_there_and_tells_the_error() {
    for scene in scenes() {
        let [node] = scene.nodes().await;
        let there: Vec<(u64, u64)> = (0..6).map(|key| (key, key * 10)).collect();
        let _ = scene.looking().await.insert_many(there).await.unwrap();
        let keys: Vec<u64> = (0..10).collect();
        let asked = Asked::default();
        let noting = asked.clone();
        let down = move |cx: ManyCx<u64, _>| {
            noting.note(&cx);
            async { Rows::Err(Oops("down")) }
        };
        let given = in_time(node.get_or_load_many(&keys, down)).await;
        let oops = "the loader failed: down".to_owned();
        let expected = |key: &u64| match key {
            0..6 => Ok(Some(key * 10)),
            _ => Err(oops.clone()),
        };
        assert_eq!(
            bare(&given),
            keys.iter().map(expected).collect::<Vec<_>>(),
            "{}",
            scene.name
        );
        assert_eq!(asked.take(), [[6, 7, 8, 9]], "{}", scene.name);
        // Half of them by themselves.
        let half = |cx: ManyCx<u64, _>| async move {
            let row = |key: &u64| {
                (
                    *key,
                    key.is_multiple_of(2).then_some(key * 10).ok_or(Oops("odd")),
                )
            };
            Ok::<_, Oops>(cx.keys().iter().map(row).collect::<Vec<_>>())
        };
        let given = bare(&in_time(node.get_or_load_many(&keys, half)).await);
        assert_eq!(
            given.iter().filter(|one| one.is_ok()).count(),
            8,
            "{given:?}"
        );
        let rest = in_time(node.get_or_load_many(&keys, asked.loader())).await;
        assert_eq!(all(&rest), (0..100).step_by(10).collect::<Vec<_>>());
        assert_eq!(asked.take(), [[7, 9]], "{}", scene.name);
    }
}

#[tokio::test]
async fn m02_loads_of_many_that_overlap_load_each_key_once_on_all_nodes() {
    const NODES: u64 = 3;
    for scene in scenes() {
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            // A machine that stands still for a moment loses none.
            nodes.push(following(scene.bare().lease(PATIENT)).await);
        }
        let loads: Arc<Vec<AtomicU64>> = Arc::new((0..100).map(|_| AtomicU64::new(0)).collect());
        let mut calls = tokio::task::JoinSet::new();
        for at in 0..60 {
            let (node, loads) = (nodes[(at % NODES) as usize].clone(), loads.clone());
            calls.spawn(async move {
                let keys: Vec<u64> = (0..20).map(|next| (at * 7 + next * 3) % 100).collect();
                let loader = move |cx: ManyCx<u64, _>| {
                    let loads = loads.clone();
                    async move {
                        for key in cx.keys() {
                            loads[*key as usize].fetch_add(1, Ordering::SeqCst);
                        }
                        settle().await;
                        tenfold(cx.keys())
                    }
                };
                let given = node.get_or_load_many(&keys, loader).await;
                let expected: Vec<u64> = keys.iter().map(|key| key * 10).collect();
                assert_eq!(all(&given), expected);
            });
        }
        tokio::time::timeout(PATIENT, calls.join_all())
            .await
            .unwrap();
        let loaded: Vec<u64> = loads.iter().map(|of| of.load(Ordering::SeqCst)).collect();
        let refused = |node: &Users| {
            let refused = node.stats().refused.into_iter();
            refused.filter(|(_, count)| *count > 0).collect::<Vec<_>>()
        };
        let refused: Vec<_> = nodes.iter().map(refused).collect();
        assert_eq!(loaded, [1; 100], "{}: {refused:?}", scene.name);
    }
}

#[tokio::test]
async fn m02_a_key_that_another_node_loads_holds_up_nobody_else() {
    for scene in scenes() {
        let [here, there] = scene.nodes().await;
        let (elsewhere, load) = paused_load(&there, 1).await;
        let (loader, mut calls) = cued();
        let call = spawn_many(&here, &[1, 2, 3], loader);
        let first = calls.next().await;
        assert_eq!(first.cx.keys(), [2, 3], "{}", scene.name);
        first.go();
        until(async || read(&there, 3).await == Some(30)).await;
        load.answer(Ok(11));
        assert_eq!(*in_time(elsewhere).await.unwrap().unwrap(), 11);
        assert_eq!(
            all(&in_time(call).await.unwrap()),
            [11, 20, 30],
            "{}",
            scene.name
        );
    }
}

#[tokio::test]
async fn m02_a_key_that_changes_elsewhere_is_given_and_not_stored_and_the_rest_is() {
    for scene in scenes() {
        let ([here, there], looking) = scene.both().await;
        let (loader, mut calls) = cued();
        let call = spawn_many(&here, &[1, 2, 3], loader);
        let load = calls.next().await;
        let _ = there.invalidate(&2).await.unwrap();
        load.go();
        assert_eq!(all(&in_time(call).await.unwrap()), [10, 20, 30]);
        for (key, expected) in [(1, Some(10)), (2, None), (3, Some(30))] {
            assert_eq!(read(&looking, key).await, expected, "{} {key}", scene.name);
        }
        assert_ne!(read(&here, 2).await, Some(20), "{}", scene.name);
    }
}

#[tokio::test]
async fn m04_keys_are_gathered_until_there_are_enough_or_time_is_over() {
    for scene in scenes() {
        let [node] = scene.nodes().await;
        let asked = Asked::default();
        let ask = |users: &Batcher<u64, u64, Oops>, key: u64| {
            let users = users.clone();
            tokio::spawn(async move { in_time(users.get(&key)).await })
        };
        let value = |got: Result<Option<Loaded<u64>>, LoadError<Oops>>| *got.unwrap().unwrap();
        // Enough.
        let users = node.batcher(NEVER, 10, asked.loader()).unwrap();
        let mut gets: Vec<_> = (0..9).map(|key| ask(&users, key)).collect();
        gets.extend((0..9).map(|key| ask(&users, key)));
        settle().await;
        assert!(
            asked.take().is_empty(),
            "{}: duplicates are none",
            scene.name
        );
        gets.push(ask(&users, 9));
        for get in gets {
            assert_eq!(value(get.await.unwrap()) % 10, 0);
        }
        let calls = asked.take();
        assert_eq!(calls.iter().map(Vec::len).sum::<usize>(), 10);
        assert_eq!(calls.len(), 1, "{}", scene.name);
        // Time.
        let users = node.batcher("20ms", 1_000, asked.loader()).unwrap();
        let gets: Vec<_> = (20..23).map(|key| ask(&users, key)).collect();
        for (get, key) in gets.into_iter().zip(20..) {
            assert_eq!(value(get.await.unwrap()), key * 10);
        }
        assert_eq!(asked.take().iter().map(Vec::len).sum::<usize>(), 3);
        // More than enough.
        let keys: Vec<u64> = (100..350).collect();
        let options = ManyOptions::new().chunk(100);
        let loader = asked.loader();
        let given = in_time(node.get_or_load_many_with(&keys, options, loader)).await;
        assert_eq!(all(&given).len(), 250);
        let mut calls: Vec<usize> = asked.take().iter().map(Vec::len).collect();
        calls.sort_unstable();
        assert_eq!(calls, [50, 100, 100], "{}", scene.name);
    }
}

#[tokio::test]
async fn m05_what_the_source_has_no_more_is_removed_everywhere() {
    for scene in scenes() {
        let ([here, there], looking) = scene.both().await;
        let _ = looking.insert_many([(1, 1), (2, 2), (3, 3)]).await.unwrap();
        for key in [1, 2] {
            let _ = looking.expire(&key).await.unwrap();
        }
        for node in [&here, &there] {
            until(async || read(node, 1).await.is_none() && read(node, 2).await.is_none()).await;
        }
        let only = |cx: ManyCx<u64, _>| async move { tenfold(&cx.keys()[..1]) };
        let given = in_time(here.get_or_load_many(&[1, 2, 3], only)).await;
        assert_eq!(
            bare(&given),
            [Ok(Some(10)), Ok(None), Ok(Some(3))],
            "{}",
            scene.name
        );
        for node in [&here, &there, &looking] {
            until(async || read(node, 1).await == Some(10)).await;
            // Nor is it there for fail-safe.
            assert_eq!(fail(node, 2).await, None, "{}", scene.name);
            assert_eq!(read(node, 3).await, Some(3));
        }
    }
}

#[tokio::test]
async fn m06_nothing_is_asked_for_by_no_keys() {
    for scene in scenes() {
        let looking = scene.looking().await;
        let before = match &scene.place {
            Place::Redis(server) => reads(server),
            Place::Embedded(_) => 0,
        };
        let none: [&u64; 0] = [];
        let receipt = looking.invalidate_many(none).await.unwrap();
        assert_eq!(receipt.existed(), 0, "{}", scene.name);
        looking.insert_many::<u64>([]).await.unwrap();
        assert!(looking.get_many(none).await.unwrap().is_empty());
        let asked = Asked::default();
        let given = looking.get_or_load_many(none, asked.loader()).await;
        assert!(given.is_empty() && asked.take().is_empty());
        if let Place::Redis(server) = &scene.place {
            assert_eq!(reads(server), before);
        }
    }
}

#[tokio::test]
async fn m01_the_server_is_asked_once_for_all_that_is_there() {
    for scene in scenes() {
        let Place::Redis(server) = &scene.place else {
            continue;
        };
        let [node] = scene.nodes().await;
        let keys: Vec<u64> = (0..200).collect();
        let values = keys.iter().map(|key| (*key, key * 10));
        let _ = scene.looking().await.insert_many(values).await.unwrap();
        let before = reads(server);
        let asked = Asked::default();
        let given = in_time(node.get_or_load_many(&keys, asked.loader())).await;
        assert_eq!(all(&given).len(), 200);
        assert!(asked.take().is_empty());
        assert_eq!(reads(server) - before, 1);
    }
}
