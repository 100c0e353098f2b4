//! What was made void at once: everything, or the keys of an area.
//!
//! Each time an [epoch](crate::epoch) begins. An entry that was last known to hold in an older one is
//! held against what was made void since, once. Nothing is removed from the map at this moment,
//! however much it holds; the sweep does that later.

use std::collections::VecDeque;

use larder_core::area::{self, Area, Covered, MAX_AREAS};
use larder_core::key::Id;
use larder_core::mutant::Mutant;

use super::view::View;
use crate::sync::RwLock;
use crate::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct Voids {
    recent: RwLock<Recent>,
    /// The epoch of the newest in `recent`: who holds in that one need not take the lock. While
    /// there is going to be a newer one, later than every epoch.
    latest: AtomicU64,
}

#[derive(Default)]
struct Recent {
    /// Everything of an older epoch is void.
    floor: u64,
    areas: VecDeque<(u64, Area)>,
}

impl Voids {
    /// Makes void what is in the map or being read for it, as far as the area covers it.
    pub(super) fn add(&self, view: &View, area: Area) {
        let early = Mutant::EpochFirst.is_active().then(|| view.begin_epoch());
        let mut recent = self.recent.write();
        // First: whoever sees the epoch looks in here, and waits for the lock.
        self.latest.store(u64::MAX, Ordering::Release);
        let epoch = early.unwrap_or_else(|| view.begin_epoch());
        if area == Area::ALL {
            recent.floor = epoch;
            recent.areas.clear();
        } else {
            if recent.areas.len() == MAX_AREAS {
                recent.floor = recent.areas.pop_front().map_or(0, |(epoch, _)| epoch);
            }
            recent.areas.push_back((epoch, area));
        }
        self.latest.store(epoch, Ordering::Release);
    }

    /// What has become of a key after `epoch`.
    pub(super) fn since(&self, epoch: u64, id: Id<'_>) -> Covered {
        if Mutant::AreaEpoch.is_active() {
            return Covered::Not;
        }
        if epoch >= self.latest.load(Ordering::Acquire) {
            return Covered::Not;
        }
        let recent = self.recent.read();
        if epoch < recent.floor {
            return Covered::Void;
        }
        let newer = recent.areas.iter().rev().take_while(|(at, _)| *at > epoch);
        let spelled = id.spelled();
        area::worst(newer.map(|(_, area)| area.covered(&spelled)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::Epoch;

    #[test]
    fn only_what_is_covered_and_older_is_void() {
        let (voids, view) = (Voids::default(), View::unfenced(Epoch::default()));
        voids.add(&view, Area::prefix(b"a").unwrap());
        assert_eq!(view.epoch(), 1);
        assert!(
            voids.since(0, Id::of(b"ab")) == Covered::Void
                && voids.since(1, Id::of(b"ab")) == Covered::Not
                && voids.since(0, Id::of(b"b")) == Covered::Not
        );
        voids.add(&view, Area::ALL);
        assert!(
            voids.since(1, Id::of(b"b")) == Covered::Void
                && voids.since(2, Id::of(b"b")) == Covered::Not
        );
    }

    #[test]
    fn what_is_forgotten_counts_for_every_key() {
        let (voids, view) = (Voids::default(), View::unfenced(Epoch::default()));
        for n in 0..=MAX_AREAS {
            voids.add(&view, Area::prefix(n.to_string().as_bytes()).unwrap());
        }
        assert!(
            voids.since(0, Id::of(b"x")) == Covered::Void,
            "the first may have covered it"
        );
        assert!(
            voids.since(1, Id::of(b"x")) == Covered::Not
                && voids.since(1, Id::of(b"1")) == Covered::Void
        );
        assert!(voids.recent.read().areas.len() <= MAX_AREAS);
    }
}
