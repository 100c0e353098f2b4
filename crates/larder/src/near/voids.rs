//! What was made void at once: everything, or the keys of an area.
//!
//! Each time the *epoch* of the near cache rises by one. An entry remembers the epoch in which it was
//! last known to hold; a hit in the same epoch needs no look in here. In a later one it is held
//! against what was made void since, once. Nothing is removed from the map at this moment, however
//! much it holds; the sweep does that later.

use std::collections::VecDeque;

use larder_core::area::{Area, MAX_AREAS};
use larder_core::mutant::Mutant;

use super::view::View;
use crate::sync::RwLock;

#[derive(Default)]
pub(super) struct Voids(RwLock<Recent>);

#[derive(Default)]
struct Recent {
    /// Everything of an older epoch is void.
    floor: u64,
    areas: VecDeque<(u64, Area)>,
}

impl Voids {
    /// Makes void what is in the map or being read for it, as far as the area covers it.
    pub(super) fn add(&self, view: &View, area: Area) {
        if Mutant::EpochFirst.is_active() {
            view.set_epoch(view.epoch() + 1);
        }
        let mut recent = self.0.write();
        let epoch = view.epoch() + u64::from(!Mutant::EpochFirst.is_active());
        if area == Area::ALL {
            recent.floor = epoch;
            recent.areas.clear();
        } else {
            if recent.areas.len() == MAX_AREAS {
                recent.floor = recent.areas.pop_front().map_or(0, |(epoch, _)| epoch);
            }
            recent.areas.push_back((epoch, area));
        }
        // Under the lock: whoever sees the epoch finds in here why it rose.
        view.set_epoch(epoch);
    }

    /// Whether a key was made void after `epoch`.
    pub(super) fn since(&self, epoch: u64, key: &[u8]) -> bool {
        if Mutant::AreaEpoch.is_active() {
            return false;
        }
        let recent = self.0.read();
        let mut newer = recent.areas.iter().rev().take_while(|(at, _)| *at > epoch);
        epoch < recent.floor || newer.any(|(_, area)| area.covers(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_covered_and_older_is_void() {
        let (voids, view) = (Voids::default(), View::unfenced());
        voids.add(&view, Area::prefix(b"a").unwrap());
        assert_eq!(view.epoch(), 1);
        assert!(voids.since(0, b"ab") && !voids.since(1, b"ab") && !voids.since(0, b"b"));
        voids.add(&view, Area::ALL);
        assert!(voids.since(1, b"b") && !voids.since(2, b"b"));
    }

    #[test]
    fn what_is_forgotten_counts_for_every_key() {
        let (voids, view) = (Voids::default(), View::unfenced());
        for n in 0..=MAX_AREAS {
            voids.add(&view, Area::prefix(n.to_string().as_bytes()).unwrap());
        }
        assert!(voids.since(0, b"x"), "the first may have covered it");
        assert!(!voids.since(1, b"x") && voids.since(1, b"1"));
        assert!(voids.0.read().areas.len() <= MAX_AREAS);
    }
}
