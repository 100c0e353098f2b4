//! Values of library caches in the same Redis, read through a node: whatever invalidates them there
//! ends them here.

use larder::codec::Raw;
use larder::redis::Redis;
use larder::{Cache, InsertOptions, Receipt};
use larder_testkit::servers::RedisServer;
use tokio::runtime::Runtime;

use crate::node::Node;
use crate::wire::Wire;

use super::{PROMISE, redis, until_not, warm};

fn cache(runtime: &Runtime, redis: &RedisServer, name: &str) -> Cache<String, String> {
    let remote = Redis::open(&redis.url()).unwrap();
    let built = Cache::builder(name)
        .codec(Raw)
        .ttl("1h")
        .remote(remote)
        .build();
    runtime.block_on(built).unwrap()
}

/// Changes of the cache `app:users`, all of which make the value of its key `7` unusable.
type Change = fn(&Runtime, &Cache<String, String>) -> Receipt;

const CHANGES: [(&str, Change); 6] = [
    ("invalidate", |runtime, cache| {
        runtime.block_on(cache.invalidate("7")).unwrap()
    }),
    ("tag", |runtime, cache| {
        runtime.block_on(cache.invalidate_tag("tenant")).unwrap()
    }),
    ("clear", |runtime, cache| {
        runtime.block_on(cache.clear()).unwrap()
    }),
    ("prefix", |runtime, cache| {
        runtime.block_on(cache.invalidate_prefix("7")).unwrap()
    }),
    ("pattern", |runtime, cache| {
        runtime.block_on(cache.invalidate_pattern("[0-7]")).unwrap()
    }),
    ("expire", |runtime, cache| {
        runtime.block_on(cache.expire("7")).unwrap()
    }),
];

#[test]
fn what_invalidates_a_value_of_a_cache_ends_its_near_copy() {
    let Some(redis) = redis() else { return };
    let runtime = Runtime::new().unwrap();
    let users = cache(&runtime, &redis, "app:users");
    let others = cache(&runtime, &redis, "app");
    let node = Node::over(&redis.url(), &[]);
    let mut wire = Wire::connect(node.resp);
    for (name, change) in CHANGES {
        let tagged = InsertOptions::new().tag("tenant");
        let insert = users.insert_with("7", "ann".to_owned(), tagged);
        runtime.block_on(insert).unwrap();
        runtime
            .block_on(others.insert("x", "kept".to_owned()))
            .unwrap();
        warm(&node, &mut wire, "app:users:7");
        warm(&node, &mut wire, "app:x");
        change(&runtime, &users);
        let took = until_not(&mut wire, "GET app:users:7", "ann");
        assert!(
            took < PROMISE + std::time::Duration::from_millis(500),
            "{name}: {took:?}"
        );
        assert_eq!(wire.ask("GET app:users:7"), "(nil)", "{name}");
        assert_eq!(wire.ask("TTL app:users:7"), "-2", "{name}");
        assert_eq!(wire.ask("GET app:x"), "kept", "{name}");
    }
}

#[test]
fn a_node_without_near_copies_obeys_what_a_cache_has_invalidated() {
    let Some(redis) = redis() else { return };
    let runtime = Runtime::new().unwrap();
    let users = cache(&runtime, &redis, "app:users");
    let node = Node::over(&redis.url(), &["--near-size", "0"]);
    let mut wire = Wire::connect(node.resp);
    for (name, change) in CHANGES {
        let tagged = InsertOptions::new().tag("tenant");
        runtime
            .block_on(users.insert_with("7", "ann".to_owned(), tagged))
            .unwrap();
        assert_eq!(wire.ask("GET app:users:7"), "ann", "{name}");
        change(&runtime, &users);
        for (read, nothing) in [
            ("GET app:users:7", "(nil)"),
            ("MGET app:users:7", "[(nil)]"),
            ("TTL app:users:7", "-2"),
            ("EXISTS app:users:7", "0"),
            ("GETDEL app:users:7", "(nil)"),
        ] {
            assert_eq!(wire.ask(read), nothing, "{read} after {name}");
        }
        assert_eq!(wire.ask("SETNX app:users:7 bob"), "1", "{name}");
        assert_eq!(wire.ask("GET app:users:7"), "bob", "{name}");
    }
}

#[test]
fn a_clear_of_a_cache_that_holds_another_one_ends_both() {
    let Some(redis) = redis() else { return };
    let runtime = Runtime::new().unwrap();
    let (outer, inner) = (
        cache(&runtime, &redis, "app"),
        cache(&runtime, &redis, "app:users"),
    );
    runtime
        .block_on(inner.insert("7", "ann".to_owned()))
        .unwrap();
    let node = Node::over(&redis.url(), &[]);
    let mut wire = Wire::connect(node.resp);
    warm(&node, &mut wire, "app:users:7");
    runtime.block_on(outer.clear()).unwrap();
    until_not(&mut wire, "GET app:users:7", "ann");
    assert_eq!(wire.ask("GET app:users:7"), "(nil)");
}

#[test]
fn a_value_that_was_made_from_another_one_ends_with_it() {
    let Some(redis) = redis() else { return };
    let runtime = Runtime::new().unwrap();
    let users = cache(&runtime, &redis, "app:users");
    let pages = cache(&runtime, &redis, "app:pages");
    let node = Node::over(&redis.url(), &[]);
    let mut wire = Wire::connect(node.resp);
    let make = |name: &str| {
        runtime
            .block_on(users.insert("7", name.to_owned()))
            .unwrap();
        let users = users.clone();
        let page = pages.get_or_load("home", move |_cx| async move {
            let user = users.get("7").await?;
            Ok::<_, larder::Error>(format!(
                "hello-{}",
                user.map_or_else(String::new, |u| u.to_string())
            ))
        });
        runtime.block_on(page).unwrap().to_string()
    };
    assert_eq!(make("ann"), "hello-ann");
    warm(&node, &mut wire, "app:pages:home");
    // A client of the node changes what the page was made from.
    assert_eq!(wire.ask("SET app:users:7 bob"), "OK");
    assert_eq!(wire.ask("GET app:pages:home"), "(nil)");
}
