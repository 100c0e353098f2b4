//! A near hit through the full public API: key to bytes, hash, lookup, ttl, counters.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use larder::{Cache, Near};

use crate::measure::{Candidate, compare};
use crate::zipf;

const KEYS: usize = 100_000;
const OPERATIONS: usize = 500_000;
const ROUNDS: usize = 11;
/// Room for all keys: nothing is evicted, every read hits.
const ROOM: u64 = 64 << 20;

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be built");
    let trace = zipf::trace(KEYS, OPERATIONS);
    let keys = zipf::distinct(&trace);
    let raw = quick_cache::sync::Cache::<u64, Arc<[u8]>>::new(2 * KEYS);
    let moka = moka::sync::Cache::<u64, Arc<[u8]>>::new(2 * KEYS as u64);
    let cache = runtime.block_on(cache());
    runtime.block_on(async {
        for key in &keys {
            let value: Arc<[u8]> = vec![7; 200].into();
            raw.insert(*key, value.clone());
            moka.insert(*key, value.clone());
            cache
                .insert(key, value)
                .await
                .expect("a near insert cannot fail");
        }
    });
    println!(
        "near hit, u64 -> Arc<[u8]> of 200 B, {} keys, Zipf 0.99, 1 thread",
        keys.len()
    );
    compare(
        OPERATIONS as u64,
        ROUNDS,
        vec![
            Candidate {
                name: "quick_cache",
                run: Box::new(|| {
                    for key in &trace {
                        black_box(raw.get(key).expect("all keys are there"));
                    }
                }),
            },
            Candidate {
                name: "larder, get",
                run: Box::new(|| {
                    for key in &trace {
                        black_box(ready(cache.get(key)).expect("no error").expect("a hit"));
                    }
                }),
            },
            Candidate {
                name: "larder, get_or_load",
                run: Box::new(|| {
                    for key in &trace {
                        let hit = cache.get_or_load(key, |_| async { Err::<Arc<[u8]>, _>(()) });
                        black_box(ready(hit).expect("a hit"));
                    }
                }),
            },
            Candidate {
                name: "moka::sync",
                run: Box::new(|| {
                    for key in &trace {
                        black_box(moka.get(key).expect("all keys are there"));
                    }
                }),
            },
        ],
    );
}

async fn cache() -> Cache<u64, Arc<[u8]>> {
    let builder = Cache::builder("bench:rows")
        .ttl("1h")
        .near(Near::bytes(ROOM));
    let builder = builder
        .codec(larder::codec::Opaque)
        .weigher(|value: &Arc<[u8]>| value.len());
    builder.build().await.expect("the settings are valid")
}

/// The output of a future that is ready at its first poll, as a near hit is.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a near hit waits for nothing"),
    }
}
