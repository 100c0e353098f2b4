//! The log of changes of the embedded store.
//!
//! Nothing is kept before the first reader has asked where the log stands: a store without near
//! caches pays nothing. That loses nothing, because a near copy is used only under a lease from a
//! later answer, and what was read before the first answer is dropped when it comes.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use larder_core::bus::{
    Bus, BusChange, BusRecord, LOG_LENGTH, Pushed, Reader, Readers, Replay, Subscription,
};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lane::{Gap, Position};
use larder_core::runtime::{BoxFuture, Timestamp};
use larder_core::store::Pending;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::Embedded;
use super::readers::Registry;

/// Records that a slow subscriber may lag behind before its subscription is lost.
const BUFFER: usize = 1024;

/// Most records of one replay.
const PAGE: usize = 1000;

#[derive(Default)]
pub(super) struct Log {
    kept: Mutex<Option<Kept>>,
    tap: OnceLock<Arc<dyn Tap>>,
}

/// Hears of every change that is made here, in the order of the log, whether anybody reads that or
/// not; not of those that others have made and that are followed here.
pub(crate) trait Tap: Send + Sync {
    /// Called under the lock of the log: it must not wait.
    fn made(&self, changes: &[BusChange], origin: u32, position: Option<Position>);
}

struct Kept {
    incarnation: u64,
    seq: u64,
    records: VecDeque<Arc<BusRecord>>,
    subscribers: broadcast::Sender<Message>,
    registry: Registry,
}

#[derive(Clone)]
enum Message {
    Record(Arc<BusRecord>),
    Nudge,
    Free(Bytes),
}

/// What a record says beside its changes.
#[derive(Clone, Copy)]
pub(super) struct Written {
    pub(super) origin: u32,
    pub(super) at: Timestamp,
    /// Whether there is a record even if nothing has changed.
    pub(super) probe: bool,
    /// Whether the change was made here, and nothing else tells of it.
    pub(super) is_own: bool,
}

impl Log {
    /// Adds one record; gives its place. The caller still holds the locks of the shards that it
    /// changed, so that nobody sees the change before it is in the log.
    pub(super) fn append(
        &self,
        written: Written,
        changes: impl FnOnce() -> Vec<BusChange>,
    ) -> Option<Position> {
        let mut kept = self.kept.lock();
        let tap = self.tap.get().filter(|_| written.is_own);
        if kept.is_none() && tap.is_none() {
            return None;
        }
        let changes = changes();
        if changes.is_empty() && !written.probe {
            return None;
        }
        let position = kept.as_mut().map(Kept::next);
        if let Some(tap) = tap {
            tap.made(&changes, written.origin, position);
        }
        if let (Some(kept), Some(position)) = (&mut *kept, position) {
            kept.push(BusRecord {
                position,
                origin: written.origin,
                written: written.at,
                changes,
            });
        }
        position
    }

    /// Tells those who read it that the lease of a key is free.
    pub(super) fn free(&self, key: &[u8]) {
        if let Some(kept) = &*self.kept.lock() {
            // An error only says that nobody listens.
            let _ = kept
                .subscribers
                .send(Message::Free(Bytes::copy_from_slice(key)));
        }
    }

    fn with<R>(&self, incarnation: impl FnOnce() -> u64, act: impl FnOnce(&mut Kept) -> R) -> R {
        act(self.kept.lock().get_or_insert_with(|| Kept {
            incarnation: incarnation(),
            seq: 0,
            records: VecDeque::new(),
            subscribers: broadcast::channel(BUFFER).0,
            registry: Registry::default(),
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

    /// The place of the next record.
    fn next(&mut self) -> Position {
        self.seq += 1;
        self.position()
    }

    /// Keeps a record, and pushes it. What travels along is not kept.
    fn push(&mut self, record: BusRecord) {
        let pushed = Arc::new(record);
        let kept = if pushed.changes.iter().all(|change| change.carried.is_none()) {
            pushed.clone()
        } else {
            let mut bare = BusRecord::clone(&pushed);
            bare.changes
                .iter_mut()
                .for_each(|change| change.carried = None);
            Arc::new(bare)
        };
        if self.records.len() == LOG_LENGTH {
            self.records.pop_front();
        }
        self.records.push_back(kept);
        // An error only says that nobody listens.
        let _ = self.subscribers.send(Message::Record(pushed));
    }

    fn poll(&mut self, reader: &Reader, now: Timestamp) -> Result<Position> {
        self.registry.enter(reader, now)?;
        Ok(self.position())
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

struct Messages(broadcast::Receiver<Message>);

impl Subscription for Messages {
    fn next(&mut self) -> BoxFuture<'_, Option<Pushed>> {
        // Too far behind is as good as lost: the gap is found and filled from the log.
        Box::pin(async {
            Some(match self.0.recv().await.ok()? {
                Message::Record(record) => Pushed::Record(BusRecord::clone(&record)),
                Message::Nudge => Pushed::Nudge,
                Message::Free(key) => Pushed::Free(key),
            })
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

    /// Lets somebody hear of every change that is made here. At most one.
    #[cfg_attr(
        not(feature = "mesh"),
        expect(dead_code, reason = "the mesh is who hears")
    )]
    pub(crate) fn tap(&self, tap: Arc<dyn Tap>) {
        // There is one store for each tap.
        let _ = self.inner.log.tap.set(tap);
    }

    /// Where the log stands; `None` if nobody has read it yet.
    #[cfg(feature = "mesh")]
    pub(crate) fn position(&self) -> Option<Position> {
        self.inner.log.kept.lock().as_ref().map(Kept::position)
    }

    /// Begins the log, if nobody has; gives where it stands.
    #[cfg(feature = "mesh")]
    pub(crate) fn begin_log(&self) -> Position {
        self.log(|log| log.position())
    }

    /// Loses everything, as a server does that restarts empty: another life of the log begins.
    #[doc(hidden)]
    pub fn restart_empty(&self) {
        let incarnation = self.inner.runtime.random();
        self.inner
            .tags
            .start(self.inner.now().0.saturating_mul(1_000) + 1);
        for shard in &self.inner.shards {
            shard.lock().restart();
        }
        // Where there is no log, nobody can tell that it is another one.
        if let Some(log) = &mut *self.inner.log.kept.lock() {
            log.incarnation = incarnation;
            log.seq = 0;
            log.records.clear();
            log.registry = Registry::default();
        }
    }
}

impl Bus for Embedded {
    fn poll<'a>(&'a self, reader: &'a Reader) -> Pending<'a, Position> {
        let now = self.inner.now();
        Pending::ready(self.log(|log| log.poll(reader, now)))
    }

    fn replay(&self, gap: Gap) -> Pending<'_, Replay> {
        if gap.first == 0 || gap.last < gap.first {
            let message = "a gap goes from a first to a last record, counted from 1";
            return Pending::ready(Err(Error::new(ErrorKind::Invalid, message)));
        }
        Pending::ready(Ok(self.log(|log| log.replay(gap))))
    }

    fn subscribe(&self) -> Pending<'_, Box<dyn Subscription>> {
        let messages = self.log(|log| Messages(log.subscribers.subscribe()));
        Pending::ready(Ok(Box::new(messages)))
    }

    fn readers(&self) -> Pending<'_, Readers> {
        let now = self.inner.now();
        let mut log = self.inner.log.kept.lock();
        let readers = match &mut *log {
            Some(log) => {
                let position = log.position();
                log.registry.readers(Some(position), now)
            }
            None => Registry::default().readers(None, now),
        };
        Pending::ready(Ok(readers))
    }

    fn nudge(&self) -> Pending<'_, ()> {
        if let Some(log) = &*self.inner.log.kept.lock() {
            // An error only says that nobody listens.
            let _ = log.subscribers.send(Message::Nudge);
        }
        Pending::ready(Ok(()))
    }
}
