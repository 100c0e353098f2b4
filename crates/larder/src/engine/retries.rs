//! Which keys are not to be loaded for a moment, in a fixed amount of memory.
//!
//! Each key has one slot, which it shares with many others. The last to come stays: who is displaced
//! may be loaded once more than it should be. Two keys that look the same (one pair in some tens
//! of millions) hold each other up for a moment. Both are harmless.

use crate::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_core::runtime::Mono;

const SLOTS: usize = 1024;
/// The upper bits of a slot tell keys apart, the lower ones are a time in milliseconds: enough for
/// some thousand years.
const TIME_BITS: u32 = 48;
const TIME: u64 = (1 << TIME_BITS) - 1;

pub(super) struct Retries(Box<[AtomicU64]>);

fn slot(hash: u64) -> usize {
    hash as usize % SLOTS
}

fn name(hash: u64) -> u64 {
    hash & !TIME
}

fn ms(at: Mono) -> u64 {
    (at.0 / 1_000_000).min(TIME)
}

impl Retries {
    /// Takes no memory if it is not `needed`.
    pub(super) fn new(needed: bool) -> Retries {
        let slots = if needed { SLOTS } else { 0 };
        Retries((0..slots).map(|_| AtomicU64::new(0)).collect())
    }

    /// Whether a key may be loaded.
    pub(super) fn may(&self, hash: u64, now: Mono) -> bool {
        let held = self.0.get(slot(hash));
        let held = held.map_or(0, |slot| slot.load(Ordering::Relaxed));
        name(held) != name(hash) || ms(now) >= held & TIME
    }

    /// Not before `pause` has passed.
    pub(super) fn put_off(&self, hash: u64, now: Mono, pause: Duration) {
        if let Some(slot) = self.0.get(slot(hash)) {
            // Rounded up: a pause is never shorter than it was set.
            let until = ms(now.after(pause)).saturating_add(1).min(TIME);
            slot.store(name(hash) | until, Ordering::Relaxed);
        }
    }

    /// At any time.
    pub(super) fn allow(&self, hash: u64) {
        if let Some(slot) = self.0.get(slot(hash)) {
            let held = slot.load(Ordering::Relaxed);
            if name(held) == name(hash) {
                // Whoever has come in between is displaced all the same.
                slot.store(0, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const KEY: u64 = 0xabcd_1234_5678_9abc;

    #[test]
    fn a_key_is_put_off_for_its_pause_and_no_other_one() {
        let retries = Retries::new(true);
        let now = Mono(5_000_400_000);
        assert!(retries.may(KEY, now));
        retries.put_off(KEY, now, SECOND);
        assert!(!retries.may(KEY, now) && !retries.may(KEY, now.after(SECOND)));
        assert!(retries.may(KEY, now.after(SECOND + Duration::from_millis(1))));
        // Another slot, and another key of the same one.
        assert!(retries.may(KEY + 1, now) && retries.may(KEY ^ 1 << 60, now));
    }

    #[test]
    fn a_key_is_allowed_again_or_displaced_and_others_are_left_alone() {
        let (retries, now) = (Retries::new(true), Mono(0));
        let other = KEY ^ 1 << 60;
        retries.put_off(KEY, now, SECOND);
        retries.allow(other);
        assert!(!retries.may(KEY, now));
        retries.allow(KEY);
        assert!(retries.may(KEY, now));
        retries.put_off(KEY, now, SECOND);
        retries.put_off(other, now, SECOND);
        assert!(retries.may(KEY, now) && !retries.may(other, now));
    }

    #[test]
    fn where_nothing_is_refreshed_nothing_is_remembered() {
        let retries = Retries::new(false);
        retries.put_off(KEY, Mono(0), SECOND);
        assert!(retries.may(KEY, Mono(0)));
    }
}
