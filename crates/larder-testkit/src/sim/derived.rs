//! Values made from other values, and parts of the cache invalidated at once: the workload beyond
//! single keys.
//!
//! The value of a derived key is that of its base key, read through the cache. So whatever is owed
//! for the base key is owed for the derived one too.

use std::time::Duration;

use larder::{Cx, LoadError};
use larder_core::runtime::{BoxFuture, Runtime};

use super::history::Change;
use super::workload::{Loading, SourceDown, World, tag_of};

/// The derived key of a base key is this much greater.
pub(super) const DERIVED: u64 = 1_000;

impl World {
    /// Reads a derived key through a loader that reads its base key through the cache, and checks
    /// what comes.
    pub(super) async fn read_derived(&self, node: usize, key: u64, pause: Duration) -> bool {
        let begun = self.begin(node, key);
        let runtime = self.runtime.on_node(node);
        let base = self.base_of(node, pause);
        let load = move |_: Cx<u64, _>| async move {
            let value = base(key).await;
            runtime.sleep(pause).await;
            value
        };
        let what = ("read derived", node, key);
        match self.node(node).get_or_load(&(DERIVED + key), load).await {
            Ok(found) => self.check(begun, what, &found),
            Err(error) => {
                let error: LoadError<SourceDown> = error;
                self.say(begun.0, what, || format!("{error:?}"));
                return false;
            }
        }
        true
    }

    /// What a loader of a derived key reads: its base key, through the cache.
    pub(super) fn base_of(
        &self,
        node: usize,
        pause: Duration,
    ) -> impl Fn(u64) -> BoxFuture<'static, Result<u64, SourceDown>> + Clone + Send + Sync + use<>
    {
        let (cache, source) = (self.node(node), self.source.clone());
        let runtime = self.runtime.on_node(node);
        move |key| {
            let (cache, source, runtime) = (cache.clone(), source.clone(), runtime.clone());
            let base = move |cx: Cx<u64, _>| async move {
                let value = source.read(*cx.key());
                cx.tag(tag_of(*cx.key()));
                runtime.sleep(pause).await;
                Ok::<_, SourceDown>(value)
            };
            Box::pin(async move {
                match cache.get_or_load(&key, base).await {
                    // What would be made from a stale value would not say so.
                    Ok(value) if !value.is_stale() => Ok(*value),
                    Ok(_) | Err(_) => Err(SourceDown),
                }
            })
        }
    }

    /// Looks at a derived key without a loader, and checks what comes. As for
    /// [`World::peek`], the last node sees what the store says.
    pub(super) async fn peek_derived(&self, node: usize, key: u64) -> bool {
        let begun = self.begin(self.reader(node), key);
        let what = ("get derived", node, key);
        let found = self.node(node).get(&(DERIVED + key)).await;
        self.peeked(begun, what, found)
    }

    /// Changes the source of every key that begins with this one's digits, and invalidates the
    /// prefix.
    pub(super) async fn invalidate_prefix(&self, node: usize, key: u64, keys: u64) -> bool {
        let prefix = key.to_string();
        let covered = |other: &u64| other.to_string().starts_with(&prefix);
        let change = async || self.node(node).invalidate_prefix(&prefix).await.map(drop);
        self.change_all(
            ("invalidate prefix", node, key),
            (0..keys).filter(covered),
            change,
        )
        .await
    }

    /// Changes the source of every key, and invalidates a pattern that matches them all, and not the
    /// keys derived from them.
    pub(super) async fn invalidate_pattern(&self, node: usize, keys: u64) -> bool {
        let change = async || self.node(node).invalidate_pattern("[0-9]").await.map(drop);
        self.change_all(("invalidate pattern", node, 0), 0..keys, change)
            .await
    }

    /// Changes the source of some keys, and then does what is to invalidate them.
    pub(super) async fn change_all(
        &self,
        what: (&str, usize, u64),
        keys: impl Iterator<Item = u64>,
        change: impl AsyncFnOnce() -> Result<(), larder::Error>,
    ) -> bool {
        self.journal.operation();
        let (began, node) = (self.runtime.now(), what.1);
        let changed: Vec<(u64, u64)> = keys.map(|key| (key, self.source.write(key))).collect();
        let done = change().await;
        self.say(began, what, || format!("{done:?} for {changed:?}"));
        if done.is_ok() {
            for (key, value) in changed {
                let (now, bound) = (self.runtime.now(), self.bound(node));
                let change = Change {
                    key,
                    value,
                    removal: true,
                };
                self.history.acknowledged(now, bound, change);
            }
        }
        done.is_ok()
    }

    /// Leaves a copy of a key and of what is derived from it on a node.
    pub(super) async fn settle(&self, node: usize, key: u64) {
        self.read(node, key, Duration::ZERO, Loading::Plain).await;
        self.read_derived(node, key, Duration::ZERO).await;
    }
}
