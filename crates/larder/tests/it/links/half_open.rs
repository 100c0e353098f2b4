//! A link that swallows everything, or everything in one direction, while others go on changing
//! what the reader has copies of.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use larder::WhenFenced;
use larder_testkit::proxy::{Fault, Proxy, Traffic};
use larder_testkit::servers::RedisServer;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::ledger::Ledger;
use super::reader::Reader;
use crate::support::{Users, address, eventually, node_at, or_from_env, server};

const ROWS: u64 = 16;

/// How far apart the changes are: 10 000 of them take a minute.
const PACE: Duration = Duration::from_millis(6);

const HOLES: [(&str, Traffic); 3] = [
    ("both ways", Traffic::ALL),
    ("requests", Traffic::REQUESTS),
    ("replies", Traffic::REPLIES),
];

async fn readers(server: &RedisServer, ledger: &Arc<Ledger>) -> Vec<(Reader, Traffic)> {
    let mut readers = Vec::new();
    for policy in [WhenFenced::Bypass, WhenFenced::ServeStale] {
        for (name, hole) in HOLES {
            let proxy = Proxy::to_port(server.port());
            let cache = node_at(proxy.address()).when_fenced(policy);
            let cache = cache.build().await.unwrap();
            let name = format!("{name}, {policy:?}");
            readers.push((Reader::start(name, proxy, cache, ledger), hole));
        }
    }
    readers
}

/// With `LARDER_LINK_CHANGES=10000` for a minute of silence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_copy_behind_a_half_open_link_is_served_as_fresh_for_longer_than_a_second() {
    let Some(server) = server() else { return };
    let ledger = Ledger::new(ROWS);
    let writer = node_at(address(&server)).build().await.unwrap();
    let readers = readers(&server, &ledger).await;
    for (reader, _) in &readers {
        reader.near_hits(ROWS * 4).await;
    }

    let heard = |cache: &Users| cache.stats().bus.received;
    let before: Vec<u64> = readers
        .iter()
        .map(|(reader, _)| heard(&reader.cache))
        .collect();
    let by_writer = heard(&writer);
    for (reader, hole) in &readers {
        reader.proxy.set(*hole, Fault::BlackHole);
    }
    let changes = or_from_env("LARDER_LINK_CHANGES", 600);
    let silent = Instant::now();
    change(&ledger, &writer, changes).await;
    println!("{changes} changes in {:.1?}", silent.elapsed());

    let healed = Instant::now();
    for (reader, hole) in &readers {
        // Where nothing came in either direction, nobody is told that the old connections are
        // dead.
        if *hole == Traffic::ALL {
            reader.proxy.heal_new();
        } else {
            reader.proxy.heal();
        }
    }
    let missed = heard(&writer) - by_writer;
    for ((reader, _), before) in readers.iter().zip(before) {
        let from = healed + Duration::from_secs(2);
        reader.sees_all(&ledger, from).await;
        catches_up(&reader.cache, before + missed).await;
        println!(
            "{}: caught up {:.1?} after the healing",
            reader.name,
            healed.elapsed()
        );
    }
    for key in ledger.keys() {
        ledger.change(&writer, key).await;
    }
    for (reader, _) in &readers {
        reader.sees_all(&ledger, Instant::now()).await;
        reader.near_hits(ROWS * 4).await;
    }
    for (reader, hole) in readers {
        has_proven_something(reader, hole).await;
    }
}

async fn has_proven_something(reader: Reader, hole: Traffic) {
    let (name, counts) = (reader.name.clone(), reader.proxy.counts());
    let stats = reader.cache.stats();
    let tally = reader.finish().await;
    println!("{name}: {tally:?}, {:?}", stats.bus);
    let swallowed = counts.requests.swallowed + counts.replies.swallowed;
    assert!(swallowed > 0, "{name}: {counts:?}");
    assert!(tally.loaded > 0, "{name}: nothing was loaded while fenced");
    assert!(tally.failed > 0 || name.contains("ServeStale"), "{name}");
    if name.contains("ServeStale") && hole == Traffic::ALL {
        assert!(tally.overdue > 0, "{name}: nothing stale was served");
    }
}

/// Changes rows one by one. In the second half the source is down as well.
async fn change(ledger: &Ledger, writer: &Users, changes: u64) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for change in 0..changes {
        pace.tick().await;
        ledger.change(writer, change * 7 % ROWS).await;
        if change == changes / 2 {
            ledger.is_down.store(true, Ordering::SeqCst);
        }
    }
    ledger.is_down.store(false, Ordering::SeqCst);
}

/// Waits until the bus has told a cache of so many records, or that it cannot.
async fn catches_up(cache: &Users, records: u64) {
    let cache = cache.clone();
    eventually("the end of the replay", move || {
        let cache = cache.clone();
        async move {
            let bus = cache.stats().bus;
            bus.received >= records || bus.flushes > 1
        }
    })
    .await;
}
