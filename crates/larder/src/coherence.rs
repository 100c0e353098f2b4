//! What a cache shares with the others on its remote tier: who it is there, how it follows them and
//! how far, and who wants to know.

use larder_core::lane::Position;
use larder_core::ticket::lane_of;

use crate::events::Hub;
use crate::mode::Mode;
use crate::node::Node;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// The place of a cache among the others.
pub(crate) struct Coherence {
    pub(crate) node: Node,
    pub(crate) mode: Mode,
    /// What tickets call the lane that this cache follows.
    pub(crate) lane: u64,
    pub(crate) hub: Hub,
    applied: Mutex<Option<Position>>,
    is_linked: AtomicBool,
}

impl Coherence {
    /// For the cache with this name.
    pub(crate) fn new(node: Node, mode: Mode, cache: &str) -> Coherence {
        Coherence {
            node,
            mode,
            lane: lane_of(cache),
            hub: Hub::default(),
            applied: Mutex::default(),
            is_linked: AtomicBool::new(false),
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

    /// Whether the near cache does what the log says.
    pub(crate) fn is_followed(&self) -> bool {
        self.mode != Mode::None
    }

    /// Whether it is for the caller to start the link: once for each cache.
    pub(crate) fn takes_link(&self) -> bool {
        !self.is_linked.swap(true, Ordering::Relaxed)
    }
}
