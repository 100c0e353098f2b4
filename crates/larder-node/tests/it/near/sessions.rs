//! Whoever has written reads it, whatever was near before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::node::Node;
use crate::wire::{Wire, encode, show};

use super::{redis, warm};

#[test]
fn a_client_reads_what_it_has_written_whatever_the_command() {
    let Some(redis) = redis() else { return };
    let node = Node::over(&redis.url(), &[]);
    let mut wire = Wire::connect(node.resp);
    let mut other = Wire::connect(node.resp);
    for (write, read, reply) in [
        ("SET k 20", "GET k", "20"),
        ("MSET j 1 k 21", "GET k", "21"),
        ("INCR k", "GET k", "11"),
        ("INCRBYFLOAT k 0.5", "GET k", "10.5"),
        ("APPEND k 3", "GET k", "103"),
        ("SETRANGE k 0 9", "GET k", "90"),
        ("GETSET k 7", "GET k", "7"),
        ("GETDEL k", "GET k", "(nil)"),
        ("DEL k", "EXISTS k", "0"),
        ("UNLINK k x", "MGET k", "[(nil)]"),
        ("RENAME k k2", "GET k", "(nil)"),
        ("RENAME other k", "GET k", "moved"),
        ("PEXPIRE k -1", "STRLEN k", "0"),
        ("EXPIREAT k 1", "GET k", "(nil)"),
        ("GETEX k PXAT 1", "GET k", "(nil)"),
        ("FLUSHDB", "GET k", "(nil)"),
        ("FLUSHALL", "GET k", "(nil)"),
        ("SETEX k 100 4", "GET k", "4"),
        ("SET k 5 XX GET", "GET k", "5"),
    ] {
        wire.ask("MSET k 10 other moved");
        warm(&node, &mut wire, "k");
        let answer = wire.ask(write);
        assert!(
            !answer.starts_with('-') || answer == "(nil)",
            "{write}: {answer}"
        );
        assert_eq!(wire.ask(read), reply, "after {write}");
        assert_eq!(other.ask(read), reply, "another client after {write}");
    }
}

#[test]
fn pipelined_writes_and_reads_keep_their_order() {
    let Some(redis) = redis() else { return };
    let node = Node::over(&redis.url(), &[]);
    let mut wire = Wire::connect(node.resp);
    wire.ask("SET n 0");
    warm(&node, &mut wire, "n");
    let round: [&[&str]; 3] = [&["INCR", "n"], &["GET", "n"], &["GET", "n"]];
    let commands: Vec<&[&str]> = round.iter().copied().cycle().take(3 * 200).collect();
    wire.send(&encode(commands));
    for n in 1..=200 {
        assert_eq!(show(&wire.reply()), n.to_string());
        for _ in 0..2 {
            assert_eq!(show(&wire.reply()), n.to_string());
        }
    }
}

#[test]
fn a_connection_never_goes_back_in_time() {
    let Some(redis) = redis() else { return };
    let nodes = [Node::over(&redis.url(), &[]), Node::over(&redis.url(), &[])];
    let mut reader = Wire::connect(nodes[1].resp);
    reader.ask("SET n 0");
    warm(&nodes[1], &mut reader, "n");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = Wire::connect(nodes[0].resp);
            while !stop.load(Ordering::Relaxed) {
                writer.ask("INCR n");
            }
        });
        // The first of them asks the server, the others may be answered near.
        let commands: [&[&str]; 3] = [&["GETEX", "n"], &["GET", "n"], &["GET", "n"]];
        let mut last = 0;
        let mut backwards = None;
        for _ in 0..3_000 {
            reader.send(&encode(commands));
            for command in commands {
                let seen: u64 = show(&reader.reply()).parse().unwrap();
                if seen < last {
                    backwards = Some((command, seen, last));
                }
                last = seen;
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(backwards, None);
        assert!(last > 100, "{last}");
    });
}
