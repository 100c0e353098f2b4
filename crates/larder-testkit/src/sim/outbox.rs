//! The outbox of the simulated source: what a writer records with its change, so that others make
//! it known should the writer die before it could.
//!
//! Only the table is simulated. Those who follow it are production tails, one per node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use larder::outbox::{Backlog, Claim, Notice, Outbox, What};
use larder_core::error::Result;
use larder_core::key::wire_key;
use larder_core::runtime::{BoxFuture, Mono, Runtime};

use super::SimRuntime;

/// The cache that all notices are about.
pub(super) const CACHE: &str = "sim:rows";

/// How long the source takes to answer.
const ANSWER: Duration = Duration::from_micros(500);

/// The table, as one node sees it.
#[derive(Clone)]
pub(super) struct SimOutbox {
    runtime: SimRuntime,
    rows: Arc<Mutex<Rows>>,
}

#[derive(Default)]
struct Rows {
    recorded: u64,
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

    /// The same table for a node.
    pub(super) fn on_node(&self, node: usize) -> SimOutbox {
        SimOutbox {
            runtime: self.runtime.on_node(node),
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
