//! Everybody changes and reads at the same time: no read is older than Δ, and nothing stays stale.

use std::sync::Arc;
use std::time::Duration;

use larder::core::Runtime;
use larder::core::runtime::Mono;
use larder::{ErrorKind, TokioRuntime};
use larder_testkit::mesh::{Members, MeshNodes};
use parking_lot::Mutex;

use super::{Numbers, Truth, caches};

/// Δ, and by how much a reading of the coarse clock may be behind, twice.
const LATE: Duration = Duration::from_millis(1_020);

const CHANGES: u64 = 1_500;
const KEYS: u64 = 4;

/// What was acknowledged, and when.
type Told = Arc<Mutex<Vec<(Mono, u64)>>>;

async fn write(cache: Numbers, truth: Arc<tokio::sync::Mutex<Truth>>, told: Told, to: u64) {
    let runtime = TokioRuntime::current();
    loop {
        let value = {
            // One change of the source after the other.
            let truth = truth.lock().await;
            let value = truth.get() + 1;
            if value > to {
                return;
            }
            truth.set(value);
            value
        };
        for key in 0..KEYS {
            // On a machine that stands still it may take too long; it may be repeated.
            while let Err(error) = cache.invalidate(&key).await {
                assert_eq!(error.kind(), ErrorKind::Timeout);
            }
        }
        told.lock().push((runtime.precise(), value));
    }
}

async fn read(cache: Numbers, truth: Truth, told: Told) {
    let runtime = TokioRuntime::current();
    let mut key = 0;
    while truth.get() < CHANGES {
        key = (key + 1) % KEYS;
        let now = runtime.precise();
        let is_due = |told: &&(Mono, u64)| told.0.after(LATE) <= now;
        let due = told.lock().iter().rev().find(is_due).map(|told| told.1);
        let found = truth.read(&cache, key).await;
        assert!(found >= due.unwrap_or(0), "{found} after {due:?} was told");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_the_length_of_a_lease() {
    let nodes = MeshNodes::start(3, Members::Configured).await;
    let (truth, caches) = (Truth::default(), caches(&nodes, 3).await);
    let (source, told) = (
        Arc::new(tokio::sync::Mutex::new(truth.clone())),
        Told::default(),
    );
    let writers = caches
        .iter()
        .map(|cache| tokio::spawn(write(cache.clone(), source.clone(), told.clone(), CHANGES)));
    let readers = caches
        .iter()
        .map(|cache| tokio::spawn(read(cache.clone(), truth.clone(), told.clone())));
    for task in writers.chain(readers).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert!(caches.iter().all(|cache| cache.stats().near.hits > 0));
    nodes
        .until("the last value everywhere", async || {
            let mut all = Vec::new();
            for cache in &caches {
                all.push(truth.read(cache, 1).await);
            }
            all == [CHANGES; 3]
        })
        .await;
}
