//! One load: claim it, run the loader, and store what can be proven.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use larder_core::admit::Refusal;
use larder_core::error::ErrorKind;
use larder_core::freshness::Freshness;
use larder_core::runtime::BoxFuture;

use super::answer::Brought;
use super::claim::{Claim, HeldLease, Proof};
use super::flight::{Announcer, Landed, Load, Offer, Outcome};
use super::{Before, Engine, EngineKey, Incoming};
use crate::depend;
use crate::loaded::Source;
use crate::loader::{Failure, Orders, panic_message};
use crate::near::Entry;

/// A loader that knows what it is to replace.
type Started<V> = Box<dyn FnOnce() -> BoxFuture<'static, Result<V, Failure>> + Send>;

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
        if let Some(entry) = self.near_absent(key) {
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
        &self,
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
        &self,
        key: &EngineKey,
        load: Load<V>,
        (proof, stale): (Proof, Option<Offer<V>>),
        flight: &Announcer<V>,
    ) -> Outcome<V> {
        let reads = load.orders.reads();
        let claimed = self.before(key);
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
        let previous = self.previous(key, stale.as_ref(), claimed);
        let old = previous.as_ref().map(|previous| previous.entry().clone());
        let start = Box::new(move || (load.start)(previous));
        let returned = self.run(start, &proof, &load.orders).await;
        drop(admitted);
        match Brought::of(returned, &load.orders, old.clone()) {
            Ok(brought) => {
                self.succeeded(key);
                let entry = self
                    .store_loaded(key, before, proof, (brought, old), &load.orders)
                    .await;
                Ok(Landed::fresh(entry, Source::Loaded))
            }
            Err(Failure::Abandoned) => Err(Failure::Abandoned),
            Err(failure) => self.fail_safe(key, stale, failure, flight),
        }
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
        let start = Box::new(move || (load.start)(None));
        let returned = self.run(start, &Proof::None, &load.orders).await;
        let brought = Brought::of(returned, &load.orders, None)?;
        self.succeeded(key);
        let brought = (brought, None);
        let entry = self
            .store_loaded(key, self.before(key), Proof::None, brought, &load.orders)
            .await;
        Ok(Landed::fresh(entry, Source::Loaded))
    }

    /// Stores what a load has brought in place of the old value, as far as its loader wants that and it
    /// can be proven.
    async fn store_loaded(
        &self,
        key: &EngineKey,
        before: Before,
        proof: Proof,
        (brought, old): (Brought<V>, Option<Arc<Entry<V>>>),
        orders: &Orders,
    ) -> Arc<Entry<V>> {
        let order = orders.get();
        let cost = self.runtime.now().since(before.at);
        let inherits = match &brought {
            Brought::Same(old) => Some(old.clone()),
            Brought::Value(_) | Brought::Nothing => None,
        };
        let incoming = match self.incoming_of(key, brought, &order, old.as_ref()) {
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
                let (tags, depends) = match inherits {
                    Some(old) => self.inherit(&old, tags, depends),
                    None => (tags, depends),
                };
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

    /// Runs the loader up to its end or its answer, renewing the lease while it does. A panic becomes a
    /// failure.
    async fn run(&self, start: Started<V>, proof: &Proof, orders: &Orders) -> Result<V, Failure> {
        // The call that makes the future is user code as well, so it is inside the guard.
        let loading = depend::scope(orders.reads(), async move { start().await });
        let loading = AssertUnwindSafe(loading).catch_unwind();
        let ended = async {
            match select(Box::pin(loading), Box::pin(orders.answered())).await {
                Either::Left((returned, _)) => returned,
                Either::Right(((), unfinished)) => {
                    drop(unfinished);
                    Ok(Err(Failure::Abandoned))
                }
            }
        };
        let returned = self.holding(proof, ended).await;
        returned.unwrap_or_else(|panic| Err(Failure::Panicked(panic_message(&*panic))))
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
