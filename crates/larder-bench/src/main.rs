//! Benchmarks, each candidate beside its competitors in one run.
//!
//! `cargo run --release -p larder-bench -- near-hit` measures a near hit through the full public
//! API against the map underneath it and against another cache; `near-memory` measures what an
//! entry costs; `bus-latency` measures how soon another process hears of an invalidation, beside a
//! bare message of the same server. Machines drift, so the candidates take turns within each round, and what counts
//! is the median of the ratios, not the nanoseconds.

mod bus_latency;
mod counting;
mod measure;
mod near_hit;
mod near_memory;
mod zipf;

use std::env;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        Some("bus-latency") => bus_latency::run(),
        Some("near-hit") => near_hit::run(),
        Some("near-memory") => near_memory::run(),
        _ => {
            eprintln!("usage: larder-bench bus-latency | near-hit | near-memory");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
