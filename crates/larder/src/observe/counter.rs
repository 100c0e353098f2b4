//! Counters for hot paths: each thread adds to a cell of its own, readers sum them.
//!
//! A thread that has a cell alone adds with a plain read and a plain write, which costs a fraction
//! of an atomic addition. There are cells for as many threads as usually run; the rest share one.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// The shared cell is the first; the others have a thread each.
const CELLS: usize = 64;

/// `N` counters. One cache line of a cell, so that two threads do not fight for it (two lines on
/// processors that fetch them in pairs).
pub(crate) struct Counters<const N: usize>(Box<[Cell<N>; CELLS]>);

#[repr(align(128))]
struct Cell<const N: usize>([AtomicU64; N]);

/// Which cells have a thread, as bits. The lock orders the additions of a thread before those of
/// the next one that has its cell.
static TAKEN: Mutex<u64> = Mutex::new(1);

/// The cell of a thread, given back when the thread ends.
struct Place(usize);

thread_local! {
    static PLACE: Place = Place::take();
}

impl Place {
    fn take() -> Place {
        let mut taken = TAKEN.lock();
        let free = taken.trailing_ones() as usize;
        if free == CELLS {
            return Place(0);
        }
        *taken |= 1 << free;
        Place(free)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0 != 0 {
            *TAKEN.lock() &= !(1 << self.0);
        }
    }
}

impl<const N: usize> Default for Counters<N> {
    fn default() -> Counters<N> {
        let cell = |_| Cell(array::from_fn(|_| AtomicU64::new(0)));
        Counters(Box::new(array::from_fn(cell)))
    }
}

impl<const N: usize> Counters<N> {
    /// Adds one to the counter at `which`.
    #[inline]
    pub(crate) fn count(&self, which: usize) {
        // A thread that is ending has given its cell back.
        let place = PLACE.try_with(|place| place.0).unwrap_or(0);
        let counter = &self.0[place % CELLS].0[which];
        if place == 0 {
            counter.fetch_add(1, Ordering::Relaxed);
        } else {
            counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self, which: usize) -> u64 {
        let counted = |cell: &Cell<N>| cell.0[which].load(Ordering::Relaxed);
        self.0.iter().map(counted).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_threads_however_many_there_are() {
        let counters = Counters::<2>::default();
        // More threads than cells at once, and more than once.
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..CELLS + 20 {
                    scope.spawn(|| (0..1_000).for_each(|_| counters.count(1)));
                }
            });
        }
        assert_eq!(counters.get(0), 0);
        assert_eq!(counters.get(1), 3 * 1_000 * (CELLS as u64 + 20));
    }
}
