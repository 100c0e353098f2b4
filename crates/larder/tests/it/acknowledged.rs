//! Waiting until every node has heard of a change.

use std::time::Duration;

use larder::core::ErrorKind;
use larder::redis::Redis;
use larder::{Cache, Near, Source};
use larder_testkit::servers::{RedisOptions, RedisServer};
use larder_testkit::sim::Cut;

use crate::support::{Users, World, found, on_a_network};

const LONG: Duration = Duration::from_secs(20);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn everybody_who_follows_the_log_is_waited_for() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        let three = network.node().await;
        let receipt = one.insert(&1, 11).await.unwrap();
        let (done, took) = network.time(receipt.wait_all(LONG)).await;
        let done = done.unwrap();
        assert!(done.complete && done.nodes == 3, "{done:?}");
        assert!(
            done.lagging.is_empty() && done.fenced.is_empty(),
            "{done:?}"
        );
        assert!(took < ms(100), "{took:?}");
        for node in [one, two, three] {
            assert_eq!(*node.get(&1).await.unwrap().unwrap(), 11);
        }
    });
}

#[test]
fn a_node_that_hears_nothing_is_waited_for_until_it_is_fenced() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        network.cut(1, Cut::Both);
        let receipt = one.invalidate(&1).await.unwrap();
        let (done, took) = network.time(receipt.wait_all(LONG)).await;
        let done = done.unwrap();
        assert!(done.complete && done.nodes == 1, "{done:?}");
        assert_eq!(done.fenced, ["b"]);
        assert!((ms(1_100)..ms(1_300)).contains(&took), "{took:?}");
        // It is: there is no near copy that could be used, and nobody to ask.
        two.get(&1).await.unwrap_err();
    });
}

#[test]
fn those_who_have_not_heard_in_time_are_named() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        network.cut(1, Cut::Both);
        let receipt = one.invalidate(&1).await.unwrap();
        let (done, took) = network.time(receipt.wait_all(ms(300))).await;
        let done = done.unwrap();
        assert!(!done.complete && done.lagging == ["b"], "{done:?}");
        assert!((ms(300)..ms(320)).contains(&took), "{took:?}");
        assert_eq!(found(two.get(&1).await), Some((10, Source::Near)));
        network.cut(1, Cut::Nothing);
        let done = receipt.wait_all(LONG).await.unwrap();
        assert!(done.complete && done.nodes == 2, "{done:?}");
        assert_eq!(found(two.get(&1).await), None);
    });
}

#[test]
fn what_is_not_pushed_is_found_by_the_usual_polls() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        network.cut(1, Cut::Pushes);
        let receipt = one.insert(&1, 11).await.unwrap();
        let (done, took) = network.time(receipt.wait_all(LONG)).await;
        let done = done.unwrap();
        assert!(done.complete && done.nodes == 2, "{done:?}");
        assert!(took < ms(650), "{took:?}");
        assert_eq!(*two.get(&1).await.unwrap().unwrap(), 11);
    });
}

#[test]
fn a_node_that_stands_still_is_not_waited_for_longer_than_it_may_use_its_copies() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        network.runtime.freeze(1);
        let receipt = one.insert(&1, 11).await.unwrap();
        let (done, took) = network.time(receipt.wait_all(LONG)).await;
        assert_eq!(done.unwrap().fenced, ["b"]);
        assert!(took < ms(1_300), "{took:?}");
        network.runtime.thaw(1);
        assert_eq!(*two.get(&1).await.unwrap().unwrap(), 11);
    });
}

#[test]
fn a_cache_that_is_gone_is_not_waited_for() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        drop(two);
        network.pass(ms(600)).await;
        let receipt = one.insert(&1, 11).await.unwrap();
        let (done, took) = network.time(receipt.wait_all(LONG)).await;
        let done = done.unwrap();
        assert!(done.complete && done.nodes == 1, "{done:?}");
        assert!(took < ms(50), "{took:?}");
    });
}

#[test]
fn a_list_of_readers_that_was_lost_is_not_believed() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        // Node b has a lease, and has just asked; then the list is lost, and what it changed is
        // in another log, of which it cannot hear.
        network.pass(ms(250)).await;
        network.cut(1, Cut::Both);
        network.store.restart_empty();
        network.pass(ms(300)).await;
        let receipt = one.insert(&1, 11).await.unwrap();
        let (done, took) = network.time(receipt.wait_all(ms(200))).await;
        let done = done.unwrap();
        assert!(
            !done.complete && done.lagging.is_empty(),
            "{done:?} {took:?}"
        );
        assert!(receipt.wait_all(LONG).await.unwrap().complete);
        two.get(&1).await.unwrap_err();
    });
}

#[test]
fn a_later_life_of_the_log_is_as_good_as_having_heard() {
    on_a_network(|mut network| async move {
        let (one, _two) = network.two().await;
        let receipt = one.insert(&1, 11).await.unwrap();
        network.store.restart_empty();
        let done = receipt.wait_all(LONG).await.unwrap();
        assert!(done.complete && done.nodes == 2, "{done:?}");
    });
}

#[test]
fn who_cannot_be_asked_is_an_error_and_in_time() {
    on_a_network(|mut network| async move {
        let (one, _two) = network.two().await;
        let receipt = one.insert(&1, 11).await.unwrap();
        network.cut(0, Cut::Both);
        for limit in [ms(100), ms(900)] {
            let (done, took) = network.time(receipt.wait_all(limit)).await;
            assert_eq!(done.unwrap_err().kind(), ErrorKind::Timeout);
            assert!(took < limit + ms(50), "{took:?}");
        }
    });
}

#[test]
fn caches_without_a_near_cache_are_no_readers() {
    on_a_network(|mut network| async move {
        let one = network.bare(0).build().await.unwrap();
        let _two = network.bare(1).build().await.unwrap();
        let receipt = one.insert(&1, 10).await.unwrap();
        let (done, took) = network.time(receipt.wait_all(LONG)).await;
        let done = done.unwrap();
        assert!(done.complete && done.nodes == 1, "{done:?}");
        assert!(took < ms(5), "one look: {took:?}");
    });
}

#[tokio::test]
async fn without_a_remote_tier_there_is_nobody_to_wait_for() {
    let world = World::new();
    let cache = world.near_only().build().await.unwrap();
    let receipt = cache.insert(&1, 10).await.unwrap();
    let done = receipt.wait_all(LONG).await.unwrap();
    assert!(done.complete && done.nodes == 1, "{done:?}");
}

#[tokio::test]
async fn names_of_nodes_are_checked() {
    let world = World::new();
    for name in ["", "a\nb", &"x".repeat(65)] {
        let built = world.near_only().node(name).build().await;
        assert_eq!(built.err().unwrap().kind(), ErrorKind::Config, "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_real_server_everybody_has_heard_when_it_says_so() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let mut nodes: Vec<Users> = Vec::new();
    for name in ["a", "b", "c"] {
        let node = Cache::builder("app:users")
            .ttl("1h")
            .node(name)
            .near(Near::bytes("1MiB"))
            .remote(Redis::open(&server.url()).unwrap());
        nodes.push(node.build().await.unwrap());
    }
    let (mut near_hits, mut waits) = (0, 0);
    while near_hits < 300 && waits < 2_000 {
        waits += 1;
        let receipt = nodes[waits % 3].insert(&1, waits as u64).await.unwrap();
        let done = receipt.wait_all(LONG).await.unwrap();
        assert!(done.complete, "{done:?}");
        for node in &nodes {
            let read = node.get(&1).await.unwrap().unwrap();
            assert_eq!(*read, waits as u64);
            let again = node.get(&1).await.unwrap().unwrap();
            assert_eq!(*again, waits as u64);
            near_hits += u32::from(again.source() == Source::Near);
        }
    }
    assert!(
        near_hits >= 300,
        "too few near hits to prove anything: {near_hits}"
    );
}

/// A server that evicts the hash of the shard has no log until the next poll; readers of the lost one
/// may still use their copies for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_the_log_lost_is_waited_for_and_asked_for_all_the_same() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let node = || {
        Cache::builder("app:users")
            .ttl("1h")
            .near(Near::bytes("1MiB"))
            .remote(Redis::open(&server.url()).unwrap())
            .build()
    };
    let (one, two): (Users, Users) = (node().await.unwrap(), node().await.unwrap());
    let mut unlogged = 0;
    for value in 0..6 {
        one.insert(&1, value).await.unwrap();
        two.get(&1).await.unwrap();
        server.cli(&["EVAL", "return redis.call('DEL', '\\0sshard')", "0"]);
        let receipt = one.insert(&1, value + 100).await.unwrap();
        unlogged += u32::from(format!("{receipt:?}").contains("position: None"));
        let read = two.get_with_ticket(&1, &receipt.ticket()).await.unwrap();
        assert_eq!(*read.unwrap(), value + 100, "with a ticket");
        let receipt = one.insert(&1, value + 200).await.unwrap();
        let done = receipt.wait_all(LONG).await.unwrap();
        assert!(done.complete, "{done:?}");
        assert_eq!(*two.get(&1).await.unwrap().unwrap(), value + 200);
    }
    // A poll may come in between, but not always.
    assert!(unlogged > 0, "no change met a shard without a log");
}
