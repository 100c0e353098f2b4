//! The outbox of the simulated source: what a writer records with its change, so that others make
//! it known should the writer die before it could.
//!
//! Only the table is simulated. Those who follow it are production tails, one per node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use larder::Invalidator;
use larder::outbox::{Backlog, Claim, Notice, Outbox, Tail, What};
use larder_core::error::Result;
use larder_core::key::wire_key;
use larder_core::runtime::{BoxFuture, Mono, Runtime};

use super::history::Change;
use super::{Fault, Random, Setup, SimRuntime, World};

/// The cache that all notices are about.
pub(super) const CACHE: &str = "sim:rows";

/// How long the source takes to answer.
const ANSWER: Duration = Duration::from_micros(500);

/// Within so long after the last fault every notice is carried out, and every copy as it says.
const REPAIR: Duration = Duration::from_secs(2);

/// The table, as one node sees it.
#[derive(Clone)]
pub(super) struct SimOutbox {
    runtime: SimRuntime,
    rows: Arc<Mutex<Rows>>,
}

#[derive(Default)]
struct Rows {
    recorded: u64,
    /// The last change of each key by somebody who died.
    of_the_dead: BTreeMap<u64, u64>,
    notices: BTreeMap<u64, Row>,
}

struct Row {
    key: u64,
    at: Mono,
    held_until: Mono,
}

impl SimOutbox {
    pub(super) fn new(runtime: &SimRuntime) -> SimOutbox {
        SimOutbox {
            runtime: runtime.clone(),
            rows: Arc::default(),
        }
    }

    /// The same table for a process.
    fn within(&self, process: &SimRuntime) -> SimOutbox {
        SimOutbox {
            runtime: process.clone(),
            rows: self.rows.clone(),
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().expect("no row operation panics")
    }

    /// Records, with a change of the source, that this key is to be invalidated.
    pub(super) fn record(&self, key: u64) -> u64 {
        let at = self.runtime.now();
        let mut rows = self.rows();
        rows.recorded += 1;
        let id = rows.recorded;
        let row = Row {
            key,
            at,
            // The writer itself is about to see to it.
            held_until: at.after(ANSWER),
        };
        rows.notices.insert(id, row);
        id
    }

    /// What waits to be carried out.
    pub(super) fn waiting(&self) -> usize {
        self.rows().notices.len()
    }

    fn take(&self, claim: Claim<'_>) -> Vec<Notice> {
        let now = self.runtime.now();
        let mut rows = self.rows();
        let wanted = rows.notices.iter_mut().filter(|(id, row)| {
            claim.caches.contains(&CACHE) && !claim.except.contains(id) && row.held_until <= now
        });
        let held = wanted.take(claim.limit).map(|(id, row)| {
            row.held_until = now.after(claim.hold);
            let wire = wire_key(b"", &row.key).expect("a number is a key");
            Notice {
                id: *id,
                cache: CACHE.to_owned(),
                what: Ok(What::Key(bytes::Bytes::copy_from_slice(&wire))),
                age: now.since(row.at),
            }
        });
        held.collect()
    }
}

impl Outbox for SimOutbox {
    fn claim<'a>(&'a self, claim: Claim<'a>) -> BoxFuture<'a, Result<Vec<Notice>>> {
        Box::pin(async move {
            self.runtime.sleep(ANSWER).await;
            Ok(self.take(claim))
        })
    }

    fn done<'a>(&'a self, ids: &'a [u64]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.runtime.sleep(ANSWER).await;
            let mut rows = self.rows();
            for id in ids {
                rows.notices.remove(id);
            }
            Ok(())
        })
    }

    fn postpone<'a>(&'a self, ids: &'a [u64], by: Duration) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.runtime.sleep(ANSWER).await;
            let until = self.runtime.now().after(by);
            let mut rows = self.rows();
            for id in ids {
                if let Some(row) = rows.notices.get_mut(id) {
                    row.held_until = until;
                }
            }
            Ok(())
        })
    }

    fn backlog(&self) -> BoxFuture<'_, Result<Vec<Backlog>>> {
        // Nobody looks at how much waits.
        Box::pin(async { Ok(Vec::new()) })
    }
}

impl World {
    /// Lets every node follow the outbox, if there is one.
    pub(super) fn follow_all(&self) {
        (0..self.count()).for_each(|node| self.follow(node));
    }

    /// Lets a node follow the outbox, in its present life.
    pub(super) fn follow(&self, node: usize) {
        let Some(outbox) = &self.outbox else {
            return;
        };
        let invalidator = Invalidator::builder().cache(&self.node(node)).build();
        let invalidator = invalidator.expect("there is one cache");
        let clock = self.clock(node);
        let tail = Tail::builder(outbox.within(&clock), &invalidator);
        let tail = tail.runtime(Arc::new(clock)).start();
        let tail = tail.expect("the usual settings are in range");
        self.tails.lock().expect("no tail panics")[node] = Some(tail);
    }

    /// Nobody follows it any more.
    pub(super) fn follow_no_more(&self) {
        self.tails
            .lock()
            .expect("no tail panics")
            .fill_with(|| None);
    }

    /// Changes the source, and dies before it has invalidated or in the middle of that.
    pub(super) async fn change_and_die(&self, node: usize, key: u64, random: &mut Random) -> bool {
        self.journal.operation();
        let value = self.source.write(key);
        if let Some(outbox) = &self.outbox {
            outbox.record(key);
            outbox.rows().of_the_dead.insert(key, value);
        }
        self.journal.fault(Fault::WriterDied);
        let began = self.runtime.now();
        let cache = self.node(node);
        if random.per_mille(500) {
            let death = Duration::from_nanos(random.below(3_000_000));
            let death = self.clock(node).sleep(death);
            tokio::select! {
                biased;
                _ = cache.invalidate(&key) => {}
                () = death => {}
            }
        }
        self.say(began, ("change", node, key), || {
            format!("{value}, and died")
        });
        true
    }

    /// Nobody is held any more to what was acknowledged up to now.
    pub(super) fn forfeit(&self) {
        self.history.forfeit();
        if let Some(outbox) = &self.outbox {
            outbox.rows().of_the_dead.clear();
        }
    }

    /// Once nothing goes wrong any more: what the dead have recorded is soon carried out, and every
    /// copy owes it.
    pub(super) async fn hold_the_dead(&self, setup: Setup) {
        let Some(outbox) = &self.outbox else {
            return;
        };
        self.runtime.sleep(REPAIR).await;
        let left = outbox.waiting();
        assert!(left == 0, "{left} notices were not carried out in time");
        let changes = outbox.rows().of_the_dead.clone();
        for (key, value) in changes {
            let change = Change {
                key,
                value,
                removal: true,
            };
            self.history.heard(0..=setup.nodes, change);
        }
        for node in 0..setup.nodes {
            for key in 0..setup.keys {
                self.peek(node, key).await;
                self.peek_derived(node, key).await;
            }
        }
    }
}
