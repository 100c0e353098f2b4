//! Memory: what is removed is given back to the system, and no more is taken than is allowed.

use larder_testkit::servers::until;

use crate::node::{LIMIT, Node};
use crate::wire::{Wire, encode};

#[test]
fn flushall_gives_the_memory_back() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    assert_eq!(wire.ask("PING"), "PONG");
    let start = node.daemon.rss_kib();
    let value = "v".repeat(1024);
    for batch in 0..200 {
        let key = |number: u32| format!("key:{batch}:{number}");
        wire.send(&encode(
            (0..1_000).map(|number| ["SET", &key(number), &value].map(str::to_owned)),
        ));
        for _ in 0..1_000 {
            wire.reply();
        }
    }
    let grown = node.daemon.rss_kib() - start;
    assert!(grown > 150 * 1024, "only {grown} KiB for 200 MB");
    assert_eq!(wire.ask("FLUSHALL"), "OK");
    let bound = start + grown / 10;
    let given_back = || node.daemon.rss_kib() <= bound;
    until(LIMIT, "the memory is given back", given_back).unwrap();
}

#[test]
fn ten_times_the_limit_stays_within_a_quarter_more_than_it() {
    const LIMIT_KIB: u64 = 24 * 1024;
    for value in [64, 1024, 100_000] {
        let node = Node::start(&["--memory-max", "24MiB"], &[]);
        let mut wire = Wire::connect(node.resp);
        let value = "v".repeat(value);
        let cost = value.len() + 300;
        let batch = (1 << 20) / cost + 1;
        let start = node.daemon.rss_kib();
        let mut peak = start;
        for round in 0..10 * LIMIT_KIB as usize * 1024 / (cost * batch) {
            let key = |number: usize| format!("key:{round}:{number}");
            wire.send(&encode(
                (0..batch).map(|number| ["SET", &key(number), &value].map(str::to_owned)),
            ));
            for _ in 0..batch {
                wire.reply();
            }
            peak = node.daemon.rss_kib().max(peak);
        }
        assert!(
            peak - start <= LIMIT_KIB * 5 / 4,
            "{start} KiB before, {peak} KiB for values of {} bytes",
            value.len()
        );
        let metrics = node.get("/metrics").body;
        assert!(!metrics.contains(
            "cache_evictions_total{cache=\"default\",tier=\"embedded\",cause=\"size\"} 0\n"
        ));
        assert!(wire.ask("CONFIG GET maxmemory").contains("25165824"));
    }
}

#[test]
fn a_full_node_that_refuses_says_so_as_redis_does() {
    let args = ["--memory-max", "1MiB", "--memory-when-full", "refuse"];
    let node = Node::start(&args, &[]);
    let mut wire = Wire::connect(node.resp);
    let value = "v".repeat(1024);
    let refused = (0..10_000).find_map(|number| {
        let reply = wire.ask(&format!("SET key:{number} {value}"));
        (reply != "OK").then_some(reply)
    });
    let refused = refused.expect("a full node takes no more");
    assert!(refused.contains("OOM "), "{refused}");
    assert_eq!(wire.ask("DEL key:0 key:1 key:2 key:3"), "4");
    assert_eq!(wire.ask("SET small x"), "OK");
    assert!(
        wire.ask("INFO memory")
            .contains("maxmemory_policy:noeviction")
    );
}
