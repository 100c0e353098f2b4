//! What other members have changed, done here; and who of this process has heard of it.

use std::collections::VecDeque;
use std::time::Duration;

use larder_core::bus::{Bus, Seen};
use larder_core::lane::Position;
use larder_core::mesh::{FlushReason, LaneId};
use larder_core::mutant::Mutant;
use larder_core::store::Pending;
use larder_mesh::Follower;
use larder_mesh::log::{Entry, Heard, HeardReader};
use parking_lot::Mutex;

use super::record;
use crate::embedded::Embedded;

/// Places of records of others that are remembered. Readers are asked soon after a change.
const PLACES: usize = 4096;

/// Follows the log of the mesh with the store of this process.
pub(super) struct Incoming {
    pub(super) store: Embedded,
    done: Mutex<Done>,
}

/// Where the log of the store here tells of the records of others.
#[derive(Default)]
pub(super) struct Done {
    places: VecDeque<(LaneId, u64, Position)>,
    /// The newest place that was forgotten.
    forgotten: Option<Position>,
}

impl Incoming {
    pub(super) fn new(store: Embedded) -> Incoming {
        Incoming {
            store,
            done: Mutex::default(),
        }
    }

    /// Everything that is here was read before something that nobody can tell.
    fn forget_everything(&self) {
        if Mutant::KeepStore.is_active() {
            return;
        }
        let mut done = self.done.lock();
        self.store.restart_empty();
        done.places.clear();
        done.forgotten = None;
    }
}

impl Done {
    pub(super) fn note(&mut self, lane: LaneId, seq: u64, position: Option<Position>) {
        if let Some(position) = position {
            self.places.push_back((lane, seq, position));
        }
        if self.places.len() > PLACES {
            self.forgotten = self.places.pop_front().map(|(_, _, place)| place);
        }
    }

    /// Up to where a reader has applied a lane of which `logged` is here, if it is at this place of
    /// the log here.
    fn applied(&self, lane: LaneId, logged: u64, at: Position) -> u64 {
        let is_lost = |place: Position| place.incarnation == at.incarnation && place.seq > at.seq;
        if self.forgotten.is_some_and(is_lost) {
            return 0;
        }
        // Another life of the log here began without anything of the former one.
        let open = self.places.iter().filter(|(of, _, place)| {
            *of == lane && (place.incarnation != at.incarnation || place.seq > at.seq)
        });
        let first = open.map(|(_, seq, _)| *seq).min();
        first.map_or(logged, |first| logged.min(first - 1))
    }
}

impl Follower for Incoming {
    fn apply(&self, entry: Entry<'_>) {
        let Ok((origin, changes)) = record::decode(entry.record.clone()) else {
            tracing::warn!(
                lane = ?entry.lane,
                seq = entry.seq,
                "mesh: a record cannot be read: everything is dropped"
            );
            return self.forget_everything();
        };
        let mut done = self.done.lock();
        let position = self.store.follow(origin, changes);
        done.note(entry.lane, entry.seq, position);
    }

    fn flush(&self, _: FlushReason) {
        tracing::warn!("mesh: all copies are dropped");
        self.forget_everything();
    }

    fn heard(&self, lane: LaneId, logged: u64) -> Heard {
        heard(&self.store, &self.done.lock(), lane, logged)
    }

    fn nudge(&self) {
        // It is done when it returns.
        let _ = now(self.store.nudge());
    }
}

/// Who reads the log of the store here, and how far each has come in a lane.
pub(super) fn heard(store: &Embedded, done: &Done, lane: LaneId, logged: u64) -> Heard {
    let Some(readers) = now(store.readers()) else {
        return Heard::default();
    };
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let reader = |seen: &Seen| HeardReader {
        node: seen.node,
        name: seen.name.clone(),
        cache: seen.cache.clone(),
        applied: seen
            .applied
            .filter(|at| Some(at.incarnation) == readers.log.map(|log| log.incarnation))
            .map_or(0, |at| done.applied(lane, logged, at)),
        silent_ms: ms(readers.now.since(seen.polled)),
    };
    Heard {
        kept_ms: readers.since.map(|since| ms(readers.now.since(since))),
        readers: readers.seen.iter().map(reader).collect(),
    }
}

/// The answer of a store that does not wait.
pub(super) fn now<T>(pending: Pending<'_, T>) -> Option<T> {
    match pending {
        Pending::Ready(result) => result?.ok(),
        Pending::Waiting(_) => None,
    }
}
