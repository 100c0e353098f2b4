//! The HTTP port: who asks, and how it declines.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;

use larder_testkit::servers::until;

use crate::node::{LIMIT, Node, exchange};

#[test]
fn health_and_readiness_are_json() {
    let node = Node::start(&[], &[]);
    for path in ["/healthz", "/livez"] {
        let answer = node.get(path);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "{\"status\":\"alive\"}")
        );
    }
    let ready = node.get("/readyz?verbose");
    assert_eq!(ready.status, 200);
    assert!(
        ready.head.contains("content-type: application/json"),
        "{ready:?}"
    );
    let body: serde_json::Value = serde_json::from_str(&ready.body).unwrap();
    assert_eq!(body["status"], "ready");
    assert_eq!(body["checks"]["store"]["state"], "ok");
    assert!(!node.get("/readyz").body.contains("store"));
}

#[test]
fn the_page_says_what_to_try() {
    let node = Node::start(&[], &[]);
    let page = node.get("/");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/html"), "{page:?}");
    let line = format!("redis-cli -p {} SET hello world EX 60", node.resp.port());
    assert!(page.body.contains(&line), "{page:?}");
    assert!(page.body.contains("embedded store"), "{page:?}");
}

#[test]
fn what_is_not_there_is_declined_as_json() {
    let node = Node::start(&[], &[]);
    let missing = node.get("/nothing");
    assert_eq!(missing.status, 404);
    let body: serde_json::Value = serde_json::from_str(&missing.body).unwrap();
    assert_eq!(body["error"], "there is nothing at /nothing");
    let post =
        "POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert_eq!(node.ask(post).status, 405);
    let large = "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 65537\r\nconnection: close\r\n\r\n";
    assert_eq!(node.ask(large).status, 413);
}

#[test]
fn a_redis_client_is_told_where_to_go() {
    let node = Node::start(&[], &[]);
    let answer = exchange(node.http, b"*1\r\n$4\r\nPING\r\n");
    let port = node.resp.port();
    let expected = format!("-ERR this is the HTTP port of larder; RESP is on port {port}\r\n");
    assert_eq!(answer, expected);
    assert_eq!(node.ask("PING\r\n\r\n").status, 400);
}

#[test]
fn connections_beyond_the_limit_are_turned_away_until_some_end() {
    let node = Node::start(&[], &[]);
    let open: Vec<TcpStream> = (0..64)
        .map(|_| TcpStream::connect(node.http).unwrap())
        .collect();
    // Connections are accepted in order, so this one is the sixty-fifth.
    let mut late = TcpStream::connect(node.http).unwrap();
    late.set_read_timeout(Some(LIMIT)).unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(open);
    let is_served = || probe(&node).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "));
    until(LIMIT, "a connection is served again", is_served).unwrap();
}

/// One request whose connection may be refused.
fn probe(node: &Node) -> Result<String, ErrorKind> {
    use std::io::Write;
    let mut stream = TcpStream::connect(node.http).map_err(|error| error.kind())?;
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    let exchanged = stream
        .write_all(request)
        .and_then(|()| stream.read_to_string(&mut answer));
    exchanged.map(|_| answer).map_err(|error| error.kind())
}
