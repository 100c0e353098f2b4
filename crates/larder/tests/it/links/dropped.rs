//! Messages of the bus that are lost, with nothing after them that would show the gap.

use std::time::Duration;

use larder::core::lane::LEASE;
use larder_testkit::proxy::{Fault, Proxy, Traffic};
use tokio::time::Instant;

use super::ledger::Ledger;
use super::reader::Reader;
use crate::support::{address, eventually, node_at, server};

const ROWS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_message_with_no_later_traffic_is_repaired_within_a_second_more_than_the_lease() {
    let Some(server) = server() else { return };
    let ledger = Ledger::new(ROWS);
    let writer = node_at(address(&server)).build().await.unwrap();
    // Only the connection on which records are pushed loses what comes to it.
    let proxy = Proxy::to_port(server.port()).marking(b"SUBSCRIBE");
    let cache = node_at(proxy.address()).build().await.unwrap();
    let reader = Reader::start("deaf".into(), proxy, cache, &ledger);
    reader.near_hits(ROWS * 4).await;
    let subscribed = reader.cache.clone();
    // A record that is pushed shows that the subscription is there.
    ledger.change(&writer, 0).await;
    eventually("a pushed record", move || {
        let cache = subscribed.clone();
        async move { cache.stats().bus.received > 0 }
    })
    .await;
    assert!(reader.proxy.counts().marked > 0);

    reader
        .proxy
        .set(Traffic::REPLIES.marked(), Fault::BlackHole);
    let mut worst = Duration::ZERO;
    for change in 0..12 {
        let key = change % ROWS;
        reader.sees_all(&ledger, Instant::now()).await;
        // Every row is held again before the next change.
        reader.near_hits(ROWS * 4).await;
        let swallowed = reader.proxy.counts().replies.swallowed;
        ledger.change(&writer, key).await;
        let changed = Instant::now();
        let seen = reader.sees_all(&ledger, changed).await;
        worst = worst.max(seen - changed);
        let lost = reader.proxy.counts().replies.swallowed;
        // The message was on its way before this row was seen as it is, unless the subscription
        // was just being renewed.
        println!(
            "change {change}: {:?}, {} bytes lost",
            seen - changed,
            lost - swallowed
        );
    }
    let lost = reader.proxy.counts().replies.swallowed;
    let tally = reader.finish().await;
    println!("repaired within {worst:?}; {tally:?}");
    assert!(worst < LEASE + Duration::from_secs(1), "{worst:?}");
    assert!(lost > 0, "no message was lost");
    assert_eq!(tally.failed + tally.stale, 0);
}
