//! Near copies of a node over Redis: that they are used, and that they are never older than promised.

mod caches;
mod faults;
mod sessions;

use std::time::Duration;

use larder_testkit::servers::{RedisOptions, RedisServer, until};
use tokio::time::Instant;

use crate::node::{LIMIT, Node};
use crate::wire::Wire;

/// What was acknowledged longer ago than this shows in every reply.
const PROMISE: Duration = Duration::from_secs(1);

const HITS: &str = "cache_hits_total{cache=\"default\",tier=\"l1\"}";

fn redis() -> Option<RedisServer> {
    RedisServer::start_or_skip(RedisOptions::new())
}

/// Waits until a read of this key is answered by its near copy.
fn warm(node: &Node, wire: &mut Wire, key: &str) {
    until(LIMIT, "a near hit", || {
        let before = node.metric(HITS);
        wire.ask(&format!("GET {key}"));
        node.metric(HITS) > before
    })
    .unwrap();
}

/// Reads until the reply is another one; tells for how long it was not.
fn until_not(wire: &mut Wire, request: &str, old: &str) -> Duration {
    let began = Instant::now();
    until(LIMIT, "another reply", || wire.ask(request) != old).unwrap();
    began.elapsed()
}

#[test]
fn a_write_through_one_node_is_seen_through_the_other_that_had_it_near() {
    let Some(redis) = redis() else { return };
    let nodes = [Node::over(&redis.url(), &[]), Node::over(&redis.url(), &[])];
    let mut wires = [Wire::connect(nodes[0].resp), Wire::connect(nodes[1].resp)];
    assert_eq!(wires[0].ask("SET k 0"), "OK");
    for round in 1..=20 {
        let (writer, reader) = (round % 2, (round + 1) % 2);
        let old = wires[reader].ask("GET k");
        warm(&nodes[reader], &mut wires[reader], "k");
        wires[writer].ask(&format!("SET k {round}"));
        let took = until_not(&mut wires[reader], "GET k", &old);
        assert!(took < PROMISE + Duration::from_millis(500), "{took:?}");
        assert_eq!(wires[reader].ask("GET k"), wires[writer].ask("GET k"));
    }
}

#[test]
fn every_read_that_needs_no_more_than_a_value_is_answered_near() {
    let Some(redis) = redis() else { return };
    let node = Node::over(&redis.url(), &[]);
    let mut wire = Wire::connect(node.resp);
    wire.ask("MSET a 12345 b 678");
    warm(&node, &mut wire, "a");
    warm(&node, &mut wire, "b");
    let before = node.metric(HITS);
    let misses = "cache_misses_total{cache=\"default\",tier=\"l1\"}";
    let missed = node.metric(misses);
    let remote = |name: &str| node.metric(&format!("{name}{{cache=\"default\",tier=\"l2\"}}"));
    let asked = remote("cache_hits_total") + remote("cache_misses_total");
    for (request, reply, hits) in [
        ("GET a", "12345", 1.0),
        ("MGET a b a", "[12345 678 12345]", 3.0),
        ("STRLEN a", "5", 1.0),
        ("EXISTS a b", "2", 2.0),
        ("GETRANGE a 1 2", "23", 1.0),
        ("SUBSTR b 0 0", "6", 1.0),
    ] {
        let before = node.metric(HITS);
        assert_eq!(wire.ask(request), reply);
        assert_eq!(node.metric(HITS) - before, hits, "{request}");
    }
    assert_eq!(node.metric(HITS), before + 9.0);
    assert_eq!(node.metric(misses), missed);
    let asked_then = remote("cache_hits_total") + remote("cache_misses_total");
    assert_eq!(asked_then, asked, "the server was not asked");
}

#[test]
fn the_databases_have_near_copies_of_their_own() {
    let Some(redis) = redis() else { return };
    let node = Node::over(&redis.url(), &[]);
    let mut wire = Wire::connect(node.resp);
    for database in 0..16 {
        wire.ask(&format!("SELECT {database}"));
        wire.ask(&format!("SET k of-{database}"));
        warm(&node, &mut wire, "k");
    }
    wire.ask("SELECT 5");
    assert_eq!(wire.ask("FLUSHDB"), "OK");
    for database in 0..16 {
        wire.ask(&format!("SELECT {database}"));
        let value = format!("of-{database}");
        let expected = match database {
            5 => "(nil)".to_owned(),
            _ => value,
        };
        assert_eq!(wire.ask("GET k"), expected);
    }
}

#[test]
fn a_near_copy_ends_with_its_value() {
    let Some(redis) = redis() else { return };
    let node = Node::over(&redis.url(), &[]);
    let mut wire = Wire::connect(node.resp);
    wire.ask("SET warm up");
    warm(&node, &mut wire, "warm");
    for life in [300, 700] {
        let began = Instant::now();
        wire.ask(&format!("SET k v PX {life}"));
        warm(&node, &mut wire, "k");
        until_not(&mut wire, "GET k", "v");
        let lived = began.elapsed();
        assert!(lived >= Duration::from_millis(life), "{lived:?}");
        assert!(lived < Duration::from_millis(life + 400), "{lived:?}");
    }
}

#[test]
fn a_limit_of_their_life_is_kept_and_nothing_is_kept_near_when_told_so() {
    let Some(redis) = redis() else { return };
    let node = Node::over(&redis.url(), &["--near-ttl", "20ms"]);
    let mut wire = Wire::connect(node.resp);
    wire.ask("SET k v");
    warm(&node, &mut wire, "k");
    let asked = "cache_hits_total{cache=\"default\",tier=\"l2\"}";
    let before = node.metric(asked);
    until(LIMIT, "a look at the server", || {
        wire.ask("GET k");
        node.metric(asked) > before
    })
    .unwrap();
    assert_eq!(wire.ask("GET k"), "v");
    let node = Node::over(&redis.url(), &["--near-size", "0"]);
    let mut wire = Wire::connect(node.resp);
    assert_eq!(wire.ask("GET k"), "v");
    assert_eq!(wire.ask("MGET k nothing"), "[v (nil)]");
    let text = node.get("/metrics").body;
    assert!(
        !text.contains("tier=\"l1\"") && !text.contains("cache_bus"),
        "{text}"
    );
}

#[test]
fn what_the_log_does_shows_in_metrics_and_info() {
    let Some(redis) = redis() else { return };
    let nodes = [
        Node::over(&redis.url(), &["--near-size", "1MiB", "--name", "one"]),
        Node::over(&redis.url(), &["--name", "two"]),
    ];
    let mut wires = [Wire::connect(nodes[0].resp), Wire::connect(nodes[1].resp)];
    wires[0].ask("SET k v");
    warm(&nodes[0], &mut wires[0], "k");
    warm(&nodes[1], &mut wires[1], "k");
    wires[1].ask("DEL k");
    until_not(&mut wires[0], "GET k", "v");
    let of = |node: usize, direction: &str, kind: &str| {
        nodes[node].metric(&format!(
            "cache_invalidations_total{{cache=\"default\",direction=\"{direction}\",kind=\"{kind}\"}}"
        ))
    };
    assert_eq!(
        (of(0, "sent", "inserted"), of(0, "sent", "invalidated")),
        (1.0, 0.0)
    );
    assert_eq!(
        (of(1, "sent", "inserted"), of(1, "sent", "invalidated")),
        (0.0, 1.0)
    );
    until(LIMIT, "the word of it", || {
        of(0, "received", "invalidated") == 1.0
    })
    .unwrap();
    assert!(nodes[0].metric("cache_bus_latency_seconds_count{cache=\"default\"}") >= 1.0);
    let limit = "cache_size_limit_bytes{cache=\"default\",tier=\"l1\"}";
    assert_eq!(nodes[0].metric(limit), 1_048_576.0);
    assert!(nodes[1].metric("cache_size_bytes{cache=\"default\",tier=\"l1\"}") >= 0.0);
    let info = wires[1].ask("INFO cache");
    for line in [
        "l1_hits:",
        "l1_size_bytes:",
        "bus_records_received:",
        "bus_fenced_ms:0",
    ] {
        assert!(info.contains(line), "{line} in {info}");
    }
}

#[test]
fn a_large_value_is_served_and_not_kept() {
    let Some(redis) = redis() else { return };
    let node = Node::over(&redis.url(), &["--near-size", "64KiB"]);
    let mut wire = Wire::connect(node.resp);
    wire.ask("SET small v");
    warm(&node, &mut wire, "small");
    let large = "x".repeat(50_000);
    wire.ask(&format!("SET large {large}"));
    let refused = "cache_fill_refused_total{cache=\"default\",reason=\"too_large\"}";
    assert_eq!(node.metric(refused), 0.0);
    // Near copies that nobody vouches for just now are refused for that.
    until(LIMIT, "the refusal of its copy", || {
        assert_eq!(wire.ask("GET large"), large);
        node.metric(refused) > 0.0
    })
    .unwrap();
}
