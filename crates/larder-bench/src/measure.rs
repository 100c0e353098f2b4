//! Rounds in which the candidates take turns, and what they come to.

use std::time::Instant;

use crate::counting;

/// Something to measure: its name, and one run of `operations` operations.
pub(crate) struct Candidate<'a> {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnMut() + 'a>,
}

/// Runs all candidates `rounds` times, each round starting with another one, and prints medians;
/// ratios are to the first candidate of the same round.
pub(crate) fn compare(operations: u64, rounds: usize, mut candidates: Vec<Candidate<'_>>) {
    let mut times = vec![Vec::new(); candidates.len()];
    let mut ratios = vec![Vec::new(); candidates.len()];
    let mut allocations = vec![0; candidates.len()];
    for candidate in &mut candidates {
        (candidate.run)();
    }
    for round in 0..rounds {
        let mut taken = vec![0.0; candidates.len()];
        for turn in 0..candidates.len() {
            let at = (turn + round) % candidates.len();
            let before = counting::allocations();
            let start = now();
            (candidates[at].run)();
            taken[at] = start.elapsed().as_nanos() as f64 / operations as f64;
            allocations[at] = counting::allocations() - before;
        }
        for (at, time) in taken.iter().enumerate() {
            times[at].push(*time);
            ratios[at].push(time / taken[0]);
        }
    }
    println!("| candidate | ns per operation | ratio | allocations per operation |");
    println!("|---|---|---|---|");
    for (at, candidate) in candidates.iter().enumerate() {
        println!(
            "| {} | {:.1} | {:.2} | {:.3} |",
            candidate.name,
            median(&mut times[at]),
            median(&mut ratios[at]),
            allocations[at] as f64 / operations as f64,
        );
    }
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
