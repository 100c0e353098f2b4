//! The link of a cache to the bus of its remote tier: hears of changes made elsewhere, applies
//! them to the near cache, and says until when near copies may be used.
//!
//! Two tasks share one lane. The *listener* takes records as the shard pushes them, which is quick
//! and promises nothing. The *poller* asks how far the log is, has what is missing replayed, and
//! earns the lease under which near copies are used. The lane decides; see [`larder_core::lane`].
//! A cache without a near tier needs no link.

mod listener;
mod poller;

use std::sync::{Arc, Weak};

use larder_core::area::Area;
use larder_core::bus::{BusRecord, ChangeKind, Reader};
use larder_core::key::WireKey;
use larder_core::lane::{Arrival, Gap, Lane, PollSent, Position};
use larder_core::mutant::Mutant;
use larder_core::store::Store;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::engine::{Engine, EngineKey};
use crate::observe::count;

/// Starts the link. It ends when the cache is gone.
pub(crate) fn start<V: Send + Sync + 'static>(engine: &Arc<Engine<V>>) {
    let Some(store) = engine.remote.clone() else {
        return;
    };
    if store.describe().bus.is_none() {
        return;
    }
    let node = &engine.coherence.node;
    let link = Arc::new(Link {
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
        nudged: Notify::new(),
    });
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
    /// Somebody asked for a poll.
    nudged: Notify,
}

impl<V: Send + Sync + 'static> Link<V> {
    fn is_over(&self) -> bool {
        self.engine.strong_count() == 0
    }

    /// Takes one record, and tells which ones are missing before it.
    fn take(&self, record: &BusRecord) -> Option<Gap> {
        let engine = self.engine.upgrade()?;
        // Held until the record is applied: the lane counts it as applied from now on.
        let mut lane = self.lane.lock();
        let arrival = lane.on_record(record.position);
        let gap = match arrival {
            Arrival::Apply => None,
            Arrival::ApplyAndReplay(gap) => {
                count(&engine.counts.bus_gaps);
                Some(gap)
            }
            Arrival::Duplicate | Arrival::Resync => {
                engine.follow(&lane);
                return None;
            }
        };
        count(&engine.counts.bus_received);
        engine.apply(record);
        engine.follow(&lane);
        gap
    }

    /// Takes the answer to a poll, and tells which records are missing.
    fn answer(&self, sent: PollSent, log: Position) -> Option<Gap> {
        use larder_core::lane::Answer;
        let engine = self.engine.upgrade()?;
        let mut lane = self.lane.lock();
        let answer = lane.on_poll(sent, log);
        if answer == Answer::Resync {
            tracing::info!(
                cache = engine.name.as_str(),
                seq = log.seq,
                "bus: joined the log"
            );
        }
        engine.follow(&lane);
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
        while !self.is_over() {
            let replay = bus.replay(gap).await?;
            let Some(engine) = self.engine.upgrade() else {
                return Ok(());
            };
            {
                let mut lane = self.lane.lock();
                if lane.position().map(|at| at.incarnation) != Some(replay.incarnation) {
                    // Another log: the next poll will say so.
                    return Ok(());
                }
                let before = lane.generation();
                lane.on_replay(gap, replay.oldest);
                if lane.generation() != before {
                    tracing::warn!(
                        cache = engine.name.as_str(),
                        from = gap.first,
                        oldest = replay.oldest,
                        "bus: the log no longer has what was missed; all near copies are dropped"
                    );
                }
                engine.follow(&lane);
            }
            drop(engine);
            for record in &replay.records {
                // A gap inside of what was replayed is the next turn's business.
                let _ = self.take(record);
            }
            match replay.records.last() {
                Some(last) if last.position.seq < gap.last => gap.first = last.position.seq + 1,
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Whether all records up to this one have been applied.
    fn has(&self, seq: u64) -> bool {
        self.lane.lock().position().is_some_and(|at| at.seq >= seq)
    }
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// Applies what others (or this process itself) have changed.
    fn apply(&self, record: &BusRecord) {
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
            if !Mutant::IgnoreBus.is_active() {
                self.changed(&change.key);
            }
            if !change.key.starts_with(&self.prefix) {
                continue;
            }
            let key = self.wire_key(WireKey::from_slice(&change.key));
            self.apply_one(&key, change.kind, change.version, now);
        }
    }

    /// All of this cache, or a part of it that nobody keeps apart here.
    fn apply_clear(&self, prefix: &[u8]) {
        let is_ours = self.prefix.starts_with(prefix) || prefix.starts_with(&self.prefix);
        if is_ours && !Mutant::IgnoreClear.is_active() {
            self.flights.detach_all();
            self.near.void(Area::ALL);
        }
    }

    fn apply_one(
        &self,
        key: &EngineKey,
        kind: ChangeKind,
        version: larder_core::Version,
        now: larder_core::Mono,
    ) {
        if Mutant::IgnoreBus.is_active() {
            return;
        }
        self.flights.detach(key);
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
        if view.enter(lane.generation()) {
            count(&self.counts.bus_flushes);
            // The cells first: an entry of the new epoch must not hold one that nobody raises.
            self.tags.forget();
            self.areas.forget();
            self.near.void(Area::ALL);
            self.flights.detach_all();
        }
        view.set_lease(lane.lease_until());
        self.coherence.set_applied(lane.position());
    }
}
