//! Who waits for locks in this process, and the task that hears which locks were given back.
//!
//! The task runs while somebody waits. What it does not hear (its connection is broken, or not open
//! yet) is found by those who wait, who look by themselves.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ::bytes::Bytes;
use futures_util::future::{Either, select};
use larder_core::lock::Releases;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Place;

/// How often the task looks whether anybody still waits, and how long it pauses before it opens a feed
/// that was lost.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Waiting(Mutex<Waiters>);

#[derive(Default)]
struct Waiters {
    /// By the name of the lock; each with as many clones as there are waiters.
    by_name: HashMap<Bytes, Arc<Notify>>,
    is_heard: bool,
}

/// One who waits for a lock.
pub(super) struct Waiter<'a> {
    waiting: &'a Waiting,
    name: Bytes,
    told: Arc<Notify>,
}

impl Waiting {
    /// Notes who may have to wait, before it looks for the first time: no word is lost in between.
    pub(super) fn enter(&self, name: &Bytes) -> Waiter<'_> {
        let mut waiters = self.0.lock();
        let told = waiters.by_name.entry(name.clone()).or_default().clone();
        Waiter {
            waiting: self,
            name: name.clone(),
            told,
        }
    }

    /// Wakes one of those who wait for this lock: one can have it.
    fn tell(&self, name: &[u8]) {
        if let Some(told) = self.0.lock().by_name.get(name) {
            told.notify_one();
        }
    }

    /// Whether the caller is to hear for all from now on.
    fn begin(&self) -> bool {
        let mut waiters = self.0.lock();
        !std::mem::replace(&mut waiters.is_heard, true)
    }

    /// Whether the task has nobody left to hear for, and ends.
    fn end_if_idle(&self) -> bool {
        let mut waiters = self.0.lock();
        if waiters.by_name.is_empty() {
            waiters.is_heard = false;
        }
        !waiters.is_heard
    }
}

impl Waiter<'_> {
    /// Done when the lock was given back, as far as is heard.
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiters = self.waiting.0.lock();
        // The map's, and this one.
        if Arc::strong_count(&self.told) <= 2 {
            waiters.by_name.remove(&self.name);
        } else {
            // A word that came for who goes is for the next one.
            self.told.notify_one();
        }
    }
}

impl Place {
    /// Sees to it that releases are heard of while anybody waits.
    pub(super) fn listen(self: Arc<Self>) {
        if self.waiting.begin() {
            let runtime = self.runtime.clone();
            runtime.spawn(Box::pin(hear(Arc::downgrade(&self))));
        }
    }
}

async fn hear(place: Weak<Place>) {
    while let Some(here) = place.upgrade() {
        if here.waiting.end_if_idle() {
            return;
        }
        let opened = match here.locks() {
            Ok(locks) => locks.releases().await.ok(),
            Err(_) => None,
        };
        match opened {
            Some(releases) => hear_from(&here, releases).await,
            None => here.runtime.sleep(LOOK).await,
        }
    }
}

/// Passes on what is told until nothing more comes, or nobody waits.
async fn hear_from(place: &Place, mut releases: Box<dyn Releases>) {
    let waiting = &place.waiting;
    loop {
        let next = releases.next();
        match select(next, place.runtime.sleep(LOOK)).await {
            Either::Left((Some(name), _)) => waiting.tell(&name),
            Either::Left((None, _)) => return place.runtime.sleep(LOOK).await,
            Either::Right(_) if waiting.0.lock().by_name.is_empty() => return,
            Either::Right(_) => {}
        }
    }
}
