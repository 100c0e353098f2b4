//! Changes that could not reach the remote tier: they wait, and are carried out once it is back.

use std::sync::{Arc, Weak};
use std::time::Duration;

use ::bytes::Bytes;
use larder_core::area::Area;
use larder_core::backlog::{Late, Moment, Verdict, Work, verdict};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::key::WireKey;
use larder_core::record::Record;
use larder_core::store::{Batch, Committed, Expect, Lookup, Store, Write};
use larder_core::tag::{Cut, Tags};

use super::{Change, Engine, EngineKey};
use crate::backlog::Entry;
use crate::receipt::Receipt;

/// First and longest pause before the remote tier is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Keys that are looked at together.
const KEYS: usize = 64;

/// How often a key that others change meanwhile is looked at again.
const LOOKS: usize = 3;

/// What has become of one key.
enum Done {
    CarriedOut,
    Spared,
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// Lets changes wait that have failed with `error`, if they may and if that is any use.
    pub(super) async fn defer(
        self: &Arc<Self>,
        error: Error,
        entries: impl FnOnce(Moment) -> Vec<Entry>,
    ) -> Result<Receipt> {
        let (Some(deferred), Some(store)) = (&self.deferred, &self.remote) else {
            return Err(error);
        };
        let is_away = matches!(
            error.kind(),
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Overloaded
        );
        if !is_away || self.is_closed() {
            return Err(error);
        }
        let moment = self.moment(&**store);
        let added = deferred.add(entries(moment)).await;
        self.begin_carrying_out();
        added.map(|()| Receipt::deferred())
    }

    /// The same for changes of keys.
    pub(super) async fn defer_keys(
        self: &Arc<Self>,
        error: Error,
        changes: &[(EngineKey, Change<V>)],
    ) -> Result<Receipt> {
        self.defer(error, |moment| {
            let late = |change: &Change<V>| match self.write_of(change) {
                Write::Put(put) => Late::Put(Box::new(put)),
                Write::Expire => Late::Expire,
                _ => Late::Remove,
            };
            let entry = |(key, change): &(EngineKey, Change<V>)| {
                Entry::Key(key.stored(), late(change), moment)
            };
            changes.iter().map(entry).collect()
        })
        .await
    }

    fn moment(&self, store: &dyn Store) -> Moment {
        Moment {
            store: store.now(),
            here: self.runtime.now(),
        }
    }

    /// Begins to carry out what waits, unless somebody does.
    pub(crate) fn begin_carrying_out(self: &Arc<Self>) {
        let Some(deferred) = &self.deferred else {
            return;
        };
        if deferred.is_empty() || !deferred.begin_work() {
            return;
        }
        let (cache, waiting) = (self.name.as_str(), deferred.stats().waiting);
        tracing::warn!(
            cache,
            waiting,
            "the remote tier is away; changes wait for it"
        );
        let weak = Arc::downgrade(self);
        self.runtime.spawn(Box::pin(carry_out(weak)));
    }

    /// Does what it can; the error of the remote tier if that was not all.
    async fn carry_out_some(self: &Arc<Self>) -> Result<()> {
        let (Some(deferred), Some(store)) = (&self.deferred, self.remote.clone()) else {
            return Ok(());
        };
        let mut work = deferred.take(KEYS);
        let outcome = self.do_work(&store, &mut work).await;
        if outcome.is_err() {
            deferred.put_back(work);
        }
        outcome
    }

    /// Takes from `work` what is done.
    async fn do_work(self: &Arc<Self>, store: &Arc<dyn Store>, work: &mut Work) -> Result<()> {
        let deferred = self.deferred.as_ref();
        let did = |carried_out, spared| {
            if let Some(deferred) = deferred {
                deferred.did(carried_out, spared);
            }
        };
        if work.everything {
            self.void_now(self.name.clone(), Area::ALL).await?;
            work.everything = false;
            did(1, 0);
        }
        while let Some(area) = work.areas.last() {
            self.void_now(self.name.clone(), area.clone()).await?;
            work.areas.pop();
            did(1, 0);
        }
        while let Some(tag) = work.tags.last() {
            self.bump_now(store, &Tags::new([tag.clone()])?, None)
                .await?;
            work.tags.pop();
            did(1, 0);
        }
        if work.keys.is_empty() {
            return Ok(());
        }
        let keys: Vec<Bytes> = work.keys.iter().map(|(key, ..)| key.clone()).collect();
        let mut found = store.get_many(&keys).await?;
        while let Some((key, late, moment)) = work.keys.last() {
            let lookup = found.pop().unwrap_or(Lookup::Absent);
            match self.do_late(store, key, (late, *moment), lookup).await? {
                Done::CarriedOut => did(1, 0),
                Done::Spared => did(0, 1),
            }
            self.show_late(key);
            work.keys.pop();
        }
        Ok(())
    }

    /// Carries out a change of one key, held against what was found there.
    async fn do_late(
        &self,
        store: &Arc<dyn Store>,
        key: &Bytes,
        (late, moment): (&Late, Moment),
        mut lookup: Lookup,
    ) -> Result<Done> {
        // Only stores with leases say when a record was stored.
        let tells = store.describe().leases.is_some();
        for _ in 0..LOOKS {
            let found = lookup.into_record().filter(|_| tells);
            let now = self.moment(&**store);
            let write = match verdict(late, moment, found.as_ref(), now) {
                Verdict::Spare => return Ok(Done::Spared),
                Verdict::Remove => self.removal(),
                Verdict::CarryOut => self.late_write(late, found.as_ref()),
            };
            let mut batch = Batch::one(key.clone(), write).by(self.coherence.node.number);
            if let Some(found) = &found {
                batch = batch.check(key.clone(), Expect::Version(found.version));
            }
            match store.commit(batch).await? {
                Committed::Done(_) => return Ok(Done::CarriedOut),
                Committed::Refused(_) => lookup = store.get(key).await?,
            }
        }
        // Others change it all the time: a load more does no harm.
        let batch = Batch::one(key.clone(), self.removal()).by(self.coherence.node.number);
        store.commit(batch).await?;
        Ok(Done::CarriedOut)
    }

    fn removal(&self) -> Write {
        self.write_of(&Change::Invalidate)
    }

    fn late_write(&self, late: &Late, found: Option<&Record>) -> Write {
        match late {
            Late::Remove => self.removal(),
            Late::Expire => Write::Expire,
            Late::Put(put) => {
                let mut put = put.clone();
                // What has become void since the older value was stored makes this one void as well:
                // it may have happened after this one was made.
                put.cut = found.map_or(Cut::default(), |found| found.cut);
                Write::Put(*put)
            }
        }
    }

    /// What was read here before a late change may be older than it.
    fn show_late(&self, stored: &Bytes) {
        if stored.starts_with(&self.prefix) {
            let (key, now) = (
                self.wire_key(WireKey::from_slice(stored)),
                self.runtime.now(),
            );
            self.show(&key, stored, || self.near.forget(key.near(), now));
        }
    }
}

/// Works until nothing is left, the cache is closed, or nobody has it any more.
async fn carry_out<V: Send + Sync + 'static>(engine: Weak<Engine<V>>) {
    let mut pause = PAUSE.0;
    let mut failed = None;
    loop {
        let Some(runtime) = engine.upgrade().map(|engine| engine.runtime.clone()) else {
            return;
        };
        let jitter = Duration::from_millis(runtime.random() % 50);
        runtime.sleep(pause + jitter).await;
        let Some(engine) = engine.upgrade() else {
            return;
        };
        let Some(deferred) = &engine.deferred else {
            return;
        };
        if engine.is_closed() {
            return;
        }
        if let Err(error) = engine.carry_out_some().await {
            let cache = engine.name.as_str();
            tracing::debug!(cache, %error, "changes still wait");
            failed = Some(error.kind());
            pause = (pause * 2).min(PAUSE.1);
            continue;
        }
        pause = Duration::ZERO;
        if deferred.is_empty() && deferred.end_work().await {
            let (cache, stats) = (engine.name.as_str(), deferred.stats());
            let (carried_out, spared) = (stats.carried_out, stats.spared);
            tracing::info!(
                cache,
                carried_out,
                spared,
                ?failed,
                "no change waits any more"
            );
            return;
        }
    }
}
