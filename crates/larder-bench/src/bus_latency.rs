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
mod place;
pub(crate) mod reader;

use larder::Cache;
use larder_testkit::servers::{RedisOptions, RedisServer, free_port};
use redis::aio::MultiplexedConnection;

use crate::measure::{instant, runtime};
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

async fn measure(url: String) {
    let url = &*url;
    println!("{ROUNDS} rounds each; microseconds");
    println!("| what | load | p50 | p99 | largest |");
    println!("|---|---|---:|---:|---:|");
    for load in [Load::NONE, Load::PACED, Load::RESTLESS] {
        let mut world = World::connect(url, &load).await;
        let running = load.start(&cache(url).await);
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

async fn cache(place: &str) -> Rows {
    let cache = place::builder(place).await.build().await;
    cache.expect("the settings are valid")
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
        for (what, times) in rows {
            row(what, load, times);
        }
    }
}

/// Prints a row of the table.
fn row(what: &str, load: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    let (half, most, all) = (at(50), at(99), at(100));
    println!("| {what} | {load} | {half:.0} | {most:.0} | {all:.0} |");
}

/// The same for a mesh of three processes, without a server: how long until both others have dropped
/// their copies.
pub(crate) fn run_mesh() {
    let measured = runtime().block_on(async { tokio::spawn(measure_mesh()).await });
    measured.expect("nothing goes wrong");
}

async fn measure_mesh() {
    println!("{ROUNDS} rounds each; microseconds until both others have dropped their copies");
    println!("| what | load | p50 | p99 | largest |");
    println!("|---|---|---:|---:|---:|");
    for load in [Load::NONE, Load::PACED, Load::RESTLESS] {
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let writer = cache(&place::mesh(0, &ports)).await;
        let mut readers = Vec::new();
        for node in 1..3 {
            readers.push(Reader::start(&place::mesh(node, &ports), load.hits_per_ms).await);
        }
        let running = load.start(&writer);
        let mut round = 0;
        mesh_rounds(&writer, &mut readers, &mut round, ROUNDS / 10).await;
        let (from_call, from_return) = mesh_rounds(&writer, &mut readers, &mut round, ROUNDS).await;
        let writes = running.stop();
        row("invalidate, from its call", load.name, from_call);
        row("invalidate, from its return", load.name, from_return);
        let mut hits = 0;
        for reader in &mut readers {
            hits += reader.end().await;
        }
        println!(
            "<!-- {}: {writes} writes and {hits} near hits meanwhile -->",
            load.name
        );
    }
}

async fn mesh_rounds(
    writer: &Rows,
    readers: &mut [Reader],
    round: &mut u64,
    rounds: u64,
) -> (Vec<f64>, Vec<f64>) {
    let (mut from_call, mut from_return) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        *round += 1;
        let key = *round;
        for reader in readers.iter_mut() {
            reader.hold(key).await;
        }
        let begun = instant();
        let removed = writer.invalidate(&key).await;
        let returned = instant();
        removed.expect("a majority is there");
        let mut applied = begun;
        for reader in readers.iter_mut() {
            applied = applied.max(reader.dropped(key).await);
        }
        from_call.push(micros(begun, applied));
        from_return.push(micros(returned, applied));
    }
    (from_call, from_return)
}
