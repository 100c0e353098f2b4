//! Memory: what is removed is given back to the system.

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
