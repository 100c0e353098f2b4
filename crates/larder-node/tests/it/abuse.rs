//! What peers do that they should not: the one who does it is refused, all others go on.

use std::io::Write;
use std::net::Shutdown;

use larder_resp::Reply;
use larder_testkit::servers::until;

use crate::node::{LIMIT, Node};
use crate::wire::{Wire, encode, show};

/// Sends bytes on a connection of their own; gives everything that came back before its end.
fn end_of(node: &Node, bytes: &[u8]) -> String {
    let mut wire = Wire::connect(node.resp);
    // The node may close before everything is sent.
    let _ = wire.stream.write_all(bytes);
    wire.rest().escape_ascii().to_string()
}

fn is_alive(node: &Node) {
    assert_eq!(Wire::connect(node.resp).ask("PING"), "PONG");
}

#[test]
fn what_is_no_request_is_told_so_and_ends_the_connection() {
    let node = Node::start(&["--resp-max-value", "1MiB"], &[]);
    let mut other = Wire::connect(node.resp);
    let error = |text: &str| format!("-ERR Protocol error: {text}\\r\\n");
    let table: [(&[u8], String); 9] = [
        (
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048577\r\n",
            error("invalid bulk length"),
        ),
        (b"*1000000000\r\n", error("invalid multibulk length")),
        (b"*2\r\n$3\r\nGET\r\n$-5\r\n", error("invalid bulk length")),
        (
            b"*2\r\n*1\r\n$3\r\nGET\r\n",
            error("expected \\'$\\', got \\'*\\'"),
        ),
        (b"*1\r\n:5\r\n", error("expected \\'$\\', got \\':\\'")),
        (b"*x\r\n", error("invalid multibulk length")),
        (
            b"GET \"unbalanced\r\n",
            error("unbalanced quotes in request"),
        ),
        (&[b'x'; 100_000], error("too big inline request")),
        (
            b"*1\r\n$4\r\nPING\r\n*1\r\nPING\r\n",
            format!("+PONG\\r\\n{}", error("expected \\'$\\', got \\'P\\'")),
        ),
    ];
    for (bytes, expected) in table {
        assert_eq!(end_of(&node, bytes), expected);
        assert_eq!(other.ask("PING"), "PONG");
    }
}

#[test]
fn other_protocols_are_recognised() {
    let node = Node::start(&[], &[]);
    let answer = end_of(
        &node,
        b"POST /set HTTP/1.1\r\nHost: x\r\n\r\nSET stolen 1\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{answer}");
    let port = format!("on port {}.", node.http.port());
    assert!(answer.contains(&port), "{answer}");
    assert_eq!(
        end_of(&node, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ""
    );
    assert_eq!(Wire::connect(node.resp).ask("EXISTS stolen"), "0");
}

#[test]
fn half_a_command_is_no_command() {
    let node = Node::start(&[], &[]);
    let whole = encode([["SET", "half", "value"]]);
    for end in [1, 5, 12, whole.len() - 1] {
        let mut wire = Wire::connect(node.resp);
        wire.send(&whole[..end]);
        wire.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(wire.rest(), b"");
    }
    assert_eq!(Wire::connect(node.resp).ask("EXISTS half"), "0");
}

#[test]
fn a_command_may_come_byte_by_byte() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    for byte in &encode([["SET", "slow", "value"], ["GET", "slow", ""]]) {
        wire.send(&[*byte]);
    }
    assert_eq!(show(&wire.reply()), "OK");
    assert_eq!(
        show(&wire.reply()),
        "-ERR wrong number of arguments for \\'get\\' command"
    );
}

#[test]
fn replies_to_a_half_closed_peer_still_arrive() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    wire.send(b"PING\r\nECHO hi\r\n");
    wire.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(wire.rest(), b"+PONG\r\n$2\r\nhi\r\n");
}

#[test]
fn ten_thousand_commands_in_one_write_are_answered_in_order() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    let mut sender = wire.stream.try_clone().unwrap();
    let count = 10_000;
    let commands = (0..count).map(|number| ["ECHO".to_owned(), number.to_string()]);
    let bytes = encode(commands);
    let sending = std::thread::spawn(move || sender.write_all(&bytes).unwrap());
    for number in 0..count {
        assert_eq!(wire.reply(), Reply::bulk(number.to_string()));
    }
    sending.join().unwrap();
}

#[test]
fn a_whole_pipeline_may_be_sent_before_any_reply_is_read() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    let value = "v".repeat(10_000);
    assert_eq!(wire.ask(&format!("SET k {value}")), "OK");
    let count = 1_000;
    wire.send(&encode((0..count).map(|_| ["GET", "k"])));
    for _ in 0..count {
        assert_eq!(wire.reply(), Reply::bulk(&value));
    }
}

#[test]
fn a_client_that_never_reads_costs_little_and_harms_nobody() {
    let node = Node::start(
        &["--resp-max-output", "4MiB", "--resp-max-value", "1MiB"],
        &[],
    );
    let mut other = Wire::connect(node.resp);
    let value = "v".repeat(100_000);
    assert_eq!(other.ask(&format!("SET k {value}")), "OK");
    let before = node.daemon.rss_kib();
    let gets = encode((0..20_000).map(|_| ["GET", "k"]));
    let mut deaf = Wire::connect(node.resp);
    deaf.stream.set_nonblocking(true).unwrap();
    // As much as fits into the sockets; the node answers 2 GB to that if it may.
    let _ = deaf.stream.write(&gets);
    for _ in 0..200 {
        assert_eq!(other.call(&["STRLEN", "k"]), Reply::Integer(100_000));
    }
    let grown = node.daemon.rss_kib().saturating_sub(before);
    assert!(grown < 24 * 1024, "{grown} KiB for one client");
    drop(deaf);
    let alone = || other.ask("INFO clients").contains("connected_clients:1\\r");
    until(LIMIT, "the other connection is gone", alone).unwrap();
}

#[test]
fn announced_sizes_cost_nothing() {
    let node = Node::start(&[], &[]);
    is_alive(&node);
    let before = node.daemon.rss_kib();
    let announced = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16777216\r\nbegin";
    let wires: Vec<Wire> = (0..100)
        .map(|_| {
            let mut wire = Wire::connect(node.resp);
            wire.send(announced);
            wire
        })
        .collect();
    is_alive(&node);
    let grown = node.daemon.rss_kib().saturating_sub(before);
    assert!(
        grown < 16 * 1024,
        "{grown} KiB for {} promises",
        wires.len()
    );
}

#[test]
fn a_command_that_does_not_come_to_its_end_ends_the_connection() {
    let node = Node::start(&["--resp-frame-timeout", "1s"], &[]);
    assert_eq!(end_of(&node, b"*2\r\n$3\r\nGET\r\n$3\r\nke"), "");
    is_alive(&node);
}

#[test]
fn an_idle_connection_is_closed_when_that_is_configured() {
    let node = Node::start(&["--resp-idle-timeout", "1s"], &[]);
    assert_eq!(end_of(&node, b"PING\r\n"), "+PONG\\r\\n");
}

#[test]
fn clients_beyond_the_limit_are_told_so() {
    let node = Node::start(&["--resp-max-clients", "2"], &[]);
    let mut first = Wire::connect(node.resp);
    let mut second = Wire::connect(node.resp);
    assert_eq!(first.ask("PING"), "PONG");
    assert_eq!(second.ask("PING"), "PONG");
    let third = Wire::connect(node.resp).rest();
    assert_eq!(third, b"-ERR max number of clients reached\r\n");
    drop(second);
    let served = || {
        let mut wire = Wire::connect(node.resp);
        wire.send(&encode([["PING"]]));
        matches!(wire.try_reply(), Ok(Some(Reply::Simple(_))))
    };
    until(LIMIT, "there is room again", served).unwrap();
}

#[test]
fn any_bytes_are_keys_and_values() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    let all: Vec<u8> = (0..=255).collect();
    for key in [b"".as_slice(), b"\0", b"\0d\x01x", b"\r\n", &all] {
        for value in [b"".as_slice(), b"\0\0", b"$5\r\n", &all] {
            assert_eq!(show(&wire.call(&[b"SET", key, value])), "OK");
            assert_eq!(wire.call(&[b"GET".as_slice(), key]), Reply::bulk(value));
        }
        let exists = |wire: &mut Wire| wire.call(&[b"EXISTS".as_slice(), key]);
        assert_eq!(exists(&mut wire), Reply::Integer(1));
        wire.ask("SELECT 1");
        assert_eq!(exists(&mut wire), Reply::Integer(0));
        wire.ask("SELECT 0");
    }
    assert_eq!(wire.ask("DBSIZE"), "5");
    let long = vec![b'k'; 64 * 1024 + 1];
    let reply = show(&wire.call(&[b"SET".as_slice(), &long, b"v"]));
    assert_eq!(reply, "-ERR key is longer than 65536 bytes");
}

#[test]
fn what_was_received_before_the_stop_is_answered() {
    let mut node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    assert_eq!(wire.ask("PING"), "PONG");
    wire.send(&encode((0..1000).map(|_| ["INCR", "n"])));
    assert_eq!(wire.reply(), Reply::Integer(1));
    assert_eq!(node.daemon.terminate(LIMIT).unwrap().code(), Some(0));
    let answered = wire.rest();
    let lines = answered.iter().filter(|&&byte| byte == b'\n').count();
    assert!(lines < 1000, "no more than was asked");
    assert!(
        answered.is_empty() || answered.ends_with(b"\r\n"),
        "no half reply"
    );
}
