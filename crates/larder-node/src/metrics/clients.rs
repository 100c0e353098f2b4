//! Connections of clients: open now, accepted, turned away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct Clients {
    open: Arc<AtomicU64>,
    accepted: AtomicU64,
    rejected: AtomicU64,
}

/// An open connection; it is counted until this is dropped.
pub(crate) struct ConnectionGuard {
    open: Arc<AtomicU64>,
}

impl Clients {
    pub(super) fn accept(&self) -> ConnectionGuard {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        ConnectionGuard {
            open: self.open.clone(),
        }
    }

    pub(super) fn reject(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(super) fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}
