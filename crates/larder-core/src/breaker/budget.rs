//! How often calls may be repeated.

use std::time::Duration;

use crate::runtime::Mono;

/// What one repetition costs.
const PRICE: u64 = 100;
/// What each call brings: a fifth of a repetition.
const PER_CALL: u64 = 20;
/// What time brings, for those who call rarely: ten repetitions a second.
const PER_SECOND: u64 = 10 * PRICE;
/// The most that can be saved: a hundred repetitions.
const MOST: u64 = 100 * PRICE;

/// Lets through repetitions for a fifth of the calls and ten a second: what fails now and then is
/// repeated, and a server that is down does not get twice the load (as Finagle's retry budget does).
#[derive(Clone, Debug)]
pub struct Budget {
    saved: u64,
    at: Mono,
}

impl Budget {
    /// A full one.
    pub fn new(now: Mono) -> Budget {
        Budget {
            saved: MOST,
            at: now,
        }
    }

    /// A call is made.
    pub fn called(&mut self) {
        self.saved = (self.saved + PER_CALL).min(MOST);
    }

    /// Whether one may be repeated, which is paid for.
    pub fn take(&mut self, now: Mono) -> bool {
        let second = Duration::from_secs(1).as_nanos() as u64;
        let passed = now.since(self.at).as_nanos().min(u128::from(10 * second)) as u64;
        let brought = passed.saturating_mul(PER_SECOND) / second;
        if brought > 0 {
            self.saved = (self.saved + brought).min(MOST);
            self.at = now;
        }
        if self.saved < PRICE {
            return false;
        }
        self.saved -= PRICE;
        true
    }
}
