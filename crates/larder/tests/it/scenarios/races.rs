//! Races on one key. Loaders wait for their cue, so that the order is what the name says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder::{Computed, ErrorKind, Source};
use larder_testkit::proxy::{Fault, Proxy, Traffic};

use super::{
    Users, fail, following, heard, holds, load, patient, read, reads, scenes, take_out, until,
};
use crate::support::{
    Oops, address, eventually, in_time, node_at, node_on, paused_load, server, spawn_load,
};

const OLD: u64 = 1;
const NEW: u64 = 2;

/// What everybody must find, wherever they look.
async fn all_find(nodes: &[&Users], key: u64, expected: Option<u64>, scene: &str) {
    for node in nodes {
        assert_eq!(read(node, key).await, expected, "{scene}");
    }
}

#[tokio::test]
async fn k01_a_removal_during_a_load_keeps_what_it_read_out() {
    for scene in scenes() {
        let ([a, b], looking) = scene.both().await;
        let (call, loading) = paused_load(&a, 1).await;
        let _ = a.invalidate(&1).await.unwrap();
        loading.answer(Ok(OLD));
        // Who asked before may get it.
        assert_eq!(*call.await.unwrap().unwrap(), OLD);
        all_find(&[&a, &b, &looking], 1, None, scene.name).await;
        assert_eq!(load(&a, 1, NEW).await, NEW);
        holds(&b, 1, NEW).await;
    }
}

#[tokio::test]
async fn k01_who_asks_after_a_removal_does_not_share_the_load_from_before_it() {
    for scene in scenes() {
        let [a] = scene.nodes().await;
        let (call, loading) = paused_load(&a, 1).await;
        let _ = a.invalidate(&1).await.unwrap();
        let later = spawn_load(&a, 1, |_| async { Ok(NEW) });
        assert_eq!(
            *in_time(later).await.unwrap().unwrap(),
            NEW,
            "{}",
            scene.name
        );
        loading.answer(Ok(OLD));
        assert_eq!(*call.await.unwrap().unwrap(), OLD);
        assert_eq!(read(&a, 1).await, Some(NEW), "{}", scene.name);
    }
}

#[tokio::test]
async fn k02_a_set_during_a_load_is_what_stays() {
    for scene in scenes() {
        let ([a, b], looking) = scene.both().await;
        let (call, loading) = paused_load(&a, 1).await;
        let _ = a.insert(&1, NEW).await.unwrap();
        loading.answer(Ok(OLD));
        assert_eq!(*call.await.unwrap().unwrap(), OLD);
        all_find(&[&a, &b, &looking], 1, Some(NEW), scene.name).await;
    }
}

#[tokio::test]
async fn k03_an_expiry_during_a_load_keeps_what_it_read_out() {
    for scene in scenes() {
        let ([a, b], looking) = scene.both().await;
        let (call, loading) = paused_load(&a, 1).await;
        let _ = a.expire(&1).await.unwrap();
        loading.answer(Ok(OLD));
        assert_eq!(*call.await.unwrap().unwrap(), OLD);
        all_find(&[&a, &b, &looking], 1, None, scene.name).await;
    }
}

/// The reply to a read waits in the network, while a change is made and heard of.
#[tokio::test]
async fn k04_a_reply_that_a_change_overtakes_does_not_become_a_copy() {
    take_out();
    let Some(server) = server() else { return };
    let writer = following(node_at(address(&server))).await;
    let proxy = Proxy::to_port(server.port()).marking(b"SUBSCRIBE");
    let redis = crate::support::redis_at(proxy.address());
    let patient = redis.response_timeout(std::time::Duration::from_secs(20));
    let reader = following(crate::support::node_on(patient)).await;
    // Nothing else is written: each change is one record.
    let mut records = heard(&reader);
    for change in ["remove", "set", "expire", "tag", "clear"] {
        let options = larder::InsertOptions::new().tag("t");
        let _ = writer.insert_with(&1, OLD, options).await.unwrap();
        records += 1;
        until(async || heard(&reader) == records).await;
        proxy.set(Traffic::REPLIES.unmarked(), Fault::Stall);
        let asked = reads(&server);
        let reading = tokio::spawn({
            let reader = reader.clone();
            async move { reader.get(&1).await }
        });
        until(async || reads(&server) > asked).await;
        match change {
            "remove" => drop(writer.invalidate(&1).await.unwrap()),
            "set" => drop(writer.insert(&1, NEW).await.unwrap()),
            "expire" => drop(writer.expire(&1).await.unwrap()),
            "tag" => drop(writer.invalidate_tag("t").await.unwrap()),
            _ => drop(writer.clear().await.unwrap()),
        }
        records += 1;
        until(async || heard(&reader) == records).await;
        proxy.heal();
        // The read itself began before.
        let _ = in_time(reading).await.unwrap().unwrap();
        let expected = (change == "set").then_some(NEW);
        assert_eq!(read(&reader, 1).await, expected, "{change}");
    }
}

/// Eager refreshes have a file of their own.
#[tokio::test]
async fn k05_a_removal_during_a_refresh_leaves_neither_the_old_nor_the_stale_value() {
    for scene in scenes() {
        for refreshed in [Ok(OLD), Err(Oops("down"))] {
            for removing in [0, 1] {
                let (nodes, looking): ([Users; 2], _) = scene.both().await;
                let _ = nodes[0].insert(&1, OLD).await.unwrap();
                let _ = nodes[0].expire(&1).await.unwrap();
                let (call, loading) = paused_load(&nodes[0], 1).await;
                let _ = nodes[removing].invalidate(&1).await.unwrap();
                loading.answer(refreshed);
                // It asked before the removal, and may get what was there.
                let _ = call.await.unwrap();
                all_find(&[&nodes[0], &nodes[1], &looking], 1, None, scene.name).await;
                for node in [&nodes[0], &nodes[1], &looking] {
                    assert_eq!(fail(node, 1).await, None, "{}", scene.name);
                }
            }
        }
    }
}

#[tokio::test]
async fn k06_a_change_on_another_node_during_a_load_keeps_what_it_read_out() {
    for scene in scenes() {
        let ([a, b], looking) = scene.both().await;
        for (key, change) in ["remove", "set", "expire", "clear"].into_iter().enumerate() {
            let key = key as u64;
            let (call, loading) = paused_load(&a, key).await;
            match change {
                "remove" => drop(b.invalidate(&key).await.unwrap()),
                "set" => drop(b.insert(&key, NEW).await.unwrap()),
                "expire" => drop(b.expire(&key).await.unwrap()),
                _ => drop(b.clear().await.unwrap()),
            }
            loading.answer(Ok(OLD));
            assert_eq!(*call.await.unwrap().unwrap(), OLD, "{change}");
            let expected = (change == "set").then_some(NEW);
            all_find(&[&a, &b, &looking], key, expected, scene.name).await;
        }
    }
}

/// Threads and nodes at once on few keys: afterwards no key is stuck, and everybody has what the
/// source has.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn k07_after_a_storm_of_everything_no_key_is_stuck_and_all_agree() {
    const KEYS: u64 = 3;
    const ROUNDS: u64 = 120;
    take_out();
    let Some(server) = server() else { return };
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(node_on(patient(&server)).build().await.unwrap());
    }
    let rows = Arc::new([const { AtomicU64::new(0) }; KEYS as usize]);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..10 {
        let (node, rows) = (nodes[task as usize % 3].clone(), rows.clone());
        tasks.spawn(async move {
            for round in 0..ROUNDS {
                let key = (task + round) % KEYS;
                let row = &rows[key as usize];
                if (task + round) % 4 == 0 {
                    row.fetch_add(1, Ordering::SeqCst);
                }
                match (task * 3 + round) % 12 {
                    0 => drop(node.clear().await.unwrap()),
                    4 => drop(node.expire(&key).await.unwrap()),
                    8 => drop(node.invalidate_prefix(&key.to_string()).await.unwrap()),
                    n if n % 4 == 0 => drop(node.invalidate(&key).await.unwrap()),
                    _ => {
                        let value = row.load(Ordering::SeqCst);
                        let rows = rows.clone();
                        let loader = move |_| async move {
                            let value = rows[key as usize].load(Ordering::SeqCst);
                            tokio::task::yield_now().await;
                            Ok::<_, Oops>(value)
                        };
                        let read = *in_time(node.get_or_load(&key, loader)).await.unwrap();
                        assert!(read <= rows_at_most(value, ROUNDS), "nobody wrote that");
                    }
                }
                if (task + round) % 4 == 0 {
                    let _ = node.invalidate(&key).await.unwrap();
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for key in 0..KEYS {
        let value = rows[key as usize].load(Ordering::SeqCst);
        for node in &nodes {
            let node = node.clone();
            eventually("the value of the source", move || {
                let node = node.clone();
                async move { load(&node, key, value).await == value }
            })
            .await;
        }
    }
}

/// More than was ever written by then.
fn rows_at_most(value: u64, rounds: u64) -> u64 {
    value + 10 * rounds
}

#[tokio::test]
async fn k08_two_sets_at_once_end_in_agreement() {
    for scene in scenes() {
        let ([a, b], looking) = scene.both().await;
        for round in 0..100 {
            let values = [2 * round, 2 * round + 1];
            let (one, two) = tokio::join!(a.insert(&1, values[0]), b.insert(&1, values[1]));
            drop((one.unwrap(), two.unwrap()));
            let last = read(&looking, 1).await.unwrap();
            assert!(values.contains(&last), "{}", scene.name);
            holds(&a, 1, last).await;
            holds(&b, 1, last).await;
        }
    }
}

#[tokio::test]
async fn k10_a_set_that_fails_leaves_no_copy_as_if_it_had_not() {
    take_out();
    let Some(mut server) = server() else { return };
    let node = following(node_at(address(&server))).await;
    let _ = node.insert(&1, OLD).await.unwrap();
    holds(&node, 1, OLD).await;
    server.kill();
    node.insert(&1, NEW).await.unwrap_err();
    let _ = node.insert(&2, NEW).await.unwrap_err();
    for key in [1, 2] {
        let error = node.get(&key).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{key}");
    }
    // The source has the last word.
    assert_eq!(load(&node, 1, 3).await, 3);
    server.restart();
    until(async || node.insert(&2, 4).await.is_ok()).await;
    let found = node.get(&2).await.unwrap().unwrap();
    assert_eq!((*found, found.source() == Source::Loaded), (4, false));
}

#[tokio::test]
async fn k11_computations_at_once_are_one_after_the_other() {
    const EACH: u64 = 40;
    for scene in scenes() {
        let (nodes, looking) = scene.both::<3>().await;
        let mut tasks = tokio::task::JoinSet::new();
        for node in &nodes {
            for _ in 0..EACH {
                let node = node.clone();
                let more = |count: Option<&u64>| Computed::Insert(count.unwrap_or(&0) + 1);
                tasks.spawn(async move { *node.compute(&1, more).await.unwrap().unwrap() });
            }
        }
        let mut seen = Vec::new();
        while let Some(count) = in_time(tasks.join_next()).await {
            seen.push(count.unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=3 * EACH).collect::<Vec<_>>(), "{}", scene.name);
        assert_eq!(read(&looking, 1).await, Some(3 * EACH));
        for node in &nodes {
            holds(node, 1, 3 * EACH).await;
        }
    }
}
