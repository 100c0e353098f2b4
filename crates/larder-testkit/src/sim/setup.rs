//! What a simulated world consists of, and what happens in it.

use std::time::Duration;

use super::{Faults, Shared};

/// What a world consists of.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Engines. The last one has no near cache.
    pub nodes: usize,
    /// Keys of the workload.
    pub keys: u64,
    /// Tasks per node; the last one has one, which sees what the store says.
    pub tasks: usize,
    /// Operations per task.
    pub operations: usize,
    /// How often a task on a node with a near cache looks again at what it has just read, at most.
    pub looks: u64,
    /// The longest rest of a task between two operations.
    pub rest: Duration,
    /// Loaders that take up to two seconds instead of milliseconds, in cases of a thousand.
    pub slow_loads: u64,
    /// Operations that load many keys at once, in cases of a thousand.
    pub many: u64,
    /// What goes wrong between nodes and store.
    pub faults: Faults,
    /// Whether links are cut, nodes paused, the store robbed or restarted, and logs trimmed.
    pub chaos: bool,
    /// What is not promised to go well.
    pub beyond: Beyond,
    /// Writers that die after they have changed the source, in cases of a thousand.
    pub writers_die: u64,
    /// Whether writers record their changes in an outbox, which all nodes follow.
    pub outbox: bool,
    /// What the nodes share.
    pub store: Shared,
    /// Whether some keys have one writer each, who also inserts; the values travel on the bus.
    pub inserts: bool,
    /// Whether the nodes have near caches only, and nothing between them.
    pub alone: bool,
    /// Whether values have so short a fresh life, are refreshed from a third of it on, and served
    /// while they are refreshed.
    pub refresh: Option<Duration>,
}

/// Disasters of servers that may break promises (docs/consistency.md, docs/wire-format.md).
#[derive(Clone, Copy, Debug, Default)]
pub struct Beyond {
    /// A server goes back to what it held some time ago: old dumps, lagging replicas.
    pub rewinds: bool,
    /// A server forgets its versions while its clock repeats itself.
    pub repeats: bool,
}
