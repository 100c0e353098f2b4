//! `CACHE.SET` and `CACHE.INVALIDATE`: what Redis has no word for, from any client.

use larder::codec::Raw;
use larder::redis::Redis;
use larder::{Cache, InsertOptions};
use larder_testkit::servers::{RedisOptions, RedisServer};
use tokio::runtime::Runtime;

use crate::node::Node;
use crate::wire::Wire;

/// A node over each kind of store, with and without near copies.
fn nodes(redis: &RedisServer) -> [(&'static str, Node); 3] {
    [
        ("embedded", Node::start(&[], &[])),
        ("near", Node::over(&redis.url(), &[])),
        ("far", Node::over(&redis.url(), &["--near-size", "0"])),
    ]
}

const FILL: [&str; 6] = [
    "CACHE.SET app:users:7 ann EX 100 TAGS app:users 2 tenant:1 team:2",
    "CACHE.SET app:users:8 bob TAGS app:users 1 tenant:1",
    "CACHE.SET app:users:9 cid TAGS app:users 1 tenant:2",
    "CACHE.SET app:orders:7 two TAGS app:orders 1 tenant:1",
    "SET app:users:plain x",
    "SET apples y",
];

const READ: &str = "MGET app:users:7 app:users:8 app:users:9 app:orders:7 app:users:plain apples";

#[test]
fn what_is_named_is_gone_and_nothing_else() {
    let Some(redis) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    for (store, node) in nodes(&redis) {
        let mut wire = Wire::connect(node.resp);
        for (request, reply, left) in [
            (
                "TAGS app:users 1 tenant:1",
                "OK",
                "[(nil) (nil) cid two x y]",
            ),
            (
                "TAGS app:users 2 team:2 tenant:2",
                "OK",
                "[(nil) bob (nil) two x y]",
            ),
            ("TAGS app:users 1 nobody", "OK", "[ann bob cid two x y]"),
            ("PREFIX app:users 7", "OK", "[(nil) bob cid two x y]"),
            ("PREFIX app u", "OK", "[(nil) (nil) (nil) two (nil) y]"),
            ("MATCH app:users [89]", "OK", "[ann (nil) (nil) two x y]"),
            (
                "NAMESPACE app:users",
                "OK",
                "[(nil) (nil) (nil) two (nil) y]",
            ),
            ("NAMESPACE app", "OK", "[(nil) (nil) (nil) (nil) (nil) y]"),
            ("NAMESPACE apple", "OK", "[ann bob cid two x y]"),
            (
                "KEYS 3 app:users:7 apples nothing",
                "2",
                "[(nil) bob cid two x (nil)]",
            ),
            ("DEPENDENTS app:users:7", "OK", "[ann bob cid two x y]"),
        ] {
            for fill in FILL {
                assert_eq!(wire.ask(fill), "OK", "{fill}");
            }
            assert_eq!(wire.ask(READ), "[ann bob cid two x y]", "{store}");
            assert_eq!(wire.ask(READ), "[ann bob cid two x y]", "{store}");
            assert_eq!(
                wire.ask(&format!("cache.invalidate {request}")),
                reply,
                "{request}"
            );
            assert_eq!(wire.ask(READ), left, "{store} after {request}");
            let ttl: Vec<bool> = left
                .trim_matches(['[', ']'])
                .split(' ')
                .map(|v| v != "(nil)")
                .collect();
            assert_eq!(
                wire.ask("TTL app:users:7") != "-2",
                ttl[0],
                "{store} after {request}"
            );
        }
    }
}

#[test]
fn a_value_with_tags_is_otherwise_like_any_other() {
    let Some(redis) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    for (store, node) in nodes(&redis) {
        let mut wire = Wire::connect(node.resp);
        wire.ask("DEL k");
        for (request, reply) in [
            ("CACHE.SET k v TAGS c 1 t NX", "OK"),
            ("CACHE.SET k w NX TAGS c 1 t", "(nil)"),
            ("CACHE.SET k w XX GET TAGS c 1 t EX 100", "v"),
            ("TTL k", "100"),
            ("SELECT 3", "OK"),
            ("CACHE.SET k three TAGS c 1 t", "OK"),
            ("CACHE.INVALIDATE TAGS c 1 t", "OK"),
            ("EXISTS k", "0"),
            ("SELECT 0", "OK"),
            ("EXISTS k", "0"),
            // A write without tags has none.
            ("CACHE.SET k v TAGS c 1 t", "OK"),
            ("SET k w", "OK"),
            ("CACHE.INVALIDATE TAGS c 1 t", "OK"),
            ("GET k", "w"),
            ("CACHE.SET k v", "OK"),
            ("GET k", "v"),
        ] {
            assert_eq!(wire.ask(request), reply, "{request}, {store}");
        }
    }
}

#[test]
fn mistakes_are_told_with_what_is_expected_and_invalidate_nothing() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    wire.ask("CACHE.SET app:k v TAGS app 1 t");
    let syntax = "-ERR syntax error";
    let targets =
        "-ERR CACHE.INVALIDATE begins with KEYS, TAGS, PREFIX, MATCH, NAMESPACE or DEPENDENTS";
    for (request, reply) in [
        (
            "CACHE.INVALIDATE",
            "-ERR wrong number of arguments for 'cache.invalidate' command",
        ),
        (
            "CACHE.INVALIDATE app:k",
            "-ERR wrong number of arguments for 'cache.invalidate' command",
        ),
        ("CACHE.INVALIDATE app:k app:j", targets),
        ("CACHE.INVALIDATE KEYS 1", syntax),
        (
            "CACHE.INVALIDATE KEYS 2 app:k",
            "-ERR the number of keys must be at least 1, and as many must follow; 1 do",
        ),
        (
            "CACHE.INVALIDATE KEYS 0 app:k",
            "-ERR the number of keys must be at least 1, and as many must follow; 1 do",
        ),
        (
            "CACHE.INVALIDATE KEYS x app:k",
            "-ERR value is not an integer or out of range",
        ),
        ("CACHE.INVALIDATE KEYS 1 app:k app:j", syntax),
        ("CACHE.INVALIDATE TAGS app t", syntax),
        (
            "CACHE.INVALIDATE TAGS app 2 t",
            "-ERR the number of tags must be at least 1, and as many must follow; 1 do",
        ),
        ("CACHE.INVALIDATE PREFIX app", syntax),
        ("CACHE.INVALIDATE NAMESPACE app WAIT", syntax),
        (
            "CACHE.INVALIDATE NAMESPACE app WAIT -1",
            "-ERR WAIT takes 0 to 60000 milliseconds",
        ),
        ("CACHE.SET k v TAGS app 1 t TAGS app 1 u", syntax),
        ("CACHE.SET k v TAGS app", syntax),
        ("SET k v TAGS app 1 t", syntax),
    ] {
        assert_eq!(wire.ask(request).replace("\\'", "'"), reply, "{request}");
    }
    let reply = wire.ask("CACHE.INVALIDATE NAMESPACE a:*");
    assert!(reply.starts_with("-ERR the cache name"), "{reply}");
    wire.ask("SELECT 2");
    let reply = wire.ask("CACHE.INVALIDATE NAMESPACE app");
    assert!(
        reply.starts_with("-ERR the keys of caches are in database 0"),
        "{reply}"
    );
    wire.ask("SELECT 0");
    assert_eq!(wire.ask("GET app:k"), "v");
    let many: Vec<String> = (0..33).map(|n| format!("t{n}")).collect();
    let reply = wire.ask(&format!("CACHE.SET k v TAGS app 33 {}", many.join(" ")));
    assert_eq!(reply, "-ERR the entry has 33 tags; the limit is 32");
}

#[test]
fn whoever_waits_knows_that_no_node_serves_the_old_value() {
    let Some(redis) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let nodes = [
        Node::over(&redis.url(), &["--name", "one"]),
        Node::over(&redis.url(), &["--name", "two"]),
    ];
    let mut wires = [Wire::connect(nodes[0].resp), Wire::connect(nodes[1].resp)];
    for round in 0..50 {
        wires[0].ask(&format!("CACHE.SET app:k {round} TAGS app 1 t"));
        for wire in &mut wires {
            super::wire::until_reply(wire, "GET app:k", &round.to_string());
        }
        let report = wires[0].ask("CACHE.INVALIDATE TAGS app 1 t WAIT 5000");
        assert_eq!(wires[1].ask("GET app:k"), "(nil)", "after {report}");
        assert!(
            report.starts_with("[existed 0 complete 1 nodes "),
            "{report}"
        );
        assert!(report.ends_with("fenced [] lagging []]"), "{report}");
    }
    wires[0].call(&["HELLO", "3"]);
    let report = format!(
        "{:?}",
        wires[0].call(&["CACHE.INVALIDATE", "KEYS", "1", "k", "WAIT", "1000"])
    );
    assert!(report.starts_with("Map"), "{report}");
}

#[test]
fn caches_of_the_library_obey_what_a_client_of_a_node_invalidates() {
    let Some(redis) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let runtime = Runtime::new().unwrap();
    let remote = Redis::open(&redis.url()).unwrap();
    let built = Cache::builder("app:users")
        .codec(Raw)
        .ttl("1h")
        .remote(remote)
        .build();
    let users: Cache<String, String> = runtime.block_on(built).unwrap();
    let node = Node::over(&redis.url(), &[]);
    let mut wire = Wire::connect(node.resp);
    for request in [
        "TAGS app:users 1 tenant",
        "PREFIX app:users 7",
        "MATCH app:users ?",
        "NAMESPACE app:users",
        "KEYS 1 app:users:7",
    ] {
        let tagged = InsertOptions::new().tag("tenant");
        runtime
            .block_on(users.insert_with("7", "ann".to_owned(), tagged))
            .unwrap();
        assert!(runtime.block_on(users.get("7")).unwrap().is_some());
        wire.ask(&format!("CACHE.INVALIDATE {request}"));
        assert!(
            runtime.block_on(users.get("7")).unwrap().is_none(),
            "{request}"
        );
    }
}

#[test]
fn clients_are_told_of_the_commands() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    let list = wire.ask("COMMAND LIST");
    assert!(
        list.contains("cache.invalidate") && list.contains("cache.set"),
        "{list}"
    );
    assert_eq!(wire.ask("COMMAND GETKEYS CACHE.SET k v"), "[k]");
    let info = wire.ask("COMMAND INFO cache.invalidate");
    assert!(info.contains("@cache @write @slow"), "{info}");
    assert!(wire.ask("COMMAND DOCS cache.set").contains("group cache"));
}
