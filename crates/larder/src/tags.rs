//! The tags that near copies depend on, as this process knows them.
//!
//! A cell holds the number of one tag: its last invalidation. Entries hold the cells of their tags.
//! When a cell rises the [epoch](crate::epoch) of the near cache does: a hit looks at that alone, and
//! at the cells of its entry once in each epoch. A cell is made before the tag's number is
//! asked for, and takes the greatest number it is ever told: an invalidation that arrives while the
//! answer is on its way is not lost. A cell belongs to one generation of the near cache; with a new
//! generation all are forgotten, because invalidations may have been missed.

use std::collections::HashMap;
use std::sync::Arc;

use ::bytes::Bytes;
use larder_core::mutant::Mutant;
use larder_core::tag::{Bond, Cut};
use larder_core::version::Version;
use smallvec::SmallVec;

use crate::epoch::Epoch;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Cells kept at most, whether entries hold them or not. A lost cell is asked for again.
const CELLS: usize = 1 << 16;

/// The number of one tag or dependency; 0 while it is unknown.
pub(crate) struct TagCell {
    number: AtomicU64,
    /// Its stored key, so that entries which depend on others can tell on what.
    tag: Bytes,
}

impl TagCell {
    fn new(tag: Bytes) -> TagCell {
        TagCell {
            number: AtomicU64::new(0),
            tag,
        }
    }

    fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    fn is_known(&self) -> bool {
        self.number() != 0
    }

    /// Takes a number, unless a greater one is known; whether it did. Then an epoch must begin, before
    /// anybody else may find the cell at this number: rises are made under the lock of all cells.
    #[must_use]
    fn raise(&self, number: u64) -> bool {
        if Mutant::CellForgets.is_active() {
            return self.number.swap(number, Ordering::AcqRel) != number;
        }
        self.number.fetch_max(number, Ordering::AcqRel) < number
    }
}

/// What one entry depends on, and as of when each of it held.
#[derive(Clone, Default)]
pub(crate) struct EntryTags(SmallVec<[(Arc<TagCell>, Cut); 2]>);

impl EntryTags {
    /// Whether nothing of it was invalidated since the entry's value was read.
    pub(crate) fn are_valid(&self) -> bool {
        let is_valid = |(cell, cut): &(Arc<TagCell>, Cut)| cell.number() <= cut.0;
        self.0.iter().all(is_valid) || Mutant::TagCheck.is_active()
    }

    /// The stored keys of what it depends on.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.0.iter().map(|(cell, _)| &cell.tag)
    }

    /// Adds what something else depends on.
    pub(crate) fn extend(&mut self, other: &EntryTags) {
        let cells = other.0.iter().map(|(cell, cut)| (cell.clone(), *cut));
        self.0.extend(cells);
    }

    /// The same, where much of it may be here already: of two lines that are the same the older counts.
    pub(crate) fn absorb(&mut self, other: &EntryTags) {
        for (cell, cut) in &other.0 {
            match self.0.iter_mut().find(|(own, _)| Arc::ptr_eq(own, cell)) {
                Some((_, own)) => *own = (*own).min(*cut),
                None => self.0.push((cell.clone(), *cut)),
            }
        }
    }

    /// What a store must find not invalidated since.
    pub(crate) fn bonds(&self) -> impl Iterator<Item = Bond> {
        self.0.iter().map(|(cell, cut)| Bond {
            tag: cell.tag.clone(),
            cut: *cut,
            version: Version::ZERO,
        })
    }

    /// Whether it names exactly these.
    pub(crate) fn are(&self, tags: &[Bytes]) -> bool {
        self.0.len() == tags.len() && self.keys().all(|tag| tags.contains(tag))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The cells of all tags that near copies, or loads under way, depend on.
pub(crate) struct TagCells {
    cells: Mutex<Cells>,
    epoch: Epoch,
}

#[derive(Default)]
struct Cells {
    cells: HashMap<Bytes, Arc<TagCell>>,
    /// The greatest number of an invalidation so far.
    highest: u64,
    /// What tags without a cell may have been invalidated at: [`Cells::highest`] when cells were
    /// last dropped for want of room.
    floor: u64,
}

impl Cells {
    /// Makes room for so many more, by dropping all.
    fn make_room(&mut self, more: usize, epoch: &Epoch) {
        if self.cells.len() + more <= CELLS {
            return;
        }
        // Those that entries hold go on in them, but are no longer raised: they must not vouch for
        // anything any more.
        epoch.begin_after(|| {
            let cells = self.cells.drain();
            cells.fold(false, |rose, (_, cell)| cell.raise(u64::MAX) | rose)
        });
        self.floor = self.highest;
    }
}

/// The cells of some tags.
pub(crate) struct Held(SmallVec<[Arc<TagCell>; 2]>);

impl TagCells {
    /// No cells yet, for a near cache with this epoch.
    pub(crate) fn new(epoch: Epoch) -> TagCells {
        TagCells {
            cells: Mutex::default(),
            epoch,
        }
    }

    /// The cells of `tags`, made if need be.
    pub(crate) fn hold(&self, tags: &[Bytes]) -> Held {
        let mut cells = self.cells.lock();
        cells.make_room(tags.len(), &self.epoch);
        let cell = |tag: &Bytes| match cells.cells.get(tag) {
            Some(cell) => cell.clone(),
            None => {
                // A copy of its own: the tag may be a slice of a whole record.
                let tag = Bytes::copy_from_slice(tag);
                let cell = Arc::new(TagCell::new(tag.clone()));
                cells.cells.insert(tag, cell.clone());
                cell
            }
        };
        Held(tags.iter().map(cell).collect())
    }

    /// Takes the numbers that the store gave, in the order of the tags. Of a dependency that it has
    /// lost nothing is known.
    ///
    /// Under the lock, as every rise: who finds a cell at its number already may then be sure that
    /// its epoch has begun, too.
    pub(crate) fn learn(&self, held: &Held, numbers: &[Cut]) {
        let _lock = (!Mutant::LearnUnlocked.is_active()).then(|| self.cells.lock());
        let known = |(_, number): &(_, &Cut)| **number < Cut::LOST;
        let known = held.0.iter().zip(numbers).filter(known);
        self.epoch.begin_after(|| {
            known.fold(false, |rose, (cell, number)| {
                cell.raise(number.0.max(1)) | rose
            })
        });
    }

    /// Whether nothing depends on anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.cells.lock().cells.is_empty()
    }

    /// A tag was invalidated.
    pub(crate) fn raise(&self, tag: &[u8], number: u64) {
        let cells = self.cells.lock();
        if let Some(cell) = cells.cells.get(tag) {
            self.epoch.begin_after(|| cell.raise(number));
        }
    }

    /// Invalidates a tag of which no store knows.
    pub(crate) fn raise_or_insert(&self, tag: &Bytes, number: u64) {
        let mut cells = self.cells.lock();
        cells.make_room(1, &self.epoch);
        cells.highest = cells.highest.max(number);
        let cell = cells.cells.entry(tag.clone());
        let cell = cell.or_insert_with(|| Arc::new(TagCell::new(tag.clone())));
        self.epoch.begin_after(|| cell.raise(number));
    }

    /// What a tag without a number counts as, where no store knows one.
    pub(crate) fn floor(&self) -> Cut {
        Cut(self.cells.lock().floor)
    }

    /// Makes void what depends on a tag now, whatever its number: an invalidation may or may not
    /// have taken place.
    pub(crate) fn void(&self, tag: &[u8]) {
        let mut cells = self.cells.lock();
        if let Some(cell) = cells.cells.remove(tag) {
            self.epoch.begin_after(|| cell.raise(u64::MAX));
        }
    }

    /// Forgets everything, with all copies void: something may have been missed.
    pub(crate) fn forget(&self) {
        self.cells.lock().cells.clear();
    }
}

impl Held {
    /// The stored keys of the tags.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.0.iter().map(|cell| &cell.tag)
    }

    pub(crate) fn are_known(&self) -> bool {
        self.0.iter().all(|cell| cell.is_known())
    }

    /// What an entry with this cut depends on.
    pub(crate) fn with(self, cut: Cut) -> EntryTags {
        EntryTags(self.0.into_iter().map(|cell| (cell, cut)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_core::tag::tag_key;

    fn tags(tags: &[&str]) -> Vec<Bytes> {
        tags.iter().map(|tag| tag_key("c", tag).unwrap()).collect()
    }

    #[test]
    fn an_invalidation_that_overtakes_the_answer_is_not_lost() {
        let cells = TagCells::new(Epoch::default());
        let held = cells.hold(&tags(&["a"]));
        assert!(!held.are_known());
        cells.raise(&tag_key("c", "a").unwrap(), 9);
        cells.learn(&held, &[Cut(5)]);
        assert!(!held.with(Cut(5)).are_valid());
        assert!(cells.hold(&tags(&["a"])).with(Cut(9)).are_valid());
    }

    #[test]
    fn one_invalid_tag_is_enough() {
        let cells = TagCells::new(Epoch::default());
        let both = tags(&["a", "b"]);
        let held = cells.hold(&both);
        cells.learn(&held, &[Cut(3), Cut(3)]);
        let entry = held.with(Cut(3));
        assert!(entry.are_valid());
        cells.raise(&tag_key("c", "b").unwrap(), 4);
        assert!(!entry.are_valid());
    }

    #[test]
    fn cells_that_are_forgotten_for_want_of_room_vouch_for_nothing() {
        let cells = TagCells::new(Epoch::default());
        let held = cells.hold(&tags(&["first"]));
        cells.learn(&held, &[Cut(1)]);
        let entry = held.with(Cut(1));
        for n in 0..CELLS {
            cells.hold(&tags(&[&n.to_string()]));
        }
        assert!(!entry.are_valid());
        assert!(cells.cells.lock().cells.len() <= CELLS);
    }

    #[test]
    fn without_a_store_a_forgotten_invalidation_still_counts() {
        let cells = TagCells::new(Epoch::default());
        cells.raise_or_insert(&tag_key("c", "a").unwrap(), 9);
        assert_eq!(cells.floor(), Cut(0));
        for n in 0..CELLS {
            cells.raise_or_insert(&tag_key("c", &n.to_string()).unwrap(), 1);
        }
        assert!(cells.cells.lock().cells.len() <= CELLS);
        let held = cells.hold(&tags(&["a"]));
        assert!(!held.are_known());
        cells.learn(&held, &[cells.floor()]);
        assert!(!held.with(Cut(8)).are_valid());
        assert!(cells.hold(&tags(&["a"])).with(Cut(9)).are_valid());
    }
}
