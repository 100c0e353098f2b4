//! The simulated Redis and a real one give the same answers to the same commands.
//!
//! A bounded number of the sequences that `cargo xtask compare` runs with as many as one likes.

use larder_testkit::differential::{self, Summary};
use larder_testkit::servers::{redis_server, require};

const SEQUENCES: u64 = 400;

#[test]
fn the_simulated_redis_answers_as_a_real_one() {
    if require(redis_server()).is_none() {
        return;
    }
    let (summary, difference) = differential::run(0..SEQUENCES, &|_| {});
    if let Some(difference) = difference {
        panic!("sequence {}:\n{}", difference.seed, difference.text);
    }
    println!("{summary:?}");
    let Summary {
        sequences,
        abandoned,
        commands,
        scripts,
        errors,
        messages,
    } = summary;
    assert_eq!(sequences + abandoned, SEQUENCES);
    assert!(sequences > SEQUENCES / 2, "too many were abandoned");
    assert!(commands > 15 * sequences && scripts > 5 * sequences);
    assert!(errors > sequences && messages > sequences);
}
