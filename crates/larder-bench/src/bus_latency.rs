//! How long after an invalidation another cache has dropped its near copy, beside what the same
//! server needs for one bare published message.
//!
//! Two caches with connections of their own share one real server, spawned for the run. The second
//! one tells by its listener when its copy goes. The bare message is measured in the same rounds,
//! turn by turn, so that both meet the same machine. A duration "after the return" is negative when
//! the others knew before the caller was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use larder::redis::Redis;
use larder::{Cache, Cause, Near, Source};
use larder_testkit::servers::{RedisOptions, RedisServer};
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::measure::now;

const ROUNDS: u64 = 3_000;
/// Tasks that write without rest under background load.
const WRITERS: u64 = 4;
/// Nothing takes this long unless something is broken.
const PATIENCE: Duration = Duration::from_secs(10);

type Rows = Cache<u64, u64>;

pub(crate) fn run() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(measure(&server.url()));
}

async fn measure(url: &str) {
    let mut world = World::connect(url).await;
    println!("{ROUNDS} rounds each; microseconds");
    println!("| what | load | p50 | p99 | largest |");
    println!("|---|---|---:|---:|---:|");
    // Once for the connections and the server to warm up.
    world.rounds(ROUNDS / 10).await;
    world.rounds(ROUNDS).await.print("idle");
    let load = Load::start(url).await;
    world.rounds(ROUNDS).await.print("writers");
    let writes = load.stop();
    println!("{WRITERS} writers made {writes} inserts meanwhile");
}

async fn cache(url: &str, heard: Option<UnboundedSender<Instant>>) -> Rows {
    let builder = Cache::builder("bench:rows")
        .ttl("1h")
        .near(Near::bytes("64MiB"))
        .remote(Redis::open(url).expect("the address is sound"));
    let builder = match heard {
        Some(heard) => builder.listener(move |_, _, cause| {
            if cause == Cause::Explicit {
                // Nobody waits once the run is over.
                let _ = heard.send(now());
            }
        }),
        None => builder,
    };
    builder.build().await.expect("the settings are valid")
}

/// Two caches, and two bare connections beside them.
struct World {
    writer: Rows,
    reader: Rows,
    dropped: UnboundedReceiver<Instant>,
    publisher: MultiplexedConnection,
    received: UnboundedReceiver<Instant>,
    round: u64,
}

impl World {
    async fn connect(url: &str) -> World {
        let (heard, dropped) = unbounded_channel();
        let client = redis::Client::open(url).expect("the address is sound");
        let publisher = client.get_multiplexed_async_connection().await;
        let mut subscriber = client
            .get_async_pubsub()
            .await
            .expect("the server is there");
        subscriber
            .subscribe("bench")
            .await
            .expect("the server is there");
        let (arrived, received) = unbounded_channel();
        tokio::spawn(async move {
            let mut messages = subscriber.into_on_message();
            while messages.next().await.is_some() {
                if arrived.send(now()).is_err() {
                    return;
                }
            }
        });
        World {
            writer: cache(url, None).await,
            reader: cache(url, Some(heard)).await,
            dropped,
            publisher: publisher.expect("the server is there"),
            received,
            round: 0,
        }
    }

    async fn rounds(&mut self, rounds: u64) -> Times {
        let mut times = Times::default();
        for _ in 0..rounds {
            self.round += 1;
            self.invalidate(&mut times).await;
            self.publish(&mut times).await;
        }
        times
    }

    async fn invalidate(&mut self, times: &mut Times) {
        let key = self.round;
        let written = self.writer.insert(&key, key).await;
        written.expect("the server takes it");
        while !self.reader_holds(key).await {}
        while self.dropped.try_recv().is_ok() {}
        let begun = now();
        let removed = self.writer.invalidate(&key).await;
        let returned = now();
        let _ = removed.expect("the server takes it");
        let applied = next(&mut self.dropped).await;
        times.bus_from_call.push(micros(begun, applied));
        times.bus_from_return.push(micros(returned, applied));
    }

    async fn reader_holds(&self, key: u64) -> bool {
        let found = self.reader.get(&key).await.expect("the server answers");
        found.is_some_and(|found| found.source() == Source::Near)
    }

    async fn publish(&mut self, times: &mut Times) {
        // As long as the record of one change.
        let message = [7u8; 48];
        let begun = now();
        let mut publish = redis::cmd("PUBLISH");
        publish.arg("bench").arg(&message);
        let sent: Result<i64, _> = publish.query_async(&mut self.publisher).await;
        let returned = now();
        sent.expect("the server takes it");
        let arrived = next(&mut self.received).await;
        times.raw_from_call.push(micros(begun, arrived));
        times.raw_from_return.push(micros(returned, arrived));
    }
}

async fn next(instants: &mut UnboundedReceiver<Instant>) -> Instant {
    let next = tokio::time::timeout(PATIENCE, instants.recv()).await;
    let next = next.expect("it is heard of within ten seconds");
    next.expect("the sender lives as long as the run")
}

/// From `from` to `to`, negative if `to` was first.
fn micros(from: Instant, to: Instant) -> f64 {
    let forward = to.saturating_duration_since(from).as_secs_f64();
    let backward = from.saturating_duration_since(to).as_secs_f64();
    (forward - backward) * 1e6
}

#[derive(Default)]
struct Times {
    bus_from_call: Vec<f64>,
    bus_from_return: Vec<f64>,
    raw_from_call: Vec<f64>,
    raw_from_return: Vec<f64>,
}

impl Times {
    fn print(self, load: &str) {
        let rows = [
            ("invalidate, from its return", self.bus_from_return),
            ("bare PUBLISH, from its return", self.raw_from_return),
            ("invalidate, from its call", self.bus_from_call),
            ("bare PUBLISH, from its call", self.raw_from_call),
        ];
        for (what, mut times) in rows {
            times.sort_by(f64::total_cmp);
            let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
            println!(
                "| {what} | {load} | {:.0} | {:.0} | {:.0} |",
                at(50),
                at(99),
                at(100)
            );
        }
    }
}

/// Writers of other keys, without rest.
struct Load {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicU64>,
}

impl Load {
    async fn start(url: &str) -> Load {
        let (stop, writes) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let writer = cache(url, None).await;
        for task in 0..WRITERS {
            let (writer, stop, writes) = (writer.clone(), stop.clone(), writes.clone());
            tokio::spawn(async move {
                // Keys that no round uses.
                let first = (task + 1) << 32;
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    let inserted = writer.insert(&(first + count % 1_000), count).await;
                    count += u64::from(inserted.is_ok());
                    writes.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Load { stop, writes }
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.writes.load(Ordering::Relaxed)
    }
}
