//! One of the processes that read, whatever becomes of the server.
//!
//! It is told nothing, and says every 50 ms what it has done: a [`Tick`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::core::breaker::BreakerState;
use larder::redis::Redis;
use larder::{Cache, Near, Timeouts, WhenFenced};

use super::course::Tick;
use crate::crew::say;
use crate::measure::{instant, runtime};
use crate::zipf;

/// No read takes longer.
pub(super) const HARD: Duration = Duration::from_millis(500);
const SOFT: Duration = Duration::from_millis(100);
/// How long the source takes.
const LOAD: Duration = Duration::from_millis(20);
/// Stale values are kept beyond every run.
const STALE_FOR: Duration = Duration::from_secs(3_600);
const NEWS: Duration = Duration::from_millis(50);
/// How many reads the order of keys is made for; then it begins anew.
const TRACE: usize = 200_000;

/// A policy by its name.
///
/// # Errors
///
/// That it is not known.
pub(super) fn policy(name: &str) -> Result<WhenFenced, String> {
    match name {
        "bypass" => Ok(WhenFenced::Bypass),
        "spare-source" => Ok(WhenFenced::SpareSource),
        "serve-stale" => Ok(WhenFenced::ServeStale),
        _ => Err(format!("--when-fenced: {name:?} is no policy")),
    }
}

pub(crate) fn run(arguments: &[&str]) {
    let &[url, reads, keys, ttl, policy_name] = arguments else {
        panic!("it is started by `outage`");
    };
    let number = |word: &str| -> u64 { word.parse().expect("a number") };
    let (reads, keys, ttl) = (number(reads), number(keys), number(ttl));
    let cache = Cache::builder("bench:outage")
        .ttl(Duration::from_millis(ttl))
        .stale_for(STALE_FOR)
        .near(Near::bytes("64MiB"))
        .when_fenced(policy(policy_name).expect("it was looked at"))
        .timeouts(Timeouts::new().soft(SOFT).hard(HARD))
        .remote(Redis::open(url).expect("the address is sound"));
    let served = async move {
        let cache = cache.build().await.expect("the settings are valid");
        serve(cache, reads, zipf::trace(keys as usize, TRACE)).await;
    };
    let served = runtime().block_on(async { tokio::spawn(served).await });
    served.expect("nothing goes wrong");
}

#[derive(Default)]
struct Counts {
    offered: AtomicU64,
    answered: AtomicU64,
    errors: AtomicU64,
    stale: AtomicU64,
    source: AtomicU64,
    longest: AtomicU64,
}

async fn serve(cache: Cache<u64, u64>, reads: u64, trace: Vec<u64>) {
    let counts = Arc::<Counts>::default();
    say("ready");
    tokio::spawn(tell(cache.clone(), counts.clone()));
    let begun = instant();
    let mut beat = tokio::time::interval(Duration::from_millis(1));
    let mut count = 0;
    loop {
        beat.tick().await;
        // As many as are due by now, however late the beat is.
        let due = (instant() - begun) as u64 * reads / 1_000_000_000;
        while count < due {
            let key = trace[count as usize % trace.len()];
            tokio::spawn(read(cache.clone(), key, counts.clone()));
            count += 1;
        }
    }
}

async fn read(cache: Cache<u64, u64>, key: u64, counts: Arc<Counts>) {
    counts.offered.fetch_add(1, Ordering::Relaxed);
    let begun = instant();
    let source = counts.clone();
    let loaded = cache.get_or_load(&key, move |_| async move {
        source.source.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(LOAD).await;
        Ok::<_, std::io::Error>(key)
    });
    match loaded.await {
        Ok(loaded) => {
            let stale = u64::from(loaded.is_stale());
            counts.stale.fetch_add(stale, Ordering::Relaxed);
        }
        Err(_) => {
            counts.errors.fetch_add(1, Ordering::Relaxed);
        }
    }
    let took = (instant() - begun) as u64 / 1_000;
    counts.longest.fetch_max(took, Ordering::Relaxed);
    counts.answered.fetch_add(1, Ordering::Relaxed);
}

async fn tell(cache: Cache<u64, u64>, counts: Arc<Counts>) {
    let mut beat = tokio::time::interval(NEWS);
    loop {
        beat.tick().await;
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let health = cache.stats().remote.health;
        let tick = Tick {
            at: instant(),
            answered: get(&counts.answered),
            errors: get(&counts.errors),
            stale: get(&counts.stale),
            source: get(&counts.source),
            longest: counts.longest.swap(0, Ordering::Relaxed),
            breaker: match health.map(|health| health.breaker) {
                None | Some(BreakerState::Closed) => 0,
                Some(BreakerState::HalfOpen) => 1,
                Some(BreakerState::Open) => 2,
            },
            // Last: no read has ended that was not begun.
            offered: get(&counts.offered),
        };
        say(&tick.line());
    }
}
