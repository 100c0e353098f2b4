//! The link of a cache to the bus of its remote tier: hears of changes made elsewhere, applies
//! them to the near cache, and says until when near copies may be used.
//!
//! Two tasks share one lane. The *listener* takes records as the shard pushes them, which is quick
//! and promises nothing. The *poller* asks how far the log is, has what is missing replayed, and
//! earns the lease under which near copies are used. The lane decides; see [`larder_core::lane`].
//! A cache without a near tier needs no link, unless somebody wants to hear of its events.

mod fence;
mod listener;
mod poller;

use std::sync::{Arc, Weak};

use ::bytes::Bytes;
use larder_core::area::Area;
use larder_core::bus::{BusRecord, ChangeKind, Reader};
use larder_core::key::WireKey;
use larder_core::lane::{Answer, Arrival, Gap, Lane, PollSent, Position};
use larder_core::mutant::Mutant;
use larder_core::store::Store;
use tokio::sync::Notify;

use crate::engine::areas::Reach;
use crate::engine::waiters::Waiters;
use crate::engine::{Engine, EngineKey, Updates};
use crate::events::Event;
use crate::observe::count;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, Ordering};
use fence::Fence;

/// Starts the link, unless it runs or there is nothing to follow. It ends when the cache is gone.
pub(crate) fn start<V: Send + Sync + 'static>(engine: &Arc<Engine<V>>) {
    let Some(store) = engine.remote.clone() else {
        return;
    };
    if store.describe().bus.is_none() || !engine.coherence.takes_link() {
        return;
    }
    let link = Arc::new(Link::new(engine, store));
    engine.runtime.spawn(Box::pin(listener::run(
        link.clone(),
        engine.runtime.clone(),
    )));
    engine
        .runtime
        .spawn(Box::pin(poller::run(link, engine.runtime.clone())));
}

struct Link<V> {
    /// Weak: the link must not keep its cache alive.
    engine: Weak<Engine<V>>,
    lane: Mutex<Lane>,
    store: Arc<dyn Store>,
    /// What the shard is told of this cache, but for how far it has read.
    reader: Reader,
    waiters: Arc<Waiters>,
    /// Somebody asked for a poll.
    nudged: Notify,
    /// The lane's generation when it was last looked at.
    generation: AtomicU32,
    fence: Mutex<Fence>,
}

/// How a record came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Pushed,
    Replayed,
}

impl<V: Send + Sync + 'static> Link<V> {
    fn new(engine: &Arc<Engine<V>>, store: Arc<dyn Store>) -> Link<V> {
        let node = &engine.coherence.node;
        Link {
            engine: Arc::downgrade(engine),
            lane: Mutex::default(),
            store,
            reader: Reader {
                node: node.number,
                name: node.name.clone(),
                cache: engine.name.as_str().into(),
                applied: None,
                leaves: false,
            },
            waiters: engine.waiters.clone(),
            nudged: Notify::new(),
            generation: AtomicU32::new(0),
            fence: Mutex::default(),
        }
    }

    fn is_over(&self) -> bool {
        self.engine.strong_count() == 0
    }

    /// Takes one record, and tells which ones are missing before it.
    fn take(&self, record: &BusRecord, way: Way) -> Option<Gap> {
        let engine = self.engine.upgrade()?;
        // Before the lane is locked: decoding takes its time.
        let updates = engine.updates(record);
        // Held until the record is applied: the lane counts it as applied from now on.
        let mut lane = self.lane.lock();
        // A value is taken only from the newest record: what is known of later changes of its key
        // may be forgotten after a while.
        let is_newest = lane.is_next(record.position) || Mutant::LateUpdate.is_active();
        let updates = updates.filter(|_| is_newest);
        let arrival = lane.on_record(record.position);
        let gap = match arrival {
            Arrival::Apply => None,
            Arrival::ApplyAndReplay(gap) => {
                count(&engine.counts.bus.gaps);
                Some(gap)
            }
            Arrival::Duplicate | Arrival::Resync => {
                self.follow(&engine, &lane, "a record is of another log");
                return None;
            }
        };
        if Mutant::ApplyUnlocked.is_active() {
            drop(lane);
            lane = self.lane.lock();
        }
        self.note(&engine, record, way);
        if engine.coherence.is_followed() {
            engine.apply(record, updates);
        }
        self.follow(&engine, &lane, "");
        // Else it comes again with the replay, and is told then.
        if lane.has_seen(record.position) {
            engine.tell_record(record);
        }
        gap
    }

    /// Counts a record, and says it to whoever debugs.
    fn note(&self, engine: &Engine<V>, record: &BusRecord, way: Way) {
        count(&engine.counts.bus.received);
        let delay = self.store.now().since(record.written);
        if way == Way::Pushed {
            engine.counts.bus.delayed(delay);
        }
        tracing::debug!(
            cache = engine.name.as_str(),
            origin = format_args!("{:08x}", record.origin),
            seq = record.position.seq,
            changes = record.changes.len(),
            delay_ms = delay.as_millis(),
            replayed = way == Way::Replayed,
            "bus: received"
        );
    }

    /// Wakes those who wait for the lease of a key, if it is of this cache.
    fn free(&self, key: &Bytes) {
        if let Some(engine) = self.engine.upgrade()
            && key.starts_with(&engine.prefix)
        {
            let key = engine.wire_key(WireKey::from_slice(key));
            engine.waiters.wake(key.hash());
        }
    }

    /// Takes the answer to a poll, and tells which records are missing.
    fn answer(&self, sent: PollSent, log: Position) -> Option<Gap> {
        let engine = self.engine.upgrade()?;
        let mut lane = self.lane.lock();
        let answer = lane.on_poll(sent, log);
        self.follow(&engine, &lane, "the shard has another log");
        match answer {
            Answer::Replay(gap) => Some(gap),
            Answer::Current | Answer::Resync => None,
        }
    }

    /// Fetches missing records and applies them.
    async fn replay(&self, mut gap: Gap) -> larder_core::Result<()> {
        let Some(bus) = self.store.describe().bus else {
            return Ok(());
        };
        let (cache, mut read) = (&*self.reader.cache, 0);
        let missing = gap;
        tracing::info!(
            cache,
            from = gap.first,
            to = gap.last,
            "bus: gap: records are missing"
        );
        while !self.is_over() {
            let replay = bus.replay(gap).await?;
            let Some(engine) = self.engine.upgrade() else {
                return Ok(());
            };
            count(&engine.counts.bus.replays);
            {
                let mut lane = self.lane.lock();
                if lane.position().map(|at| at.incarnation) != Some(replay.incarnation) {
                    // Another log: the next poll will say so.
                    return Ok(());
                }
                lane.on_replay(gap, replay.oldest);
                self.follow(&engine, &lane, "the log no longer has what was missed");
            }
            drop(engine);
            for record in &replay.records {
                // A gap inside of what was replayed is the next turn's business.
                let _ = self.take(record, Way::Replayed);
            }
            read += replay.records.len();
            match replay.records.last() {
                Some(last) if last.position.seq < gap.last => gap.first = last.position.seq + 1,
                _ => break,
            }
        }
        tracing::info!(
            cache,
            from = missing.first,
            to = missing.last,
            read,
            "bus: replay: the gap is closed"
        );
        Ok(())
    }

    /// Whether all records up to this one have been applied.
    fn has(&self, seq: u64) -> bool {
        self.lane.lock().position().is_some_and(|at| at.seq >= seq)
    }

    /// Lets the near cache follow the lane, and says so where everything begins anew.
    fn follow(&self, engine: &Engine<V>, lane: &Lane, why: &'static str) {
        if engine.coherence.is_followed() {
            engine.follow(lane);
        }
        let before = self.generation.swap(lane.generation(), Ordering::Relaxed);
        if before == lane.generation() {
            return;
        }
        engine.coherence.hub.tell(Event::Interrupted);
        let (cache, seq) = (engine.name.as_str(), lane.position().map(|at| at.seq));
        if before == 0 {
            tracing::info!(cache, seq, "bus: joined the log");
        } else {
            tracing::warn!(cache, seq, why, "bus: flush: all near copies are dropped");
        }
    }
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// Applies what others (or this process itself) have changed.
    fn apply(&self, record: &BusRecord, updates: Option<Updates<V>>) {
        let now = self.runtime.now();
        for change in &record.changes {
            if change.kind == ChangeKind::TagBumped {
                if !Mutant::IgnoreBus.is_active() {
                    self.tags.raise(&change.key, change.version.0);
                    self.flights.detach_all();
                }
                continue;
            }
            if change.kind == ChangeKind::Voided {
                if !Mutant::IgnoreClear.is_active() {
                    self.apply_voided(change);
                }
                continue;
            }
            if change.kind == ChangeKind::Cleared {
                self.apply_clear(&change.key);
                continue;
            }
            if Mutant::IgnoreBus.is_active() {
                continue;
            }
            if !change.key.starts_with(&self.prefix) {
                self.changed(&change.key);
                continue;
            }
            let key = self.wire_key(WireKey::from_slice(&change.key));
            self.show(&key, &change.key, || {
                self.apply_one(&key, change.kind, change.version, now);
            });
            // A change revokes the lease of its key.
            self.waiters.wake(key.hash());
        }
        if let Some(updates) = updates {
            self.admit_all(updates);
        }
    }

    /// All of this cache, or a part of it that nobody keeps apart here.
    fn apply_clear(&self, prefix: &[u8]) {
        if self.reach == Reach::Store {
            return self.near.void(Area::Prefix(Bytes::copy_from_slice(prefix)));
        }
        let is_ours = self.prefix.starts_with(prefix) || prefix.starts_with(&self.prefix);
        if is_ours && !Mutant::IgnoreClear.is_active() {
            self.near.void(Area::ALL);
            self.flights.detach_all();
        }
    }

    fn apply_one(
        &self,
        key: &EngineKey,
        kind: ChangeKind,
        version: larder_core::Version,
        now: larder_core::Mono,
    ) {
        match kind {
            ChangeKind::Replaced => self.near.replaced(key.near(), version, now),
            ChangeKind::Removed => self.near.remove(key.near(), version, now),
            ChangeKind::Expired => self.near.mark_stale(key.near(), version, now),
            ChangeKind::Cleared | ChangeKind::TagBumped | ChangeKind::Voided => {}
        }
    }

    /// Lets the near cache follow the lane: first what is void, then what is allowed.
    fn follow(&self, lane: &Lane) {
        let view = self.near.view();
        if Mutant::LeaseFirst.is_active() {
            view.set_lease(lane.lease_until());
        }
        if view.enter(lane.generation()) {
            count(&self.counts.bus.flushes);
            // The cells first: an entry of the new epoch must not hold one that nobody raises.
            self.tags.forget();
            self.areas.forget();
            self.near.void(Area::ALL);
            self.flights.detach_all();
            self.cleared();
        }
        view.set_lease(lane.lease_until());
        self.coherence.set_applied(lane.position());
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod threads;
