//! From when on a read must show which change.
//!
//! A read is stale if it was begun later than a change had to be visible, and gives something older.
//! What has to be visible is asked for before a read begins, never after: so no read is called stale
//! for what became due while it ran.

use larder_core::Mono;
use parking_lot::Mutex;

use super::catalogue::Version;
use super::{PRODUCTS, VISIBLE_AFTER_COMMIT, VISIBLE_WITHIN};

/// Changes of one product that are not due yet. More of them are not judged; the busiest product has
/// a few dozen.
const MOST_OPEN: usize = 256;

/// For each product, what must be visible and from when on.
pub(super) struct Ledger(Vec<Mutex<Product>>);

#[derive(Default)]
struct Product {
    /// Has been due for some read already.
    due: Version,
    /// None is both later and older than another.
    open: Vec<(Mono, Version)>,
}

/// When a change must be visible everywhere of which is known only that it was committed: whatever
/// became of its writer, somebody has found it in the outbox by then.
pub(super) fn due_after_commit(committed: Mono) -> Mono {
    committed.after(VISIBLE_AFTER_COMMIT)
}

/// When a change must be visible everywhere that was acknowledged.
pub(super) fn due_after_acknowledgement(acknowledged: Mono) -> Mono {
    acknowledged.after(VISIBLE_WITHIN)
}

impl Ledger {
    pub(super) fn new() -> Ledger {
        Ledger((0..PRODUCTS).map(|_| Mutex::default()).collect())
    }

    /// A read of the product that begins after `due` must show this version or a later one. Says
    /// whether reads will be held to that.
    pub(super) fn note(&self, product: u32, version: Version, due: Mono) -> bool {
        let Some(slot) = self.0.get(product as usize) else {
            return false;
        };
        let mut slot = slot.lock();
        let is_covered = |(at, newer): &(Mono, Version)| *at <= due && *newer >= version;
        if version <= slot.due || slot.open.iter().any(is_covered) {
            return true;
        }
        slot.open
            .retain(|(at, older)| *at < due || *older > version);
        let has_room = slot.open.len() < MOST_OPEN;
        if has_room {
            slot.open.push((due, version));
        }
        has_room
    }

    /// The oldest version that a read of the product may show which begins after this call; `now` is
    /// the time of the call, or a little earlier.
    pub(super) fn oldest(&self, product: u32, now: Mono) -> Version {
        let Some(slot) = self.0.get(product as usize) else {
            return 0;
        };
        let mut slot = slot.lock();
        if slot.open.is_empty() {
            return slot.due;
        }
        let open = slot.open.iter().filter(|(at, _)| *at <= now);
        let due = open.map(|(_, version)| *version).max().unwrap_or(0);
        slot.due = slot.due.max(due);
        slot.open.retain(|(at, _)| *at > now);
        slot.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_due_from_its_time_on_and_for_ever() {
        let ledger = Ledger::new();
        assert_eq!(ledger.oldest(7, Mono(100)), 0);
        assert!(ledger.note(7, 3, Mono(50)));
        assert!(ledger.note(7, 5, Mono(70)));
        assert_eq!(ledger.oldest(7, Mono(49)), 0);
        assert_eq!(ledger.oldest(7, Mono(50)), 3);
        assert_eq!(ledger.oldest(7, Mono(69)), 3);
        assert_eq!(ledger.oldest(7, Mono(70)), 5);
        assert_eq!(ledger.oldest(8, Mono(70)), 0);
        // Somebody else is late with his clock: what was due for one read is due for all that follow.
        assert_eq!(ledger.oldest(7, Mono(60)), 5);
    }

    #[test]
    fn the_earlier_of_two_times_counts_whichever_comes_first() {
        for times in [[50, 70], [70, 50]] {
            let ledger = Ledger::new();
            for time in times {
                assert!(ledger.note(7, 3, Mono(time)));
            }
            assert_eq!(ledger.oldest(7, Mono(49)), 0);
            assert_eq!(ledger.oldest(7, Mono(50)), 3);
        }
    }

    #[test]
    fn a_newer_version_that_is_due_earlier_replaces_an_older_one() {
        let ledger = Ledger::new();
        assert!(ledger.note(7, 3, Mono(80)));
        assert!(ledger.note(7, 4, Mono(60)));
        assert_eq!(ledger.0[7].lock().open, [(Mono(60), 4)]);
        assert!(ledger.note(7, 2, Mono(90)));
        assert_eq!(ledger.oldest(7, Mono(60)), 4);
    }

    #[test]
    fn what_waits_is_bounded_and_what_has_no_room_is_told() {
        let ledger = Ledger::new();
        let most = MOST_OPEN as i64;
        let noted = (1..=most + 3).filter(|at| ledger.note(7, *at, Mono(at.unsigned_abs())));
        assert_eq!(noted.count(), MOST_OPEN);
        assert_eq!(ledger.oldest(7, Mono(u64::MAX)), most);
        assert!(!ledger.note(PRODUCTS, 1, Mono(0)));
    }
}
