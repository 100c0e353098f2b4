//! Parts of a mesh that are cut off: the smaller one changes nothing and uses no copies.

use std::time::Duration;

use larder::ErrorKind;
use larder_testkit::mesh::MeshNodes;

use super::{Truth, caches, warm};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_uses_no_copies_and_changes_nothing() {
    let nodes = MeshNodes::start_breakable(3).await;
    let (truth, caches) = (Truth::default(), caches(&nodes, 3).await);
    for cache in &caches {
        warm(&nodes, &truth, cache, 1).await;
    }
    nodes.cut_off(2);
    truth.set(1);
    // The other two are a majority. A machine that stands still may take too long; it may be repeated.
    let receipt = loop {
        match caches[0].invalidate(&1).await {
            Ok(receipt) => break receipt,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout),
        }
    };
    let heard = receipt.wait_all(LONG).await.unwrap();
    assert!(heard.complete, "{heard:?}");
    // So the third has fenced itself by now, although it knows of nothing.
    assert!(!nodes.node(2).is_leased());
    for cache in &caches {
        assert_eq!(truth.read(cache, 1).await, 1);
    }
    let refused = caches[2].invalidate(&1).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    // It comes back, and its change with it.
    nodes.heal();
    nodes.break_links(2);
    nodes.found().await;
    for cache in &caches {
        warm(&nodes, &truth, cache, 1).await;
        assert_eq!(truth.read(cache, 1).await, 1);
    }
    caches[2].invalidate(&1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alone_of_three_nobody_can_change_or_use_anything() {
    let mut nodes = MeshNodes::start_breakable(3).await;
    let (truth, mut caches) = (Truth::default(), caches(&nodes, 3).await);
    warm(&nodes, &truth, &caches[0], 1).await;
    for at in [2, 1] {
        drop(caches.remove(at));
        nodes.kill(at);
    }
    nodes
        .wait("the loss of both", |nodes| {
            nodes.node(0).log().mesh().peers().is_empty()
        })
        .await;
    let refused = caches[0].invalidate(&2).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    assert!(!nodes.node(0).is_leased());
    // What somebody else has changed meanwhile, without telling anybody who is left.
    truth.set(9);
    assert_eq!(truth.read(&caches[0], 1).await, 9);
}
