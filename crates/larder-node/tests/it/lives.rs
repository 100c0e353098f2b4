//! Which life a key gets, and what a node does that is switched off.

use larder_resp::Reply;

use crate::node::Node;
use crate::wire::Wire;

fn ttl(wire: &mut Wire, key: &str) -> i64 {
    match wire.call(&["TTL", key]) {
        Reply::Integer(seconds) => seconds,
        other => panic!("{other:?}"),
    }
}

#[test]
fn plain_writes_get_the_configured_life_and_others_keep_theirs() {
    let node = Node::start(&["--ttl", "user=1000s", "--ttl-default", "5000s"], &[]);
    let mut wire = Wire::connect(node.resp);
    for line in [
        "SET KEY 1",
        "MSET KEY 1",
        "MSETNX KEY 1",
        "SETNX KEY 1",
        "GETSET KEY 1",
        "APPEND KEY 1",
        "SETRANGE KEY 0 1",
        "INCR KEY",
        "INCRBYFLOAT KEY 1.5",
        "SET KEY 1 NX",
        "SET KEY 1 GET",
        "SET KEY 1 KEEPTTL",
    ] {
        for (key, life) in [("user:7", 1000), ("elsewhere", 5000)] {
            wire.ask(&format!("DEL {key}"));
            wire.ask(&line.replace("KEY", key));
            let left = ttl(&mut wire, key);
            assert!((life - 10..=life).contains(&left), "{line}: {left}");
        }
    }
    assert_eq!(wire.ask("SET user:7 1 EX 100"), "OK");
    for line in [
        "INCR user:7",
        "APPEND user:7 0",
        "SET user:7 1 KEEPTTL",
        "RENAME user:7 user:7",
    ] {
        wire.ask(line);
        let left = ttl(&mut wire, "user:7");
        assert!((90..=100).contains(&left), "{line}: {left}");
    }
    assert_eq!(wire.ask("RENAME user:7 elsewhere"), "OK");
    assert!((90..=100).contains(&ttl(&mut wire, "elsewhere")));
    assert_eq!(wire.ask("PERSIST elsewhere"), "1");
    assert_eq!(ttl(&mut wire, "elsewhere"), -1);
    let info = wire.ask("INFO cache");
    assert!(info.contains("cache_entries_without_ttl:1\\r"), "{info}");
}

#[test]
fn a_value_ends_when_its_life_does() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    assert_eq!(wire.ask("SET k v PX 50"), "OK");
    let gone = || wire.ask("EXISTS k") == "0";
    larder_testkit::servers::until(crate::node::LIMIT, "the key has ended", gone).unwrap();
    assert_eq!(wire.ask("SET k v2 NX"), "OK");
}

#[test]
fn a_node_that_is_switched_off_takes_everything_and_keeps_nothing() {
    let node = Node::start(&["--enabled", "false"], &[]);
    let mut wire = Wire::connect(node.resp);
    for (line, reply) in [
        ("SET k v", "OK"),
        ("GET k", "(nil)"),
        ("SETNX k v", "1"),
        ("SET k v NX GET", "(nil)"),
        ("INCR n", "1"),
        ("INCR n", "1"),
        ("MGET k n", "[(nil) (nil)]"),
        ("DEL k", "0"),
        ("EXPIRE k 10", "0"),
        ("KEYS *", "[]"),
        ("SCAN 0", "[0 []]"),
        ("DBSIZE", "0"),
        ("RANDOMKEY", "(nil)"),
        ("FLUSHALL", "OK"),
    ] {
        assert_eq!(wire.ask(line), reply, "{line}");
    }
}
