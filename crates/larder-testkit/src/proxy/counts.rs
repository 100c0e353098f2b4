//! What a proxy has carried, so that a test can show that its fault took place.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the proxy was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that are open now, as far as the client can tell.
    pub open: u64,
    /// Connections that the proxy has reset.
    pub reset: u64,
    /// Connections marked by what was sent on them.
    pub marked: u64,
    /// From clients to the server.
    pub requests: Flow,
    /// From the server to clients.
    pub replies: Flow,
}

/// Bytes, and farewells, in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flow {
    /// Delivered.
    pub passed: u64,
    /// Taken and never delivered.
    pub swallowed: u64,
    /// How often a side has closed or reset its connection and the other was not told.
    pub unsaid: u64,
}

/// The counts as they grow.
#[derive(Debug, Default)]
pub(super) struct Counters {
    accepted: AtomicU64,
    ended: AtomicU64,
    reset: AtomicU64,
    marked: AtomicU64,
    /// Requests, then replies.
    flows: [FlowCounters; 2],
}

#[derive(Debug, Default)]
struct FlowCounters {
    passed: AtomicU64,
    swallowed: AtomicU64,
    unsaid: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let flow = |at: usize| Flow {
            passed: get(&self.flows[at].passed),
            swallowed: get(&self.flows[at].swallowed),
            unsaid: get(&self.flows[at].unsaid),
        };
        // Ended first: a connection that ends in between is not missing from the open ones.
        let ended = get(&self.ended);
        let accepted = get(&self.accepted);
        Counts {
            accepted,
            open: accepted - ended,
            reset: get(&self.reset),
            marked: get(&self.marked),
            requests: flow(0),
            replies: flow(1),
        }
    }

    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn ended(&self, was_reset: bool) {
        self.reset.fetch_add(u64::from(was_reset), Ordering::SeqCst);
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn marked(&self) {
        self.marked.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn passed(&self, way: usize, bytes: usize) {
        self.flows[way]
            .passed
            .fetch_add(bytes as u64, Ordering::SeqCst);
    }

    pub(super) fn swallowed(&self, way: usize, bytes: usize) {
        self.flows[way]
            .swallowed
            .fetch_add(bytes as u64, Ordering::SeqCst);
    }

    pub(super) fn unsaid(&self, way: usize) {
        self.flows[way].unsaid.fetch_add(1, Ordering::SeqCst);
    }
}
