//! A bounded, timed memory of invalidated versions, so that a value read before an invalidation
//! cannot enter the near cache after it.

use smallvec::SmallVec;

use crate::runtime::Mono;
use crate::version::Version;

/// Most keys remembered one by one in a [`Floors`]; more raise the common floor instead.
const KEYS: usize = 8;

/// The least version that each key of one stripe must exceed to be admitted.
///
/// Memory is bounded: when it is full, the key that ends first gives its floor to the whole
/// stripe. A common floor that is too high only refuses values that would have been fine; the
/// next read gets them again.
#[derive(Debug, Default)]
pub struct Floors {
    keys: SmallVec<[Floor; 1]>,
    common: Version,
    common_until: Mono,
}

#[derive(Debug, Clone, Copy)]
struct Floor {
    hash: u64,
    version: Version,
    until: Mono,
}

impl Floors {
    /// Remembers that everything up to `version` of the key with this hash is superseded, until
    /// `until`.
    pub fn raise(&mut self, hash: u64, version: Version, now: Mono, until: Mono) {
        self.keys.retain(|floor| floor.until > now);
        if let Some(floor) = self.keys.iter_mut().find(|floor| floor.hash == hash) {
            floor.version = floor.version.max(version);
            floor.until = floor.until.max(until);
            return;
        }
        if self.keys.len() == KEYS {
            let first = (0..KEYS).min_by_key(|&at| self.keys[at].until).unwrap_or(0);
            let given = self.keys.swap_remove(first);
            self.common = if self.common_until > now {
                self.common.max(given.version)
            } else {
                given.version
            };
            self.common_until = self.common_until.max(given.until);
        }
        self.keys.push(Floor {
            hash,
            version,
            until,
        });
    }

    /// The highest version of this key that is known to be superseded.
    pub fn floor(&self, hash: u64, now: Mono) -> Version {
        let common = if self.common_until > now {
            self.common
        } else {
            Version::ZERO
        };
        self.keys
            .iter()
            .filter(|floor| floor.hash == hash && floor.until > now)
            .map(|floor| floor.version)
            .fold(common, Version::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_holds_until_its_time_and_only_for_its_key() {
        let mut floors = Floors::default();
        floors.raise(1, Version(9), Mono(0), Mono(100));
        floors.raise(1, Version(4), Mono(0), Mono(50));
        assert_eq!(floors.floor(1, Mono(99)), Version(9));
        assert_eq!(floors.floor(2, Mono(99)), Version::ZERO);
        assert_eq!(floors.floor(1, Mono(100)), Version::ZERO);
    }

    #[test]
    fn overflow_raises_the_common_floor_and_forgets_nothing() {
        let mut floors = Floors::default();
        for key in 0..100 {
            floors.raise(key, Version(key + 1), Mono(0), Mono(1_000 + key));
        }
        assert!(floors.keys.len() <= KEYS);
        for key in 0..100 {
            assert!(floors.floor(key, Mono(1)) >= Version(key + 1), "key {key}");
        }
    }
}
