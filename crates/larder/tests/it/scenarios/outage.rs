//! A remote tier that is not there yet, or that caches leave at once.

use larder::Near;
use larder_testkit::servers::RedisServer;

use super::{Place, holds, load, loses, patient, scenes, take_out, until};
use crate::support::{Users, eventually, in_time, node_on, server, spawn_load};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l07_nodes_that_start_without_their_server_load_and_join_once_it_is_there() {
    take_out();
    let Some(mut server) = server() else { return };
    server.kill();
    let a = node_on(patient(&server)).build().await.unwrap();
    let b = node_on(patient(&server)).build().await.unwrap();
    for (node, value) in [(&a, 10), (&b, 20)] {
        // Nothing is shared, and each of them has what it has loaded.
        assert_eq!(in_time(load(node, 1, value)).await, value);
        assert_eq!(node.stats().bus.flushes, 0);
    }
    server.restart();
    for node in [&a, &b] {
        // What was loaded without proof is soon over.
        follows(node, "it has joined").await;
    }
    let writer = a.clone();
    eventually("it is written", move || {
        let writer = writer.clone();
        async move { writer.insert(&1, 30).await.is_ok() }
    })
    .await;
    holds(&b, 1, 30).await;
    assert_eq!(server.cli(&["EXISTS", "app:users:1"]), "1");
    let _ = b.invalidate(&1).await.unwrap();
    loses(&a, 1, 30).await;
}

async fn follows(node: &Users, what: &'static str) {
    let node = node.clone();
    eventually(what, move || {
        let node = node.clone();
        async move { node.stats().bus.flushes > 0 && matches!(node.get(&1).await, Ok(None)) }
    })
    .await;
}

/// Connections to a server, without the one that asks.
fn connections(server: &RedisServer) -> usize {
    server.cli(&["CLIENT", "LIST"]).lines().count() - 1
}

#[tokio::test]
async fn z14_a_cache_can_be_closed_at_any_moment_and_leaves_no_connection() {
    for scene in scenes() {
        let build = async || scene.bare().near(Near::bytes("1MiB")).build().await;
        // Before it has asked anything, while it does, and with a load under way.
        for moment in 0..4 {
            for _ in 0..5 {
                let cache = build().await.unwrap();
                let asking = (moment > 0).then(|| spawn_load(&cache, 1, |_| async { Ok(10) }));
                for _ in 0..moment * 3 {
                    tokio::task::yield_now().await;
                }
                in_time(cache.close()).await;
                in_time(cache.close()).await;
                if let Some(asking) = asking {
                    // It gets a value, or hears that the cache is closed.
                    if let Ok(found) = in_time(asking).await.unwrap() {
                        assert_eq!(*found, 10, "{}", scene.name);
                    }
                }
                let closed = cache.get(&1).await.unwrap_err();
                assert_eq!(closed.kind(), larder::ErrorKind::Closed);
            }
        }
        if let Place::Redis(server) = &scene.place {
            until(async || connections(server) == 0).await;
        }
        let [after] = scene.nodes().await;
        assert_eq!(load(&after, 2, 20).await, 20, "{}", scene.name);
    }
}
