//! Nodes that miss something, are away, come late, come and go.

use larder::Source;
use larder_testkit::proxy::{Fault, Proxy, Traffic};
use larder_testkit::servers::RedisServer;
use larder_testkit::sim::Random;

use super::{Users, following, heard, holds, load, loses, read, scenes, take_out, until};
use crate::support::{address, node_at, server};

/// Runs a script: keys of the system begin with a byte that no command line can hold.
fn script(server: &RedisServer, text: &str) -> String {
    server.cli(&["EVAL", text, "0"])
}

#[tokio::test]
async fn r08_whatever_is_lost_at_random_is_made_up_for() {
    take_out();
    let Some(server) = server() else { return };
    let writer = following(node_at(address(&server))).await;
    let proxy = Proxy::to_port(server.port()).marking(b"SUBSCRIBE");
    let reader = following(node_at(proxy.address())).await;
    let mut random = Random::new(8);
    let mut values = [0; 6];
    for change in 1..=120 {
        // Some records are lost, and now and then the subscription.
        match random.below(6) {
            0 | 1 => proxy.set(Traffic::REPLIES.marked(), Fault::BlackHole),
            2 => proxy.heal_new(),
            3 => proxy.heal(),
            _ => {}
        }
        let key = random.below(6);
        values[key as usize] = change;
        let _ = writer.invalidate(&key).await.unwrap();
        load(&writer, key, change).await;
        load(&reader, random.below(6), change).await;
    }
    proxy.set(Traffic::REPLIES.marked(), Fault::BlackHole);
    for (key, value) in values
        .into_iter()
        .enumerate()
        .filter(|(_, value)| *value > 0)
    {
        holds(&reader, key as u64, value).await;
    }
    assert!(proxy.counts().replies.swallowed > 0, "nothing was lost");
}

#[tokio::test]
async fn r08_copies_of_another_life_of_the_log_are_not_used() {
    take_out();
    let Some(server) = server() else { return };
    let node = following(node_at(address(&server))).await;
    load(&node, 1, 10).await;
    holds(&node, 1, 10).await;
    let flushes = node.stats().bus.flushes;
    let life = "return redis.call('HSET', '\\0sshard', 'inc', '4711')";
    assert_eq!(script(&server, life), "0");
    until(async || node.stats().bus.flushes > flushes).await;
    let found = node.get(&1).await.unwrap().unwrap();
    assert_eq!(found.source(), Source::Remote);
}

/// A node that holds some keys, behind a link that can be cut.
async fn holder(server: &RedisServer, keys: std::ops::Range<u64>) -> (Proxy, Users) {
    let proxy = Proxy::to_port(server.port());
    let node = following(node_at(proxy.address())).await;
    for key in keys {
        load(&node, key, 10).await;
        holds(&node, key, 10).await;
    }
    (proxy, node)
}

#[tokio::test]
async fn r09_an_absence_costs_only_the_copies_that_changed_meanwhile() {
    take_out();
    let Some(server) = server() else { return };
    let writer = following(node_at(address(&server))).await;
    let (proxy, node) = holder(&server, 0..20).await;
    proxy.cut();
    let _ = writer.insert(&0, 11).await.unwrap();
    let flushes = node.stats().bus.flushes;
    proxy.heal();
    until(async || {
        node.get(&0)
            .await
            .is_ok_and(|found| found.is_some_and(|v| *v == 11))
    })
    .await;
    until(async || heard(&node) > 0).await;
    for key in 1..20 {
        let kept = node.get(&key).await.unwrap().unwrap();
        assert_eq!((*kept, kept.source()), (10, Source::Near), "{key}");
    }
    assert_eq!(node.stats().bus.flushes, flushes);
}

#[tokio::test]
async fn r09_an_absence_longer_than_the_log_costs_all_copies() {
    take_out();
    let Some(server) = server() else { return };
    let writer = following(node_at(address(&server))).await;
    let (proxy, node) = holder(&server, 0..20).await;
    proxy.cut();
    let _ = writer.insert(&0, 11).await.unwrap();
    let trim = "return redis.call('XTRIM', '\\0slog', 'MAXLEN', 0)";
    assert_ne!(script(&server, trim), "0");
    let flushes = node.stats().bus.flushes;
    proxy.heal();
    until(async || node.stats().bus.flushes > flushes).await;
    for key in 0..20 {
        let again = node.get(&key).await.unwrap().unwrap();
        let expected = (if key == 0 { 11 } else { 10 }, Source::Remote);
        assert_eq!((*again, again.source()), expected, "{key}");
    }
}

#[tokio::test]
async fn r10_nodes_that_come_and_go_during_changes_agree_in_the_end() {
    const KEYS: u64 = 5;
    for scene in scenes() {
        let [writer] = scene.nodes().await;
        let mut nodes: Vec<Users> = Vec::new();
        let mut values = [0; KEYS as usize];
        for round in 1..=60u64 {
            let key = round * 7 % KEYS;
            values[key as usize] = round;
            let _ = writer.insert(&key, round).await.unwrap();
            if round % 4 == 0 {
                nodes.push(following(scene.bare()).await);
            }
            if nodes.len() > 3 {
                nodes.remove((round % 3) as usize);
            }
            for node in &nodes {
                let found = read(node, key).await.unwrap();
                assert!(found <= round, "{}", scene.name);
            }
        }
        for node in nodes.iter().chain([&writer]) {
            for (key, value) in values.into_iter().enumerate() {
                holds(node, key as u64, value).await;
            }
        }
    }
}

#[tokio::test]
async fn r11_a_late_node_does_not_see_what_was_cleared_although_it_still_lies_there() {
    for scene in scenes() {
        let super::Place::Redis(server) = &scene.place else {
            continue;
        };
        let [a] = scene.nodes().await;
        for key in [1, 2] {
            let _ = a.insert(&key, 10).await.unwrap();
        }
        server.cli(&["COPY", "app:users:1", "kept"]);
        a.clear().await.unwrap();
        // Its bytes are reclaimed behind: here they never are.
        assert_eq!(server.cli(&["COPY", "kept", "app:users:1", "REPLACE"]), "1");
        let b = following(scene.bare()).await;
        for node in [&b, &scene.looking().await, &a] {
            assert_eq!(read(node, 1).await, None);
            assert_eq!(super::fail(node, 1).await, None);
        }
        assert_eq!(load(&b, 1, 20).await, 20);
        loses(&a, 1, 10).await;
        holds(&a, 1, 20).await;
    }
}
