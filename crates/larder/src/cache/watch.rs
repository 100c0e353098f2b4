//! Watching a cache: its counts and settings, what happens to its values, and who it is among others.

use larder_core::key::Key;

use super::Cache;
use crate::events::Events;
use crate::link;
use crate::observe::Stats;
use crate::options::Policy;

impl<K, V> Cache<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Counts since the cache was built, and its present size.
    #[doc(alias("get_stats", "metrics"))]
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// The settings in force.
    pub fn policy(&self) -> Policy {
        let engine = &self.engine;
        Policy {
            name: engine.name.as_str().to_owned(),
            ttl: engine.lives.ttl,
            negative_ttl: self.engine.lives.negative_ttl,
            stale_for: engine.lives.stale_for,
            refresh: engine.refreshes.policy,
            timeouts: engine.protection.timeouts,
            throttle: engine.protection.throttle,
            jitter_percent: engine.lives.jitter_percent,
            near_capacity: engine.near.capacity(),
            near_ttl: engine.lives.near_ttl,
            remote: engine
                .remote
                .as_ref()
                .map(|store| store.describe().name.to_owned()),
            max_value: engine.max_value,
            lease: engine.lives.lease,
            when_fenced: engine.when_fenced,
            coherence: engine.coherence.mode,
            node: engine.coherence.node.name.to_string(),
        }
    }

    /// Tells of every change of a value of this cache from now on: which key or tag, how, by which
    /// node, with which version. Changes of this node come once, like all others. Filling, evicting
    /// and the end of a ttl change nothing.
    ///
    /// On a remote tier with a log, events come from there: from all nodes, in the order of the log
    /// but for those that come late, and soon after the change. A cache that has not followed the
    /// log so far (it has no near cache, or [`Mode::None`](crate::Mode::None)) begins to;
    /// [`Event::Interrupted`](crate::Event::Interrupted) then stands where it has begun, and
    /// wherever something may be missing. Without such a remote tier, a cache tells of the changes
    /// that are made through it.
    ///
    /// A subscriber may lag behind by 1,024 events. Beyond that it loses the oldest, and is told how
    /// many ([`Event::Missed`](crate::Event::Missed)). Nobody waits for it.
    pub fn events(&self) -> Events {
        let events = self.engine.coherence.hub.subscribe();
        link::start(&self.engine);
        events
    }

    /// The number by which events and the log name this cache of this process. Drawn anew each time
    /// that a cache is built; never 0.
    pub fn node(&self) -> u32 {
        self.engine.coherence.node.number
    }
}
