//! What a cache shares with the others on its remote tier: who it is there, and how far it has
//! followed them.

use larder_core::lane::Position;
use larder_core::ticket::lane_of;
use parking_lot::Mutex;

use crate::node::Node;

/// The place of a cache among the others.
pub(crate) struct Coherence {
    pub(crate) node: Node,
    /// What tickets call the lane that this cache follows.
    pub(crate) lane: u64,
    applied: Mutex<Option<Position>>,
}

impl Coherence {
    /// For the cache with this name.
    pub(crate) fn new(node: Node, cache: &str) -> Coherence {
        Coherence {
            node,
            lane: lane_of(cache),
            applied: Mutex::default(),
        }
    }

    /// Everything up to here shows in the near cache; `None` while that follows no log.
    pub(crate) fn applied(&self) -> Option<Position> {
        *self.applied.lock()
    }

    /// To be called once the near cache shows it, and what it voids is void.
    pub(crate) fn set_applied(&self, position: Option<Position>) {
        *self.applied.lock() = position;
    }
}
