//! Nodes that find each other: real processes, one after the other started, killed, refused.

mod namespaces;
mod survival;

use std::net::SocketAddr;
use std::path::PathBuf;

use larder_testkit::servers::until;
use serde_json::Value;
use tempfile::TempDir;

use crate::node::{LIMIT, Node, exchange, run};

/// The secret of one test, in a file.
pub(crate) struct Cluster {
    home: TempDir,
}

impl Cluster {
    pub(crate) fn new() -> Cluster {
        let cluster = Cluster {
            home: tempfile::tempdir().unwrap(),
        };
        std::fs::write(cluster.secret(), "the secret of one cluster, 0123456789\n").unwrap();
        cluster
    }

    fn secret(&self) -> PathBuf {
        self.home.path().join("secret")
    }

    /// A node that listens for others here and joins that one.
    pub(crate) fn start(&self, name: &str, listen: SocketAddr, join: Option<&Node>) -> Node {
        self.start_with(name, listen, join, &[])
    }

    fn start_with(
        &self,
        name: &str,
        listen: SocketAddr,
        join: Option<&Node>,
        more: &[&str],
    ) -> Node {
        let (secret, listen) = (self.secret(), listen.to_string());
        let secret = secret.to_str().unwrap();
        let mut arguments = vec!["--name", name, "--mesh", &listen, "--secret-file", secret];
        let join = join.map(|node| mesh_address(node).to_string());
        arguments.extend(join.iter().flat_map(|join| ["--join", join]));
        arguments.extend(more);
        Node::start(&arguments, &[])
    }

    /// So many nodes of which each knows the others.
    pub(crate) fn start_all(&self, count: usize) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        for number in 1..=count {
            let name = format!("node{number}");
            let node = self.start(&name, ANYWHERE.parse().unwrap(), nodes.first());
            nodes.push(node);
        }
        for node in &nodes {
            wait("all nodes", || states(node, "alive").len() + 1 == count);
        }
        nodes
    }
}

const ANYWHERE: &str = "127.0.0.1:0";

pub(crate) fn mesh_address(node: &Node) -> SocketAddr {
    let log = node.daemon.log();
    let (_, rest) = log.split_once("MESH    ").unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

pub(crate) fn wait(what: &str, condition: impl FnMut() -> bool) {
    until(LIMIT, what, condition).unwrap();
}

fn nodes(node: &Node) -> Vec<Value> {
    let answer: Value = serde_json::from_str(&node.get("/api/v1/nodes").body).unwrap();
    answer["nodes"].as_array().unwrap().clone()
}

/// The names of the nodes in this state, as one of them sees it.
pub(crate) fn states(node: &Node, state: &str) -> Vec<String> {
    let nodes = nodes(node).into_iter();
    let named = nodes.filter(|node| node["state"] == state);
    named
        .map(|node| node["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn nodes_that_join_one_of_them_know_all_and_are_listed_everywhere() {
    let cluster = Cluster::new();
    let nodes = cluster.start_all(3);
    let resp = nodes[1].resp.to_string();
    let output = run(&["nodes", "--resp", &resp], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["NAME", "ADDRESS", "STATE", "SEQ", "LAG"]);
    let first = mesh_address(&nodes[0]).to_string();
    assert_eq!(lines[2], ["node1", &first, "alive", "0", "0"], "{text}");
    assert_eq!(lines[1][..1], ["node2"]);
    assert_eq!(lines.len(), 4);
    let output = run(&["nodes", "--resp", &resp, "--json"], &[]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["nodes"][2]["name"], "node3");
}

#[test]
fn a_node_is_told_of_another_at_run_time() {
    let cluster = Cluster::new();
    let anywhere = ANYWHERE.parse().unwrap();
    let one = cluster.start("one", anywhere, None);
    let two = cluster.start("two", anywhere, None);
    assert_eq!(states(&one, "self"), ["one"]);
    assert_eq!(nodes(&one).len(), 1);
    let (resp, address) = (one.resp.to_string(), mesh_address(&two).to_string());
    let output = run(&["nodes", "connect", &address, "--resp", &resp], &[]);
    assert!(output.status.success(), "{output:?}");
    wait("both", || {
        states(&one, "alive") == ["two"] && states(&two, "alive") == ["one"]
    });
    let output = run(&["nodes", "connect", "nowhere", "--resp", &resp], &[]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}

#[test]
fn a_killed_node_is_not_alive_and_alive_again_once_it_is_back() {
    let cluster = Cluster::new();
    let mut nodes = cluster.start_all(3);
    let third = nodes.pop().unwrap();
    let address = mesh_address(&third);
    drop(third);
    wait("the loss", || states(&nodes[0], "alive") == ["node2"]);
    let back = cluster.start("node3", address, Some(&nodes[1]));
    wait("its return", || {
        states(&nodes[0], "alive") == ["node2", "node3"] && states(&back, "alive").len() == 2
    });
}

#[test]
fn a_node_with_another_secret_is_refused_and_said_so_once_without_the_secret() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let wrong = "quite another secret, 9876543210";
    std::fs::write(other.secret(), wrong).unwrap();
    let one = cluster.start("one", ANYWHERE.parse().unwrap(), None);
    let stranger = other.start("stranger", ANYWHERE.parse().unwrap(), Some(&one));
    let said = |node: &Node| node.daemon.log().matches("the secrets differ").count();
    wait("a refusal", || said(&one) > 0 && said(&stranger) > 0);
    assert_eq!(states(&one, "alive"), [""; 0]);
    assert_eq!((said(&one), said(&stranger)), (1, 1));
    for node in [&one, &stranger] {
        let log = node.daemon.log();
        assert!(
            !log.contains(wrong) && !log.contains("the secret of one"),
            "{log}"
        );
    }
}

#[test]
fn what_a_node_of_a_mesh_needs_is_asked_for() {
    let output = run(&["--mesh", "127.0.0.1:1"], &[]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text.contains("--name") && text.contains("--secret-file"),
        "{text}"
    );
    let members = [("CACHE_MESH_MEMBERS", "a=10.0.0.1:1,b=10.0.0.2:1")];
    let variables = [members[0], ("CACHE_MESH_SECRET", "0123456789abcdef0123")];
    let output = run(
        &["--mesh", "127.0.0.1:1", "--name", "c", "--check"],
        &variables,
    );
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("lacks this node"), "{text}");
    let output = run(
        &["--mesh", "127.0.0.1:1", "--name", "a", "--check"],
        &variables,
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(
        text.contains("mesh.members = a=10.0.0.1:1,b=10.0.0.2:1"),
        "{text}"
    );
    assert!(text.contains("mesh.secret = ***"), "{text}");
}

/// Types one command; gives what is printed.
fn type_in(node: &Node, command: &str) -> String {
    exchange(node.resp, format!("{command}\r\nQUIT\r\n").as_bytes())
}

/// The three terminals of docs/cluster.md.
#[test]
fn what_is_typed_in_one_terminal_is_read_in_all() {
    let cluster = Cluster::new();
    let mut nodes = cluster.start_all(3);
    let is = |node: &Node, key: &str, value: &str| {
        let expected = format!("${}\r\n{value}\r\n+OK\r\n", value.len());
        assert_eq!(type_in(node, &format!("GET {key}")), expected, "{key}");
    };
    let is_absent = |node: &Node, key: &str| {
        assert_eq!(
            type_in(node, &format!("GET {key}")),
            "$-1\r\n+OK\r\n",
            "{key}"
        );
    };
    assert_eq!(type_in(&nodes[0], "SET product:NEW1 one"), "+OK\r\n+OK\r\n");
    is(&nodes[1], "product:NEW1", "one");
    is(&nodes[2], "product:NEW1", "one");
    type_in(&nodes[1], "SET product:NEW1 two EX 1000");
    is(&nodes[0], "product:NEW1", "two");
    assert_eq!(type_in(&nodes[2], "TTL product:NEW1")[..2], *":1");
    assert_eq!(type_in(&nodes[2], "DEL product:NEW1"), ":1\r\n+OK\r\n");
    is_absent(&nodes[0], "product:NEW1");
    type_in(&nodes[0], "SET a 1");
    type_in(&nodes[0], "SET b 1");
    type_in(&nodes[2], "EXPIRE b 1000");
    assert_eq!(type_in(&nodes[1], "PERSIST b"), ":1\r\n+OK\r\n");
    type_in(&nodes[1], "FLUSHALL");
    is_absent(&nodes[2], "a");

    // The third is killed, and is back with all that it missed.
    type_in(&nodes[0], "SET removed 1");
    type_in(&nodes[0], "SET changed 1");
    let third = nodes.pop().unwrap();
    let address = mesh_address(&third);
    drop(third);
    wait("the loss", || states(&nodes[0], "alive") == ["node2"]);
    type_in(&nodes[1], "DEL removed");
    type_in(&nodes[1], "SET changed 2");
    type_in(&nodes[0], "SET new 1");
    let back = cluster.start("node3", address, Some(&nodes[0]));
    is_absent(&back, "removed");
    is(&back, "changed", "2");
    is(&back, "new", "1");
    drop(nodes);
    is(&back, "changed", "2");
    assert_eq!(type_in(&back, "SET changed 3"), "+OK\r\n+OK\r\n");
}

/// A node that stands still holds writes up until its link is cut, and has what it missed soon after
/// it goes on.
#[test]
fn a_node_that_stood_still_has_what_it_missed() {
    let cluster = Cluster::new();
    let nodes = cluster.start_all(3);
    nodes[2].daemon.stop_signal();
    wait("a write without it", || {
        type_in(&nodes[0], "SET k 1") == "+OK\r\n+OK\r\n"
    });
    type_in(&nodes[0], "SET k 2");
    nodes[2].daemon.cont_signal();
    wait("its value there", || {
        type_in(&nodes[2], "GET k") == "$1\r\n2\r\n+OK\r\n"
    });
    wait("all of them", || states(&nodes[2], "alive").len() == 2);
}

/// What was acknowledged is on all nodes, and none of them has more than it may.
#[test]
fn a_full_mesh_refuses_values_and_goes_on_when_some_are_removed() {
    let cluster = Cluster::new();
    let anywhere = ANYWHERE.parse().unwrap();
    let memory = ["--memory-max", "16MiB", "--memory-when-full", "refuse"];
    let one = cluster.start_with("one", anywhere, None, &memory);
    let two = cluster.start_with("two", anywhere, Some(&one), &memory);
    wait("both", || {
        states(&one, "alive") == ["two"] && states(&two, "alive") == ["one"]
    });
    let large = "x".repeat(500_000);
    let set = |node: &Node, number: usize| {
        let key = format!("large:{number}");
        let (length, size) = (key.len(), large.len());
        let key = format!("${length}\r\n{key}");
        type_in(
            node,
            &format!("*3\r\n$3\r\nSET\r\n{key}\r\n${size}\r\n{large}"),
        )
    };
    let mut kept = 0;
    let refusal = loop {
        let answer = set([&one, &two][kept % 2], kept);
        if answer != "+OK\r\n+OK\r\n" {
            break answer;
        }
        kept += 1;
    };
    assert!(refusal.starts_with("-OOM "), "{refusal}");
    assert!((24..34).contains(&kept), "{kept} of half a megabyte each");
    for node in [&one, &two] {
        for number in 0..kept {
            let length = type_in(node, &format!("STRLEN large:{number}"));
            assert_eq!(length, ":500000\r\n+OK\r\n", "{number}");
        }
        let memory = type_in(node, "INFO memory");
        assert!(memory.contains("maxmemory:16777216"), "{memory}");
    }
    assert_eq!(type_in(&two, "DEL large:0"), ":1\r\n+OK\r\n");
    assert_eq!(type_in(&two, "DEL large:1"), ":1\r\n+OK\r\n");
    assert_eq!(set(&one, kept), "+OK\r\n+OK\r\n");
    let output = run(&["--memory-max", "1MiB", "--mesh", ANYWHERE], &[]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("at least 16MiB"), "{text}");
}
