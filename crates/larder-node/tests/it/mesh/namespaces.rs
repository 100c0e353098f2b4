//! Nodes in network namespaces of their own, behind a switch: the kernel drops what is sent to and by one
//! of them, as if its cable were pulled, and tells nobody.
//!
//! Only who may make namespaces can run this; for others it is skipped, and says so.

use std::io::Write;
use std::process::{Command, Output};

use larder_testkit::servers::{Daemon, redis_cli, require};
use tempfile::TempDir;

use super::{LIMIT, wait};

/// A switch and what hangs on it. The namespaces go when it is dropped, and the nodes in them.
struct Lan {
    home: TempDir,
    spaces: Vec<String>,
    nodes: Vec<Daemon>,
}

fn ip(arguments: &str) -> std::io::Result<Output> {
    Command::new("ip").args(arguments.split(' ')).output()
}

/// Does what can be done once a namespace can be made.
fn must(arguments: &str) {
    let output = ip(arguments).unwrap();
    assert!(output.status.success(), "ip {arguments}: {output:?}");
}

impl Lan {
    /// A switch with so many nodes, if that is permitted.
    fn start(count: usize) -> Option<Lan> {
        let mut lan = Lan {
            home: tempfile::tempdir().unwrap(),
            spaces: Vec::new(),
            nodes: Vec::new(),
        };
        let space = |at: usize| format!("larder-{}-{at}", std::process::id());
        let switch = space(0);
        let why = match ip(&format!("netns add {switch}")) {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = why {
            // Not `eprintln!`: the test harness would keep the line of a passing test to itself.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: a network namespace cannot be made: {}",
                why.trim()
            );
            return None;
        }
        lan.spaces.push(switch.clone());
        must(&format!("-n {switch} link add br0 type bridge"));
        must(&format!("-n {switch} link set br0 up"));
        for at in 1..=count {
            let node = space(at);
            must(&format!("netns add {node}"));
            lan.spaces.push(node.clone());
            must(&format!(
                "-n {switch} link add p{at} type veth peer name eth0 netns {node}"
            ));
            must(&format!("-n {switch} link set p{at} master br0 up"));
            must(&format!("-n {node} addr add 10.0.0.{at}/24 dev eth0"));
            must(&format!("-n {node} link set eth0 up"));
            must(&format!("-n {node} link set lo up"));
        }
        std::fs::write(lan.home.path().join("secret"), "0123456789 of one cluster").unwrap();
        for at in 1..=count {
            let node = lan.node(at);
            lan.nodes.push(node);
        }
        Some(lan)
    }

    fn node(&self, at: usize) -> Daemon {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.spaces[at]]);
        command.args([env!("CARGO_BIN_EXE_larder"), "serve"]);
        command.args(["--name", &format!("node{at}"), "--join", "10.0.0.1:7400"]);
        command.args(["--mesh", &format!("10.0.0.{at}:7400")]);
        command.args(["--secret-file", "secret"]);
        command.current_dir(self.home.path());
        let log = self.home.path().join(format!("log{at}"));
        let mut node = Daemon::spawn(&mut command, &log).unwrap();
        node.wait_ready(LIMIT, |log| log.contains("HTTP    http://"))
            .unwrap();
        node
    }

    /// What is printed when this is typed beside a node.
    fn type_in(&self, at: usize, command: &str) -> String {
        let mut client = Command::new("ip");
        client.args(["netns", "exec", &self.spaces[at]]);
        client.args(["redis-cli", "-p", "6380"]);
        let output = client.args(command.split(' ')).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Pulls the cable of a node, or puts it back.
    fn cable(&self, at: usize, state: &str) {
        must(&format!("-n {} link set p{at} {state}", self.spaces[0]));
    }

    fn alive(&self, at: usize) -> usize {
        self.type_in(at, "CACHE.NODES").matches("alive").count()
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.nodes.clear();
        for space in &self.spaces {
            // Nothing is in it any more.
            let _ = ip(&format!("netns del {space}"));
        }
    }
}

#[test]
fn a_node_whose_cable_is_pulled_goes_on_alone_and_is_merged_when_it_is_back() {
    if require(redis_cli()).is_none() {
        return;
    }
    let Some(lan) = Lan::start(3) else { return };
    for at in 1..=3 {
        wait("all nodes", || lan.alive(at) == 2);
    }
    let set = |at: usize, key: &str, value: &str| {
        wait("an acknowledgement", || {
            lan.type_in(at, &format!("SET {key} {value}")) == "OK"
        });
    };
    set(1, "removed", "1");
    set(1, "changed", "1");
    lan.cable(3, "down");
    set(2, "changed", "2");
    set(3, "there", "3");
    assert_eq!(lan.type_in(1, "DEL removed"), "1");
    assert_eq!(lan.type_in(3, "GET removed"), "1", "it has not heard of it");
    wait("the loss", || lan.alive(1) == 1 && lan.alive(3) == 0);
    lan.cable(3, "up");
    for at in 1..=3 {
        for (key, value) in [("removed", ""), ("changed", "2"), ("there", "3")] {
            wait("the same everywhere", || {
                lan.type_in(at, &format!("GET {key}")) == value
            });
        }
        wait("all nodes", || lan.alive(at) == 2);
    }
}
