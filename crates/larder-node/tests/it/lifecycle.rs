//! From the banner to the last line.

use std::io::{Read, Write};
use std::net::TcpStream;

use larder_testkit::servers::until;
use rustix::process::{Pid, Signal, kill_process};

use crate::node::{LIMIT, Node, run};

#[test]
fn the_banner_says_where_it_listens_and_what_to_try() {
    let node = Node::start(&[], &[]);
    let log = node.daemon.log();
    let (resp, http) = (node.resp, node.http);
    let port = resp.port();
    for part in [
        format!(
            "larder {}  storing into embedded store\n",
            env!("CARGO_PKG_VERSION")
        ),
        format!("redis://{resp}   try: redis-cli -p {port} SET hello world EX 60\n"),
        format!("http://{http}"),
        "10000 clients, values up to 16MiB, keys without a TTL stay\n".into(),
    ] {
        assert!(log.contains(&part), "{part} in\n{log}");
    }
}

#[test]
fn a_signal_drains_and_ends_well() {
    let mut node = Node::start(&[], &[]);
    let status = node.daemon.terminate(LIMIT).expect("the node ends");
    let log = node.daemon.log();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("larder: stopping; "), "{log}");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.starts_with("larder: stopped after "), "{log}");
}

#[test]
fn readiness_ends_with_the_first_signal_and_the_process_with_the_second() {
    let mut node = Node::start(&["--shutdown-grace", "1h"], &[]);
    let _client = slow_reader(&node);
    let pid = i32::try_from(node.daemon.pid())
        .ok()
        .and_then(Pid::from_raw);
    kill_process(pid.unwrap(), Signal::TERM).unwrap();
    until(LIMIT, "not ready", || node.get("/readyz").status == 503).unwrap();
    assert_eq!(node.get("/healthz").status, 200);
    let status = node.daemon.terminate(LIMIT).expect("the node ends");
    let log = node.daemon.log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("stopped with 1 connections cut off"), "{log}");
}

#[test]
fn a_client_that_does_not_finish_in_time_is_cut_off() {
    let mut node = Node::start(&["--shutdown-grace", "50ms"], &[]);
    let _client = slow_reader(&node);
    let status = node.daemon.terminate(LIMIT).expect("the node ends");
    let log = node.daemon.log();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("1 connections have 50ms to finish"), "{log}");
}

/// A client that has asked for more than fits into the buffers between it and the node, and does
/// not go on reading.
fn slow_reader(node: &Node) -> TcpStream {
    const SIZE: usize = 8 << 20;
    let mut client = TcpStream::connect(node.resp).unwrap();
    let set = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${SIZE}\r\n");
    client.write_all(set.as_bytes()).unwrap();
    client.write_all(&vec![b'x'; SIZE]).unwrap();
    client.write_all(b"\r\n").unwrap();
    let get = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    client.write_all(&get.repeat(4)).unwrap();
    let mut begun = [0; "+OK\r\n$8388608\r\n".len()];
    client.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"+OK\r\n$8388608\r\n");
    client
}

#[test]
fn a_dead_server_does_not_keep_the_node_from_starting() {
    // Nothing listens on port 1.
    let url = ("CACHE_URL", "redis://user:sesame@127.0.0.1:1/0");
    let mut node = Node::start(&[], &[url]);
    assert_eq!(node.get("/readyz").status, 200);
    let verbose = node.get("/readyz?verbose");
    assert_eq!(verbose.status, 200);
    assert!(verbose.body.contains("\"state\":\"away\""), "{verbose:?}");
    let status = node.daemon.terminate(LIMIT).expect("the node ends");
    assert_eq!(status.code(), Some(0));
    assert!(
        !node.daemon.log().contains("sesame"),
        "{}",
        node.daemon.log()
    );
}

#[test]
fn logs_for_programs_are_json_alone() {
    let home = tempfile::tempdir().unwrap();
    let arguments = [
        "--resp",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--log-format",
        "json",
    ];
    let mut command = crate::node::larder(home.path(), &arguments, &[]);
    let log = home.path().join("log");
    let mut daemon = larder_testkit::servers::Daemon::spawn(&mut command, &log).unwrap();
    until(LIMIT, "the first line", || daemon.log().contains('\n')).unwrap();
    daemon.terminate(LIMIT).expect("the node ends");
    let text = daemon.log();
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect(line);
    }
    assert!(text.contains("\"message\":\"listening\""), "{text}");
}

#[test]
fn the_version_and_the_help_end_well() {
    let version = run(&["version"], &[]);
    assert!(version.status.success());
    let expected = format!("larder {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(version.stdout).unwrap(), expected);
    assert!(run(&["--help"], &[]).status.success());
}
