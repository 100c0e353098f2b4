//! The lanes that a member knows: how far it has logged each, and the newest records of all of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::{LaneId, Positions};
use crate::mutant::Mutant;

/// Records beyond a gap that are remembered one by one, for each lane.
const BEYOND: usize = 4096;

/// Most lanes that are remembered. Each life of a node that changed something is one, until all
/// members have all of it.
pub(super) const MAX_LANES: usize = 1024;

/// Most records, and bytes of records, in one answer to a request for a range.
pub(super) const PAGE: usize = 512;
const PAGE_BYTES: usize = 1 << 20;

/// What to do with a record that has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// It was here before.
    Duplicate,
    /// It is the next of its lane, and none behind it was applied.
    Next,
    /// Apply it, in no order.
    Unordered,
}

#[derive(Clone, Debug, Default, Hash)]
struct Copy {
    /// Every record up to here is logged, or was dropped with all near copies.
    logged: u64,
    beyond: BTreeSet<u64>,
    records: BTreeMap<u64, Bytes>,
    /// All members have all of it, and its node has another life: nobody needs to be told of it.
    retired: bool,
    /// The order in which lanes were met.
    met: u64,
}

/// All lanes that are known here, within bounds.
#[derive(Clone, Debug, Hash)]
pub(super) struct Copies {
    lanes: BTreeMap<LaneId, Copy>,
    /// What is kept, the oldest first.
    kept: VecDeque<(LaneId, u64)>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
    met: u64,
}

impl Copies {
    pub(super) fn new(most: usize, most_bytes: usize) -> Copies {
        Copies {
            lanes: BTreeMap::new(),
            kept: VecDeque::new(),
            bytes: 0,
            most,
            most_bytes,
            met: 0,
        }
    }

    /// A record arrived.
    pub(super) fn add(&mut self, lane: LaneId, seq: u64, record: Bytes) -> Arrival {
        let copy = self.meet(lane);
        if seq <= copy.logged || copy.beyond.contains(&seq) {
            return Arrival::Duplicate;
        }
        let is_next = seq == copy.logged + 1;
        let is_ordered = is_next && copy.beyond.is_empty();
        if is_next || Mutant::CountEarly.is_active() {
            copy.advance(seq);
        } else if copy.beyond.len() < BEYOND {
            copy.beyond.insert(seq);
        } else {
            // It comes again when the gap is closed.
            return Arrival::Unordered;
        }
        let length = record.len();
        copy.records.insert(seq, record);
        self.bytes += length;
        self.kept.push_back((lane, seq));
        self.trim();
        if is_ordered {
            Arrival::Next
        } else {
            Arrival::Unordered
        }
    }

    /// What lies up to here counts as logged: all near copies were dropped since it was written.
    pub(super) fn jump(&mut self, lane: LaneId, seq: u64) {
        self.meet(lane).advance(seq);
    }

    /// Up to where a lane is logged without a gap; 0 for an unknown one.
    pub(super) fn logged(&self, lane: LaneId) -> u64 {
        self.lanes.get(&lane).map_or(0, |copy| copy.logged)
    }

    /// Whether everything that a vector names is logged.
    pub(super) fn has_all(&self, positions: &Positions) -> bool {
        let has = |(lane, seq): &(LaneId, u64)| self.logged(*lane) >= *seq;
        positions.iter().all(has)
    }

    /// The last record before one that arrived beyond a gap, and the newest of those.
    pub(super) fn beyond(&self, lane: LaneId) -> Option<(u64, u64)> {
        let beyond = &self.lanes.get(&lane)?.beyond;
        Some((beyond.first()? - 1, *beyond.last()?))
    }

    /// Where the lanes stand, without those that nobody needs to hear of.
    pub(super) fn vector(&self) -> Positions {
        let told = self
            .lanes
            .iter()
            .filter(|(_, copy)| copy.logged > 0 && !copy.retired);
        told.map(|(lane, copy)| (*lane, copy.logged)).collect()
    }

    /// Lanes that are not retired.
    pub(super) fn active(&self) -> Vec<LaneId> {
        let active = self.lanes.iter().filter(|(_, copy)| !copy.retired);
        active.map(|(lane, _)| *lane).collect()
    }

    /// All members have all of this lane, and nothing will be added to it.
    pub(super) fn retire(&mut self, lane: LaneId) {
        if let Some(copy) = self.lanes.get_mut(&lane) {
            copy.retired = true;
        }
    }

    /// Its node is there, in this very life.
    pub(super) fn revive(&mut self, lane: LaneId) {
        if let Some(copy) = self.lanes.get_mut(&lane) {
            copy.retired = false;
        }
    }

    pub(super) fn is_retired(&self, lane: LaneId) -> bool {
        self.lanes.get(&lane).is_some_and(|copy| copy.retired)
    }

    /// The records from `first` on that are kept, without a gap, as far as one answer goes.
    pub(super) fn page(&self, lane: LaneId, first: u64, last: u64) -> Vec<Bytes> {
        let mut page = Vec::new();
        let mut bytes = 0;
        let Some(copy) = self.lanes.get(&lane).filter(|_| first <= last) else {
            return page;
        };
        for ((seq, record), expected) in copy.records.range(first..=last).zip(first..) {
            bytes += record.len();
            if *seq != expected || page.len() == PAGE || (bytes > PAGE_BYTES && !page.is_empty()) {
                break;
            }
            page.push(record.clone());
        }
        page
    }

    /// Forgets lanes beyond the bound: retired ones first, then the oldest but those in `live`.
    /// `true` if one was forgotten of which others may have to be told.
    pub(super) fn forget(&mut self, live: impl Fn(LaneId) -> bool) -> bool {
        let mut is_loss = false;
        while self.lanes.len() > MAX_LANES {
            let oldest = self.lanes.iter().filter(|(lane, _)| !live(**lane));
            let oldest = oldest.min_by_key(|(_, copy)| (!copy.retired, copy.met));
            let Some((lane, copy)) = oldest.map(|(lane, copy)| (*lane, copy)) else {
                break;
            };
            is_loss |= !copy.retired;
            self.bytes -= copy.records.values().map(Bytes::len).sum::<usize>();
            self.lanes.remove(&lane);
            self.kept.retain(|(kept, _)| *kept != lane);
        }
        is_loss
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize, usize) {
        (self.lanes.len(), self.kept.len(), self.bytes)
    }

    fn meet(&mut self, lane: LaneId) -> &mut Copy {
        let met = &mut self.met;
        self.lanes.entry(lane).or_insert_with(|| {
            *met += 1;
            Copy {
                met: *met,
                ..Copy::default()
            }
        })
    }

    fn trim(&mut self) {
        while self.kept.len() > self.most || self.bytes > self.most_bytes {
            let Some((lane, seq)) = self.kept.pop_front() else {
                return;
            };
            let copy = self.lanes.get_mut(&lane);
            if let Some(record) = copy.and_then(|copy| copy.records.remove(&seq)) {
                self.bytes -= record.len();
            }
        }
    }
}

impl Copy {
    /// Marks a record as logged, and all that follow it without a gap.
    fn advance(&mut self, seq: u64) {
        if seq > self.logged {
            self.retired = false;
            self.logged = seq;
        }
        self.beyond = self.beyond.split_off(&(self.logged + 1));
        while self.beyond.remove(&(self.logged + 1)) {
            self.logged += 1;
        }
    }
}
