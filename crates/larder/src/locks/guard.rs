//! A lock that is held: relied on by the local clock, renewed, lost, given back.
//!
//! A lock that was lost once is lost for good, even if the store would still prolong it: whoever has
//! looked meanwhile may have acted on it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::bytes::Bytes;
use futures_util::future::{Either, select};
use larder_core::error::Result;
use larder_core::lock::{FencingToken, Owner, relied_until, renewed_after};
use larder_core::runtime::Mono;
use tokio::sync::{Notify, oneshot};

use super::Place;
use super::request::check_ttl;
use crate::observe::count;
use crate::options::IntoDuration;

/// Between two tries of a renewal whose answer did not come, as a part of the ttl.
const SOON: u32 = 10;

/// A lock that is held until it is dropped, given back or lost.
///
/// Dropping it gives the lock back in the background, and nobody hears whether that worked: if not,
/// the lock ends with its ttl. [`release`](LockGuard::release) waits for it.
#[must_use = "a lock that is dropped is given back at once"]
pub struct LockGuard {
    held: Arc<Held>,
}

/// What the guard and its renewal share.
pub(super) struct Held {
    place: Arc<Place>,
    name: Bytes,
    owner: Owner,
    token: FencingToken,
    ttl: Duration,
    /// Until when the holder may rely on it, as [`Mono`]; 0 once it is lost or given back.
    until: AtomicU64,
    /// Whether the guard is gone, so that there is nobody to lose anything.
    is_over: AtomicBool,
    changed: Notify,
}

impl LockGuard {
    /// The number of this lock: greater than that of every lock that the same store gave before it.
    /// A resource that remembers the greatest one it has seen, and refuses smaller ones, is safe from
    /// holders that come late. [`Cache::insert_fenced`](crate::Cache::insert_fenced) is one.
    #[doc(alias = "fence")]
    pub fn token(&self) -> FencingToken {
        self.held.token
    }

    /// Whether the lock is held for sure, by the clock of this machine: a tenth of the ttl before it
    /// ends in the store, this is `false`. Once `false`, it stays so. No round trip.
    ///
    /// What is done after asking may still come too late; only the token helps against that.
    pub fn is_held(&self) -> bool {
        self.held.is_held()
    }

    /// For how much longer it is held for sure, unless it is renewed.
    pub fn remaining(&self) -> Duration {
        let until = Mono(self.held.until.load(Ordering::Acquire));
        until.since(self.held.place.runtime.precise())
    }

    /// Done once the lock is not held for sure any more. To be waited for beside the work that it
    /// protects: `tokio::select!`.
    pub async fn lost(&self) {
        self.held.gone().await;
    }

    /// Makes the lock last its ttl from now. `false`: it is lost. One round trip.
    ///
    /// # Errors
    ///
    /// If the store could not be asked: then it ends when it would have, or later.
    #[doc(alias = "extend")]
    pub async fn renew(&self) -> Result<bool> {
        self.held.renew(self.held.ttl).await
    }

    /// The same for another length.
    ///
    /// # Errors
    ///
    /// As well for a ttl outside of 10 ms to a day.
    pub async fn renew_for(&self, ttl: impl IntoDuration) -> Result<bool> {
        let ttl = check_ttl(ttl.into_duration())?;
        self.held.renew(ttl).await
    }

    /// Leaves the lock held, for its ttl and without a guard: whoever is given its owner can renew it
    /// ([`Locks::renew_of`](super::Locks::renew_of)) and give it back
    /// ([`Locks::release_of`](super::Locks::release_of)), from any process. It is not renewed any more
    /// in the background.
    pub fn into_owner(self) -> Owner {
        // Nothing is given back when this is dropped.
        self.held.is_over.store(true, Ordering::Release);
        self.held.lose();
        self.held.owner
    }

    /// Gives the lock back, and tells who waits for it. `false`: it was lost before, and whoever has it
    /// now keeps it. One round trip; done even if this future is dropped.
    ///
    /// # Errors
    ///
    /// If the store could not be asked: then the lock may stand until it ends.
    #[doc(alias = "unlock")]
    pub async fn release(self) -> Result<bool> {
        let (done, released) = oneshot::channel();
        self.held.clone().give_back(Some(done));
        released.await.unwrap_or(Ok(false))
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.held.clone().give_back(None);
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_held = self.is_held();
        let mut shown = f.debug_struct("LockGuard");
        shown.field("token", &self.token().get());
        shown.field("is_held", &is_held).finish_non_exhaustive()
    }
}

impl Held {
    /// The guard of a lock that was given to `owner`, and is renewed for `renewed` in all.
    pub(super) fn guard(
        place: Arc<Place>,
        (name, owner, token): (Bytes, Owner, FencingToken),
        (ttl, until): (Duration, Mono),
        renewed: Option<Duration>,
    ) -> LockGuard {
        place.saw(token);
        count(&place.counts.acquired);
        let held = Arc::new(Held {
            place,
            name,
            owner,
            token,
            ttl,
            until: AtomicU64::new(until.0),
            is_over: AtomicBool::new(false),
            changed: Notify::new(),
        });
        if let Some(most) = renewed {
            let end = held.place.runtime.precise().after(most);
            let runtime = held.place.runtime.clone();
            runtime.spawn(Box::pin(held.clone().keep(end)));
        }
        LockGuard { held }
    }

    fn is_held(&self) -> bool {
        self.place.runtime.precise() < Mono(self.until.load(Ordering::Acquire))
    }

    /// Returns once it is lost or over.
    async fn gone(&self) {
        loop {
            let changed = std::pin::pin!(self.changed.notified());
            let until = Mono(self.until.load(Ordering::Acquire));
            let left = until.since(self.place.runtime.precise());
            if left.is_zero() {
                return;
            }
            select(changed, self.place.runtime.sleep(left)).await;
        }
    }

    /// It is not held any more; gives whether it was until now.
    fn lose(&self) -> bool {
        let was_held = self.until.swap(0, Ordering::AcqRel) != 0;
        self.changed.notify_waiters();
        was_held
    }

    async fn renew(&self, ttl: Duration) -> Result<bool> {
        let sent = self.place.runtime.precise();
        let locks = self.place.locks()?;
        let is_prolonged = locks.prolong(&self.name, self.owner, ttl).await?;
        let until = relied_until(sent, ttl).0;
        // Not if it was lost meanwhile: somebody may have acted on that.
        let kept = is_prolonged && self.is_held() && {
            let prolonged = |old: u64| (old != 0).then_some(until);
            let (at, order) = (&self.until, Ordering::AcqRel);
            at.fetch_update(order, Ordering::Acquire, prolonged).is_ok()
        };
        if kept {
            count(&self.place.counts.renewed);
            self.changed.notify_waiters();
        } else if self.lose() && !self.is_over.load(Ordering::Acquire) {
            count(&self.place.counts.lost);
        }
        Ok(kept)
    }

    /// Renews it until the guard is gone, the lock is lost, or `end`.
    async fn keep(self: Arc<Self>, end: Mono) {
        let runtime = self.place.runtime.clone();
        let mut pause = renewed_after(self.ttl);
        loop {
            let is_gone = std::pin::pin!(self.gone());
            if let Either::Left(_) = select(is_gone, runtime.sleep(pause)).await {
                // Not given back: it has run out.
                if self.lose() && !self.is_over.load(Ordering::Acquire) {
                    count(&self.place.counts.lost);
                }
                return;
            }
            if runtime.precise() >= end {
                return;
            }
            pause = match self.renew(self.ttl).await {
                Ok(true) => renewed_after(self.ttl),
                Ok(false) => return,
                Err(_) => self.ttl / SOON,
            };
        }
    }

    /// Gives the lock back in the background, once; `done` hears what came of it.
    fn give_back(self: Arc<Self>, done: Option<oneshot::Sender<Result<bool>>>) {
        if self.is_over.swap(true, Ordering::AcqRel) {
            return;
        }
        let was_held = self.is_held();
        let was_known_lost = !self.lose();
        let runtime = self.place.runtime.clone();
        runtime.spawn(Box::pin(async move {
            let released = match self.place.locks() {
                Ok(locks) => locks.release(&self.name, self.owner).await,
                Err(error) => Err(error),
            };
            match released {
                Ok(true) => count(&self.place.counts.released),
                Ok(false) if !was_known_lost => count(&self.place.counts.lost),
                Err(_) if !was_held && !was_known_lost => count(&self.place.counts.lost),
                Ok(false) | Err(_) => {}
            }
            if let Some(done) = done {
                // Nobody to tell if the caller is gone.
                let _ = done.send(released);
            }
        }));
    }
}
