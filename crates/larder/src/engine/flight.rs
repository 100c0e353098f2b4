//! One load per key at a time: the first caller of a key leads, the others follow.
//!
//! The load runs in a task of its own, which lives while anyone waits for it. A change of the
//! key detaches its flight: callers that come later start another, because what the older one
//! reads may be superseded. While nobody vouches that all changes made elsewhere have been heard
//! of, nobody joins a flight that is older than Δ either.
//!
//! A flight that refreshes a value goes on without anybody waiting for it. It offers that value to
//! those who come meanwhile.

mod waiting;

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use futures_util::future::{Either, select};
use larder_core::area::Area;
use larder_core::lane::LEASE;
use larder_core::mutant::Mutant;
use larder_core::runtime::{BoxFuture, Mono};
use larder_core::version::Version;
use tokio::sync::watch;

use super::many::{Seat, Turns};
use super::protect::{Patience, Permit};
use super::{Engine, EngineKey};
use crate::depend::{self, Reads, Wait};
use crate::loaded::{Source, Stale, StaleReason};
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
    pub(crate) stale: Option<Arc<Stale>>,
}

impl<V> Landed<V> {
    pub(super) fn fresh(entry: Arc<Entry<V>>, source: Source) -> Landed<V> {
        let stale = None;
        Landed {
            entry,
            source,
            stale,
        }
    }

    pub(super) fn stale(
        entry: Arc<Entry<V>>,
        source: Source,
        reason: StaleReason,
        failure: Option<Failure>,
    ) -> Landed<V> {
        let stale = Stale {
            source,
            reason,
            failure,
        };
        Landed {
            entry,
            source,
            stale: Some(Arc::new(stale)),
        }
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale.is_some()
    }
}

impl<V> Clone for Landed<V> {
    fn clone(&self) -> Landed<V> {
        Landed {
            entry: self.entry.clone(),
            source: self.source,
            stale: self.stale.clone(),
        }
    }
}

/// A value that a flight offers while it goes on, and where it was found.
pub(super) type Offer<V> = (Arc<Entry<V>>, Source);

/// What a flight tells those who wait for it.
pub(super) struct Told<V> {
    offer: Option<Offer<V>>,
    /// What fail-safe may use; `None` while the remote tier has not said what it has.
    at_hand: Option<Option<Offer<V>>>,
    outcome: Option<Outcome<V>>,
}

/// Why a flight goes on although nobody may wait for it.
pub(super) struct Background {
    _permit: Permit,
    behind: Behind,
}

#[derive(Clone, Copy)]
enum Behind {
    /// It refreshes a value of this version, which was served.
    Refresh(Version),
    /// Those who waited have left, and it may go on until then.
    Left(Mono),
}

impl Background {
    pub(super) fn refresh(permit: Permit, old: Version) -> Background {
        Background {
            _permit: permit,
            behind: Behind::Refresh(old),
        }
    }
}

pub(super) struct Announcement<V> {
    told: watch::Sender<Told<V>>,
    background: Mutex<Option<Background>>,
    /// Of a flight that was begun together with others.
    seat: Option<Seat>,
}

pub(super) type Announcer<V> = Arc<Announcement<V>>;
type Listener<V> = watch::Receiver<Told<V>>;
type Shard<V> = Mutex<HashMap<Box<[u8]>, Flight<V>>>;

impl<V> Announcement<V> {
    fn new(
        background: Option<Background>,
        offer: Option<Offer<V>>,
        seat: Option<Seat>,
    ) -> Announcement<V> {
        let told = Told {
            offer,
            at_hand: None,
            outcome: None,
        };
        Announcement {
            told: watch::Sender::new(told),
            background: Mutex::new(background),
            seat,
        }
    }

    pub(super) fn seat(&self) -> Option<&Seat> {
        self.seat.as_ref()
    }

    /// Those of the flights with which it was begun.
    pub(super) fn turns(&self) -> Turns {
        let turns = self.seat.as_ref().map(|seat| seat.turns.clone());
        turns.unwrap_or_default()
    }

    /// It has to wait: those with whom it was begun do without it.
    pub(super) fn steps_aside(&self) {
        if let Some(seat) = &self.seat
            && !Mutant::WaitForTaken.is_active()
        {
            seat.aside();
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

    pub(super) fn is_refresh(&self) -> bool {
        let background = self.background.lock();
        matches!(&*background, Some(background) if matches!(background.behind, Behind::Refresh(_)))
    }

    /// Until when the flight goes on by itself; `None` if it does not.
    fn goes_on_until(&self) -> Option<Mono> {
        let background = self.background.lock();
        background.as_ref().map(|it| match it.behind {
            Behind::Refresh(_) => Mono::MAX,
            Behind::Left(until) => until,
        })
    }

    /// Says what fail-safe may use. Only those are woken who may want it.
    pub(super) fn has_at_hand(&self, stale: Option<Offer<V>>) {
        self.told.send_if_modified(|told| {
            let is_there = stale.is_some();
            told.at_hand = Some(stale);
            is_there
        });
    }

    /// Whether anybody waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.told.receiver_count() > 0
    }

    /// Returns when nobody waits.
    pub(super) async fn left(&self) {
        self.told.closed().await;
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

/// A caller that waits for a flight.
pub(super) struct Aboard<V> {
    waiting: Listener<V>,
    _wait: Option<Wait>,
    reads: Arc<Reads>,
    /// When the flight began.
    began: Mono,
    flight: Weak<Announcement<V>>,
    /// Whether somebody else has begun it.
    is_follower: bool,
    /// When the caller joined, if nobody vouched then that it has heard of all changes made elsewhere.
    alone_since: Option<Mono>,
}

impl<V> Aboard<V> {
    /// Whether the flight has found something too old for this caller. A store that is a copy itself may
    /// have told it what was known Δ ago: enough for who has begun it, not for all who may join it.
    fn is_too_old(&self, landed: &Landed<V>) -> bool {
        let since = self.alone_since.filter(|_| landed.source == Source::Remote);
        since.is_some_and(|since| since >= landed.entry.proven_until())
            && !Mutant::LandedOld.is_active()
    }
}

/// What became of a caller.
enum Boarding<V> {
    Aboard(Aboard<V>),
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
    /// If it was begun together with others.
    pub(crate) seat: Option<Seat>,
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// Joins the flight of the key, or starts one with `load`, and waits for its outcome.
    /// `load` is taken only if it was needed.
    pub(crate) async fn fly(
        self: &Arc<Self>,
        key: &EngineKey,
        load: &mut Option<Load<V>>,
        patience: Patience,
    ) -> Outcome<V> {
        let (aboard, outcome) = loop {
            let mut aboard = match self.board(key, load) {
                Boarding::Aboard(aboard) => aboard,
                Boarding::Nothing => return Err(Failure::Abandoned),
                Boarding::Cycle => return self.fly_alone(key, load).await,
                Boarding::Reentrant => return Err(Failure::Reentrant),
            };
            let outcome = self.hear_within(key, &mut aboard, &patience).await;
            match &outcome {
                // Nor is it joined again.
                Ok(landed) if aboard.is_too_old(landed) => {
                    if let Some(flight) = aboard.flight.upgrade() {
                        self.flights.remove(key, &flight);
                    }
                }
                _ => break (aboard, outcome),
            }
        };
        if let Some(outer) = depend::current() {
            // What is made from it is no younger than it.
            outer.date(aboard.began.min(aboard.reads.as_of()));
            if let Ok(landed) = &outcome {
                outer.date(self.copy_as_of(&landed.entry, self.runtime.now()));
            }
        }
        outcome
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
        let is_leased = self.near.view().is_leased(now);
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
            let is_current = is_leased || now < as_of.after(LEASE) || Mutant::OldFlight.is_active();
            is_current && (!flight.reads.is_void() || Mutant::VoidFlight.is_active())
        };
        if let Some(flight) = flight.filter(may_join) {
            let wait = match outer.map(|outer| depend::wait(&outer, &flight.reads)) {
                Some(None) => return Boarding::Cycle,
                wait => wait.flatten(),
            };
            count(&self.counts.load_shared);
            let aboard = Aboard {
                waiting: flight.announcer.told.subscribe(),
                _wait: wait,
                reads: flight.reads.clone(),
                began: flight.began,
                flight: Arc::downgrade(&flight.announcer),
                is_follower: true,
                alone_since: (!is_leased).then_some(now),
            };
            drop(shard);
            if let Some(seat) = load.as_ref().and_then(|load| load.seat.as_ref()) {
                seat.aside();
            }
            return Boarding::Aboard(aboard);
        }
        let Some(mut load) = load.take() else {
            return Boarding::Nothing;
        };
        let reads = load.orders.reads();
        let wait = outer.and_then(|outer| depend::lead(&outer, &reads));
        let flight = Arc::new(Announcement::new(None, None, load.seat.take()));
        let aboard = Aboard {
            waiting: flight.told.subscribe(),
            _wait: wait,
            reads: reads.clone(),
            began: now,
            flight: Arc::downgrade(&flight),
            is_follower: false,
            alone_since: None,
        };
        let on_board = Flight {
            announcer: flight.clone(),
            began: now,
            reads,
        };
        shard.insert(key.id_bytes().into(), on_board);
        drop(shard);
        self.runtime
            .spawn(self.clone().pilot(key.clone(), load, (flight, None)));
        Boarding::Aboard(aboard)
    }

    /// Starts a flight that refreshes a value, unless the key has one.
    pub(super) fn depart(
        self: &Arc<Self>,
        key: EngineKey,
        mut load: Load<V>,
        background: Background,
        old: Offer<V>,
    ) {
        let mut shard = self.flights.shard(&key).lock();
        if shard.contains_key(key.id_bytes()) {
            return;
        }
        // It is nobody's load: what it reads is not read by the load in whose scope this may run.
        let offer = Some(old.clone());
        let seat = load.seat.take();
        let flight = Arc::new(Announcement::new(Some(background), offer, seat));
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
                let left: BoxFuture<'_, ()> = match flight.goes_on_until() {
                    Some(until) => Box::pin(self.end_or(until)),
                    None => Box::pin(flight.told.closed()),
                };
                match select(work, left).await {
                    Either::Left((outcome, _)) => return self.land(&key, &flight, outcome),
                    Either::Right(((), unfinished)) => work = unfinished,
                }
                let goes_on = flight.goes_on_until();
                let is_in_time = goes_on.is_some_and(|until| self.runtime.now() < until);
                if is_in_time && !self.refreshes.is_over() {
                    // Its last waiter has gone on with what it offered, or was not to wait longer.
                    continue;
                }
                let was_refresh = flight.is_refresh();
                flight.stop_background();
                if self.flights.remove_abandoned(&key, &flight) {
                    let counts = &self.counts;
                    count(if was_refresh {
                        &counts.refreshes.stopped
                    } else {
                        &counts.load_abandoned
                    });
                    return;
                }
            }
        })
    }

    /// Returns at the end of the cache, or at `until`.
    async fn end_or(&self, until: Mono) {
        let end = Box::pin(self.refreshes.end());
        if until == Mono::MAX {
            return end.await;
        }
        let rest = until.since(self.runtime.now());
        select(end, self.runtime.sleep(rest)).await;
    }

    fn land(&self, key: &EngineKey, flight: &Announcer<V>, outcome: Outcome<V>) {
        match flight.stop_background().map(|background| background.behind) {
            Some(Behind::Refresh(old)) => self.refreshed(key, old, &outcome),
            // An error is nobody's error.
            Some(Behind::Left(_)) if matches!(&outcome, Ok(landed) if !landed.is_stale()) => {
                count(&self.counts.protection.landed_behind);
            }
            Some(Behind::Left(_)) | None => {}
        }
        // Off the board first: whoever comes now finds the value in its tier, or must load anew.
        self.flights.remove(key, flight);
        let tell = |told: &mut Told<V>| told.outcome = Some(outcome);
        flight.told.send_modify(tell);
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod threads;
