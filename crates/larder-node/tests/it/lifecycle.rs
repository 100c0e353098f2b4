//! From the banner to the last line.

use larder_testkit::servers::until;

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
