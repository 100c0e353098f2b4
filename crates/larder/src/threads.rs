//! Orders of threads, tried by a scheduler: what the models of `near`, `engine/flight` and `link` have
//! in common (docs/threads.md).
//!
//! A model is a function that starts threads and states what must hold. It is run some hundred times;
//! each time the scheduler, from a seed, decides at every operation on a lock or an atomic who goes
//! next. Half of the runs choose evenly, the others let threads overtake each other at two, three or
//! four moments only (PCT), which finds what an even choice is unlikely to.

mod runtime;

use std::panic::{AssertUnwindSafe, catch_unwind};

use larder_core::mutant::{Mutant, activate, activate_masks};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

pub(crate) use runtime::ModelRuntime;

/// How often each model is run where it must hold, unless `LARDER_THREADS` says another number.
const RUNS: usize = 400;
/// How often at most where a rule is taken out. Some rules take a rare order to be missed.
const HUNT: usize = 20_000;
/// The first of the seeds, unless `LARDER_THREADS_SEED` says another one.
const SEED: u64 = 1;

/// Moments at which threads overtake each other.
const OVERTAKINGS: [usize; 3] = [2, 3, 4];

fn number(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    let number = text.parse().ok().filter(|_| !text.is_empty());
    number.unwrap_or_else(|| {
        assert!(text.is_empty(), "{name}: {text} is no number");
        otherwise
    })
}

/// Runs a model, and gives what was noticed.
fn run(runs: usize, model: fn()) -> Option<String> {
    let seed = number("LARDER_THREADS_SEED", SEED);
    let even = RandomScheduler::new_from_seed(seed, runs.div_ceil(2));
    let mut noticed = under(even, model);
    for overtakings in OVERTAKINGS {
        let share = runs.div_ceil(2 * OVERTAKINGS.len());
        let scheduler = PctScheduler::new_from_seed(seed, overtakings, share);
        noticed = noticed.or_else(|| under(scheduler, model));
    }
    noticed
}

fn under(scheduler: impl Scheduler + 'static, model: fn()) -> Option<String> {
    let mut config = Config::new();
    // Debug builds have deep frames.
    config.stack_size = 512 * 1024;
    config.max_steps = MaxSteps::FailAfter(200_000);
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    let run = || Runner::new(scheduler, config).run(model);
    let panic = catch_unwind(AssertUnwindSafe(run)).err()?;
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied());
    Some(text.unwrap_or("a panic without a message").to_owned())
}

/// States that a model holds.
pub(crate) fn holds(model: fn()) {
    let runs = number("LARDER_THREADS", RUNS as u64);
    let noticed = run(usize::try_from(runs).unwrap_or(usize::MAX), model);
    assert_eq!(noticed, None);
}

/// States that a model does not hold without a rule, and does without those that hide its loss.
pub(crate) fn needs(mutant: Mutant, model: fn()) {
    if !mutant.masks().is_empty() {
        let _active = activate_masks(mutant);
        assert_eq!(run(RUNS, model), None, "{mutant:?} was not taken out");
    }
    let _active = activate(Some(mutant));
    let noticed = run(HUNT, model);
    let noticed = noticed.unwrap_or_else(|| panic!("nobody noticed that {mutant:?} was gone"));
    println!("{mutant:?}: {noticed}");
}
