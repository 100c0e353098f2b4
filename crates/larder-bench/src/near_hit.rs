//! A near hit through the full public API, beside the map that is underneath it and another cache.
//!
//! All keys are held, so that every read hits. The first candidate is the measure: quick_cache as a
//! careful user has it, with the hasher that it comes with and the value behind an `Arc`. What is
//! held to it is a cache with a remote tier whose bus it follows, so that each hit looks at a lease
//! which a poller renews meanwhile; with a ttl, two tags for each entry, and counters. Every
//! candidate hands over the value, of which the reader looks at the first field.
//!
//! Two ways of reading. *In turn*, a read begins when the value of the one before is there, as with
//! callers who do something with it: the time is that of a hit. *Side by side*, nothing waits for a
//! value, and the processor works on the next reads while memory answers: the more of them fit into
//! its window, the less each seems to cost, which favours whoever has the fewest instructions.
//!
//! Where a machine leaves the poller without a processor for a second, the lease ends, and reads go to the
//! store until it is back. They are counted, and a row with many of them measures something else.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use larder::embedded::Embedded;
use larder::{Cache, InsertOptions, Loaded, Near, TokioRuntime};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Handle, Runtime};

use crate::measure::{Candidate, compare, processor_time};
use crate::row::{Plain, Row};
use crate::zipf;

const KEYS: usize = 1_000_000;
const READS: usize = 500_000;
const ROUNDS: usize = 9;
/// Room for all keys: nothing is evicted.
const ROOM: u64 = 2 << 30;

/// Times that all keys are read until all are held, and the rest between two of them: together longer
/// than the version floors of so many inserts are kept, which refuse what is read meanwhile.
const PASSES: u32 = 40;
const REST: Duration = Duration::from_secs(1);

type Map<K> = quick_cache::sync::Cache<
    K,
    Arc<Row>,
    quick_cache::UnitWeighter,
    foldhash::quality::RandomState,
>;

pub(crate) fn run(keys: &str) {
    // Polls go on while other threads read.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime can be built");
    let begin = |how: How| {
        println!(
            "\nnear hit, {keys} -> row of 200 B, {KEYS} keys, Zipf 0.99, {}, threads: {}; processor \
             time of a thread",
            if how.in_turn {
                "in turn"
            } else {
                "side by side"
            },
            how.threads
        );
    };
    let ways = [(1, true), (2, true), (1, false), (2, false)];
    let ways = ways.map(|(threads, in_turn)| How { threads, in_turn });
    if keys == "text" {
        let world = Texts::fill(&runtime);
        for how in ways {
            begin(how);
            compare(READS as u64, ROUNDS, world.candidates(how));
        }
        return;
    }
    let world = Numbers::fill(&runtime);
    for how in ways {
        begin(how);
        compare(READS as u64, ROUNDS, world.candidates(how));
    }
}

/// How keys are read.
#[derive(Clone, Copy)]
struct How {
    threads: usize,
    in_turn: bool,
}

/// All candidates with numbers as keys, filled.
struct Numbers {
    handle: Handle,
    trace: Vec<u64>,
    map: Map<u64>,
    moka: moka::sync::Cache<u64, Arc<Row>>,
    full: Cache<u64, Row>,
    untagged: Cache<u64, Row>,
    alone: Cache<u64, Row>,
}

impl Numbers {
    fn fill(runtime: &Runtime) -> Numbers {
        let map = empty();
        let moka = moka::sync::Cache::new(2 * KEYS as u64);
        for key in zipf::keys(KEYS) {
            map.insert(key, Arc::new(Row::new(key)));
            moka.insert(key, Arc::new(Row::new(key)));
        }
        Numbers {
            handle: runtime.handle().clone(),
            trace: zipf::trace(KEYS, READS),
            map,
            moka,
            full: runtime.block_on(filled(Tier::Embedded, 2, |key| key)),
            untagged: runtime.block_on(filled(Tier::Embedded, 0, |key| key)),
            alone: runtime.block_on(filled(Tier::None, 0, |key| key)),
        }
    }

    fn candidates(&self, how: How) -> Vec<Candidate<'_>> {
        let (trace, handle) = (&self.trace, &self.handle);
        vec![
            of("quick_cache", how, trace, |key| raw(self.map.get(key))),
            of("get: ttl, two tags, lease", how, trace, |key| {
                done(handle, self.full.get(key), hit)
            })
            .of_cache(&self.full),
            of("get: ttl, lease", how, trace, |key| {
                done(handle, self.untagged.get(key), hit)
            })
            .of_cache(&self.untagged),
            // Not beside quick_cache, whose lines it leaves warm; the same holds for the two ways of
            // reading the first cache.
            of(
                "quick_cache and a reading of the clock",
                how,
                trace,
                |key| {
                    black_box(clock_gettime(ClockId::MonotonicCoarse));
                    raw(self.map.get(key))
                },
            ),
            of("get: ttl", how, trace, |key| {
                done(handle, self.alone.get(key), hit)
            })
            .of_cache(&self.alone),
            of("get_or_load: ttl, two tags, lease", how, trace, |key| {
                let loader = |_| async { Err::<Row, _>(()) };
                done(handle, self.full.get_or_load(key, loader), |hit| {
                    hit.expect("a hit").id
                })
            })
            .of_cache(&self.full),
            of("moka::sync", how, trace, |key| raw(self.moka.get(key))),
        ]
    }
}

/// The same with texts as keys.
struct Texts {
    handle: Handle,
    trace: Vec<String>,
    map: Map<String>,
    full: Cache<String, Row>,
}

impl Texts {
    fn fill(runtime: &Runtime) -> Texts {
        let map = empty();
        for key in zipf::keys(KEYS) {
            map.insert(text(key), Arc::new(Row::new(key)));
        }
        let trace = zipf::trace(KEYS, READS);
        Texts {
            handle: runtime.handle().clone(),
            trace: trace.into_iter().map(text).collect(),
            map,
            full: runtime.block_on(filled(Tier::Embedded, 2, text)),
        }
    }

    fn candidates(&self, how: How) -> Vec<Candidate<'_>> {
        let (trace, handle) = (&self.trace, &self.handle);
        vec![
            of("quick_cache", how, trace, |key| raw(self.map.get(key))),
            of("get: ttl, two tags, lease", how, trace, |key| {
                done(handle, self.full.get(key.as_str()), hit)
            })
            .of_cache(&self.full),
        ]
    }
}

/// A candidate that reads the whole trace on each of so many threads, which begin at different
/// places of it.
fn of<'a, K: Sync>(
    name: &'static str,
    how: How,
    trace: &'a [K],
    read: impl Fn(&K) -> u64 + Sync + 'a,
) -> Candidate<'a> {
    let run = move || {
        let whole = |from: usize| {
            let begun = processor_time();
            if how.in_turn {
                in_turn(trace, from, &read);
            } else {
                side_by_side(trace, from, &read);
            }
            processor_time() - begun
        };
        let sum: Duration = thread::scope(|scope| {
            let beside = |other| {
                let whole = &whole;
                scope.spawn(move || whole(other * trace.len() / how.threads))
            };
            let beside: Vec<_> = (1..how.threads).map(beside).collect();
            let others = beside.into_iter().map(|other| other.join());
            whole(0) + others.map(|other| other.expect("no read fails")).sum()
        });
        sum / how.threads as u32
    };
    Candidate {
        name,
        run: Box::new(run),
        missed: Box::new(|| 0),
    }
}

impl<'a> Candidate<'a> {
    /// Counts the reads that were no near hits.
    fn of_cache<K: larder::Key + Send + 'static>(self, cache: &'a Cache<K, Row>) -> Candidate<'a> {
        Candidate {
            missed: Box::new(|| cache.stats().near.misses),
            ..self
        }
    }
}

/// Each read begins when the one before has its value.
fn in_turn<K>(trace: &[K], from: usize, read: impl Fn(&K) -> u64) {
    let mut at = from;
    for _ in 0..trace.len() {
        let id = black_box(read(&trace[at]));
        // No id has so high bits, but only who has the id knows.
        at += 1 + (id >> 63) as usize;
        at = if at < trace.len() { at } else { 0 };
    }
}

/// No read waits for a value. A function of its own: a choice inside of one loop becomes arithmetic,
/// which waits for the value although nothing comes of it.
fn side_by_side<K>(trace: &[K], from: usize, read: impl Fn(&K) -> u64) {
    let (before, after) = trace.split_at(from);
    for key in after.iter().chain(before) {
        black_box(read(key));
    }
}

fn raw(found: Option<Arc<Row>>) -> u64 {
    found.expect("all keys are there").id
}

#[inline(always)]
fn hit(found: larder::core::Result<Option<Loaded<Row>>>) -> u64 {
    let hit = found.expect("no error").expect("all keys are there");
    hit.id
}

fn empty<K: Eq + std::hash::Hash>() -> Map<K> {
    let hasher = foldhash::quality::RandomState::default();
    let (items, weight) = (2 * KEYS, 2 * KEYS as u64);
    let quiet = quick_cache::sync::DefaultLifecycle::default();
    Map::with(items, weight, quick_cache::UnitWeighter, hasher, quiet)
}

fn text(key: u64) -> String {
    format!("user-{key}")
}

enum Tier {
    None,
    Embedded,
}

async fn filled<K>(tier: Tier, tags: u64, to_key: impl Fn(u64) -> K) -> Cache<K, Row>
where
    K: larder::Key + std::borrow::ToOwned<Owned = K> + Send + Sync + 'static,
{
    let builder = Cache::builder("bench:rows")
        .ttl("1h")
        .near(Near::bytes(ROOM))
        .codec(Plain);
    let builder = match tier {
        Tier::None => builder,
        Tier::Embedded => builder.remote(Embedded::new(Arc::new(TokioRuntime::current()))),
    };
    let cache = builder.build().await.expect("the settings are valid");
    for key in zipf::keys(KEYS) {
        let mut options = InsertOptions::new();
        // As many values as a tenant and a kind have: a thousand tenants, ten kinds.
        for (tag, values) in [("tenant", 1_000), ("kind", 10)]
            .into_iter()
            .take(tags as usize)
        {
            options = options.tag(format!("{tag}:{}", key % values));
        }
        let stored = cache
            .insert_with(&to_key(key), Row::new(key), options)
            .await;
        stored.expect("the embedded store takes everything");
    }
    for _ in 0..PASSES {
        if cache.stats().near.entries == KEYS as u64 {
            return cache;
        }
        for key in zipf::keys(KEYS) {
            let held = cache.get(&to_key(key)).await.expect("no error");
            assert!(held.is_some(), "it is stored");
        }
        tokio::time::sleep(REST).await;
    }
    panic!("the near cache does not come to hold all keys");
}

/// What is made of the output of a future that is ready at its first poll, as a near hit is; another one
/// is waited for. Each way has its own use of the output, as behind an `.await`.
#[inline(always)]
fn done<T, R>(handle: &Handle, future: impl Future<Output = T>, then: impl Fn(T) -> R) -> R {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => then(output),
        Poll::Pending => then(handle.block_on(future)),
    }
}
