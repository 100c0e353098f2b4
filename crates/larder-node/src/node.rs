//! What all parts of one running node share.

use std::sync::Arc;

use larder::bytes::ByteCache;
use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::settings::Settings;

/// One running node: the cache, its settings, its counts, and the word to stop.
pub(crate) struct Node {
    pub(crate) cache: ByteCache,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    /// 40 hexadecimal digits, new at each start; clients tell restarts by it.
    pub(crate) run_id: String,
    /// Becomes `true` when the node is to drain: finish what is under way, take nothing new.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// A shared node.
pub(crate) type SharedNode = Arc<Node>;
