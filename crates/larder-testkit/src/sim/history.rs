//! What a run has promised, and whether its reads keep it.
//!
//! When a change of a key is acknowledged, reads that begin afterwards must give at least the
//! value that the source held when the change was asked for:
//!
//! * at once, if they go through the node that made the change, look at the store directly, bring a
//!   ticket that asks for it, or begin after everybody was said to have heard of it;
//! * after Δ, wherever they are, whatever the network did meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use larder_core::lane::LEASE;
use larder_core::runtime::Mono;

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
    /// Which promise.
    pub promise: &'static str,
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
            "node {} read {}{stale} of key {} after {} was acknowledged ({})",
            self.node, self.got, self.key, self.floor, self.promise
        )
    }
}

/// The changes of one key that bind one reader, or all.
#[derive(Default)]
struct Bound {
    /// For values that claim to be fresh.
    fresh: u64,
    /// For values marked stale: only removals count.
    stale: u64,
}

/// A change, and what it promises.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// The key.
    pub key: u64,
    /// What the source held when the change was asked for.
    pub value: u64,
    /// Whether nothing older may come back even as a stale value.
    pub removal: bool,
}

struct Acknowledged {
    at: Mono,
    value: u64,
    removal: bool,
}

#[derive(Default)]
struct Promises {
    at_once: BTreeMap<(usize, u64), Bound>,
    /// Those not yet older than Δ, per key, in order of time.
    recent: BTreeMap<u64, Vec<Acknowledged>>,
    after_delta: BTreeMap<u64, Bound>,
    violation: Option<Violation>,
    /// Whether only what is promised at once is held against reads.
    is_lenient: bool,
    reads: u64,
    changes: u64,
}

/// The promises of one run.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<Promises>>);

/// What a read that begins now must give at least, by each promise.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    node: usize,
    key: u64,
    at_once: (u64, u64),
    after_delta: (u64, u64),
    ticket: (u64, u64),
}

impl Due {
    /// The same for a reader whose ticket asks for this change.
    pub fn with_ticket(mut self, change: Change) -> Due {
        let stale = if change.removal { change.value } else { 0 };
        self.ticket = (change.value, stale);
        self
    }
}

impl Bound {
    fn raise(&mut self, value: u64, removal: bool) {
        self.fresh = self.fresh.max(value);
        if removal {
            self.stale = self.stale.max(value);
        }
    }
}

impl History {
    fn promises(&self) -> MutexGuard<'_, Promises> {
        self.0.lock().expect("keeping the history does not panic")
    }

    /// A change was acknowledged at `at`. It binds `nodes` at once.
    pub fn acknowledged(&self, at: Mono, nodes: impl IntoIterator<Item = usize>, change: Change) {
        let Change {
            key,
            value,
            removal,
        } = change;
        let mut promises = self.promises();
        promises.changes += 1;
        for node in nodes {
            promises
                .at_once
                .entry((node, key))
                .or_default()
                .raise(value, removal);
        }
        let recent = promises.recent.entry(key).or_default();
        recent.push(Acknowledged { at, value, removal });
    }

    /// Everybody among `nodes` is said to have heard of a change that was acknowledged before: it
    /// binds them at once.
    pub fn heard(&self, nodes: impl IntoIterator<Item = usize>, change: Change) {
        let mut promises = self.promises();
        for node in nodes {
            let bound = promises.at_once.entry((node, change.key)).or_default();
            bound.raise(change.value, change.removal);
        }
    }

    /// Members that nobody has listed promise little while something is wrong with the network
    /// between them: what is due after Δ, or to a ticket, is held against reads that end later.
    pub fn set_lenient(&self, is_lenient: bool) {
        self.promises().is_lenient = is_lenient;
    }

    /// Call when a read begins.
    pub fn begin_read(&self, at: Mono, node: usize, key: u64) -> Due {
        let promises = &mut *self.promises();
        let recent = promises.recent.entry(key).or_default();
        let after_delta = promises.after_delta.entry(key).or_default();
        let ripe = recent
            .iter()
            .take_while(|change| change.at.after(LEASE) < at)
            .count();
        for change in recent.drain(..ripe) {
            after_delta.raise(change.value, change.removal);
        }
        let at_once = promises.at_once.entry((node, key)).or_default();
        Due {
            node,
            key,
            at_once: (at_once.fresh, at_once.stale),
            after_delta: (after_delta.fresh, after_delta.stale),
            ticket: (0, 0),
        }
    }

    /// Call with what the read gave. Tells whether that was new enough.
    pub fn end_read(&self, due: Due, got: u64, marked_stale: bool) -> bool {
        let mut promises = self.promises();
        promises.reads += 1;
        let mut kept = true;
        let bound = |(fresh, stale)| if marked_stale { stale } else { fresh };
        let bounds = [
            ("at once", bound(due.at_once)),
            ("after Δ", bound(due.after_delta)),
            ("with a ticket", bound(due.ticket)),
        ];
        let held = if promises.is_lenient { 1 } else { 3 };
        for (promise, floor) in bounds.into_iter().take(held) {
            kept &= got >= floor;
            if got < floor && promises.violation.is_none() {
                let Due { node, key, .. } = due;
                let violation = Violation {
                    node,
                    key,
                    got,
                    floor,
                    marked_stale,
                    promise,
                };
                promises.violation = Some(violation);
            }
        }
        kept
    }

    /// A copy that has not become what the source says although there was time enough.
    pub fn not_converged(&self, node: usize, key: u64, got: u64, source: u64) {
        let promise = "in the end";
        let marked_stale = false;
        let mut promises = self.promises();
        let violation = Violation {
            node,
            key,
            got,
            floor: source,
            marked_stale,
            promise,
        };
        promises.violation.get_or_insert(violation);
    }

    /// Nobody is held any more to what was acknowledged up to now, but for what is promised at once.
    pub fn forfeit(&self) {
        let mut promises = self.promises();
        promises.recent.clear();
        promises.after_delta.clear();
    }

    /// The keys of which a change was acknowledged.
    pub fn changed(&self) -> Vec<u64> {
        self.promises().recent.keys().copied().collect()
    }

    /// The first broken promise.
    pub fn violation(&self) -> Option<Violation> {
        self.promises().violation.clone()
    }

    /// Reads that were checked, and changes that were acknowledged.
    pub fn counts(&self) -> (u64, u64) {
        let promises = self.promises();
        (promises.reads, promises.changes)
    }
}
