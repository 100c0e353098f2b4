//! Loads of many keys at once: flights that look together, and load together.
//!
//! Every key has a flight of its own, with its own lease, its own callers and its own end. What flights
//! that were begun together share is one look at the remote tier and one call of the loader. Before each
//! of the two they gather: it takes place as soon as all have come who still may. Whoever has to wait
//! for something else, joins another flight, ends, or is dropped, is no longer expected, so that nobody
//! holds the others up.

use std::sync::Arc;

use ::bytes::Bytes;
use larder_core::error::Result;
use larder_core::mutant::Mutant;
use larder_core::store::Store;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::areas::Sight;
use super::flight::Announcer;
use super::read::Fetched;
use super::{Before, Engine, EngineKey};
use crate::sync::Mutex;

/// Leases and fills of one group that are under way at once. The last of thousands would wait in line
/// for all the others, over a slow link for so long that the remote tier were taken for slow.
const UNDER_WAY: usize = 64;

/// Those who are going to do something together.
pub(crate) struct Gathering<T> {
    present: Mutex<Present<T>>,
    /// So many begin without waiting for others.
    most: usize,
    /// Begins what they do. It must not wait.
    begin: Box<dyn Fn(Vec<T>) + Send + Sync>,
}

struct Present<T> {
    come: Vec<T>,
    expected: usize,
}

impl<T> Gathering<T> {
    pub(crate) fn new(
        most: usize,
        begin: impl Fn(Vec<T>) + Send + Sync + 'static,
    ) -> Arc<Gathering<T>> {
        Arc::new(Gathering {
            present: Mutex::new(Present {
                come: Vec::new(),
                expected: 0,
            }),
            most,
            begin: Box::new(begin),
        })
    }

    /// From now on one more is expected.
    pub(crate) fn expect(self: &Arc<Self>) -> Expected<T> {
        self.present.lock().expected += 1;
        Expected(self.clone())
    }

    /// Whether nobody is waited for.
    pub(crate) fn is_over(&self) -> bool {
        self.present.lock().expected == 0
    }

    /// Somebody comes, who need not be expected any more.
    pub(crate) fn come(&self, one: T) {
        self.change(|present| present.come.push(one));
    }

    fn change(&self, change: impl FnOnce(&mut Present<T>)) {
        let mut present = self.present.lock();
        change(&mut present);
        let is_time = present.expected == 0 || present.come.len() >= self.most;
        let begin = if is_time {
            std::mem::take(&mut present.come)
        } else {
            Vec::new()
        };
        drop(present);
        if !begin.is_empty() {
            (self.begin)(begin);
        }
    }
}

/// Somebody who may come; no more once this is dropped.
pub(crate) struct Expected<T>(Arc<Gathering<T>>);

impl<T> Drop for Expected<T> {
    fn drop(&mut self) {
        self.0.change(|present| present.expected -= 1);
    }
}

/// A key whose flight is about to look at the remote tier, and where it hears what is there.
pub(crate) type Looker = (EngineKey, oneshot::Sender<Result<(Before, Sight)>>);

/// The turns that those who load together take at the remote tier.
#[derive(Clone, Default)]
pub(crate) struct Turns(Option<Arc<Semaphore>>);

impl Turns {
    pub(crate) fn new() -> Turns {
        Turns(Some(Arc::new(Semaphore::new(UNDER_WAY))))
    }

    /// Waits for a turn, which ends when this is dropped. Who loads alone needs none.
    pub(super) async fn next(&self) -> Option<OwnedSemaphorePermit> {
        let turns = self.0.clone().filter(|_| !Mutant::AllAtOnce.is_active())?;
        turns.acquire_owned().await.ok()
    }
}

/// What is open to a flight that was begun together with others.
pub(crate) struct Seat {
    look: Mutex<Option<Expected<Looker>>>,
    load: Arc<dyn Boarded>,
    pub(super) turns: Turns,
}

/// What a flight says to those with whom it loads.
pub(crate) trait Boarded: Send + Sync {
    /// It will load later, or not at all: it is not waited for.
    fn aside(&self);

    /// It is about to load; whether as a refresh.
    fn begins(&self, is_refresh: bool);
}

impl Seat {
    pub(crate) fn new(
        look: Option<Expected<Looker>>,
        load: Arc<dyn Boarded>,
        turns: &Turns,
    ) -> Seat {
        Seat {
            look: Mutex::new(look),
            load,
            turns: turns.clone(),
        }
    }

    /// The others are not to wait for this one.
    pub(super) fn aside(&self) {
        drop(self.look.lock().take());
        self.load.aside();
    }

    /// Its loader is started next.
    pub(super) fn begins(&self, is_refresh: bool) {
        drop(self.look.lock().take());
        self.load.begins(is_refresh);
    }
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// One look for all that have gathered. One round trip.
    pub(crate) async fn look_together(&self, mut lookers: Vec<Looker>) {
        // Who does not listen any more has gone away.
        lookers.retain(|(_, told)| !told.is_closed());
        let Some(store) = self.remote.as_ref().filter(|_| !lookers.is_empty()) else {
            return;
        };
        let before: Vec<Before> = lookers.iter().map(|(key, _)| self.before(key)).collect();
        let stored: Vec<Bytes> = lookers.iter().map(|(key, _)| key.stored()).collect();
        match self.look(&**store, &stored).await {
            Ok(seen) => {
                for (((_, told), before), sight) in lookers.into_iter().zip(before).zip(seen) {
                    let _ = told.send(Ok((before, sight)));
                }
            }
            Err(error) => {
                for (_, told) in lookers {
                    let _ = told.send(Err(error.clone()));
                }
            }
        }
    }

    /// Reads a key for its flight, together with those that were begun with it.
    pub(super) async fn fetch_seated(
        &self,
        store: &dyn Store,
        key: &EngineKey,
        flight: &Announcer<V>,
    ) -> Result<Fetched<V>> {
        let expected = flight.seat().and_then(|seat| seat.look.lock().take());
        let Some(expected) = expected else {
            return self.fetch(store, key).await;
        };
        let (tell, told) = oneshot::channel();
        expected.0.come((key.clone(), tell));
        drop(expected);
        match told.await {
            Ok(seen) => {
                let (before, sight) = seen?;
                self.accept(store, key, before, sight).await
            }
            // Nobody looks any more.
            Err(_) => self.fetch(store, key).await,
        }
    }
}
