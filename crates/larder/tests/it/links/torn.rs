//! Links that break in the middle of commands and of their replies, again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder_testkit::proxy::{Fault, Proxy, Traffic};
use larder_testkit::sim::Random;
use tokio::time::{Instant, interval};

use super::ledger::Ledger;
use super::reader::Reader;
use crate::support::{node_at, server};

const ROWS: u64 = 8;
/// How many breaks of each link are enough.
const BREAKS: u64 = 25;
/// LIMIT: for a machine on which nothing ever breaks.
const CHANGES: u64 = 100_000;

/// Breaks a link every few milliseconds until told to stop. Pieces are small, so that a break
/// leaves half of a command or of a reply.
fn tear(proxy: Arc<Proxy>, seed: u64, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut random = Random::new(seed);
        let mut pace = interval(Duration::from_millis(25));
        while !stop.load(Ordering::SeqCst) {
            pace.tick().await;
            let pieces = Fault::Slices {
                bytes: 1 + random.below(60) as usize,
                pause: Duration::ZERO,
            };
            // Moments of peace, in which connections can be made.
            match random.below(6) {
                0 => proxy.reset(),
                1 => proxy.set(Traffic::REQUESTS, Fault::Limit(random.below(600))),
                2 => proxy.set(Traffic::REPLIES, Fault::Limit(random.below(300))),
                _ => proxy.heal(),
            }
            proxy.set(Traffic::ALL, pieces);
        }
        proxy.heal();
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_in_the_middle_of_commands_leave_nothing_stale() {
    let Some(server) = server() else { return };
    let ledger = Ledger::new(ROWS);
    let proxies = [(); 2].map(|()| Arc::new(Proxy::to_port(server.port())));
    let [ours, theirs] = proxies;
    let writer = node_at(ours.address()).build().await.unwrap();
    let cache = node_at(theirs.address()).build().await.unwrap();
    let reader = Reader::start("torn".into(), theirs.clone(), cache, &ledger);
    reader.near_hits(ROWS * 4).await;

    let stop = Arc::<AtomicBool>::default();
    let tears = [(&ours, 1), (&theirs, 2)].map(|(proxy, seed)| {
        println!("seed {seed}");
        tear(proxy.clone(), seed, stop.clone())
    });
    for change in 0..CHANGES {
        let key = change * 5 % ROWS;
        ledger.change(&writer, key).await;
        // Through the cache that made the change, it is seen at once.
        let (_, value) = ledger.read(&writer, key).await;
        assert_eq!(value, Some(ledger.value(key)), "change {change} of {key}");
        let is_broken = |proxy: &Proxy| proxy.counts().accepted > BREAKS;
        if ledger.failed() > BREAKS && is_broken(&ours) && is_broken(&theirs) {
            break;
        }
    }
    stop.store(true, Ordering::SeqCst);
    for tear in tears {
        tear.await.unwrap();
    }
    let healed = Instant::now();
    reader
        .sees_all(&ledger, healed + Duration::from_secs(1))
        .await;
    reader.near_hits(ROWS * 4).await;
    let tally = reader.finish().await;
    println!("{tally:?}, {} failed", ledger.failed());
    println!("{:?}, {:?}", ours.counts(), theirs.counts());
    assert!(ledger.failed() > BREAKS, "no change was hit");
    assert!(theirs.counts().accepted > BREAKS, "the reader had peace");
}
