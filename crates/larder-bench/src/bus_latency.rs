//! How long after an invalidation another *process* has dropped its near copy, beside what the same
//! server needs for one bare published message.
//!
//! The second process is this program again (`bus_latency/reader.rs`), and both share one real
//! server, spawned for the run. An instant is `CLOCK_MONOTONIC`, which all processes of a machine
//! share; the reader takes it in the listener that is told when a copy goes, and in the task that
//! receives the bare message. Invalidations and bare messages take turns, so that both meet the same
//! machine. A duration "from the return" is negative when the other process knew before the caller
//! was told.
//!
//! Three loads: none; a paced one, which leaves the processors time; and writers and readers without
//! rest, which do not: then it is mostly the kernel's scheduler that is measured.

mod load;
pub(crate) mod reader;

use larder::redis::Redis;
use larder::{Cache, Near};
use larder_testkit::servers::{RedisOptions, RedisServer};
use redis::aio::MultiplexedConnection;
use rustix::time::{ClockId, clock_gettime};

use load::Load;
use reader::Reader;

const ROUNDS: u64 = 3_000;
/// The channel of bare messages.
const CHANNEL: &str = "bench";

type Rows = Cache<u64, u64>;

pub(crate) fn run() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let url = server.url();
    // In a task, as callers are: another thread would have to be woken for each step.
    let measured = runtime().block_on(async { tokio::spawn(measure(url)).await });
    measured.expect("nothing goes wrong");
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built")
}

async fn measure(url: String) {
    let url = &*url;
    println!("{ROUNDS} rounds each; microseconds");
    println!("| what | load | p50 | p99 | largest |");
    println!("|---|---|---:|---:|---:|");
    for load in [Load::NONE, Load::PACED, Load::RESTLESS] {
        let mut world = World::connect(url, &load).await;
        let running = load.start(url).await;
        // For the connections and the server to warm up.
        world.rounds(ROUNDS / 10).await;
        let times = world.rounds(ROUNDS).await;
        let writes = running.stop();
        times.print(load.name);
        let reads = world.reader.end().await;
        println!(
            "<!-- {}: {writes} writes and {reads} near hits meanwhile -->",
            load.name
        );
    }
}

async fn cache(url: &str) -> Rows {
    let remote = Redis::open(url).expect("the address is sound");
    let builder = Cache::builder("bench:rows").ttl("1h").remote(remote);
    let cache = builder.near(Near::bytes("64MiB")).build().await;
    cache.expect("the settings are valid")
}

/// `CLOCK_MONOTONIC`, in nanoseconds.
fn instant() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// A cache here and one in another process, and two bare connections beside them.
struct World {
    writer: Rows,
    publisher: MultiplexedConnection,
    reader: Reader,
    round: u64,
}

impl World {
    async fn connect(url: &str, load: &Load) -> World {
        let client = redis::Client::open(url).expect("the address is sound");
        let publisher = client.get_multiplexed_async_connection().await;
        World {
            writer: cache(url).await,
            publisher: publisher.expect("the server is there"),
            reader: Reader::start(url, load.hits_per_ms).await,
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
        self.reader.hold(key).await;
        let begun = instant();
        let removed = self.writer.invalidate(&key).await;
        let returned = instant();
        removed.expect("the server takes it");
        let applied = self.reader.dropped(key).await;
        times.bus_from_call.push(micros(begun, applied));
        times.bus_from_return.push(micros(returned, applied));
    }

    async fn publish(&mut self, times: &mut Times) {
        // As long as the record of one change.
        let mut message = [7u8; 48];
        message[..8].copy_from_slice(&self.round.to_be_bytes());
        let begun = instant();
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(CHANNEL).arg(&message);
        let sent: Result<i64, _> = publish.query_async(&mut self.publisher).await;
        let returned = instant();
        sent.expect("the server takes it");
        let arrived = self.reader.heard(self.round).await;
        times.raw_from_call.push(micros(begun, arrived));
        times.raw_from_return.push(micros(returned, arrived));
    }
}

/// From `from` to `to`, negative if `to` was first.
fn micros(from: i64, to: i64) -> f64 {
    (to - from) as f64 / 1e3
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
            ("invalidate, from its call", self.bus_from_call),
            ("bare PUBLISH, from its call", self.raw_from_call),
            ("invalidate, from its return", self.bus_from_return),
            ("bare PUBLISH, from its return", self.raw_from_return),
        ];
        for (what, mut times) in rows {
            times.sort_by(f64::total_cmp);
            let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
            let (half, most, all) = (at(50), at(99), at(100));
            println!("| {what} | {load} | {half:.0} | {most:.0} | {all:.0} |");
        }
    }
}
