//! What was changed on one node, as the others read it.

use std::convert::Infallible;
use std::time::Duration;

use larder_testkit::mesh::{Members, MeshNodes};

use super::{Truth, caches, warm};

const LONG: Duration = Duration::from_secs(20);

/// Whoever has waited for all knows that nobody reads the old value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_on_one_node_is_seen_on_all_when_all_have_been_waited_for() {
    for members in [Members::Configured, Members::Learned] {
        let nodes = MeshNodes::start(3, members).await;
        let (truth, caches) = (Truth::default(), caches(&nodes, 3).await);
        for round in 1..=20_u64 {
            for cache in &caches {
                warm(&nodes, &truth, cache, 1).await;
            }
            truth.set(round);
            let writer = &caches[usize::try_from(round % 3).unwrap()];
            let receipt = writer.invalidate(&1).await.unwrap();
            let heard = receipt.wait_all(LONG).await.unwrap();
            // On a machine that stands still a node may have fenced itself: that will do, too.
            assert!(heard.complete, "{heard:?}");
            for cache in &caches {
                assert_eq!(truth.read(cache, 1).await, round);
            }
        }
    }
}

/// Tags, parts of a cache, all of it, and marking stale, made on one node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_invalidated_on_one_node_is_void_on_the_others() {
    let nodes = MeshNodes::start(3, Members::Configured).await;
    let (truth, caches) = (Truth::default(), caches(&nodes, 3).await);
    let (writer, reader) = (&caches[0], &caches[1]);
    for (round, how) in ["key", "tag", "prefix", "clear", "expire", "insert"]
        .iter()
        .enumerate()
    {
        nodes
            .until("a hit of the near cache", async || {
                let before = reader.stats().near.hits;
                truth.read_tagged(reader, 7, Some("all")).await;
                reader.stats().near.hits > before
            })
            .await;
        let value = round as u64 + 1;
        truth.set(value);
        let receipt = match *how {
            "key" => writer.invalidate(&7).await,
            "tag" => writer.invalidate_tag("all").await,
            "prefix" => writer.invalidate_prefix("").await,
            "clear" => writer.clear().await,
            "expire" => writer.expire(&7).await,
            _ => writer.insert(&7, value).await,
        };
        let heard = receipt.unwrap().wait_all(LONG).await.unwrap();
        assert!(heard.complete, "{how}: {heard:?}");
        assert_eq!(
            truth.read_tagged(reader, 7, Some("all")).await,
            value,
            "{how}"
        );
    }
}

/// The ticket of a change is worth something on a node that has not heard of the change, because its
/// link to the node that made it leads nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_ticket_every_node_shows_the_change() {
    let nodes = MeshNodes::start_breakable(3).await;
    let (truth, caches) = (Truth::default(), caches(&nodes, 3).await);
    nodes.cut_between(0, 1);
    for round in 1..=5_u64 {
        for cache in &caches {
            warm(&nodes, &truth, cache, 1).await;
        }
        truth.set(round);
        let ticket = caches[0].invalidate(&1).await.unwrap().ticket();
        for cache in &caches {
            let truth = truth.clone();
            let loader = move |_| async move { Ok::<_, Infallible>(truth.get()) };
            let found = cache.get_or_load_with_ticket(&1, &ticket, loader).await;
            assert_eq!(*found.unwrap(), round);
        }
    }
}

/// Both are on the list that is asked of each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_on_another_node_is_waited_for_by_name() {
    let nodes = MeshNodes::start(3, Members::Configured).await;
    let (truth, caches) = (Truth::default(), caches(&nodes, 3).await);
    for cache in &caches {
        warm(&nodes, &truth, cache, 1).await;
    }
    let receipt = caches[2].invalidate(&1).await.unwrap();
    let heard = receipt.wait_all(LONG).await.unwrap();
    assert_eq!(heard.heard, ["node1", "node2"]);
}
