//! What is promised beyond the node that made a change: to the holder of a ticket, and to everybody
//! once all nodes are said to have heard of it. And keys that have one writer, whose inserts travel.

use std::sync::Arc;
use std::time::Duration;

use larder::Acknowledged;
use larder_core::runtime::Runtime;

use super::history::Change;
use super::workload::Loading;
use super::{Random, Remote, Setup, World};

/// Keys with one writer each.
pub(super) const OWNED: u64 = 2;

/// How long a change is waited for.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How a key is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Insert,
    Invalidate,
    Expire,
}

impl World {
    /// The key that only this task changes, if there is one: the first task of the first node has
    /// one, and the node without a near cache.
    pub(super) fn owned(&self, node: usize, task: usize, setup: Setup) -> Option<u64> {
        match (setup.inserts, task) {
            (true, 0) if node == 0 => Some(setup.keys),
            (true, 0) if node + 1 == setup.nodes => Some(setup.keys + 1),
            _ => None,
        }
    }

    /// A step about the keys that have one writer each. Of two writers that race the source the
    /// slower one wins, so that nothing could be promised.
    pub(super) async fn step_aside(
        self: &Arc<World>,
        node: usize,
        own: Option<u64>,
        setup: Setup,
        random: &mut Random,
    ) -> bool {
        let key = setup.keys + random.below(OWNED);
        match (own, random.below(10)) {
            (Some(own), 0..4) => self.insert(node, own).await,
            (Some(own), 4..6) => self.change_everywhere(node, own, How::Insert, random).await,
            (Some(own), 6..8) => {
                self.change_everywhere(node, own, How::Invalidate, random)
                    .await
            }
            (_, 0..3) => {
                let pause = Duration::from_micros(random.below(1_000));
                self.read(node, key, pause, Loading::Plain).await
            }
            _ => self.peek(node, key).await,
        }
    }

    /// Changes a key, reads it with a ticket somewhere else, waits until everybody is said to have
    /// heard of it, and holds them to that. (The node without a near cache may still share a load
    /// that began before.)
    pub(super) async fn change_everywhere(
        self: &Arc<World>,
        node: usize,
        key: u64,
        how: How,
        random: &mut Random,
    ) -> bool {
        let cache = &self.node(node);
        let changed = match how {
            How::Insert => {
                let change = async |value| cache.insert(&key, value).await;
                self.changed(("insert", node, key), true, change).await
            }
            How::Invalidate => {
                let change = async |_| cache.invalidate(&key).await;
                self.changed(("invalidate", node, key), true, change).await
            }
            How::Expire => {
                let change = async |_| cache.expire(&key).await;
                self.changed(("expire", node, key), false, change).await
            }
        };
        let Some((receipt, change)) = changed else {
            return false;
        };
        let other = random.below(self.count() as u64) as usize;
        let (ticket, loading) = (receipt.ticket(), Loading::draw(random));
        if let Remote::Mesh(_) = &self.store {
            // The other process may die in the middle of it.
            let world = self.clone();
            let read = async move {
                world
                    .read_with_ticket(other, (&ticket, change), loading)
                    .await
            };
            let _ = self.within(other, read).await;
        } else {
            self.read_with_ticket(other, (&ticket, change), loading)
                .await;
        }
        let began = self.runtime.now();
        let done = receipt.wait_all(PATIENCE).await;
        let is_complete = done.as_ref().is_ok_and(|done| done.complete);
        if let (true, Ok(done)) = (is_complete, &done) {
            self.hold(done, change);
        }
        let now = self.runtime.now();
        self.journal.note(now, || {
            let taken = now.since(began);
            format!("node {node}: waited for all of key {key}: {done:?} ({taken:?})")
        });
        self.journal.waited(is_complete);
        true
    }

    /// Holds those to a change that the store knows of: all of them are said to have heard of it, or
    /// to have no copy to use. (With nobody lagging; unless that rule was taken out.)
    fn hold(&self, done: &Acknowledged, change: Change) {
        let observer = self.count() - 1;
        let is_held = |node: &usize| {
            let name = World::name(*node);
            [&done.heard, &done.fenced, &done.lagging]
                .iter()
                .any(|names| names.contains(&name))
        };
        self.history.heard((0..observer).filter(is_held), change);
    }
}
