//! Replicated values: three nodes without a source, each of which has everything.

use std::time::Duration;

use larder::mesh::MeshStore;
use larder::{Cache, ErrorKind, InsertOptions};
use larder_testkit::mesh::MeshNodes;

type Words = Cache<u64, String>;

async fn words(node: &MeshStore) -> Words {
    let built = Cache::builder("words").ttl("1h").remote(node.clone());
    built.build().await.unwrap()
}

async fn all(nodes: &MeshNodes, count: usize) -> Vec<Words> {
    let mut all = Vec::new();
    for at in 0..count {
        all.push(words(nodes.node(at)).await);
    }
    all
}

async fn get(cache: &Words, key: u64) -> Option<String> {
    let found = cache.get(&key).await.unwrap();
    found.map(|found| found.to_string())
}

async fn put(cache: &Words, key: u64, value: &str) {
    // On a machine that stands still it may take too long; it may be repeated.
    while let Err(error) = cache.insert(&key, value.to_owned()).await {
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
}

/// A write is acknowledged when all have it, so that nobody need wait for anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_removed_or_cleared_on_one_node_is_so_on_all() {
    let nodes = MeshNodes::start_replicated(3).await;
    let all = all(&nodes, 3).await;
    for (writer, value) in ["a", "b", "c"].iter().enumerate() {
        put(&all[writer], 1, value).await;
        put(&all[writer], 2, value).await;
        for cache in &all {
            assert_eq!(get(cache, 1).await.as_deref(), Some(*value));
        }
        all[(writer + 1) % 3].invalidate(&1).await.unwrap();
        for cache in &all {
            assert_eq!(get(cache, 1).await, None);
            assert_eq!(get(cache, 2).await.as_deref(), Some(*value));
        }
    }
    let short = InsertOptions::default().ttl(Duration::from_millis(300));
    all[0].insert_with(&3, "short".into(), short).await.unwrap();
    assert_eq!(get(&all[1], 3).await.as_deref(), Some("short"));
    nodes
        .until("the end of its life", async || {
            get(&all[1], 3).await.is_none()
        })
        .await;
    all[2].clear().await.unwrap();
    for cache in &all {
        assert_eq!(get(cache, 2).await, None);
    }
    put(&all[1], 2, "again").await;
    assert_eq!(get(&all[0], 2).await.as_deref(), Some("again"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writes_at_the_same_time_the_same_one_stays_everywhere() {
    let nodes = MeshNodes::start_replicated(3).await;
    let all = all(&nodes, 3).await;
    let writers = all.iter().enumerate().map(|(writer, cache)| {
        let cache = cache.clone();
        tokio::spawn(async move {
            for round in 0..100_u64 {
                let key = round % 3;
                match round % 7 {
                    6 => drop(cache.invalidate(&key).await.unwrap()),
                    _ => put(&cache, key, &format!("{writer} {round}")).await,
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for key in 0..3 {
        let first = get(&all[0], key).await;
        for cache in &all {
            assert_eq!(get(cache, key).await, first, "key {key}");
        }
    }
}

/// What was removed while it was dead does not come back with it, nor is anything lost while one of
/// them lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_back_has_everything_and_nothing_that_was_removed() {
    let mut nodes = MeshNodes::start_replicated(3).await;
    let mut all = all(&nodes, 3).await;
    // More than a page of a table.
    let large = "x".repeat(700_000);
    for key in 0..5 {
        put(&all[2], key, &large).await;
    }
    put(&all[0], 7, "kept").await;
    put(&all[0], 8, "removed").await;
    drop(all.pop());
    nodes.kill(2);
    nodes
        .wait("the loss", |nodes| {
            nodes.node(0).log().mesh().peers().len() == 1
        })
        .await;
    put(&all[0], 9, "new").await;
    all[1].invalidate(&8).await.unwrap();
    nodes.restart(2).await;
    let back = words(nodes.node(2)).await;
    // At once: it answers when it has the values of another one.
    assert_eq!(get(&back, 7).await.as_deref(), Some("kept"));
    assert_eq!(get(&back, 8).await, None);
    assert_eq!(get(&back, 9).await.as_deref(), Some("new"));
    for key in 0..5 {
        assert_eq!(get(&back, key).await.as_deref(), Some(&*large));
    }
    nodes.found().await;
    all.clear();
    nodes.kill(0);
    nodes.kill(1);
    nodes
        .wait("the loss of both", |nodes| {
            nodes.node(2).log().mesh().peers().is_empty()
        })
        .await;
    assert_eq!(get(&back, 9).await.as_deref(), Some("new"));
    put(&back, 9, "alone").await;
    for at in [0, 1] {
        nodes.restart(at).await;
        let cache = words(nodes.node(at)).await;
        // Who finds nobody for a while answers with nothing.
        nodes.found().await;
        let is_there = async || get(&cache, 9).await.as_deref() == Some("alone");
        nodes.until("the value", is_there).await;
        assert_eq!(get(&cache, 8).await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_were_cut_off_from_each_other_are_merged() {
    let nodes = MeshNodes::start_replicated(3).await;
    let all = all(&nodes, 3).await;
    put(&all[0], 1, "both").await;
    nodes.cut_off(2);
    nodes
        .wait("the loss", |nodes| {
            nodes.node(2).log().mesh().peers().is_empty()
        })
        .await;
    nodes
        .wait("the other loss", |nodes| {
            nodes.node(0).log().mesh().peers().len() == 1
        })
        .await;
    put(&all[0], 2, "left").await;
    put(&all[0], 4, "left").await;
    put(&all[0], 4, "left again").await;
    put(&all[2], 3, "right").await;
    put(&all[2], 4, "right").await;
    all[2].invalidate(&1).await.unwrap();
    nodes.heal();
    nodes.found().await;
    for (key, value) in [
        (1, None),
        (2, Some("left")),
        (3, Some("right")),
        (4, Some("left again")),
    ] {
        nodes
            .until("the same on all", async || {
                let mut same = true;
                for cache in &all {
                    same &= get(cache, key).await.as_deref() == value;
                }
                same
            })
            .await;
    }
}

/// The third has none of the value yet, and knows no more than that there was something in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_waits_while_a_node_returns_is_there_when_it_is_acknowledged() {
    let nodes = MeshNodes::start_replicated(3).await;
    let all = all(&nodes, 3).await;
    let large = "x".repeat(1 << 20);
    let mut is_seen = false;
    for attempt in 0..4 {
        nodes.cut_off(2);
        nodes.wait("the loss", |nodes| peers(nodes, 2) == 0).await;
        let is_lost = |nodes: &MeshNodes| peers(nodes, 0) == 1 && peers(nodes, 1) == 1;
        nodes.wait("the loss on both", is_lost).await;
        for key in 100..170 {
            put(&all[0], key, &large).await;
        }
        nodes.stall_between(0, 1);
        // The last key of the table.
        let key = 999_900 + attempt;
        let writer = all[0].clone();
        let write = tokio::spawn(async move { writer.insert(&key, "late".into()).await });
        nodes.heal_between(0, 2);
        nodes.heal_between(1, 2);
        nodes.wait("the return", |nodes| peers(nodes, 0) == 2).await;
        nodes.heal_between(0, 1);
        // Else it took too long to return, and nothing is promised.
        if write.await.unwrap().is_ok() {
            assert_eq!(get(&all[2], key).await.as_deref(), Some("late"));
            is_seen = true;
            break;
        }
        nodes.found().await;
    }
    assert!(is_seen, "it never returned within two seconds");
}

fn peers(nodes: &MeshNodes, at: usize) -> usize {
    nodes.node(at).log().mesh().peers().len()
}

/// The log of the others is over before the node is back. What is written while it gets their tables
/// is on it as soon as it is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_log_no_longer_has_comes_with_the_tables() {
    let nodes = MeshNodes::start_replicated(3).await;
    let all = all(&nodes, 3).await;
    put(&all[2], 1, "removed meanwhile").await;
    nodes.cut_off(2);
    for (at, left) in [(2, 0), (0, 1), (1, 1)] {
        nodes
            .wait("the loss", |nodes| {
                nodes.node(at).log().mesh().peers().len() == left
            })
            .await;
    }
    all[1].invalidate(&1).await.unwrap();
    let large = "x".repeat(1 << 20);
    for key in 100..170 {
        put(&all[0], key, &large).await;
    }
    nodes.heal();
    let writers = (0..4_u64).map(|writer| {
        let (cache, other) = (all[writer as usize % 2].clone(), all[2].clone());
        let log = nodes.node(writer as usize % 2).log().clone();
        tokio::spawn(async move {
            let mut seen = 0_u64;
            for round in 0..100_000 {
                let key = 1000 + writer * 100_000 + round;
                let is_there = log.mesh().peers().len() == 2;
                put(&cache, key, "new").await;
                if is_there {
                    assert_eq!(get(&other, key).await.as_deref(), Some("new"), "{key}");
                    seen += 1;
                }
                if seen == 200 {
                    return;
                }
            }
            panic!("the node did not come back");
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    nodes.found().await;
    for key in 100..170 {
        nodes
            .until("the values of that time", async || {
                get(&all[2], key).await.as_deref() == Some(&*large)
            })
            .await;
    }
    assert_eq!(get(&all[2], 1).await, None);
}
