//! Benchmarks, each candidate beside its competitors in one run.
//!
//! `cargo run --release -p larder-bench -- near-hit` measures a near hit through the full public
//! API against the map underneath it and against another cache (`near-hit text` with texts as keys);
//! `near-memory` measures what an entry costs; `tag` what it costs to invalidate a tag of a million
//! entries; `stampede` and `outage` what the source has to bear when a key ends, and when a server is
//! killed; `bus-latency` how soon another process hears of an invalidation, beside a bare message
//! of the same server, and `mesh-latency` the same for three processes without a server. Machines drift, so the candidates take turns within each round, and what
//! counts is the median of the ratios, not the nanoseconds. The figures are in `docs/performance.md`.

mod bus_latency;
mod counting;
mod crew;
mod measure;
mod near_hit;
mod near_memory;
mod outage;
mod row;
mod stampede;
mod tag;
mod zipf;

use std::env;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["bus-latency"] => bus_latency::run(),
        ["mesh-latency"] => bus_latency::run_mesh(),
        ["near-hit"] => near_hit::run("number"),
        ["near-hit", "text"] => near_hit::run("text"),
        ["near-memory"] => near_memory::run(),
        ["outage", ref arguments @ ..] => return outage::run(arguments),
        ["stampede", ref arguments @ ..] => return stampede::run(arguments),
        ["tag"] => tag::run(),
        // The second process of `bus-latency`.
        ["bus-reader", url, hits_per_ms] => bus_latency::reader::run(url, hits_per_ms),
        // One of the processes of `outage`, and one of `stampede`.
        ["outage-reader", ref arguments @ ..] => outage::reader::run(arguments),
        ["stampede-reader", place, ttl] => stampede::reader::run(place, ttl),
        _ => {
            eprintln!(
                "usage: larder-bench bus-latency | mesh-latency | near-hit [text] | near-memory | outage | \
                 stampede | tag"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
