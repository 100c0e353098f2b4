//! The epoch of a near cache: a number that rises with everything that may void copies without
//! naming them, tags and areas alike.
//!
//! An entry remembers the epoch in which it was last known to hold. A hit in the same epoch has
//! nothing to check but that; in a later one it is checked once, and remembers the later one.
//! Whoever voids something first makes it visible and then begins an epoch: who sees the epoch sees
//! why it was begun.

use std::sync::Arc;
#[cfg(not(feature = "shuttle"))]
use std::sync::LazyLock;

use larder_core::mutant::Mutant;

use crate::sync::atomic::{AtomicU64, Ordering};

/// Shared between a near cache and what voids its copies. Read by every hit, and so in a cache line
/// of its own.
#[derive(Clone, Default)]
pub(crate) struct Epoch(Arc<Alone>);

#[derive(Default)]
#[repr(align(128))]
struct Alone(AtomicU64);

/// That of all near caches of this process without a remote tier: an entry of one of them may hold
/// cells of another one, and must notice when they rise.
#[cfg(not(feature = "shuttle"))]
static OF_PROCESS: LazyLock<Epoch> = LazyLock::new(Epoch::default);
#[cfg(feature = "shuttle")]
shuttle::lazy_static! {
    // Another one for each run of a model.
    static ref OF_PROCESS: Epoch = Epoch::default();
}

impl Epoch {
    /// For a cache, with a remote tier or without one.
    pub(crate) fn of(has_remote: bool) -> Epoch {
        if has_remote {
            Epoch::default()
        } else {
            OF_PROCESS.clone()
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.0.load(Ordering::Acquire)
    }

    /// Makes something void, which tells whether anything changed, and then begins the next epoch.
    pub(crate) fn begin_after(&self, voids: impl FnOnce() -> bool) {
        if Mutant::EpochFirst.is_active() {
            self.begin();
        }
        let has_changed = voids() && !Mutant::EpochFirst.is_active();
        if has_changed && !Mutant::TagEpoch.is_active() {
            self.begin();
        }
    }

    /// Begins the next epoch, and gives it.
    pub(crate) fn begin(&self) -> u64 {
        self.0.0.fetch_add(1, Ordering::AcqRel) + 1
    }
}
