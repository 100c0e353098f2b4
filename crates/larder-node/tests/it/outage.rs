//! A node whose Redis dies and comes back under load: every request is answered, in time and
//! plainly, and the service resumes by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use larder_testkit::servers::{RedisOptions, RedisServer, until};

use crate::node::Node;
use crate::wire::Wire;

const LIMIT: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    done: AtomicU64,
    refused: AtomicU64,
}

/// Sends commands one after the other, and holds each reply against what it may be. A reply that
/// does not come within the wire's own time limit fails the test.
fn client(node: std::net::SocketAddr, name: usize, tally: &Tally) {
    let mut wire = Wire::connect(node);
    let mut round = 0u64;
    while !tally.stop.load(Ordering::Relaxed) {
        round += 1;
        let key = format!("k:{name}:{}", round % 50);
        let reply = match round % 3 {
            0 => wire.ask(&format!("GET {key}")),
            1 => wire.ask(&format!("SET {key} v EX 60")),
            _ => wire.ask(&format!("INCR n:{name}")),
        };
        let is_refusal = reply.contains("MASTERDOWN") || reply.contains("TRYAGAIN");
        let is_error = reply.contains("ERR") || is_refusal;
        assert_eq!(is_error, is_refusal, "{reply}");
        let count = if is_refusal {
            &tally.refused
        } else {
            &tally.done
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_node_lives_through_the_death_and_return_of_its_redis() {
    let Some(mut redis) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let url = redis.url();
    let node = Node::start(&[], &[("CACHE_TYPE", "redis"), ("CACHE_URL", &url)]);
    let tally = Arc::<Tally>::default();
    let clients: Vec<_> = (0..4)
        .map(|name| {
            let (tally, addr) = (tally.clone(), node.resp);
            thread::spawn(move || client(addr, name, &tally))
        })
        .collect();
    let grows = |count: &AtomicU64, what: &str| {
        let before = count.load(Ordering::Relaxed);
        until(LIMIT, what, || count.load(Ordering::Relaxed) > before + 50).unwrap();
    };
    grows(&tally.done, "commands done before the outage");
    redis.kill();
    grows(&tally.refused, "clear refusals while it is away");
    let is_open = || node.get("/metrics").body.contains(r#"state="open"} 1"#);
    until(LIMIT, "the breaker is open", is_open).unwrap();
    assert_eq!(node.get("/healthz").status, 200);
    redis.restart();
    grows(&tally.done, "commands done after its return");
    let is_closed = || node.get("/metrics").body.contains(r#"state="closed"} 1"#);
    until(LIMIT, "the breaker is closed", is_closed).unwrap();
    tally.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client
            .join()
            .expect("every reply was one of those a client can work with");
    }
}
