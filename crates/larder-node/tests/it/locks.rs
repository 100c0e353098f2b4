//! Locks and limits through the node: its own commands, and those of lock libraries.

mod libraries;
mod scripts;

use std::time::Duration;

use larder_resp::Reply;
use larder_testkit::servers::{RedisOptions, RedisServer};
use tokio::time::Instant;

use crate::node::Node;
use crate::wire::Wire;

/// A node with an embedded store, and one over a server if there is one.
fn nodes() -> Vec<(Node, Option<RedisServer>)> {
    let mut nodes = vec![(Node::start(&[], &[]), None)];
    if let Some(redis) = RedisServer::start_or_skip(RedisOptions::new()) {
        nodes.push((Node::over(&redis.url(), &[]), Some(redis)));
    }
    nodes
}

/// Takes a lock that is free: its owner and its token.
fn lock(wire: &mut Wire, line: &str) -> (String, i64) {
    let words: Vec<&str> = line.split(' ').collect();
    let Reply::Array(parts) = wire.call(&words) else {
        panic!("{line}: the lock is free");
    };
    match &parts[..] {
        [Reply::Bulk(owner), Reply::Integer(token)] => {
            (String::from_utf8_lossy(owner).into_owned(), *token)
        }
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_lock_has_an_owner_a_life_and_a_token_that_grows() {
    for (node, _redis) in nodes() {
        let mut one = Wire::connect(node.resp);
        let mut other = Wire::connect(node.resp);
        let (owner, token) = lock(&mut one, "CACHE.LOCK job 60000");
        assert_eq!(other.ask("CACHE.LOCK job 60000"), "(nil)");
        assert_eq!(one.ask("EXISTS job"), "0", "it is no value");
        let stranger = "0".repeat(32);
        assert_eq!(other.ask(&format!("CACHE.UNLOCK job {stranger}")), "0");
        assert_eq!(other.ask(&format!("CACHE.RENEW job {stranger} 60000")), "0");
        assert_eq!(one.ask(&format!("CACHE.RENEW job {owner} 50")), "1");
        let (next, later) = lock(&mut other, "CACHE.LOCK job 60000 WAIT 20000");
        assert!(later > token, "{later} after {token}");
        assert_eq!(one.ask(&format!("CACHE.UNLOCK job {owner}")), "0");
        assert_eq!(one.ask("CACHE.LOCK job 60000"), "(nil)");
        assert_eq!(other.ask(&format!("CACHE.UNLOCK job {next}")), "1");
        let (_, last) = lock(&mut one, "CACHE.LOCK job 60000");
        assert!(last > later);
        let acquired = "cache_locks_total{cache=\"default\",outcome=\"acquired\"}";
        assert!((node.metric(acquired) - 3.0).abs() < 0.5);
    }
}

#[test]
fn who_waits_has_the_lock_when_it_is_given_back_or_is_told_that_it_is_not() {
    for (node, _redis) in nodes() {
        let mut one = Wire::connect(node.resp);
        let (owner, _) = lock(&mut one, "CACHE.LOCK job 60000");
        let began = Instant::now();
        assert_eq!(one.ask("CACHE.LOCK job 60000 WAIT 100"), "(nil)");
        assert!(began.elapsed() >= Duration::from_millis(100));
        let address = node.resp;
        let waiting = std::thread::spawn(move || {
            let mut wire = Wire::connect(address);
            lock(&mut wire, "CACHE.LOCK job 60000 WAIT 20000");
        });
        let waited = "cache_locks_total{cache=\"default\",outcome=\"waited\"}";
        let is_waiting = || node.metric(waited) > 1.5;
        larder_testkit::servers::until(crate::node::LIMIT, "it waits", is_waiting).unwrap();
        assert_eq!(one.ask(&format!("CACHE.UNLOCK job {owner}")), "1");
        waiting.join().unwrap();
    }
}

#[test]
fn a_value_is_not_written_under_an_older_token() {
    for (node, _redis) in nodes() {
        let mut wire = Wire::connect(node.resp);
        let (owner, old) = lock(&mut wire, "CACHE.LOCK job 60000");
        wire.ask(&format!("CACHE.UNLOCK job {owner}"));
        let (_, new) = lock(&mut wire, "CACHE.LOCK job 60000");
        let set = |token: i64, value: &str| format!("CACHE.SET k {value} EX 60 FENCE {token}");
        assert_eq!(wire.ask(&set(old, "first")), "OK");
        assert_eq!(wire.ask(&set(new, "second")), "OK");
        let refused = wire.ask(&set(old, "late"));
        assert!(refused.starts_with("-LEASELOST "), "{refused}");
        let forged = wire.ask(&set(new + 1_000_000_000_000, "forged"));
        assert!(forged.starts_with("-LEASELOST "), "{forged}");
        assert_eq!(wire.ask("GET k"), "second");
        for wrong in ["NX", "XX", "GET", "KEEPTTL", "FENCE 7"] {
            let line = format!("CACHE.SET k v FENCE {new} {wrong}");
            assert_eq!(wire.ask(&line), "-ERR syntax error", "{line}");
        }
        let no_number = wire.ask("CACHE.SET k v FENCE x");
        assert!(no_number.starts_with("-ERR value is not"), "{no_number}");
        assert_eq!(wire.ask("SET k v FENCE 7"), "-ERR syntax error");
        // In each database by itself.
        assert_eq!(wire.ask("SELECT 1"), "OK");
        assert_eq!(wire.ask(&set(old, "there")), "OK");
    }
}

#[test]
fn a_limit_allows_its_burst_and_says_when_to_come_again() {
    for (node, _redis) in nodes() {
        let mut wire = Wire::connect(node.resp);
        let request = "CACHE.LIMIT user:1 1 60000 2";
        assert!(
            wire.ask(request)
                .starts_with("[allowed 1 remaining 1 retry_after_ms 0")
        );
        assert!(
            wire.ask(request)
                .starts_with("[allowed 1 remaining 0 retry_after_ms 0")
        );
        let refused = wire.ask(request);
        assert!(
            refused.starts_with("[allowed 0 remaining 0 retry_after_ms "),
            "{refused}"
        );
        let looked = wire.ask(&format!("{request} COST 0"));
        assert!(looked.starts_with("[allowed 1 remaining 0"), "{looked}");
        assert!(
            wire.ask("CACHE.LIMIT user:2 1 60000 2")
                .starts_with("[allowed 1")
        );
        for (wrong, error) in [
            ("CACHE.LIMIT u 0 60000 2", "-ERR a rate limit of 0 per 60s"),
            ("CACHE.LIMIT u 1 60000 2 COST 3", "-ERR a request of cost 3"),
            ("CACHE.LIMIT u 1 60000 -2", "-ERR value is not an integer"),
            ("CACHE.LIMIT u 1 60000 2 COSTS 1", "-ERR syntax error"),
            ("CACHE.LIMIT u 1 60000", "-ERR wrong number of arguments"),
        ] {
            let reply = wire.ask(wrong);
            assert!(reply.starts_with(error), "{wrong}: {reply}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_request_for_a_lock_is_said() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    for (line, error) in [
        ("CACHE.LOCK k 9", "-ERR a lock lasts from 10ms"),
        ("CACHE.LOCK k -1", "-ERR value is not an integer"),
        ("CACHE.LOCK k 100 WAIT", "-ERR syntax error"),
        ("CACHE.LOCK k 100 WAIT 60001", "-ERR WAIT takes 0 to 60000"),
        ("CACHE.UNLOCK k me", "-ERR the owner is what CACHE.LOCK"),
        ("CACHE.RENEW k me 100", "-ERR the owner is what CACHE.LOCK"),
    ] {
        let reply = wire.ask(line);
        assert!(reply.starts_with(error), "{line}: {reply}");
    }
}

#[test]
fn a_node_that_keeps_nothing_has_no_locks() {
    let node = Node::start(&[], &[("CACHE_ENABLED", "false")]);
    let mut wire = Wire::connect(node.resp);
    for line in ["CACHE.LOCK k 100", "CACHE.LIMIT k 1 1000 1"] {
        let reply = wire.ask(line);
        assert!(
            reply.starts_with("-ERR ") && reply.contains(" has no "),
            "{line}: {reply}"
        );
    }
}

#[test]
fn locks_of_the_node_are_those_of_a_library_on_the_same_server() {
    let Some(redis) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let node = Node::over(&redis.url(), &[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let locks = runtime.block_on(async {
        let redis = larder::redis::Redis::open(&redis.url()).unwrap();
        larder::Locks::open("app:orders", redis).unwrap()
    });
    let mut wire = Wire::connect(node.resp);
    let (owner, _) = lock(&mut wire, "CACHE.LOCK app:orders:7 60000");
    let taken = runtime.block_on(locks.try_lock(&7_u64, "60s")).unwrap();
    assert!(taken.is_none());
    wire.ask(&format!("CACHE.UNLOCK app:orders:7 {owner}"));
    let taken = runtime.block_on(locks.try_lock(&7_u64, "60s")).unwrap();
    assert_eq!(wire.ask("CACHE.LOCK app:orders:7 60000"), "(nil)");
    drop(taken);
}
