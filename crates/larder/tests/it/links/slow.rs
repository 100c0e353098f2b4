//! Links that deliver everything, late.

use std::time::Duration;

use larder_testkit::proxy::{Fault, Proxy, Traffic};
use tokio::time::Instant;

use super::ledger::Ledger;
use super::reader::Reader;
use crate::support::{address, node_at, node_on, redis_at, server};

const ROWS: u64 = 4;
/// Longer than any answer on these links takes.
const PATIENT: Duration = Duration::from_secs(10);

fn late(ms: u64, jitter_ms: u64) -> Fault {
    Fault::Latency {
        least: Duration::from_millis(ms),
        jitter: Duration::from_millis(jitter_ms),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_slow_and_narrow_link_near_copies_stay_in_use_and_current() {
    let Some(server) = server() else { return };
    let ledger = Ledger::new(ROWS);
    let writer = node_at(address(&server)).build().await.unwrap();
    let proxy = Proxy::to_port(server.port());
    proxy.set(Traffic::ALL, late(60, 80));
    proxy.set(Traffic::ALL, Fault::Bandwidth(128 * 1024));
    let cache = node_on(redis_at(proxy.address()).response_timeout(PATIENT));
    let cache = cache.build().await.unwrap();
    let reader = Reader::start("slow".into(), proxy, cache, &ledger);
    for change in 0..12 {
        reader.near_hits(10).await;
        ledger.change(&writer, change % ROWS).await;
    }
    reader.sees_all(&ledger, Instant::now()).await;
    reader.near_hits(ROWS * 4).await;
    let tally = reader.finish().await;
    println!("{tally:?}");
    assert_eq!(tally.failed + tally.stale, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_slower_than_the_lease_gives_no_near_hit_and_right_answers() {
    let Some(server) = server() else { return };
    // One row without a tag: each question more costs a second.
    let ledger = Ledger::new(1);
    let writer = node_at(address(&server)).build().await.unwrap();
    let proxy = Proxy::to_port(server.port());
    let redis = redis_at(proxy.address()).response_timeout(PATIENT);
    let cache = node_on(redis.connect_timeout(PATIENT));
    let cache = cache.build().await.unwrap();
    let reader = Reader::start("slow".into(), proxy, cache, &ledger);
    reader.near_hits(10).await;
    // An answer takes longer than the second for which it would vouch.
    reader.proxy.set(Traffic::ALL, late(550, 0));
    let slow = Instant::now();
    for _ in 0..3 {
        ledger.change(&writer, 0).await;
    }
    reader
        .sees_all(&ledger, slow + Duration::from_secs(2))
        .await;
    assert_eq!(reader.near_since(), 0, "hits without a lease");
    reader.proxy.heal();
    reader.near_hits(10).await;
    let tally = reader.finish().await;
    println!("{tally:?}");
    assert_eq!(tally.failed + tally.stale, 0);
}
