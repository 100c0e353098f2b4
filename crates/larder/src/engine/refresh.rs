//! Refresh: a value is loaded again while it is still served.
//!
//! A refresh is a flight that goes on although nobody may wait for it. It has the same proof as any
//! load: what it brings is stored only if nothing that it depends on has changed since before it
//! began. It differs in three things: the version that it is to replace counts as absent when the
//! lease is asked for; it gives way where a load would wait; and what it does in vain, it does not
//! do again at once.

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use larder_core::freshness::Freshness;
use larder_core::mutant::Mutant;
use larder_core::record::Record;
use larder_core::refresh::Early;
use larder_core::runtime::Mono;
use larder_core::store::{Lease, LeaseToken, Leases, Store};
use larder_core::version::Version;
use tokio::sync::watch;

use super::claim::{HeldLease, Proof};
use super::flight::{Announcer, Background, Landed, Load, Offer, Outcome};
use super::protect::Permit;
use super::read::Fetched;
use super::retries::Retries;
use super::{Engine, EngineKey};
use crate::depend;
use crate::loaded::{Loaded, Source, StaleReason};
use crate::loader::Failure;
use crate::near::Entry;
use crate::observe::count;
use crate::options::RefreshPolicy;

/// All must have gone well for so long before it is said that refreshes succeed again.
const WELL: Duration = Duration::from_secs(60);

/// The refreshes of one cache.
pub(crate) struct Refreshes {
    pub(crate) policy: Option<RefreshPolicy>,
    under_way: Arc<AtomicUsize>,
    retries: Retries,
    /// Changes, or is closed, when the cache is at its end.
    ended: watch::Receiver<()>,
    /// When one failed last, in nanoseconds; 0 while they go well.
    failed_at: AtomicU64,
}

/// Held by all clones of a cache: with the last of them, refreshes end.
pub(crate) struct Lifeline(watch::Sender<()>);

impl Lifeline {
    pub(crate) fn end(&self) {
        self.0.send_replace(());
    }
}

/// The life of a cache, and where its end is heard of.
pub(crate) fn life() -> (Lifeline, watch::Receiver<()>) {
    let (sender, ended) = watch::channel(());
    (Lifeline(sender), ended)
}

impl Refreshes {
    pub(crate) fn new(policy: Option<RefreshPolicy>, ended: watch::Receiver<()>) -> Refreshes {
        Refreshes {
            retries: Retries::new(policy.is_some()),
            policy,
            under_way: Arc::default(),
            ended,
            failed_at: AtomicU64::new(0),
        }
    }

    /// For an engine that loads nothing.
    pub(crate) fn none() -> Refreshes {
        Refreshes::new(None, life().1)
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Returns at the end of the cache.
    pub(super) async fn end(&self) {
        let mut ended = self.ended.clone();
        // An error says that the cache is gone.
        let _ = ended.changed().await;
    }

    /// Whether that end has come.
    pub(super) fn is_over(&self) -> bool {
        self.ended.has_changed().unwrap_or(true)
    }

    fn serves_stale(&self) -> bool {
        self.policy.is_some_and(|policy| policy.serves_stale)
    }
}

/// What the remote tier says to a refresh.
enum Again<V> {
    /// There is a newer value than the one that was to be refreshed.
    Newer(Arc<Entry<V>>),
    Granted(HeldLease),
    /// Somebody else loads it.
    Taken,
}

/// What becomes of a read that has found a stale value.
pub(super) enum Behind<V> {
    /// It waits for a load, as without refresh.
    Waits,
    /// It has got the value, and the flight goes on.
    Refreshes,
    /// It gets the value, and nothing is loaded now.
    Enough(Landed<V>),
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// From when on reads refresh a value.
    pub(crate) fn refresh_from(
        &self,
        created: Mono,
        fresh_until: Option<Mono>,
        cost: Duration,
    ) -> Mono {
        let begins = |policy: RefreshPolicy| policy.early.begins(created, fresh_until, cost);
        self.refreshes.policy.map_or(Mono::MAX, begins)
    }

    /// Whether this read of a fresh value is to begin a refresh. One comparison for most reads.
    #[inline]
    pub(crate) fn is_due(&self, hit: &Loaded<V>) -> bool {
        let now = hit.given_at();
        !hit.entry().is_quiet(now) && self.is_entry_due(hit.entry(), now)
    }

    fn is_entry_due(&self, entry: &Entry<V>, now: Mono) -> bool {
        let early = self.refreshes.policy.map_or(Early::Never, |it| it.early);
        early.is_due(entry.refresh_from(), entry.load_cost(), now, || {
            self.runtime.random()
        })
    }

    /// Begins a refresh of a near copy, unless the key is being loaded, or was in vain a moment ago,
    /// or too many are under way.
    pub(crate) fn refresh(
        self: &Arc<Self>,
        key: EngineKey,
        hit: &Loaded<V>,
        load: impl FnOnce() -> Load<V>,
    ) {
        if let Some(permit) = self.permit(&key) {
            let behind = Background::refresh(permit, hit.entry().version());
            self.depart(key, load(), behind, (hit.entry().clone(), Source::Near));
        }
    }

    /// The right to begin a refresh now.
    fn permit(&self, key: &EngineKey) -> Option<Permit> {
        let refreshes = &self.refreshes;
        let policy = refreshes.policy?;
        let now = self.runtime.now();
        if !refreshes.retries.may(key.hash(), now) || !self.protection.may_load(key, now) {
            return None;
        }
        let Some(permit) = Permit::of(&refreshes.under_way, policy.limit) else {
            count(&self.counts.refreshes.limited);
            return None;
        };
        // Until it ends, other reads need not look whether it is under way.
        refreshes.retries.put_off(key.hash(), now, policy.retry);
        Some(permit)
    }

    /// After a fresh value was found in the remote tier: whether this flight goes on and refreshes
    /// it, while those who wait go on with it.
    pub(super) fn goes_on(
        &self,
        key: &EngineKey,
        flight: &Announcer<V>,
        entry: &Arc<Entry<V>>,
    ) -> bool {
        if flight.is_background() || !self.is_entry_due(entry, self.runtime.now()) {
            return false;
        }
        let Some(permit) = self.permit(key) else {
            return false;
        };
        count(&self.counts.refreshes.begun);
        let behind = Background::refresh(permit, entry.version());
        flight.go_on(behind, (entry.clone(), Source::Remote));
        true
    }

    /// The same after a stale value was found.
    pub(super) fn behind_stale(
        &self,
        key: &EngineKey,
        flight: &Announcer<V>,
        stale: Option<&Offer<V>>,
    ) -> Behind<V> {
        let Some((entry, source)) = stale.filter(|_| self.refreshes.serves_stale()) else {
            return Behind::Waits;
        };
        if self.stale_now(entry) != Some(Freshness::Stale) {
            return Behind::Waits;
        }
        let Some(permit) = self.permit(key) else {
            count(&self.counts.refreshes.stale_served);
            let reason = StaleReason::Refreshing;
            return Behind::Enough(Landed::stale(entry.clone(), *source, reason, None));
        };
        count(&self.counts.refreshes.begun);
        let behind = Background::refresh(permit, entry.version());
        flight.go_on(behind, (entry.clone(), *source));
        Behind::Refreshes
    }

    /// What a value that may have been refreshed is good for, not regarding what somebody has ended
    /// the fresh life of.
    fn stale_now(&self, entry: &Entry<V>) -> Option<Freshness> {
        if entry.is_marked_stale() {
            return None;
        }
        let now = self.runtime.now();
        if Mutant::OldOffer.is_active() {
            return Some(entry.freshness(now));
        }
        self.near.usable(entry, now)
    }

    /// What a flight offers to those who may go on with it. Loaders may not with a stale value:
    /// what they make of it could not be stored.
    pub(super) fn accept_offer(&self, (entry, source): &Offer<V>) -> Option<Landed<V>> {
        match self.stale_now(entry)? {
            Freshness::Fresh => Some(Landed::fresh(entry.clone(), *source)),
            Freshness::Stale if self.refreshes.serves_stale() && !depend::is_loading() => {
                count(&self.counts.refreshes.stale_served);
                let reason = StaleReason::Refreshing;
                Some(Landed::stale(entry.clone(), *source, reason, None))
            }
            Freshness::Stale | Freshness::Expired => None,
        }
    }

    /// Loads a value again that is still fresh, unless there is a newer one by now.
    pub(super) async fn load_again(
        self: Arc<Self>,
        key: &EngineKey,
        load: Load<V>,
        (old, source): Offer<V>,
        flight: &Announcer<V>,
    ) -> Outcome<V> {
        let newer = self.near.get(key.near(), self.runtime.now());
        if let Some((entry, Freshness::Fresh)) = newer
            && entry.version() > old.version()
        {
            return Ok(Landed::fresh(entry, Source::Near));
        }
        let proof = match &self.remote {
            None => Proof::Local(self.local_cut()),
            Some(store) => match self.lease_again(store, key, old.version(), flight).await {
                Some(Again::Granted(held)) => Proof::Lease(held),
                Some(Again::Newer(entry)) => return Ok(Landed::fresh(entry, Source::Remote)),
                // Its leader has not gone on with the offer: made void meanwhile. It has no other
                // load than this one.
                Some(Again::Taken) | None if flight.is_awaited() => {
                    flight.stop_background();
                    let claim = self.claim(key, false, flight).await;
                    return self.load_claimed(key, load, claim, flight).await;
                }
                // Without a proof it would be in vain.
                Some(Again::Taken) | None => return Err(Failure::Abandoned),
            },
        };
        let stale = Some((old, source));
        self.load_with(key, load, (proof, stale), flight).await
    }

    /// Asks for the lease of a key although it has a fresh value: that one counts as absent. One
    /// round trip, which also tells of a newer value.
    async fn lease_again(
        &self,
        store: &Arc<dyn Store>,
        key: &EngineKey,
        old: Version,
        flight: &Announcer<V>,
    ) -> Option<Again<V>> {
        let leases = store.describe().leases?;
        let mut void = old;
        // The second time if what lies there cannot be used here.
        for _ in 0..2 {
            match self.ask_again((store, leases), key, void, flight).await? {
                Ok(again) => return Some(again),
                Err(unusable) => void = unusable,
            }
        }
        None
    }

    async fn ask_again(
        &self,
        (store, leases): (&Arc<dyn Store>, &dyn Leases),
        key: &EngineKey,
        void: Version,
        flight: &Announcer<V>,
    ) -> Option<Result<Again<V>, Version>> {
        let turn = flight.turns().next().await;
        let (stored, before) = (key.stored(), self.before(key));
        let token = LeaseToken::from_random(self.runtime.random());
        let asked = leases.lease(&stored, token, self.lives.lease, void).await;
        drop(turn);
        let answer = asked.map_err(|error| self.failed(error)).ok()?;
        let record: Record = match answer {
            Lease::Granted { cut, .. } => {
                let held = HeldLease::new(store, &self.runtime, stored, (token, cut));
                return Some(Ok(Again::Granted(held.among(flight))));
            }
            Lease::Taken { .. } => return Some(Ok(Again::Taken)),
            Lease::Hit(record) => record,
        };
        match self.take_leased(&**store, key, &record, before).await {
            Ok(Fetched::Fresh(entry) | Fetched::Negative(entry)) => {
                self.admit(key, before, &entry);
                Some(Ok(Again::Newer(entry)))
            }
            Ok(Fetched::Stale(_) | Fetched::Absent(_)) => Some(Err(record.version)),
            Err(_) => None,
        }
    }

    /// Counts what became of a refresh, and lets its key be in peace if that was nothing.
    pub(super) fn refreshed(&self, key: &EngineKey, old: Version, outcome: &Outcome<V>) {
        let Some(policy) = self.refreshes.policy else {
            return;
        };
        let counts = &self.counts.refreshes;
        let now = self.runtime.now();
        let is_newer = |landed: &Landed<V>| {
            !landed.is_stale() && landed.entry.version() > old && self.is_stored(key, &landed.entry)
        };
        let counter = match outcome {
            Ok(landed) if is_newer(landed) => {
                self.refreshes.retries.allow(key.hash());
                self.went_well(now);
                match landed.source {
                    Source::Loaded => &counts.loaded,
                    Source::Near | Source::Remote | Source::Default => &counts.adopted,
                }
            }
            outcome => {
                let retries = &self.refreshes.retries;
                retries.put_off(key.hash(), now, policy.retry);
                match outcome {
                    Ok(landed) if !landed.is_stale() => &counts.refused,
                    Err(Failure::Abandoned) => &counts.given_up,
                    Ok(_) | Err(_) => {
                        self.went_wrong(now);
                        &counts.failed
                    }
                }
            }
        };
        count(counter);
    }

    /// Whether a value that has a version is stored, too: in a cache without a remote tier the near
    /// cache has the last word.
    fn is_stored(&self, key: &EngineKey, entry: &Arc<Entry<V>>) -> bool {
        let held = || self.near.find(key.near(), self.runtime.now());
        self.remote.is_some() || held().is_some_and(|held| Arc::ptr_eq(&held, entry))
    }

    /// Says so at the first failure, and not again before all has gone well for a while.
    fn went_wrong(&self, now: Mono) {
        let last = self
            .refreshes
            .failed_at
            .swap(now.0.max(1), Ordering::Relaxed);
        if last == 0 {
            let cache = self.name.as_str();
            tracing::warn!(cache, "refreshes fail; the old values are used");
        }
    }

    fn went_well(&self, now: Mono) {
        let failed_at = &self.refreshes.failed_at;
        let last = failed_at.load(Ordering::Relaxed);
        if last == 0 || now.since(Mono(last)) < WELL {
            return;
        }
        let said = failed_at.compare_exchange(last, 0, Ordering::Relaxed, Ordering::Relaxed);
        if said.is_ok() {
            tracing::info!(cache = self.name.as_str(), "refreshes succeed again");
        }
    }
}
