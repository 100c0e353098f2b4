//! How long to wait before the next attempt.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
/// Also how long a server that is back may go unnoticed.
const LONGEST: Duration = Duration::from_secs(2);

/// The pause after so many failures before this one: doubling, and shortened by a random part of
/// up to a half, so that the clients of a server that comes back do not all arrive at once.
pub(super) fn pause(failures: u32, random: u64) -> Duration {
    let full = FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST);
    let half = full / 2;
    half + half.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        assert_eq!(pause(0, 0), FIRST / 2);
        assert!(pause(0, u64::MAX) <= FIRST);
        assert_eq!(pause(99, 0), LONGEST / 2);
        assert!(pause(3, 0) > pause(1, u64::MAX));
        assert_ne!(pause(5, 0), pause(5, u64::MAX));
    }
}
