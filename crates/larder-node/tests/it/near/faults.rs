//! Near copies when the server dies, forgets, or the node itself stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use larder_testkit::servers::until;
use tokio::time::Instant;

use crate::node::{LIMIT, Node};
use crate::wire::Wire;

use super::{HITS, PROMISE, redis, until_not, warm};

const FENCED: &str = "cache_lane_fenced_seconds_total{cache=\"default\"}";

#[test]
fn while_the_server_is_away_nothing_is_served_that_could_have_changed() {
    let Some(mut redis) = redis() else { return };
    let node = Node::over(&redis.url(), &[]);
    let mut wire = Wire::connect(node.resp);
    wire.ask("SET k old");
    warm(&node, &mut wire, "k");
    redis.kill();
    // The last one who vouched did so before it died.
    let took = until_not(&mut wire, "GET k", "old");
    assert!(took < PROMISE + Duration::from_millis(500), "{took:?}");
    let refused = wire.ask("GET k");
    assert!(
        refused.starts_with("-MASTERDOWN") || refused.starts_with("-TRYAGAIN"),
        "{refused}"
    );
    until(LIMIT, "the fence", || node.metric(FENCED) > 0.2).unwrap();
    redis.restart();
    until(LIMIT, "an answer", || !wire.ask("GET k").starts_with('-')).unwrap();
    // It came back empty, and nothing of its former life is used.
    assert_eq!(wire.ask("GET k"), "(nil)");
    wire.ask("SET k new");
    warm(&node, &mut wire, "k");
    assert_eq!(wire.ask("GET k"), "new");
    let flushes = "cache_bus_flushes_total{cache=\"default\"}";
    until(LIMIT, "another life", || node.metric(flushes) == 2.0).unwrap();
}

#[test]
fn whoever_prefers_old_values_to_none_gets_them_and_they_are_counted() {
    let Some(mut redis) = redis() else { return };
    let node = Node::over(&redis.url(), &["--near-when-fenced", "serve-stale"]);
    let mut wire = Wire::connect(node.resp);
    wire.ask("MSET k old j old");
    warm(&node, &mut wire, "k");
    warm(&node, &mut wire, "j");
    redis.kill();
    let served = "cache_stale_served_total{cache=\"default\",reason=\"fenced\"}";
    until(LIMIT, "a stale value", || {
        assert_eq!(wire.ask("GET k"), "old");
        node.metric(served) > 0.0
    })
    .unwrap();
    assert_eq!(wire.ask("MGET k j"), "[old old]");
    let refused = wire.ask("MGET k nobody");
    assert!(refused.starts_with('-'), "{refused}");
}

#[test]
fn a_server_that_was_emptied_behind_the_node_is_noticed() {
    let Some(redis) = redis() else { return };
    let node = Node::over(&redis.url(), &[]);
    let mut wire = Wire::connect(node.resp);
    wire.ask("SET k old");
    warm(&node, &mut wire, "k");
    redis.cli(&["FLUSHALL"]);
    let took = until_not(&mut wire, "GET k", "old");
    assert!(took < PROMISE + Duration::from_millis(500), "{took:?}");
    assert_eq!(wire.ask("GET k"), "(nil)");
}

/// Numbers that a writer has had acknowledged, and when.
#[derive(Default)]
struct Written {
    stop: AtomicBool,
    number: AtomicU64,
}

#[test]
fn a_node_that_stood_still_serves_nothing_that_was_superseded_too_long_ago() {
    let Some(redis) = redis() else { return };
    let (writer, reader) = (Node::over(&redis.url(), &[]), Node::over(&redis.url(), &[]));
    let mut wire = Wire::connect(reader.resp);
    let written = Arc::<Written>::default();
    let writing = {
        let (written, at) = (written.clone(), writer.resp);
        thread::spawn(move || {
            let mut wire = Wire::connect(at);
            while !written.stop.load(Ordering::Relaxed) {
                let next = written.number.load(Ordering::Relaxed) + 1;
                wire.ask(&format!("SET n {next}"));
                written.number.store(next, Ordering::Release);
            }
        })
    };
    until(LIMIT, "a value", || wire.ask("GET n") != "(nil)").unwrap();
    let number = |reply: &str| -> u64 { reply.rsplit(' ').next().unwrap().parse().unwrap() };
    // What was acknowledged by the moment of each look, so that a later one can be held against it.
    let mut history: Vec<(Instant, u64)> = Vec::new();
    let mut check = |wire: &mut Wire| {
        let asked = Instant::now();
        history.push((asked, written.number.load(Ordering::Acquire)));
        let seen = number(&wire.ask("GET n"));
        let due = history
            .iter()
            .rev()
            .find(|(at, _)| asked.duration_since(*at) > PROMISE);
        let due = due.map_or(0, |(_, number)| *number);
        assert!(
            seen >= due,
            "{seen}, and {due} was acknowledged more than a second before"
        );
    };
    let run = |check: &mut dyn FnMut(&mut Wire), wire: &mut Wire, hits: f64| {
        let before = reader.metric(HITS);
        until(LIMIT, "near hits", || {
            (0..50).for_each(|_| check(wire));
            reader.metric(HITS) >= before + hits
        })
        .unwrap();
    };
    run(&mut check, &mut wire, 100.0);
    for _ in 0..2 {
        reader.daemon.stop_signal();
        let stopped = Instant::now();
        until(LIMIT, "three seconds", || {
            stopped.elapsed() > Duration::from_secs(3)
        })
        .unwrap();
        reader.daemon.cont_signal();
        run(&mut check, &mut wire, 100.0);
    }
    written.stop.store(true, Ordering::Relaxed);
    writing.join().unwrap();
}
