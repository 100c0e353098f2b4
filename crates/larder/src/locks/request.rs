//! Asking for a lock, and waiting for it.

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use futures_util::future::select;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lock::{Acquired, MAX_TTL, MIN_TTL, Owner, pause, relied_until};
use larder_core::runtime::Mono;

use super::Place;
use super::guard::{Held, LockGuard};
use crate::observe::count;
use crate::options::IntoDuration;

/// A request for a lock that was not sent yet; from [`Locks::lock`](super::Locks::lock).
#[must_use = "nothing is asked for before it is acquired"]
pub struct LockRequest {
    place: Arc<Place>,
    name: Result<Bytes>,
    ttl: Result<Duration, String>,
    wait: Result<Duration, String>,
    renewed: Option<Result<Duration, String>>,
}

impl LockRequest {
    pub(super) fn new(
        place: Arc<Place>,
        name: Result<Bytes>,
        ttl: Result<Duration, String>,
    ) -> LockRequest {
        LockRequest {
            place,
            name,
            ttl,
            wait: Ok(Duration::ZERO),
            renewed: None,
        }
    }

    /// How long to wait for a lock that somebody else holds. Default: not at all.
    ///
    /// Who waits is told when the lock is given back, and looks by itself in pauses that grow to half
    /// a second. There is no queue: whoever asks first after that has it.
    pub fn wait(mut self, longest: impl IntoDuration) -> LockRequest {
        self.wait = longest.into_duration();
        self
    }

    /// Renews the lock in the background, three times in each ttl, for at most so long in all, until
    /// the guard is dropped or the lock is lost. The ttl is then how soon others have it when this
    /// process dies; the bound is how long a task that hangs can keep it. Default: not renewed.
    #[doc(alias = "watchdog")]
    pub fn renewed_for(mut self, longest: impl IntoDuration) -> LockRequest {
        self.renewed = Some(longest.into_duration());
        self
    }

    /// The lock. At most as long as was said to [`wait`](LockRequest::wait), and the last round trip.
    ///
    /// If this future is dropped, or fails, and the store has given the lock all the same, it is given
    /// back in the background.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`] if somebody else has it all the time. Those of
    /// [`try_lock`](super::Locks::try_lock); a store that cannot be asked is asked again while there
    /// is time to wait.
    pub async fn acquire(self) -> Result<LockGuard> {
        let waited = self.wait.clone().unwrap_or_default();
        self.try_acquire().await?.ok_or_else(|| {
            let message = format!("somebody else held the lock for all of {waited:?}");
            Error::new(ErrorKind::Timeout, message)
        })
    }

    /// The same, or `None` if somebody else has it all the time.
    ///
    /// # Errors
    ///
    /// Those of [`acquire`](LockRequest::acquire), but for a lock that is taken.
    pub async fn try_acquire(self) -> Result<Option<LockGuard>> {
        let ttl = check_ttl(self.ttl)?;
        let wrong = |message| Error::new(ErrorKind::Invalid, message);
        let wait = self.wait.map_err(wrong)?;
        let renewed = self.renewed.transpose().map_err(wrong)?;
        let runtime = &self.place.runtime;
        let owner = Owner::from_random(runtime.random(), runtime.random());
        let asking = Asking {
            end: runtime.precise().after(wait),
            place: self.place.clone(),
            name: self.name?,
            owner,
            may_hold: false,
        };
        asking.ask(ttl, renewed).await
    }
}

/// A ttl that a lock may have.
pub(super) fn check_ttl(ttl: Result<Duration, String>) -> Result<Duration> {
    let ttl = ttl.map_err(|message| Error::new(ErrorKind::Invalid, message))?;
    if (MIN_TTL..=MAX_TTL).contains(&ttl) {
        return Ok(ttl);
    }
    let message = format!("a lock lasts from {MIN_TTL:?} to {MAX_TTL:?}, and not {ttl:?}");
    Err(Error::new(ErrorKind::Invalid, message))
}

/// One request under way. Dropped while it is open whether the store has given the lock, it gives the
/// lock back.
struct Asking {
    place: Arc<Place>,
    name: Bytes,
    owner: Owner,
    end: Mono,
    may_hold: bool,
}

impl Asking {
    async fn ask(mut self, ttl: Duration, renewed: Option<Duration>) -> Result<Option<LockGuard>> {
        let place = self.place.clone();
        let runtime = &place.runtime;
        let waiter = place.waiting.enter(&self.name);
        let mut looks = 0;
        loop {
            let sent = runtime.precise();
            self.may_hold = true;
            let asked = place.locks()?;
            let asked = asked.acquire(&self.name, self.owner, ttl, place.seen());
            let remaining = match asked.await {
                Ok(Acquired::Held(token)) => {
                    let until = relied_until(sent, ttl);
                    if runtime.precise() < until {
                        self.may_hold = false;
                        let whose = (self.name.clone(), self.owner, token);
                        return Ok(Some(Held::guard(
                            place.clone(),
                            whose,
                            (ttl, until),
                            renewed,
                        )));
                    }
                    // The answer came when it was as good as over. The next one may be quicker.
                    place.saw(token);
                    Duration::ZERO
                }
                Ok(Acquired::Taken(remaining)) => {
                    self.may_hold = false;
                    remaining
                }
                Err(error) if self.left().is_zero() || !may_pass(&error) => return Err(error),
                // The same owner asks again, and finds itself if it was heard.
                Err(_) => Duration::MAX,
            };
            if self.left().is_zero() {
                count(&place.counts.taken);
                return Ok(None);
            }
            if looks == 0 {
                count(&place.counts.waited);
                place.clone().listen();
            }
            let pause = pause(looks, remaining, runtime.random()).min(self.left());
            let told = std::pin::pin!(waiter.told());
            select(told, runtime.sleep(pause)).await;
            looks += 1;
        }
    }

    fn left(&self) -> Duration {
        self.end.since(self.place.runtime.precise())
    }
}

/// Whether asking again may help.
fn may_pass(error: &Error) -> bool {
    let kind = error.kind();
    matches!(
        kind,
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Overloaded
    )
}

impl Drop for Asking {
    fn drop(&mut self) {
        if !self.may_hold {
            return;
        }
        let (place, name, owner) = (self.place.clone(), self.name.clone(), self.owner);
        let runtime = place.runtime.clone();
        runtime.spawn(Box::pin(async move {
            if let Ok(locks) = place.locks() {
                // If this fails, it ends by itself.
                let _ = locks.release(&name, owner).await;
            }
        }));
    }
}
