//! One load per key at a time: the first caller of a key leads, the others follow.
//!
//! The load runs in a task of its own, which lives while anyone waits for it. A change of the
//! key detaches its flight: callers that come later start another, because what the older one
//! reads may be superseded. While nobody vouches that all changes made elsewhere have been heard
//! of, nobody joins a flight that is older than Δ either.
//!
//! A flight that refreshes a value goes on without anybody waiting for it. It offers that value to
//! those who come meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::{Either, select};
use larder_core::area::Area;
use larder_core::lane::LEASE;
use larder_core::mutant::Mutant;
use larder_core::runtime::{BoxFuture, Mono};
use larder_core::version::Version;
use tokio::sync::watch;

use super::refresh::Permit;
use super::{Engine, EngineKey};
use crate::depend::{self, Reads, Wait};
use crate::loaded::Source;
use crate::loader::{Failure, Orders, Start};
use crate::near::Entry;
use crate::observe::count;
use crate::sync::Mutex;

const SHARDS: usize = if cfg!(feature = "shuttle") { 2 } else { 64 };

/// What a flight ends with.
pub(crate) type Outcome<V> = Result<Landed<V>, Failure>;

/// A value that a flight brought.
pub(crate) struct Landed<V> {
    pub(crate) entry: Arc<Entry<V>>,
    pub(crate) source: Source,
    pub(crate) stale: bool,
}

impl<V> Clone for Landed<V> {
    fn clone(&self) -> Landed<V> {
        Landed {
            entry: self.entry.clone(),
            ..*self
        }
    }
}

/// A value that a flight offers while it goes on, and where it was found.
pub(super) type Offer<V> = (Arc<Entry<V>>, Source);

/// What a flight tells those who wait for it.
pub(super) struct Told<V> {
    offer: Option<Offer<V>>,
    outcome: Option<Outcome<V>>,
}

/// A refresh: what a flight does behind a value that was served.
pub(super) struct Background {
    _permit: Permit,
    /// The version of that value.
    old: Version,
}

impl Background {
    pub(super) fn new(permit: Permit, old: Version) -> Background {
        let _permit = permit;
        Background { _permit, old }
    }
}

pub(super) struct Announcement<V> {
    told: watch::Sender<Told<V>>,
    background: Mutex<Option<Background>>,
}

pub(super) type Announcer<V> = Arc<Announcement<V>>;
type Listener<V> = watch::Receiver<Told<V>>;
type Shard<V> = Mutex<HashMap<Box<[u8]>, Flight<V>>>;

impl<V> Announcement<V> {
    fn new(background: Option<Background>, offer: Option<Offer<V>>) -> Announcement<V> {
        let outcome = None;
        Announcement {
            told: watch::Sender::new(Told { offer, outcome }),
            background: Mutex::new(background),
        }
    }

    /// From here on the flight goes on by itself, and those who wait may go on with this value.
    pub(super) fn go_on(&self, background: Background, offer: Offer<V>) {
        *self.background.lock() = Some(background);
        self.told.send_modify(|told| told.offer = Some(offer));
    }

    pub(super) fn is_background(&self) -> bool {
        self.background.lock().is_some()
    }

    /// Whether anybody waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.told.receiver_count() > 0
    }

    /// From here on it goes on only for those who wait.
    pub(super) fn stop_background(&self) -> Option<Background> {
        self.background.lock().take()
    }
}

struct Flight<V> {
    announcer: Announcer<V>,
    began: Mono,
    reads: Arc<Reads>,
}

/// What became of a caller.
enum Boarding<V> {
    /// It waits for a flight, whose reads and beginning these are.
    Aboard(Listener<V>, Option<Wait>, (Arc<Reads>, Mono)),
    /// The flight waits for the load that the caller is part of.
    Cycle,
    /// It is part of a load of this very key.
    Reentrant,
    /// There is no flight, and nothing to start one with.
    Nothing,
}

pub(crate) struct Flights<V> {
    shards: Box<[Shard<V>]>,
}

impl<V> Default for Flights<V> {
    fn default() -> Flights<V> {
        Flights {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl<V> Flights<V> {
    fn shard(&self, key: &EngineKey) -> &Shard<V> {
        &self.shards[(key.hash() >> 40) as usize % SHARDS]
    }

    /// Lets nobody else join the flight of a key.
    pub(crate) fn detach(&self, key: &EngineKey) {
        if Mutant::DetachFlight.is_active() {
            return;
        }
        self.shard(key).lock().remove(key.id_bytes());
    }

    /// Lets nobody else join any flight.
    pub(crate) fn detach_all(&self) {
        for shard in &self.shards {
            shard.lock().clear();
        }
    }

    /// Lets nobody else join the flights of keys that the area covers.
    pub(crate) fn detach_covered(&self, area: &Area) {
        for shard in &self.shards {
            shard.lock().retain(|key, _| !area.covers(key));
        }
    }

    /// Takes a flight off the board, unless another one has taken its place.
    fn remove(&self, key: &EngineKey, flight: &Announcer<V>) {
        let mut shard = self.shard(key).lock();
        let is_this = |other: &Flight<V>| {
            Arc::ptr_eq(&other.announcer, flight) || Mutant::RemoveAny.is_active()
        };
        if shard.get(key.id_bytes()).is_some_and(is_this) {
            shard.remove(key.id_bytes());
        }
    }

    /// Takes a flight off the board if nobody waits for it any more. Callers join under the same
    /// lock, so nobody can slip in between.
    fn remove_abandoned(&self, key: &EngineKey, flight: &Announcer<V>) -> bool {
        let early = flight.told.receiver_count();
        let mut shard = self.shard(key).lock();
        let is_early = Mutant::AbandonUnlocked.is_active();
        let waiting = if is_early {
            early
        } else {
            flight.told.receiver_count()
        };
        if waiting > 0 {
            return false;
        }
        if shard
            .get(key.id_bytes())
            .is_some_and(|other| Arc::ptr_eq(&other.announcer, flight))
        {
            shard.remove(key.id_bytes());
        }
        true
    }
}

/// A load that has not begun: how to start it, and where it leaves its wishes.
pub(crate) struct Load<V> {
    pub(crate) start: Start<V>,
    pub(crate) orders: Arc<Orders>,
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// Joins the flight of the key, or starts one with `load`, and waits for its outcome.
    /// `load` is taken only if it was needed.
    pub(crate) async fn fly(
        self: &Arc<Self>,
        key: &EngineKey,
        load: &mut Option<Load<V>>,
    ) -> Outcome<V> {
        let (mut waiting, _wait, (reads, began)) = match self.board(key, load) {
            Boarding::Aboard(waiting, wait, flight) => (waiting, wait, flight),
            Boarding::Nothing => return Err(Failure::Abandoned),
            Boarding::Cycle => return self.fly_alone(key, load).await,
            Boarding::Reentrant => return Err(Failure::Reentrant),
        };
        let mut outcome = None;
        let heard = waiting.wait_for(|told| {
            outcome = match &told.outcome {
                Some(Ok(landed)) if !landed.stale => Some(Ok(landed.clone())),
                // What is offered may be better than that, while it may be used.
                other => {
                    let offer = told.offer.as_ref();
                    let offered = offer.and_then(|offer| self.accept_offer(offer));
                    offered.map(Ok).or_else(|| other.clone())
                }
            };
            outcome.is_some()
        });
        // An error says that nothing will be told any more.
        let _ = heard.await;
        if let Some(outer) = depend::current() {
            // What is made from it is no younger than it.
            outer.date(began.min(reads.as_of()));
            if let Some(Ok(landed)) = &outcome
                && landed.source == Source::Near
            {
                outer.date(self.copy_as_of(&landed.entry, self.runtime.now()));
            }
        }
        outcome.unwrap_or(Err(Failure::Abandoned))
    }

    /// Loads without a flight, for a load that the flight of this key waits for. Nobody can say
    /// what such a value depends on, so it is not stored.
    async fn fly_alone(
        self: &Arc<Self>,
        key: &EngineKey,
        load: &mut Option<Load<V>>,
    ) -> Outcome<V> {
        match load.take() {
            Some(load) => Box::pin(self.clone().load_alone(key, load)).await,
            None => Err(Failure::Abandoned),
        }
    }

    fn board(self: &Arc<Self>, key: &EngineKey, load: &mut Option<Load<V>>) -> Boarding<V> {
        let outer = depend::current();
        let is_inside = |outer: &Arc<Reads>| depend::is_inside(outer, self.id(), key);
        if outer.as_ref().is_some_and(is_inside) {
            return Boarding::Reentrant;
        }
        let now = self.runtime.now();
        let mut shard = self.flights.shard(key).lock();
        let flight = shard.get(key.id_bytes());
        // Under a lease of the bus, every change that a caller of now must see has detached the
        // flights it had to. Without one (fenced, stopped for a while, no near tier) all that is known
        // is the flight's own age, and that of what it has read.
        let may_join = |flight: &&Flight<V>| {
            let read = match Mutant::OldRead.is_active() {
                true => Mono::MAX,
                false => flight.reads.as_of(),
            };
            let as_of = flight.began.min(read);
            let is_current = self.near.view().is_leased(now)
                || now < as_of.after(LEASE)
                || Mutant::OldFlight.is_active();
            is_current && (!flight.reads.is_void() || Mutant::VoidFlight.is_active())
        };
        if let Some(flight) = flight.filter(may_join) {
            let wait = match outer.map(|outer| depend::wait(&outer, &flight.reads)) {
                Some(None) => return Boarding::Cycle,
                wait => wait.flatten(),
            };
            count(&self.counts.load_shared);
            let aboard = (flight.reads.clone(), flight.began);
            return Boarding::Aboard(flight.announcer.told.subscribe(), wait, aboard);
        }
        let Some(load) = load.take() else {
            return Boarding::Nothing;
        };
        let reads = load.orders.reads();
        let wait = outer.and_then(|outer| depend::lead(&outer, &reads));
        let flight = Arc::new(Announcement::new(None, None));
        let waiting = flight.told.subscribe();
        let aboard = Flight {
            announcer: flight.clone(),
            began: now,
            reads: reads.clone(),
        };
        shard.insert(key.id_bytes().into(), aboard);
        drop(shard);
        self.runtime
            .spawn(self.clone().pilot(key.clone(), load, (flight, None)));
        Boarding::Aboard(waiting, wait, (reads, now))
    }

    /// Starts a flight that refreshes a value, unless the key has one.
    pub(super) fn depart(
        self: &Arc<Self>,
        key: EngineKey,
        load: Load<V>,
        background: Background,
        old: Offer<V>,
    ) {
        let mut shard = self.flights.shard(&key).lock();
        if shard.contains_key(key.id_bytes()) {
            return;
        }
        // It is nobody's load: what it reads is not read by the load in whose scope this may run.
        let offer = Some(old.clone());
        let flight = Arc::new(Announcement::new(Some(background), offer));
        let aboard = Flight {
            announcer: flight.clone(),
            began: self.runtime.now(),
            reads: load.orders.reads(),
        };
        shard.insert(key.id_bytes().into(), aboard);
        drop(shard);
        count(&self.counts.refreshes.begun);
        self.runtime
            .spawn(self.clone().pilot(key, load, (flight, Some(old))));
    }

    /// Sees one flight through, or drops it when nobody waits for it any more, nor the cache.
    fn pilot(
        self: Arc<Self>,
        key: EngineKey,
        load: Load<V>,
        (flight, old): (Announcer<V>, Option<Offer<V>>),
    ) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let engine = self.clone();
            let mut work: BoxFuture<'_, Outcome<V>> = match old {
                None => Box::pin(engine.load(&key, load, &flight)),
                Some(old) => Box::pin(engine.load_again(&key, load, old, &flight)),
            };
            loop {
                let left: BoxFuture<'_, ()> = if flight.is_background() {
                    Box::pin(self.refreshes.end())
                } else {
                    Box::pin(flight.told.closed())
                };
                match select(work, left).await {
                    Either::Left((outcome, _)) => return self.land(&key, &flight, outcome),
                    Either::Right(((), unfinished)) => work = unfinished,
                }
                if flight.is_background() && !self.refreshes.is_over() {
                    // Its last waiter has gone on with what it offered.
                    continue;
                }
                let was_background = flight.stop_background().is_some();
                if self.flights.remove_abandoned(&key, &flight) {
                    let counts = &self.counts;
                    count(if was_background {
                        &counts.refreshes.stopped
                    } else {
                        &counts.load_abandoned
                    });
                    return;
                }
            }
        })
    }

    fn land(&self, key: &EngineKey, flight: &Announcer<V>, outcome: Outcome<V>) {
        if let Some(background) = flight.stop_background() {
            self.refreshed(key, background.old, &outcome);
        }
        // Off the board first: whoever comes now finds the value in its tier, or must load anew.
        self.flights.remove(key, flight);
        let tell = |told: &mut Told<V>| told.outcome = Some(outcome);
        flight.told.send_modify(tell);
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod threads;
