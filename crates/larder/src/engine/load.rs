//! One load: ask the remote tier, take its lease, run the loader, and store what can be proven.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use larder_core::admit::Refusal;
use larder_core::error::{Error, ErrorKind};
use larder_core::freshness::Freshness;
use larder_core::runtime::BoxFuture;
use larder_core::store::{Lease, LeaseToken, Leases, Store};
use larder_core::tag::{Cut, Tags};
use larder_core::version::Version;

use super::flight::{Landed, Load, Outcome};
use super::read::Fetched;
use super::{Before, Engine, EngineKey, Incoming};
use crate::depend::{self, Depends, Reads};
use crate::loaded::Source;
use crate::loader::{Failure, Orders, Start, panic_message};
use crate::near::Entry;
use crate::observe::count;
use crate::options::WhenFenced;

/// First and longest pause before a process asks again for a lease that another one holds.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));
/// A holder that keeps renewing its lease is waited for this many lease lives; then the value is
/// loaded unshared, and not stored.
const PATIENCE: u32 = 10;
/// The same for a load inside of another one: the holder may, through other processes or through a
/// load that nobody may join any more, be waiting for that one.
const PATIENCE_INSIDE: u32 = 1;

/// The right to store a loaded value.
pub(super) enum Proof {
    /// There is no remote tier: the near guard alone decides.
    Local(Cut),
    /// A lease of the remote tier.
    Lease(HeldLease),
    /// A remote tier without leases (the plain layout): stored only if still absent.
    Absence,
    /// The remote tier could not be asked.
    None,
}

/// What the remote tier said before the load.
enum Claim<V> {
    Fresh(Arc<Entry<V>>),
    Load {
        proof: Proof,
        stale: Option<(Arc<Entry<V>>, Source)>,
    },
}

/// A lease that is given back when it is dropped before it was used.
pub(super) struct HeldLease {
    pub(super) store: Arc<dyn Store>,
    runtime: Arc<dyn larder_core::Runtime>,
    pub(super) key: Bytes,
    pub(super) token: LeaseToken,
    /// The tag clock when the lease was given.
    pub(super) cut: Cut,
    pub(super) held: bool,
}

impl HeldLease {
    pub(super) fn new(
        store: &Arc<dyn Store>,
        runtime: &Arc<dyn larder_core::Runtime>,
        key: Bytes,
        (token, cut): (LeaseToken, Cut),
    ) -> HeldLease {
        HeldLease {
            store: store.clone(),
            runtime: runtime.clone(),
            key,
            token,
            cut,
            held: true,
        }
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        let (store, key, token) = (self.store.clone(), self.key.clone(), self.token);
        self.runtime.spawn(Box::pin(async move {
            if let Some(leases) = store.describe().leases {
                // If this fails, the lease ends by itself.
                let _ = leases.release(&key, token).await;
            }
        }));
    }
}

impl<V: Send + Sync + 'static> Engine<V> {
    pub(super) async fn load(self: Arc<Self>, key: &EngineKey, load: Load<V>) -> Outcome<V> {
        // The flight before this one may have landed since the caller looked.
        if let Some((entry, Freshness::Fresh)) = self.near.get(key.near(), self.runtime.now()) {
            return Ok(Landed {
                entry,
                source: Source::Near,
                stale: false,
            });
        }
        let (proof, stale) = match self.claim(key, load.orders.reads().is_inside()).await {
            Claim::Fresh(entry) => {
                return Ok(Landed {
                    entry,
                    source: Source::Remote,
                    stale: false,
                });
            }
            Claim::Load { proof, stale } => (proof, stale),
        };
        let before = self.before(key);
        let reads = load.orders.reads();
        reads.begin(self.id(), key, &self.touched);
        match self.run(load.start, &proof, reads).await {
            Ok(value) => {
                count(&self.counts.loaded);
                let entry = self
                    .store_loaded(key, before, proof, value, &load.orders)
                    .await;
                Ok(Landed {
                    entry,
                    source: Source::Loaded,
                    stale: false,
                })
            }
            Err(failure) => self.fail_safe(key, stale, failure),
        }
    }

    /// Loads beside the flight of the key, for somebody that flight waits for.
    pub(super) async fn load_alone(self: Arc<Self>, key: &EngineKey, load: Load<V>) -> Outcome<V> {
        let reads = load.orders.reads();
        if let Some(outer) = depend::current() {
            depend::enter(&outer, &reads);
        }
        reads.begin(self.id(), key, &self.touched);
        let value = self.run(load.start, &Proof::None, reads).await?;
        count(&self.counts.loaded);
        let entry = self
            .store_loaded(key, self.before(key), Proof::None, value, &load.orders)
            .await;
        Ok(Landed {
            entry,
            source: Source::Loaded,
            stale: false,
        })
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
                let incoming = Incoming {
                    value,
                    encoded: None,
                    weight: 0,
                    ttl: None,
                    stale_for: Duration::ZERO,
                    tags: Tags::default(),
                    depends: Depends::default(),
                };
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

    /// What a failed load still has to offer: a stale value, if there is one.
    fn fail_safe(
        &self,
        key: &EngineKey,
        stale: Option<(Arc<Entry<V>>, Source)>,
        failure: Failure,
    ) -> Outcome<V> {
        count(&self.counts.load_failed);
        let stale = match stale {
            // Anew: the load took its time, and its waiters may have come late.
            Some((_, Source::Near)) => self.near_stale(key).map(|entry| (entry, Source::Near)),
            other => other,
        };
        let (entry, source) = stale.ok_or(failure)?;
        count(&self.counts.stale_served);
        Ok(Landed {
            entry,
            source,
            stale: true,
        })
    }

    /// Finds a fresh value in the remote tier, or the right to load one.
    async fn claim(&self, key: &EngineKey, is_inside: bool) -> Claim<V> {
        let near_stale = || self.near_stale(key).map(|entry| (entry, Source::Near));
        let Some(store) = &self.remote else {
            return Claim::Load {
                proof: Proof::Local(self.local_cut()),
                stale: near_stale(),
            };
        };
        let asked = match self.fetch(&**store, key).await {
            Ok(Fetched::Fresh(entry)) => return Claim::Fresh(entry),
            // The remote tier is the judge of what may still be used: a value that it no longer
            // has was invalidated, whatever a near copy says.
            Ok(Fetched::Stale(entry)) => Ok((Some((entry, Source::Remote)), Version::ZERO)),
            Ok(Fetched::Absent(void)) => Ok((None, void)),
            Err(error) => Err(error),
        };
        let leased = match (asked, store.describe().leases) {
            (Ok((stale, _)), None) => {
                return Claim::Load {
                    proof: Proof::Absence,
                    stale,
                };
            }
            (Ok((_, void)), Some(leases)) => self.lease(store, leases, key, void, is_inside).await,
            (Err(error), _) => Err(error),
        };
        leased.unwrap_or_else(|error| {
            tracing::debug!(cache = self.name.as_str(), %error, "loading without a proof");
            Claim::Load {
                proof: Proof::None,
                stale: near_stale(),
            }
        })
    }

    /// A near copy that may be used if the load fails, and nobody else could be asked.
    fn near_stale(&self, key: &EngineKey) -> Option<Arc<Entry<V>>> {
        let now = self.runtime.now();
        let found = match self.when_fenced {
            WhenFenced::Bypass => self.near.get(key.near(), now),
            WhenFenced::ServeStale => self.near.get_fenced(key.near(), now),
        };
        found.map(|(entry, _)| entry)
    }

    /// Takes the lease of a key, waiting while another process loads it.
    async fn lease(
        &self,
        store: &Arc<dyn Store>,
        leases: &dyn Leases,
        key: &EngineKey,
        mut void: Version,
        is_inside: bool,
    ) -> Result<Claim<V>, Error> {
        let stored = key.stored();
        let patience = if is_inside { PATIENCE_INSIDE } else { PATIENCE };
        let until = self.runtime.now().after(self.lives.lease * patience);
        let mut pause = RETRY.0;
        loop {
            let before = self.before(key);
            let token = LeaseToken::from_random(self.runtime.random());
            let answer = leases.lease(&stored, token, self.lives.lease, void).await;
            match answer.map_err(|error| self.failed(error))? {
                Lease::Hit(record) => {
                    let found = self.take_record(&**store, key, &record, before.at).await?;
                    if let Fetched::Fresh(entry) = found {
                        self.admit(key, before, &entry);
                        return Ok(Claim::Fresh(entry));
                    }
                    // Fresh for the store, but nothing that this cache can use: void, or of
                    // another codec or schema. Its lease is to be had all the same.
                    void = record.version;
                    if self.runtime.now() >= until {
                        return Ok(Claim::Load {
                            proof: Proof::None,
                            stale: None,
                        });
                    }
                }
                Lease::Granted { cut, stale } => {
                    let held = HeldLease::new(store, &self.runtime, stored, (token, cut));
                    let stale = self.stale(&held.store, key, stale).await?;
                    return Ok(Claim::Load {
                        proof: Proof::Lease(held),
                        stale,
                    });
                }
                Lease::Taken { remaining, stale } => {
                    if self.runtime.now() >= until {
                        let stale = self.stale(store, key, stale).await?;
                        return Ok(Claim::Load {
                            proof: Proof::None,
                            stale,
                        });
                    }
                    let jitter = Duration::from_millis(self.runtime.random() % 20);
                    self.runtime.sleep(pause.min(remaining) + jitter).await;
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        }
    }

    async fn stale(
        &self,
        store: &Arc<dyn Store>,
        key: &EngineKey,
        record: Option<larder_core::Record>,
    ) -> Result<Option<(Arc<Entry<V>>, Source)>, Error> {
        let Some(record) = record else {
            return Ok(None);
        };
        let asked = self.runtime.now();
        Ok(
            match self.take_record(&**store, key, &record, asked).await? {
                Fetched::Fresh(entry) | Fetched::Stale(entry) => Some((entry, Source::Remote)),
                Fetched::Absent(_) => None,
            },
        )
    }

    /// Runs the loader, renewing the lease while it does. A panic becomes a failure.
    async fn run(&self, start: Start<V>, proof: &Proof, reads: Arc<Reads>) -> Result<V, Failure> {
        // The call that makes the future is user code as well, so it is inside the guard.
        let loading = depend::scope(reads, async move { start().await });
        let loading = AssertUnwindSafe(loading).catch_unwind();
        let renewing: BoxFuture<'_, ()> = match proof {
            Proof::Lease(lease) => Box::pin(self.renew(lease)),
            _ => Box::pin(std::future::pending()),
        };
        match select(Box::pin(loading), renewing).await {
            Either::Left((Ok(result), _)) => result,
            Either::Left((Err(panic), _)) => Err(Failure::Panicked(panic_message(&*panic))),
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
