//! Replies byte for byte as Valkey 8.0.1 gave them, in both protocols.

use std::io::Read;

use larder_testkit::servers::{RedisOptions, RedisServer};
use serde_json::Value;

use crate::node::Node;
use crate::wire::{Wire, encode};

const FILE: &str = include_str!("../golden/valkey-8.0.1.json");
const CLOSED: &str = "<closed>";
/// Sent behind each vector, so that its last reply is known to be the last.
const MARK: [&[u8]; 2] = [b"ECHO", b"-- the end of the vector --"];

/// Characters are bytes in the file.
fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap().chars();
    text.map(|character| u8::try_from(u32::from(character)).unwrap())
        .collect()
}

fn commands(value: &Value) -> Vec<Vec<Vec<u8>>> {
    let command = |words: &Value| words.as_array().unwrap().iter().map(bytes).collect();
    value.as_array().unwrap().iter().map(command).collect()
}

/// Runs one vector on a new connection; gives everything that came back.
fn run(node: &Node, setup: &[Vec<Vec<u8>>], vector: &Value, resp3: bool) -> Vec<u8> {
    let mut wire = Wire::connect(node.resp);
    for command in setup {
        let reply = wire.ask("PING");
        assert_eq!(reply, "PONG");
        wire.call(command);
    }
    if resp3 {
        wire.call(&["HELLO", "3"]);
    }
    wire.send(&encode(commands(&vector["cmds"])));
    // The peer may have closed by now.
    let _ = std::io::Write::write_all(&mut wire.stream, &encode([MARK]));
    let mark = [b"$27\r\n", MARK[1], b"\r\n"].concat();
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match wire.stream.read(&mut chunk).unwrap_or(0) {
            0 => {
                received.extend_from_slice(CLOSED.as_bytes());
                return received;
            }
            bytes => received.extend_from_slice(&chunk[..bytes]),
        }
        if let Some(replies) = received.strip_suffix(mark.as_slice()) {
            return replies.to_vec();
        }
    }
}

#[test]
fn every_vector_of_an_implemented_command_matches_byte_for_byte() {
    check(&Node::start(&["--memory-max", "none"], &[]));
}

#[test]
fn a_remote_store_makes_no_difference() {
    let Some(redis) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    check(&Node::start(&[], &[("CACHE_URL", &redis.url())]));
}

#[test]
fn a_store_that_is_away_is_an_error_on_which_clients_retry() {
    // Nothing listens on port 1.
    let node = Node::start(&[], &[("CACHE_URL", "redis://user:sesame@127.0.0.1:1/0")]);
    let mut wire = Wire::connect(node.resp);
    for line in [
        "GET k", "SET k v", "INCR k", "MSET k v", "SCAN 0", "FLUSHALL",
    ] {
        let reply = wire.ask(line);
        assert!(reply.starts_with("-MASTERDOWN "), "{line}: {reply}");
        assert!(!reply.contains("sesame"), "{line}: {reply}");
    }
    assert_eq!(wire.ask("PING"), "PONG");
}

fn check(node: &Node) {
    let file: Value = serde_json::from_str(FILE).unwrap();
    let setup = commands(&file["setup"]);
    let (mut passed, mut failures) = (0, Vec::new());
    for vector in file["vectors"].as_array().unwrap() {
        if vector.get("left_out").is_some() {
            continue;
        }
        for (protocol, resp3) in [("resp2", false), ("resp3", true)] {
            let expected = vector[protocol].as_array().unwrap();
            let expected: Vec<u8> = expected.iter().flat_map(bytes).collect();
            let received = run(node, &setup, vector, resp3);
            if received == expected {
                passed += 1;
                continue;
            }
            failures.push(format!(
                "{protocol} {}\n  expected {}\n  received {}",
                vector["cmds"],
                expected.escape_ascii(),
                received.escape_ascii()
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 300, "only {passed} were run");
}
