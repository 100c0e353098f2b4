//! The epoch of a near cache: a number that rises with everything that may void copies without
//! naming them, tags and areas alike.
//!
//! An entry remembers the epoch in which it was last known to hold. A hit in the same epoch has
//! nothing to check but that; in a later one it is checked once, and remembers the later one.
//! Whoever voids something first makes it visible and then begins an epoch: who sees the epoch sees
//! why it was begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared between a near cache and what voids its copies. Read by every hit, and so in a cache line
/// of its own.
#[derive(Clone, Default)]
pub(crate) struct Epoch(Arc<Alone>);

#[derive(Default)]
#[repr(align(128))]
struct Alone(AtomicU64);

impl Epoch {
    pub(crate) fn get(&self) -> u64 {
        self.0.0.load(Ordering::Acquire)
    }

    /// Begins the next epoch, and gives it.
    pub(crate) fn begin(&self) -> u64 {
        self.0.0.fetch_add(1, Ordering::AcqRel) + 1
    }
}
