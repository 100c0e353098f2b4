//! The order of changes to one key.

use std::fmt;

/// The version of a record: assigned by the shard that holds it, never by a client's clock.
///
/// It is `max(shard time in µs, shard high-water + 1, stored version + 1)`, so it grows even when
/// the key, and its version with it, was evicted, and even when the shard's clock steps back. It
/// stays below 2^53, so that a Lua double holds it exactly (until the year 2255).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub u64);

impl Version {
    /// Older than every assigned version.
    pub const ZERO: Version = Version(0);
    /// The greatest value a Lua double holds exactly.
    pub const MAX: Version = Version((1 << 53) - 1);

    /// The version that a shard assigns at `now_us`, given its high-water and what it holds for
    /// the key.
    pub fn next(now_us: u64, high_water: Version, stored: Version) -> Version {
        Version(now_us.max(high_water.0 + 1).max(stored.0 + 1))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_steps_back_does_not_lower_the_next_version() {
        assert_eq!(Version::next(50, Version(100), Version::ZERO), Version(101));
        assert_eq!(Version::next(50, Version(100), Version(200)), Version(201));
        assert_eq!(Version::next(500, Version(100), Version(200)), Version(500));
    }
}
