//! The right to load: a fresh value from the remote tier instead, or its lease, or what remains
//! without.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use futures_util::future::select;
use larder_core::area::Covered;
use larder_core::error::Error;
use larder_core::freshness::Freshness;
use larder_core::store::{Lease, LeaseToken, Leases, Store};
use larder_core::tag::Cut;
use larder_core::version::Version;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::futures::Notified;

use super::flight::{Announcer, Landed, Offer};
use super::many::Turns;
use super::read::Fetched;
use super::refresh::Behind;
use super::{Before, Engine, EngineKey};
use crate::loaded::{Source, StaleReason};
use crate::near::Entry;
use crate::observe::count;
use crate::options::WhenFenced;

/// First and longest pause before a process asks again for a lease that another one holds, where
/// nobody tells when it is free.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));
/// The same where the bus tells, whose message may get lost.
const HEARD_RETRY: Duration = Duration::from_millis(500);
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

impl Proof {
    /// The turn to store the value, among those that are loaded together.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        match self {
            Proof::Lease(lease) => lease.turns.next().await,
            Proof::Local(_) | Proof::Absence | Proof::None => None,
        }
    }
}

/// The version of a record that the store may take for fresh, and this cache does not: for a lease it
/// counts as absent.
#[derive(Clone, Copy)]
enum Old {
    /// It must not be used; zero if there is none.
    Void(Version),
    /// Fail-safe may use it.
    Stale(Version),
}

impl Old {
    fn version(self) -> Version {
        match self {
            Old::Void(version) | Old::Stale(version) => version,
        }
    }
}

/// What the remote tier said before the load.
pub(super) enum Claim<V> {
    /// A value, or that the source has none.
    Fresh(Arc<Entry<V>>),
    Load {
        proof: Proof,
        stale: Option<Offer<V>>,
    },
    /// A stale value will do for now.
    Enough(Landed<V>),
    /// A refresh gives way to another process.
    GiveUp,
}

impl<V> Claim<V> {
    /// The value is loaded, and not stored.
    fn unproven(stale: Option<Offer<V>>) -> Claim<V> {
        let proof = Proof::None;
        Claim::Load { proof, stale }
    }
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
    turns: Turns,
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
            turns: Turns::default(),
        }
    }

    /// The same, of a flight that takes turns with others.
    pub(super) fn among<V>(mut self, flight: &Announcer<V>) -> HeldLease {
        self.turns = flight.turns();
        self
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        let (store, key, token) = (self.store.clone(), self.key.clone(), self.token);
        let turns = self.turns.clone();
        self.runtime.spawn(Box::pin(async move {
            let _turn = turns.next().await;
            if let Some(leases) = store.describe().leases {
                // If this fails, the lease ends by itself.
                let _ = leases.release(&key, token).await;
            }
        }));
    }
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// Finds a fresh value in the remote tier, or the right to load one.
    pub(super) async fn claim(
        &self,
        key: &EngineKey,
        is_inside: bool,
        flight: &Announcer<V>,
    ) -> Claim<V> {
        let near_stale = || self.near_stale(key).map(|entry| (entry, Source::Near));
        let Some(store) = &self.remote else {
            let stale = near_stale();
            if let Some(landed) = self.will_do(key, (is_inside, flight), stale.as_ref()) {
                return Claim::Enough(landed);
            }
            return Claim::Load {
                proof: Proof::Local(self.local_cut()),
                stale,
            };
        };
        let asked = match self.fetch_seated(&**store, key, flight).await {
            Ok(Fetched::Fresh(entry) | Fetched::Negative(entry)) => return Claim::Fresh(entry),
            // The remote tier is the judge of what may still be used: a value that it no longer
            // has was invalidated, whatever a near copy says.
            Ok(Fetched::Stale(entry)) => {
                let old = self.old(key, &entry);
                Ok((Some((entry, Source::Remote)), old))
            }
            Ok(Fetched::Absent(void)) => Ok((None, Old::Void(void))),
            Err(error) => Err(error),
        };
        let at_hand = match &asked {
            Ok((stale, _)) => stale.clone(),
            Err(_) => near_stale(),
        };
        if let Some(landed) = self.will_do(key, (is_inside, flight), at_hand.as_ref()) {
            return Claim::Enough(landed);
        }
        let is_away = asked.is_err();
        if let Some(landed) = self.spared((is_inside, flight), at_hand.as_ref(), is_away) {
            return Claim::Enough(landed);
        }
        let leased = match (asked, store.describe().leases) {
            (Ok((stale, _)), None) => {
                return Claim::Load {
                    proof: Proof::Absence,
                    stale,
                };
            }
            (Ok((_, old)), Some(leases)) => {
                let flight = (is_inside, flight);
                self.lease(store, leases, key, old, flight).await
            }
            (Err(error), _) => Err(error),
        };
        leased.unwrap_or_else(|error| {
            tracing::debug!(cache = self.name.as_str(), %error, "loading without a proof");
            // If it has said what it has, then only its leases are not to be had.
            Claim::unproven(at_hand)
        })
    }

    /// What a stale record is to a lease. Areas are nothing that this is held against.
    fn old(&self, key: &EngineKey, entry: &Entry<V>) -> Old {
        match self.covered(key, entry.cut()) {
            Covered::Stale => Old::Stale(entry.version()),
            Covered::Not | Covered::Void => Old::Void(Version::ZERO),
        }
    }

    /// A stale value that will do instead of a load: one has failed a moment ago, or is not to run now.
    fn will_do(
        &self,
        key: &EngineKey,
        (is_inside, flight): (bool, &Announcer<V>),
        stale: Option<&Offer<V>>,
    ) -> Option<Landed<V>> {
        flight.has_at_hand(stale.cloned());
        if let Some(landed) = self.throttled(key, stale) {
            return Some(landed);
        }
        // Inside a load a stale value would not do.
        if is_inside {
            return None;
        }
        match self.behind_stale(key, flight, stale) {
            Behind::Enough(landed) => Some(landed),
            Behind::Waits | Behind::Refreshes => None,
        }
    }

    /// A near copy that may be used if the load fails, and nobody else could be asked.
    pub(super) fn near_stale(&self, key: &EngineKey) -> Option<Arc<Entry<V>>> {
        let now = self.runtime.now();
        let found = match self.when_fenced {
            WhenFenced::Bypass => self.near.get(key.near(), now),
            WhenFenced::ServeStale | WhenFenced::SpareSource => {
                self.near.get_fenced(key.near(), now)
            }
        };
        found.map(|(entry, _)| entry)
    }

    /// A copy that is used instead of a load, to spare the source while the remote tier is away: one
    /// within the life that it was stored for, as far as anybody here knows.
    fn spared(
        &self,
        (is_inside, flight): (bool, &Announcer<V>),
        at_hand: Option<&Offer<V>>,
        is_away: bool,
    ) -> Option<Landed<V>> {
        if !is_away || is_inside || self.when_fenced != WhenFenced::SpareSource {
            return None;
        }
        let (entry, source) = at_hand?;
        // What was loaded meanwhile is fresh for a second, and a spare copy behind that.
        let is_within_life = !entry.is_marked_stale()
            && (!entry.is_proven() || entry.freshness(self.runtime.now()) == Freshness::Fresh);
        if !is_within_life {
            return None;
        }
        if !flight.is_refresh() {
            count(&self.counts.stale_served);
        }
        let reason = StaleReason::Fenced;
        Some(Landed::stale(entry.clone(), *source, reason, None))
    }

    /// Takes the lease of a key, waiting while another process loads it.
    async fn lease(
        &self,
        store: &Arc<dyn Store>,
        leases: &dyn Leases,
        key: &EngineKey,
        mut old: Old,
        (is_inside, flight): (bool, &Announcer<V>),
    ) -> Result<Claim<V>, Error> {
        let stored = key.stored();
        let patience = if is_inside { PATIENCE_INSIDE } else { PATIENCE };
        let now = self.runtime.now();
        let until = now.after(self.lives.lease * patience);
        let give_up = now.after(self.lives.lease);
        let mut pause = RETRY.0;
        let turns = flight.turns();
        let waiting = self.waiters.enter(key.hash());
        loop {
            let turn = turns.next().await;
            // Before the question: a lease that is free once it was refused wakes whoever asked.
            let free = waiting.free.notified();
            let before = self.before(key);
            let token = LeaseToken::from_random(self.runtime.random());
            let answer = leases.lease(&stored, token, self.lives.lease, old.version());
            let answer = answer.await;
            drop(turn);
            match answer.map_err(|error| self.failed(error))? {
                Lease::Hit(record) => {
                    let found = self.take_leased(&**store, key, &record, before).await?;
                    // Fresh for the store, but nothing that this cache can use as such: expired with
                    // its cache, void, or of another codec or schema. Its lease is to be had all the
                    // same.
                    old = match found {
                        Fetched::Fresh(entry) | Fetched::Negative(entry) => {
                            self.admit(key, before, &entry);
                            return Ok(Claim::Fresh(entry));
                        }
                        Fetched::Stale(_) => Old::Stale(record.version),
                        Fetched::Absent(_) => Old::Void(record.version),
                    };
                    if self.runtime.now() >= until {
                        return Ok(Claim::unproven(None));
                    }
                }
                Lease::Granted { cut, stale } => {
                    let held = HeldLease::new(store, &self.runtime, stored, (token, cut));
                    let held = held.among(flight);
                    let stale = self.stale(&held.store, (key, before), stale, old).await?;
                    return Ok(Claim::Load {
                        proof: Proof::Lease(held),
                        stale,
                    });
                }
                Lease::Taken { remaining, stale } => {
                    flight.steps_aside();
                    let now = self.runtime.now();
                    if now >= give_up && flight.is_background() && !flight.is_awaited() {
                        return Ok(Claim::GiveUp);
                    }
                    if now >= until {
                        let stale = self.stale(store, (key, before), stale, old).await?;
                        return Ok(Claim::unproven(stale));
                    }
                    self.until_free(free, pause.min(remaining), remaining).await;
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        }
    }

    /// Waits until somebody says that a lease is free, or it is time to ask: after `pause` if nobody
    /// would say it, after `remaining` in any case.
    async fn until_free(&self, free: Notified<'_>, pause: Duration, remaining: Duration) {
        let time = match self.waiters.hears() {
            true => HEARD_RETRY.min(remaining),
            false => pause,
        };
        let jitter = Duration::from_millis(self.runtime.random() % 20);
        select(pin!(free), self.runtime.sleep(time + jitter)).await;
    }

    async fn stale(
        &self,
        store: &Arc<dyn Store>,
        (key, before): (&EngineKey, Before),
        record: Option<larder_core::Record>,
        old: Old,
    ) -> Result<Option<Offer<V>>, Error> {
        let found = match record {
            Some(record) => {
                let found = self.take_leased(&**store, key, &record, before).await?;
                if let Fetched::Stale(entry) = &found {
                    self.near.date(entry, before.near);
                }
                found
            }
            // Whether it is there no longer, or was kept back as told, only a look can tell.
            None if matches!(old, Old::Stale(_)) => self.fetch(&**store, key).await?,
            None => return Ok(None),
        };
        Ok(match found {
            Fetched::Fresh(entry) | Fetched::Stale(entry) => Some((entry, Source::Remote)),
            Fetched::Negative(_) | Fetched::Absent(_) => None,
        })
    }
}
