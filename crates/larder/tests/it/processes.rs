//! Engines that are processes of their own, a server, and all that happens to both: killed, stopped,
//! cut off, emptied, brought back from an old dump, replaced by a replica that lags. Every read of every
//! process is held against what had been acknowledged when it began.
//!
//! `LARDER_FAULT_ROUNDS=20 cargo test --release -p larder --test it processes -- --nocapture` does
//! everything twenty times and prints what came of it.

mod engine;
mod history;
mod stage;

use std::time::Duration;

use crate::support::or_from_env;
use history::Verdict;
use stage::{FAULTS, Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_processes_no_read_is_fresh_and_superseded_for_longer_than_a_second() {
    let Some(mut stage) = Stage::set().await else {
        return;
    };
    for round in 0..or_from_env("LARDER_FAULT_ROUNDS", 1) {
        for fault in FAULTS {
            stage.play(fault, round).await;
        }
    }
    let Verdict { tally, broken } = stage.end().await;
    println!("{tally:#?}");
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(tally.lives > stage::ENGINES, "nobody was killed: {tally:?}");
    // A link was dead, and was read through; not for long, since its breaker opens.
    assert!(tally.worst > Duration::from_millis(100), "{tally:?}");
    // Else nothing could have been stale.
    assert!(tally.changes > 100, "{tally:?}");
    assert!(
        tally.repeated > 0,
        "no change was in the way of a fault: {tally:?}"
    );
    assert!(tally.near > 1_000, "{tally:?}");
    assert!(tally.last > 0, "nobody read once all was well again");
}
