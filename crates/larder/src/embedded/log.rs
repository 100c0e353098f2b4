//! The log of changes of the embedded store.
//!
//! Nothing is kept before the first reader has asked where the log stands: a store without near
//! caches pays nothing. That loses nothing, because a near copy is used only under a lease from a
//! later answer, and what was read before the first answer is dropped when it comes.

use std::collections::VecDeque;
use std::sync::Arc;

use larder_core::bus::{Bus, BusChange, BusRecord, LOG_LENGTH, Replay, Subscription};
use larder_core::error::{Error, ErrorKind};
use larder_core::lane::{Gap, Position};
use larder_core::runtime::BoxFuture;
use larder_core::store::Pending;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::Embedded;

/// Records that a slow subscriber may lag behind before its subscription is lost.
const BUFFER: usize = 1024;

/// Most records of one replay.
const PAGE: usize = 1000;

#[derive(Default)]
pub(super) struct Log(Mutex<Option<Kept>>);

struct Kept {
    incarnation: u64,
    seq: u64,
    records: VecDeque<Arc<BusRecord>>,
    subscribers: broadcast::Sender<Arc<BusRecord>>,
}

impl Log {
    /// Adds one record. The caller still holds the locks of the shards that it changed, so that
    /// nobody sees the change before it is in the log.
    pub(super) fn append(&self, changes: impl FnOnce() -> Vec<BusChange>) {
        let mut kept = self.0.lock();
        let Some(kept) = &mut *kept else { return };
        let changes = changes();
        if changes.is_empty() {
            return;
        }
        kept.seq += 1;
        let position = Position {
            incarnation: kept.incarnation,
            seq: kept.seq,
        };
        let record = Arc::new(BusRecord { position, changes });
        if kept.records.len() == LOG_LENGTH {
            kept.records.pop_front();
        }
        kept.records.push_back(record.clone());
        // An error only says that nobody listens.
        let _ = kept.subscribers.send(record);
    }

    fn with<R>(&self, incarnation: impl FnOnce() -> u64, act: impl FnOnce(&mut Kept) -> R) -> R {
        act(self.0.lock().get_or_insert_with(|| Kept {
            incarnation: incarnation(),
            seq: 0,
            records: VecDeque::new(),
            subscribers: broadcast::channel(BUFFER).0,
        }))
    }
}

impl Kept {
    fn position(&self) -> Position {
        Position {
            incarnation: self.incarnation,
            seq: self.seq,
        }
    }

    fn replay(&self, gap: Gap) -> Replay {
        let oldest = self
            .records
            .front()
            .map_or(self.seq + 1, |record| record.position.seq);
        let skip = usize::try_from(gap.first.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let wanted = self.records.iter().skip(skip);
        let records = wanted
            .take_while(|record| record.position.seq <= gap.last)
            .take(PAGE)
            .map(|record| BusRecord::clone(record))
            .collect();
        Replay {
            incarnation: self.incarnation,
            oldest,
            records,
        }
    }
}

struct Pushed(broadcast::Receiver<Arc<BusRecord>>);

impl Subscription for Pushed {
    fn next(&mut self) -> BoxFuture<'_, Option<BusRecord>> {
        // Too far behind is as good as lost: the gap is found and filled from the log.
        Box::pin(async {
            self.0
                .recv()
                .await
                .ok()
                .map(|record| BusRecord::clone(&record))
        })
    }
}

impl Embedded {
    fn log<R>(&self, act: impl FnOnce(&mut Kept) -> R) -> R {
        self.inner.log.with(|| self.inner.runtime.random(), act)
    }

    /// Forgets the log up to a record, as a full server would. For tests.
    #[doc(hidden)]
    pub fn trim_log(&self, keep: usize) {
        self.log(|log| {
            let surplus = log.records.len().saturating_sub(keep);
            log.records.drain(..surplus);
        });
    }

    /// Silently loses the records and the leases for which `is_lost` says so, as a full server
    /// does. For tests.
    #[doc(hidden)]
    pub fn evict(&self, mut is_lost: impl FnMut() -> bool) {
        for shard in &self.inner.shards {
            let mut shard = shard.lock();
            shard.remove_if(|_| is_lost());
            shard.revoke_if(|_| is_lost());
        }
    }

    /// Loses everything, as a server does that restarts empty. For tests.
    #[doc(hidden)]
    pub fn restart_empty(&self) {
        let incarnation = self.inner.runtime.random();
        self.inner
            .tags
            .start(self.inner.now().0.saturating_mul(1_000) + 1);
        for shard in &self.inner.shards {
            *shard.lock() = super::shard::Shard::default();
        }
        self.log(|log| {
            log.incarnation = incarnation;
            log.seq = 0;
            log.records.clear();
        });
    }
}

impl Bus for Embedded {
    fn poll(&self) -> Pending<'_, Position> {
        Pending::ready(Ok(self.log(|log| log.position())))
    }

    fn replay(&self, gap: Gap) -> Pending<'_, Replay> {
        if gap.first == 0 || gap.last < gap.first {
            let message = "a gap goes from a first to a last record, counted from 1";
            return Pending::ready(Err(Error::new(ErrorKind::Invalid, message)));
        }
        Pending::ready(Ok(self.log(|log| log.replay(gap))))
    }

    fn subscribe(&self) -> Pending<'_, Box<dyn Subscription>> {
        let pushed = self.log(|log| Pushed(log.subscribers.subscribe()));
        Pending::ready(Ok(Box::new(pushed)))
    }
}
