//! Waiting for something outside this process, by looking again and again until a deadline.
//!
//! A process that was just started cannot tell us when it is ready; it can only be looked at. This
//! is the one place in the tests that sleeps, and every use has a deadline and says what it waits
//! for. Tests of our own code do not need it: they drive a clock by hand.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

/// The first pause between two looks; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// Long enough to leave the processor to the one we wait for, short enough to go unnoticed.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// What was waited for did not happen in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedOut {
    what: String,
    limit: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} did not happen within {:?}", self.what, self.limit)
    }
}

impl Error for TimedOut {}

/// Blocks until `condition` holds, and at most for `limit`.
///
/// The condition is looked at once more when the time is over, so that a machine which stood still
/// in between does not fail the test.
///
/// # Errors
///
/// [`TimedOut`], which says `what` was waited for.
#[allow(
    clippy::disallowed_methods,
    reason = "real processes are looked at until a deadline"
)]
pub fn until(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> bool,
) -> Result<(), TimedOut> {
    let start = Instant::now();
    let mut pause = PAUSE_MIN;
    loop {
        let is_last = start.elapsed() >= limit;
        if condition() {
            return Ok(());
        }
        if is_last {
            return Err(TimedOut {
                what: what.to_owned(),
                limit,
            });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        let condition = || {
            looks += 1;
            looks == 3
        };
        until(Duration::from_secs(30), "the third look", condition).unwrap();
        assert_eq!(looks, 3);
    }

    #[test]
    fn what_does_not_happen_is_named() {
        let error = until(Duration::ZERO, "rain", || false).unwrap_err();
        assert_eq!(error.to_string(), "rain did not happen within 0ns");
    }
}
