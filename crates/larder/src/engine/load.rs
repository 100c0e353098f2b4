//! One load: claim it, run the loader, and store what can be proven.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use larder_core::admit::Refusal;
use larder_core::error::ErrorKind;
use larder_core::freshness::Freshness;
use larder_core::mutant::Mutant;
use larder_core::runtime::BoxFuture;

use super::claim::{Claim, HeldLease, Proof};
use super::flight::{Announcer, Landed, Load, Offer, Outcome};
use super::write::Change;
use super::{Before, Engine, EngineKey, Incoming};
use crate::depend;
use crate::loaded::Source;
use crate::loader::{Failure, Orders, Start, panic_message};
use crate::near::Entry;

impl<V: Send + Sync + 'static> Engine<V> {
    pub(super) async fn load(
        self: Arc<Self>,
        key: &EngineKey,
        load: Load<V>,
        flight: &Announcer<V>,
    ) -> Outcome<V> {
        // The flight before this one may have landed since the caller looked.
        if let Some((entry, Freshness::Fresh)) = self.near.get(key.near(), self.runtime.now()) {
            return Ok(Landed::fresh(entry, Source::Near));
        }
        let is_inside = load.orders.reads().is_inside();
        let claim = self.claim(key, is_inside, flight).await;
        if let Claim::Fresh(entry) = &claim {
            // Whoever joins from now on gets no more than this.
            let as_of = self.copy_as_of(entry, self.runtime.now());
            load.orders.reads().date(as_of);
        }
        match claim {
            // A load inside of another one is over with it, and cannot go on by itself.
            Claim::Fresh(entry) if !is_inside && self.goes_on(key, flight, &entry) => {
                let old = (entry, Source::Remote);
                self.load_again(key, load, old, flight).await
            }
            claim => self.load_claimed(key, load, claim, flight).await,
        }
    }

    /// Loads, unless the remote tier said that there is no need to.
    pub(super) async fn load_claimed(
        self: &Arc<Self>,
        key: &EngineKey,
        load: Load<V>,
        claim: Claim<V>,
        flight: &Announcer<V>,
    ) -> Outcome<V> {
        match claim {
            Claim::Fresh(entry) => Ok(Landed::fresh(entry, Source::Remote)),
            Claim::Load { proof, stale } => self.load_with(key, load, (proof, stale), flight).await,
            Claim::Enough(landed) => Ok(landed),
            Claim::GiveUp => Err(Failure::Abandoned),
        }
    }

    /// Runs the loader and stores its value as far as `proof` allows.
    pub(super) async fn load_with(
        self: &Arc<Self>,
        key: &EngineKey,
        load: Load<V>,
        (proof, stale): (Proof, Option<Offer<V>>),
        flight: &Announcer<V>,
    ) -> Outcome<V> {
        let reads = load.orders.reads();
        flight.has_at_hand(stale.clone());
        let admission = match flight.seat() {
            // All that are loaded by one call of the loader are one load to the limit.
            Some(seat) => {
                seat.begins(flight.is_refresh());
                Ok(None)
            }
            None => self.admission(&proof, reads.is_inside(), flight).await,
        };
        let admitted = match admission {
            Ok(admitted) => admitted,
            Err(Failure::Abandoned) => return Err(Failure::Abandoned),
            Err(refused) => return self.fail_safe(key, stale, refused, flight),
        };
        let before = self.before(key);
        reads.begin(self.id(), key, &self.touched);
        let result = self.run(load.start, &proof, &load.orders).await;
        drop(admitted);
        match result {
            Ok(value) => {
                self.succeeded(key);
                let entry = self
                    .store_loaded(key, before, proof, value, &load.orders)
                    .await;
                Ok(Landed::fresh(entry, Source::Loaded))
            }
            Err(Failure::Absent) => Err(self.absent(key, stale).await),
            Err(Failure::Abandoned) => Err(Failure::Abandoned),
            Err(failure) => self.fail_safe(key, stale, failure, flight),
        }
    }

    /// The source has nothing: nothing is stored, and what was there before is removed, so that
    /// fail-safe does not bring it back.
    async fn absent(self: &Arc<Self>, key: &EngineKey, stale: Option<Offer<V>>) -> Failure {
        self.protection.answered(key);
        if stale.is_some() && !Mutant::AbsentStays.is_active() {
            // An error is counted, and what was there ends with its life.
            let _ = self.change(vec![(key.clone(), Change::Invalidate)]).await;
        }
        Failure::Absent
    }

    /// Loads beside the flight of the key, for somebody that flight waits for.
    pub(super) async fn load_alone(self: Arc<Self>, key: &EngineKey, load: Load<V>) -> Outcome<V> {
        let reads = load.orders.reads();
        if let Some(outer) = depend::current() {
            depend::enter(&outer, &reads);
        }
        reads.begin(self.id(), key, &self.touched);
        if let Some(seat) = &load.seat {
            seat.begins(false);
        }
        let value = self.run(load.start, &Proof::None, &load.orders).await?;
        self.succeeded(key);
        let entry = self
            .store_loaded(key, self.before(key), Proof::None, value, &load.orders)
            .await;
        Ok(Landed::fresh(entry, Source::Loaded))
    }

    /// Stores a loaded value, as far as its loader wants that and it can be proven.
    async fn store_loaded(
        &self,
        key: &EngineKey,
        before: Before,
        proof: Proof,
        value: V,
        orders: &Orders,
    ) -> Arc<Entry<V>> {
        let order = orders.get();
        let cost = self.runtime.now().since(before.at);
        let incoming = match self.incoming(key, value, order.ttl, order.stale_for) {
            Ok(incoming) if order.skip => return self.unstored(key, incoming, Refusal::Skipped),
            Ok(incoming) => incoming,
            Err((value, error)) => {
                let refusal = match self.failed(error).kind() {
                    ErrorKind::TooLarge => Refusal::TooLarge,
                    _ => Refusal::Unencoded,
                };
                let incoming = Incoming::unkept(value);
                return self.unstored(key, incoming, refusal);
            }
        };
        let Ok(tags) = self.tags(&order.tags) else {
            return self.unstored(key, incoming, Refusal::TagsRefused);
        };
        match orders.reads().take(self.place()) {
            Ok(depends) => {
                let incoming = Incoming {
                    tags,
                    depends,
                    ..incoming
                };
                self.keep(key, before, proof, incoming, cost).await
            }
            Err(refusal) => self.unstored(key, incoming, refusal),
        }
    }

    /// Runs the loader, renewing the lease while it does. A panic becomes a failure.
    async fn run(&self, start: Start<V>, proof: &Proof, orders: &Orders) -> Result<V, Failure> {
        // The call that makes the future is user code as well, so it is inside the guard.
        let loading = depend::scope(orders.reads(), async move { start().await });
        let loading = AssertUnwindSafe(loading).catch_unwind();
        let result = self.holding(proof, loading).await;
        let result = result.unwrap_or_else(|panic| Err(Failure::Panicked(panic_message(&*panic))));
        match orders.failure() {
            Some(message) => Err(Failure::Said(message)),
            None => result,
        }
    }

    /// Does some work, renewing the lease meanwhile.
    pub(super) async fn holding<T>(
        &self,
        proof: &Proof,
        work: impl Future<Output = T> + Send,
    ) -> T {
        let renewing: BoxFuture<'_, ()> = match proof {
            Proof::Lease(lease) => Box::pin(self.renew(lease)),
            _ => Box::pin(std::future::pending()),
        };
        match select(Box::pin(work), renewing).await {
            Either::Left((done, _)) => done,
            Either::Right(((), _)) => unreachable!("renewing has no end"),
        }
    }

    async fn renew(&self, lease: &HeldLease) {
        loop {
            self.runtime.sleep(self.lives.lease / 3).await;
            let Some(leases) = lease.store.describe().leases else {
                break;
            };
            // An error leaves it open; the next round, or the fill, will tell.
            if let Ok(false) = leases
                .renew(&lease.key, lease.token, self.lives.lease)
                .await
            {
                break;
            }
        }
        std::future::pending().await
    }
}
