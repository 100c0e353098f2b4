//! Nodes that are processes: many of them killed at once, or cut off one way, or far away. What was
//! acknowledged is read on those that are left.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use larder_testkit::proxy::{Fault, Proxy, Traffic};
use larder_testkit::servers::free_port;
use tokio::time::Instant;

use super::{ANYWHERE, Cluster, Node, states, type_in, wait};

/// With `LARDER_NODES=20` there are so many. In a release build they form a mesh within five seconds; of
/// fewer, in a run with many other tests beside it, only that they come to it is asked.
fn count() -> usize {
    let count = std::env::var("LARDER_NODES").ok();
    count.map_or(5, |count| count.parse().unwrap())
}

/// Writes until it is acknowledged: a write that takes longer than two seconds may be repeated.
fn set(node: &Node, key: &str, value: usize) {
    wait("an acknowledgement", || {
        type_in(node, &format!("SET {key} {value}")) == "+OK\r\n+OK\r\n"
    });
}

fn get(node: &Node, key: &str) -> Option<usize> {
    let answer = type_in(node, &format!("GET {key}"));
    answer.split("\r\n").nth(1)?.parse().ok()
}

/// Each write is read on another node as soon as it is acknowledged.
fn write_and_read(nodes: &[Node], from: usize, rounds: usize) -> usize {
    let mut stale = 0;
    for round in from..from + rounds {
        let key = format!("key:{}", round % 50);
        set(&nodes[round % nodes.len()], &key, round);
        let reader = &nodes[(round * 7 + 3) % nodes.len()];
        stale += usize::from(get(reader, &key) != Some(round));
    }
    stale
}

#[test]
fn nodes_form_a_mesh_at_once_and_what_was_acknowledged_survives_the_kill_of_almost_half() {
    let (count, cluster) = (count(), Cluster::new());
    let anywhere: SocketAddr = ANYWHERE.parse().unwrap();
    let began = Instant::now();
    let first = cluster.start("node1", anywhere, None);
    let mut nodes = thread::scope(|scope| {
        let start = |number: usize| {
            let (cluster, first) = (&cluster, &first);
            scope.spawn(move || cluster.start(&format!("node{number}"), anywhere, Some(first)))
        };
        let started: Vec<_> = (2..=count).map(start).collect();
        let nodes = started.into_iter().map(|node| node.join().unwrap());
        nodes.collect::<Vec<Node>>()
    });
    nodes.push(first);
    for node in &nodes {
        wait("all nodes", || states(node, "alive").len() + 1 == count);
    }
    let formed = began.elapsed();
    println!("{count} nodes: a full mesh {formed:?} after the first was started");
    let is_measured = count >= 20 && !cfg!(debug_assertions);
    assert!(
        !is_measured || formed < Duration::from_secs(5),
        "{formed:?}"
    );
    let rounds = 10 * count;
    assert_eq!(write_and_read(&nodes, 0, rounds), 0);

    // Any of them, all at once, while the others write.
    let lot = RandomState::new().hash_one(count) as usize;
    nodes.rotate_left(lot % count);
    let killed: Vec<Node> = nodes.drain(..(count - 1) / 2).collect();
    let left = nodes.len();
    let mut stale = thread::scope(|scope| {
        let writing = scope.spawn(|| write_and_read(&nodes, rounds, rounds));
        drop(killed);
        writing.join().unwrap()
    });
    for node in &nodes {
        wait("the loss", || states(node, "alive").len() + 1 == left);
    }
    stale += write_and_read(&nodes, 2 * rounds, rounds);
    // And everybody has everything.
    for number in 0..rounds.min(50) {
        let key = format!("key:{number}");
        let newest = (0..3 * rounds).rev().find(|round| round % 50 == number);
        let old = nodes.iter().filter(|node| get(node, &key) != newest);
        stale += old.count();
    }
    println!("{} killed: {stale} stale", count - left);
    assert_eq!(stale, 0);
}

/// Three nodes with a configured list, each of which reaches the others through proxies.
struct Proxied {
    nodes: Vec<Node>,
    proxies: Vec<(usize, usize, Proxy)>,
}

impl Proxied {
    fn start(cluster: &Cluster) -> Proxied {
        let listen: Vec<SocketAddr> = (0..3)
            .map(|_| ([127, 0, 0, 1], free_port()).into())
            .collect();
        let (mut nodes, mut proxies) = (Vec::new(), Vec::new());
        for from in 0..3 {
            let mut seats = Vec::new();
            for (to, address) in listen.iter().enumerate() {
                let mut seen = *address;
                if from != to {
                    let proxy = Proxy::start(*address);
                    seen = proxy.address();
                    proxies.push((from, to, proxy));
                }
                seats.push(format!("node{to}={seen}"));
            }
            let members = ["--members", &seats.join(",")];
            nodes.push(cluster.start_with(&format!("node{from}"), listen[from], None, &members));
        }
        let proxied = Proxied { nodes, proxies };
        proxied.wait_for_all();
        proxied
    }

    fn wait_for_all(&self) {
        for node in &self.nodes {
            wait("all nodes", || states(node, "alive").len() == 2);
        }
    }

    fn heal(&self) {
        self.proxies.iter().for_each(|(_, _, proxy)| proxy.heal());
        self.wait_for_all();
    }

    fn has_everywhere(&self, key: &str, value: Option<usize>) {
        for node in &self.nodes {
            wait("the same value", || get(node, key) == value);
        }
    }
}

/// It hears everything and nobody hears it: the others leave it out, and have its writes afterwards.
#[test]
fn a_node_that_nobody_hears_holds_nobody_up_and_its_writes_are_not_lost() {
    let cluster = Cluster::new();
    let mesh = Proxied::start(&cluster);
    set(&mesh.nodes[0], "removed", 1);
    for (from, to, proxy) in &mesh.proxies {
        match (from, to) {
            (2, _) => proxy.set(Traffic::REQUESTS, Fault::BlackHole),
            (_, 2) => proxy.set(Traffic::REPLIES, Fault::BlackHole),
            _ => {}
        }
    }
    set(&mesh.nodes[0], "here", 2);
    set(&mesh.nodes[2], "there", 3);
    wait("the loss", || states(&mesh.nodes[0], "alive") == ["node1"]);
    assert_eq!(type_in(&mesh.nodes[1], "DEL removed"), ":1\r\n+OK\r\n");
    assert_eq!(get(&mesh.nodes[1], "here"), Some(2));
    mesh.heal();
    mesh.has_everywhere("here", Some(2));
    mesh.has_everywhere("there", Some(3));
    mesh.has_everywhere("removed", None);
}

/// A write takes as long as the slowest link, and is then read at both ends.
#[test]
fn behind_a_slow_link_writes_are_late_and_never_old() {
    let cluster = Cluster::new();
    let mesh = Proxied::start(&cluster);
    let least = Duration::from_millis(40);
    let jitter = Duration::from_millis(20);
    let of_third = |(from, to, _): &&(usize, usize, Proxy)| *from == 2 || *to == 2;
    for (_, _, proxy) in mesh.proxies.iter().filter(of_third) {
        proxy.set(Traffic::ALL, Fault::Latency { least, jitter });
    }
    for round in 0..20 {
        let began = Instant::now();
        set(&mesh.nodes[round % 3], "slow", round);
        assert!(began.elapsed() >= 2 * least, "{:?}", began.elapsed());
        for node in &mesh.nodes {
            assert_eq!(get(node, "slow"), Some(round));
        }
    }
}
