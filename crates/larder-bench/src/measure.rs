//! Rounds in which the candidates take turns, and what they come to.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::counting;

/// Something to measure: its name, and one run of a number of operations, which gives the processor
/// time that the threads of it took on average.
pub(crate) struct Candidate<'a> {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnMut() -> Duration + 'a>,
    /// Operations so far that were not what is to be measured.
    pub(crate) missed: Box<dyn Fn() -> u64 + 'a>,
}

/// Runs all candidates `rounds` times, each round starting with another one, and prints medians;
/// ratios are to the first candidate of the same round.
pub(crate) fn compare(operations: u64, rounds: usize, mut candidates: Vec<Candidate<'_>>) {
    let mut times = vec![Vec::new(); candidates.len()];
    let mut ratios = vec![Vec::new(); candidates.len()];
    let mut allocations = vec![0; candidates.len()];
    let mut missed = vec![0; candidates.len()];
    for candidate in &mut candidates {
        (candidate.run)();
    }
    for round in 0..rounds {
        let mut taken = vec![0.0; candidates.len()];
        for turn in 0..candidates.len() {
            let at = (turn + round) % candidates.len();
            let missed_before = (candidates[at].missed)();
            let before = counting::allocations();
            taken[at] = (candidates[at].run)().as_nanos() as f64 / operations as f64;
            allocations[at] = counting::allocations() - before;
            missed[at] += (candidates[at].missed)() - missed_before;
        }
        for (at, time) in taken.iter().enumerate() {
            times[at].push(*time);
            ratios[at].push(time / taken[0]);
        }
    }
    println!("| candidate | ns per operation | ratio | allocations per operation | missed |");
    println!("|---|---:|---:|---:|---:|");
    for (at, candidate) in candidates.iter().enumerate() {
        println!(
            "| {} | {:.1} | {:.2} | {:.3} | {} |",
            candidate.name,
            median(&mut times[at]),
            median(&mut ratios[at]),
            allocations[at] as f64 / operations as f64,
            missed[at],
        );
    }
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The processor time of this thread so far: what else runs on the machine is not in it, but for
/// what it does to the caches.
pub(crate) fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// `CLOCK_MONOTONIC` in nanoseconds, which all processes of a machine share.
pub(crate) fn instant() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Where what is not about processor time runs.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built")
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
