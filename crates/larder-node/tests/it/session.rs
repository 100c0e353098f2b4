//! The state of a connection: passwords, databases, names, silence, and the end.

use larder_resp::Reply;

use crate::node::Node;
use crate::wire::{Wire, encode, show};

const NOAUTH: &str = "-NOAUTH Authentication required.";
const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.";

fn guarded() -> Node {
    Node::start(&[], &[("CACHE_RESP_PASSWORD", "sesame")])
}

#[test]
fn strangers_may_only_say_who_they_are() {
    let node = guarded();
    let mut wire = Wire::connect(node.resp);
    for line in ["PING", "GET k", "ECHO x", "COMMAND", "CLIENT ID", "NO-SUCH"] {
        assert_eq!(wire.ask(line), NOAUTH, "{line}");
    }
    assert!(
        wire.ask("HELLO 3")
            .starts_with("-NOAUTH HELLO must be called")
    );
    assert_eq!(wire.ask("RESET"), "RESET");
    assert_eq!(wire.ask("AUTH sesame"), "OK");
    assert_eq!(wire.ask("PING"), "PONG");
    assert_eq!(wire.ask("RESET"), "RESET");
    assert_eq!(wire.ask("PING"), NOAUTH);
    assert_eq!(wire.ask("AUTH default sesame"), "OK");
    let reply = wire.call(&["HELLO", "3", "AUTH", "default", "sesame", "SETNAME", "app"]);
    assert!(matches!(reply, Reply::Map(_)), "{reply:?}");
    assert_eq!(wire.ask("CLIENT GETNAME"), "app");
}

#[test]
fn guessing_a_password_ends_the_connection() {
    let node = guarded();
    let mut wire = Wire::connect(node.resp);
    for line in ["AUTH guess", "AUTH default other", "AUTH somebody sesame"] {
        assert_eq!(wire.ask(line), WRONGPASS, "{line}");
    }
    assert_eq!(wire.rest(), b"");
}

#[test]
fn strangers_cannot_make_the_node_hold_memory() {
    let node = guarded();
    let end = |bytes: &[u8]| {
        let mut wire = Wire::connect(node.resp);
        wire.send(bytes);
        String::from_utf8(wire.rest()).unwrap()
    };
    let expected = "-ERR Protocol error: unauthenticated multibulk length\r\n";
    assert_eq!(end(b"*11\r\n"), expected);
    let expected = "-ERR Protocol error: unauthenticated bulk length\r\n";
    assert_eq!(end(b"*2\r\n$4\r\nAUTH\r\n$16385\r\n"), expected);
}

#[test]
fn a_failed_handshake_changes_nothing() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    for line in [
        "HELLO 3 FOO",
        "HELLO 4",
        "HELLO 3 AUTH u p",
        "HELLO 3 SETNAME a\nb",
    ] {
        let reply = wire.ask(line);
        assert!(reply.starts_with('-'), "{line}: {reply}");
        assert_eq!(wire.call(&["GET", "absent"]), Reply::Null);
        // In RESP3 this would be a map.
        assert!(matches!(
            wire.call(&["CONFIG", "GET", "save"]),
            Reply::Array(_)
        ));
    }
    assert_eq!(wire.ask("CLIENT GETNAME"), "(nil)");
}

#[test]
fn databases_are_apart() {
    let node = Node::start(&[], &[]);
    let (mut one, mut two) = (Wire::connect(node.resp), Wire::connect(node.resp));
    assert_eq!(one.ask("SET k zero"), "OK");
    assert_eq!(two.ask("SELECT 15"), "OK");
    assert_eq!(two.ask("GET k"), "(nil)");
    assert_eq!(two.ask("SET k fifteen"), "OK");
    assert_eq!(one.ask("GET k"), "zero");
    let keyspace = one.ask("INFO keyspace");
    assert!(
        keyspace.contains("db0:keys=1,") && keyspace.contains("db15:keys=1,"),
        "{keyspace}"
    );
    assert_eq!(two.ask("FLUSHDB"), "OK");
    assert_eq!(one.ask("DBSIZE"), "1");
    assert_eq!(two.ask("FLUSHALL"), "OK");
    assert_eq!(one.ask("DBSIZE"), "0");
}

#[test]
fn connections_are_listed_and_can_be_ended() {
    let node = Node::start(&[], &[]);
    let (mut one, mut two) = (Wire::connect(node.resp), Wire::connect(node.resp));
    assert_eq!(two.ask("CLIENT SETNAME second"), "OK");
    assert_eq!(two.ask("CLIENT SETINFO LIB-NAME tested"), "OK");
    let list = one.ask("CLIENT LIST");
    assert!(
        list.contains("name=second") && list.contains("lib-name=tested"),
        "{list}"
    );
    assert!(list.contains("cmd=client"), "{list}");
    let id = two.ask("CLIENT ID");
    assert_eq!(one.ask(&format!("CLIENT KILL ID {id}")), "1");
    assert_eq!(two.rest(), b"");
    let addr = one.stream.local_addr().unwrap();
    assert_eq!(one.ask(&format!("CLIENT KILL ADDR {addr}")), "0", "not me");
    assert_eq!(one.ask(&format!("CLIENT KILL {addr}")), "OK");
    assert_eq!(one.rest(), b"");
}

#[test]
fn replies_can_be_switched_off() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    wire.send(&encode([
        &["CLIENT", "REPLY", "SKIP"][..],
        &["SET", "k", "1"],
        &["INCR", "k"],
        &["CLIENT", "REPLY", "OFF"],
        &["INCR", "k"],
        &["NO-SUCH"],
        &["CLIENT", "REPLY", "ON"],
        &["GET", "k"],
    ]));
    let replies: Vec<String> = (0..3).map(|_| show(&wire.reply())).collect();
    assert_eq!(replies, ["2", "OK", "3"]);
}

#[test]
fn unknown_commands_are_repeated_within_limits() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    let long = "y".repeat(300);
    let reply = show(&wire.call(&[long.as_str(), "a\r\nb", long.as_str(), "never"]));
    let expected = format!(
        "-ERR unknown command \\'{}\\', with args beginning with: \\'a  b\\' \\'{}\\' ",
        "y".repeat(128),
        "y".repeat(128 - 7),
    );
    assert_eq!(reply, expected);
    assert_eq!(wire.ask("PING"), "PONG");
}
