//! What the tasks of a random workload do, one step after the other, and how a run ends.

use std::sync::Arc;
use std::time::Duration;

use larder_core::runtime::Runtime;

use super::derived::DERIVED;
use super::everywhere::How;
use super::workload::{Loading, TAGS};
use super::{Random, Setup, World};

/// How long copies may take to become what the source says, once nothing goes wrong any more.
const CONVERGENCE: Duration = Duration::from_secs(2);

/// The longest rest before a task looks again at what it has read, in nanoseconds.
const LOOK: u64 = 2_000_000;

impl World {
    pub(super) async fn step(
        self: &Arc<World>,
        (node, own): (usize, Option<u64>),
        setup: Setup,
        random: &mut Random,
    ) -> bool {
        let key = random.below(setup.keys);
        if setup.inserts && random.per_mille(150) {
            return self.step_aside(node, own, setup, random).await;
        }
        let scale = if random.per_mille(setup.slow_loads) {
            300
        } else {
            1
        };
        let pause = Duration::from_micros(random.below(3_000 * scale));
        if setup.many > 0 && random.per_mille(setup.many) {
            return self.read_many(node, pause, setup, random).await;
        }
        let seen = match random.below(1_000) {
            0..500 => (
                self.read(node, key, pause, Loading::draw(random)).await,
                Some(key),
            ),
            500..700 => (
                self.read_derived(node, key, pause).await,
                Some(DERIVED + key),
            ),
            700..850 => (self.peek(node, key).await, Some(key)),
            850..900 => (self.peek_derived(node, key).await, Some(DERIVED + key)),
            change => (
                self.step_of_change(node, key, change, setup, random).await,
                None,
            ),
        };
        let (passed, copy) = seen;
        match copy {
            Some(copy) if node + 1 < setup.nodes => {
                passed & self.look_again(node, copy, setup, random).await
            }
            _ => passed,
        }
    }

    /// What was read is read again a few times, in brief succession, while others change it.
    async fn look_again(&self, node: usize, copy: u64, setup: Setup, random: &mut Random) -> bool {
        let mut passed = true;
        for _ in 0..random.below(setup.looks + 1) {
            let rest = Duration::from_nanos(random.below(LOOK));
            self.runtime.on_node(node).sleep(rest).await;
            let base = copy % DERIVED;
            passed &= match (copy == base, random.per_mille(500)) {
                (true, true) => self.read(node, base, rest, Loading::Plain).await,
                (true, false) => self.peek(node, base).await,
                (false, true) => self.read_derived(node, base, rest).await,
                (false, false) => self.peek_derived(node, base).await,
            };
        }
        passed
    }

    /// `change`, from 900 on, says which.
    async fn step_of_change(
        self: &Arc<World>,
        node: usize,
        key: u64,
        change: u64,
        setup: Setup,
        random: &mut Random,
    ) -> bool {
        match change {
            ..935 if setup.writers_die > 0 && random.per_mille(setup.writers_die) => {
                self.change_and_die(node, key, random).await
            }
            ..935 => self.invalidate(node, key).await,
            935..950 => {
                self.change_everywhere(node, key, How::Invalidate, random)
                    .await
            }
            950..963 => self.expire(node, key).await,
            963..970 => self.change_everywhere(node, key, How::Expire, random).await,
            970..975 => self.clear(node, key).await,
            975..985 => self.invalidate_tag(node, key % TAGS, setup.keys).await,
            985..990 => self.invalidate_prefix(node, key, setup.keys).await,
            990..993 => self.invalidate_pattern(node, setup.keys).await,
            993..996 => self.expire_all(node, key).await,
            // No inserts here: they race the source by nature (of two writers the slower one
            // wins), so nothing could be promised. The scenarios have them, one writer each.
            _ => self.expire(node, key).await,
        }
    }

    /// Once nothing goes wrong any more: soon every copy owes all that was ever acknowledged.
    pub(super) async fn hold_all(&self) {
        self.runtime.sleep(CONVERGENCE).await;
        self.history.set_lenient(false);
        for node in 0..self.count() {
            for key in self.history.changed() {
                self.peek(node, key).await;
                self.peek_derived(node, key).await;
            }
        }
    }

    /// Tries until it is done: a connection may still have to be opened again.
    async fn surely_invalidate(&self, key: u64) {
        while !self.invalidate(0, key).await {
            self.runtime.sleep(Duration::from_millis(20)).await;
        }
    }

    /// Once nothing goes wrong any more: every key changes once more, and soon every copy is
    /// what the source says.
    pub(super) async fn converge(&self, setup: Setup) {
        for key in 0..setup.keys {
            self.surely_invalidate(key).await;
            // A last copy everywhere, then a last change.
            for node in 0..self.count() {
                self.settle(node, key).await;
            }
            self.surely_invalidate(key).await;
        }
        self.runtime.sleep(CONVERGENCE).await;
        for node in 0..self.count() {
            let cache = self.node(node);
            for key in 0..setup.keys {
                let source = self.source.read(key);
                for copy in [key, DERIVED + key] {
                    match cache.get(&copy).await {
                        Ok(Some(copy)) if *copy != source => {
                            self.history.not_converged(node, key, *copy, source);
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}
