//! What a run has promised, and whether its reads keep it.
//!
//! When a change of a key is acknowledged, every read that begins afterwards must give at least
//! the value that the source held when the change was asked for. A node whose near cache is not
//! told of other nodes' changes owes that only for changes made through itself; a direct look at the
//! store owes it for all.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The node that read.
    pub node: usize,
    /// The key.
    pub key: u64,
    /// What the read gave.
    pub got: u64,
    /// The least that it had to give.
    pub floor: u64,
    /// What the value claimed about itself.
    pub marked_stale: bool,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stale = if self.marked_stale {
            ", marked stale,"
        } else {
            ""
        };
        write!(
            f,
            "node {} read {}{stale} of key {} after {} was acknowledged",
            self.node, self.got, self.key, self.floor
        )
    }
}

#[derive(Default)]
struct Floors {
    /// For values that claim to be fresh.
    fresh: BTreeMap<(usize, u64), u64>,
    /// For values marked stale: only removals raise it.
    stale: BTreeMap<(usize, u64), u64>,
    violation: Option<Violation>,
    reads: u64,
    changes: u64,
}

/// The promises of one run.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<Floors>>);

/// What a read that begins now must give at least.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    node: usize,
    key: u64,
    fresh: u64,
    stale: u64,
}

impl History {
    fn floors(&self) -> MutexGuard<'_, Floors> {
        self.0.lock().expect("keeping the history does not panic")
    }

    /// A change that was asked for when the source held `value` was acknowledged. It binds
    /// `nodes`. After a removal, nothing older may come back even as a stale value.
    pub fn acknowledged(
        &self,
        nodes: impl IntoIterator<Item = usize>,
        key: u64,
        value: u64,
        removal: bool,
    ) {
        let mut floors = self.floors();
        floors.changes += 1;
        for node in nodes {
            let fresh = floors.fresh.entry((node, key)).or_default();
            *fresh = value.max(*fresh);
            if removal {
                let stale = floors.stale.entry((node, key)).or_default();
                *stale = value.max(*stale);
            }
        }
    }

    /// Call when a read begins.
    pub fn begin_read(&self, node: usize, key: u64) -> Due {
        let floors = self.floors();
        let at = |map: &BTreeMap<_, u64>| map.get(&(node, key)).copied().unwrap_or(0);
        Due {
            node,
            key,
            fresh: at(&floors.fresh),
            stale: at(&floors.stale),
        }
    }

    /// Call with what the read gave.
    pub fn end_read(&self, due: Due, got: u64, marked_stale: bool) {
        let mut floors = self.floors();
        floors.reads += 1;
        let floor = if marked_stale { due.stale } else { due.fresh };
        if got < floor && floors.violation.is_none() {
            let Due { node, key, .. } = due;
            floors.violation = Some(Violation {
                node,
                key,
                got,
                floor,
                marked_stale,
            });
        }
    }

    /// The first broken promise.
    pub fn violation(&self) -> Option<Violation> {
        self.floors().violation.clone()
    }

    /// Reads that were checked, and changes that were acknowledged.
    pub fn counts(&self) -> (u64, u64) {
        let floors = self.floors();
        (floors.reads, floors.changes)
    }
}
