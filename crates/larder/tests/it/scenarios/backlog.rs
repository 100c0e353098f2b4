//! Changes that are made while the remote tier is away, and wait for it.

use std::path::Path;
use std::time::Duration;

use larder::core::runtime::Runtime;
use larder::{Backlog, Builder, ErrorKind, TokioRuntime};
use larder_testkit::proxy::{Fault, Proxy, Traffic};
use larder_testkit::servers::RedisServer;

use super::{Users, following, holds, load_tagged, loses, patient, take_out, until};
use crate::support::{node_at, node_on, server};

/// Younger than this, nobody can tell which of two values is the newer one.
const MARGIN: Duration = Duration::from_millis(1_200);

/// A node behind a link of its own.
async fn behind(server: &RedisServer, backlog: Backlog) -> (Proxy, Users) {
    let proxy = Proxy::to_port(server.port()).marking(b"SUBSCRIBE");
    let node = following(node_at(proxy.address()).backlog(backlog)).await;
    (proxy, node)
}

async fn in_memory(server: &RedisServer) -> (Proxy, Users) {
    behind(server, Backlog::in_memory()).await
}

async fn pass(time: Duration) {
    let runtime = TokioRuntime::current();
    let until_then = runtime.now().after(time);
    until(async || runtime.now() > until_then).await;
}

fn waiting(node: &Users) -> u64 {
    node.stats().backlog.waiting
}

#[tokio::test]
async fn r01_what_is_set_while_all_is_away_is_there_everywhere_once_it_is_back() {
    take_out();
    let Some(server) = server() else { return };
    let ((link_a, a), (link_b, b)) = (in_memory(&server).await, in_memory(&server).await);
    let _ = a.insert(&1, 10).await.unwrap();
    holds(&a, 1, 10).await;
    holds(&b, 1, 10).await;
    pass(MARGIN).await;
    link_a.cut();
    link_b.cut();
    let receipt = b.insert(&1, 30).await.unwrap();
    assert!(receipt.is_deferred());
    let unheard = receipt.wait_all(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(unheard.kind(), ErrorKind::Unavailable);
    assert_eq!(waiting(&b), 1);
    link_a.heal();
    link_b.heal();
    holds(&a, 1, 30).await;
    holds(&b, 1, 30).await;
    until(async || waiting(&b) == 0).await;
    assert_eq!(b.stats().backlog.carried_out, 1);
}

#[tokio::test]
async fn r02_a_change_waits_for_the_store_though_the_bus_is_back() {
    take_out();
    let Some(server) = server() else { return };
    // The other node has all the time it needs: its change is not the one that is to wait.
    let a = following(node_on(patient(&server))).await;
    let (link_b, b) = in_memory(&server).await;
    let _ = a.insert(&1, 10).await.unwrap();
    holds(&b, 1, 10).await;
    pass(MARGIN).await;
    link_b.set(Traffic::ALL.unmarked(), Fault::BlackHole);
    let receipt = b.insert(&1, 30).await.unwrap();
    assert!(receipt.is_deferred());
    // It is tried again and again.
    let refused = b.stats().errors.iter().map(|(_, count)| count).sum::<u64>();
    assert!(refused > 0);
    pass(Duration::from_secs(1)).await;
    assert_eq!(waiting(&b), 1);
    holds(&a, 1, 10).await;
    link_b.heal();
    holds(&a, 1, 30).await;
    holds(&b, 1, 30).await;
}

#[tokio::test]
async fn r03_a_removal_that_waited_is_carried_out_and_spares_what_is_newer() {
    take_out();
    let Some(server) = server() else { return };
    let ((_link, a), (link_b, b)) = (in_memory(&server).await, in_memory(&server).await);
    for key in 1..=4 {
        let _ = a.insert(&key, 10).await.unwrap();
        holds(&b, key, 10).await;
    }
    link_b.cut();
    for key in [1, 2] {
        assert!(b.invalidate(&key).await.unwrap().is_deferred());
    }
    assert!(b.expire(&3).await.unwrap().is_deferred());
    // A value of a key that another node has removed meanwhile.
    assert!(b.insert(&4, 30).await.unwrap().is_deferred());
    assert_eq!(waiting(&b), 4);
    let _ = a.invalidate(&4).await.unwrap();
    pass(MARGIN).await;
    let _ = a.insert(&2, 22).await.unwrap();
    link_b.heal();
    until(async || waiting(&b) == 0).await;
    for node in [&a, &b] {
        loses(node, 1, 10).await;
        holds(node, 2, 22).await;
        loses(node, 3, 10).await;
        loses(node, 4, 30).await;
    }
    let backlog = b.stats().backlog;
    assert_eq!((backlog.carried_out, backlog.spared), (2, 2), "{backlog:?}");
}

#[tokio::test]
async fn r03_tags_and_parts_of_a_cache_wait_as_well() {
    take_out();
    let Some(server) = server() else { return };
    let ((_link, a), (link_b, b)) = (in_memory(&server).await, in_memory(&server).await);
    load_tagged(&a, 1, &["red"], 10).await;
    for key in [2, 30, 31] {
        let _ = a.insert(&key, 10).await.unwrap();
    }
    for key in [1, 2, 30, 31] {
        holds(&b, key, 10).await;
    }
    link_b.cut();
    assert!(b.invalidate_tag("red").await.unwrap().is_deferred());
    assert!(b.invalidate_prefix("3").await.unwrap().is_deferred());
    link_b.heal();
    for key in [1, 30, 31] {
        loses(&a, key, 10).await;
        loses(&b, key, 10).await;
    }
    holds(&a, 2, 10).await;
    holds(&b, 2, 10).await;
    link_b.cut();
    assert!(b.clear().await.unwrap().is_deferred());
    link_b.heal();
    loses(&a, 2, 10).await;
}

#[tokio::test]
async fn r03_more_than_may_wait_becomes_one_invalidation_of_all() {
    take_out();
    let Some(server) = server() else { return };
    let (_link, a) = in_memory(&server).await;
    let (link_b, b) = behind(&server, Backlog::in_memory().limit(4_096)).await;
    for key in 0..100 {
        let _ = a.insert(&key, 10).await.unwrap();
    }
    holds(&a, 99, 10).await;
    link_b.cut();
    for key in 0..50 {
        assert!(b.invalidate(&key).await.unwrap().is_deferred());
    }
    assert!(waiting(&b) < 30, "{}", waiting(&b));
    link_b.heal();
    for key in [0, 49, 99] {
        loses(&a, key, 10).await;
    }
}

fn on_disk(at: &Path) -> Backlog {
    Backlog::on_disk(at)
}

fn node(proxy: &Proxy, at: &Path) -> Builder<u64, u64> {
    node_at(proxy.address()).backlog(on_disk(at))
}

#[tokio::test]
async fn r13_a_removal_outlives_the_process_that_made_it() {
    take_out();
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (_link, a) = in_memory(&server).await;
    let (link_b, b) = behind(&server, on_disk(directory.path())).await;
    load_tagged(&a, 1, &["red"], 10).await;
    for key in [2, 3] {
        let _ = a.insert(&key, 10).await.unwrap();
    }
    for key in [1, 2, 3] {
        holds(&a, key, 10).await;
    }
    link_b.cut();
    assert!(b.invalidate_tag("red").await.unwrap().is_deferred());
    assert!(b.invalidate(&2).await.unwrap().is_deferred());
    // While one process has it, it is nobody else's.
    let other = node(&link_b, directory.path()).build().await;
    let other = other.map(drop).unwrap_err();
    assert!(other.to_string().contains("another process"), "{other}");
    b.close().await;
    drop(b);
    link_b.heal();
    let b = node(&link_b, directory.path());
    let again = b.build().await.unwrap();
    loses(&a, 1, 10).await;
    loses(&a, 2, 10).await;
    holds(&a, 3, 10).await;
    until(async || waiting(&again) == 0).await;
    drop(again);
    // Done is done: nothing is carried out twice.
    until(async || {
        let third = node(&link_b, directory.path()).build().await;
        third.is_ok_and(|third| waiting(&third) == 0)
    })
    .await;
}

#[tokio::test]
async fn without_a_backlog_a_change_that_does_not_arrive_is_an_error() {
    take_out();
    let Some(server) = server() else { return };
    let proxy = Proxy::to_port(server.port());
    let node = following(node_at(proxy.address())).await;
    proxy.cut();
    assert!(node.invalidate(&1).await.is_err());
    assert!(node.invalidate_tag("red").await.is_err());
    assert!(node.clear().await.is_err());
}
