//! Nodes that die and come back.

use std::time::Duration;

use larder_testkit::mesh::{Members, MeshNodes};

use super::{Numbers, Truth, cache, caches, warm};

const LONG: Duration = Duration::from_secs(20);

/// One after the other is restarted: it learns from the others what it may have forgotten, so that
/// these need not drop what they have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_costs_the_others_no_copies() {
    let mut nodes = MeshNodes::start(3, Members::Configured).await;
    let (truth, caches) = (Truth::default(), caches(&nodes, 3).await);
    let mut caches: Vec<Option<Numbers>> = caches.into_iter().map(Some).collect();
    for cache in caches.iter().flatten() {
        warm(&nodes, &truth, cache, 1).await;
    }
    let flushes = |cache: &Numbers| cache.stats().bus.flushes;
    for at in [1, 2] {
        let before = flushes(caches[0].as_ref().unwrap());
        caches[at] = None;
        nodes.restart(at).await;
        nodes.found().await;
        let back = cache(nodes.node(at), "back").await;
        warm(&nodes, &truth, &back, 1).await;
        caches[at] = Some(back);
        let first = caches[0].as_ref().unwrap();
        warm(&nodes, &truth, first, 1).await;
        assert_eq!(flushes(first), before, "node {at}");
    }
    // And what is changed now is heard of by all.
    truth.set(5);
    let receipt = caches[1].as_ref().unwrap().invalidate(&1).await.unwrap();
    assert!(receipt.wait_all(LONG).await.unwrap().complete);
    for cache in caches.iter().flatten() {
        assert_eq!(truth.read(cache, 1).await, 5);
    }
}

/// A change that was acknowledged before a node died is known to the next life of the node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_reads_nothing_from_before_its_death() {
    let mut nodes = MeshNodes::start(3, Members::Configured).await;
    let (truth, mut caches) = (Truth::default(), caches(&nodes, 3).await);
    for round in 1..=3 {
        for cache in &caches {
            warm(&nodes, &truth, cache, 1).await;
        }
        drop(caches.pop());
        nodes.kill(2);
        truth.set(round);
        caches[0].invalidate(&1).await.unwrap();
        nodes.restart(2).await;
        let back = cache(nodes.node(2), "back").await;
        assert_eq!(truth.read(&back, 1).await, round);
        nodes.found().await;
        caches.push(back);
        nodes
            .until("the news", async || {
                let mut all = Vec::new();
                for cache in &caches {
                    all.push(truth.read(cache, 1).await);
                }
                all == [round; 3]
            })
            .await;
    }
}
