//! Locks of the embedded store, and the memory of the tokens that were seen for keys.
//!
//! Locks are beside the records: no limit of bytes makes one go. How tokens are given and refused is
//! what `lock.lua` does on a server; nothing here is lost while the process lives.

use std::collections::HashMap;
use std::mem;
use std::time::Duration;

use bytes::Bytes;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lock::{Acquired, FENCES, Fenced, FencingToken, Locks, MAX_TTL, Owner, Releases};
use larder_core::runtime::{BoxFuture, Timestamp};
use larder_core::store::{Batch, Committed, Pending};
use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::{Embedded, Inner};

/// Locks that are held at once, at most. Whoever asks for one more is refused.
const MOST: usize = 1 << 20;
/// Names of locks given back that wait for a slow listener; it misses the rest, and looks by itself.
const TOLD: usize = 1024;

pub(super) struct LockTable {
    held: Mutex<Held>,
    fences: Mutex<Fences>,
    told: broadcast::Sender<Bytes>,
}

#[derive(Default)]
struct Held {
    locks: HashMap<Bytes, Lock>,
    last: FencingToken,
}

struct Lock {
    owner: Owner,
    token: FencingToken,
    until: Timestamp,
}

/// The greatest token of each key, in two halves: when the young one is full, the old one is dropped.
#[derive(Default)]
struct Fences {
    young: HashMap<Bytes, FencingToken>,
    old: HashMap<Bytes, FencingToken>,
    /// Everything below is refused: it may have been dropped.
    floor: FencingToken,
    /// The greatest token given when the young half was begun.
    top: FencingToken,
}

impl LockTable {
    /// Of a store that is made at `now_us`: tokens of one before it are refused.
    pub(super) fn new(now_us: u64) -> LockTable {
        let begun = FencingToken::from_number(now_us);
        LockTable {
            held: Mutex::new(Held {
                last: begun,
                ..Held::default()
            }),
            fences: Mutex::new(Fences {
                floor: begun,
                ..Fences::default()
            }),
            told: broadcast::Sender::new(TOLD),
        }
    }
}

impl Held {
    fn acquire(
        &mut self,
        name: &Bytes,
        (owner, seen): (Owner, FencingToken),
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Acquired> {
        let until = now.after(ttl);
        match self.locks.get_mut(name) {
            Some(lock) if now < lock.until && lock.owner != owner => {
                return Ok(Acquired::Taken(lock.until.since(now)));
            }
            Some(lock) if now < lock.until => {
                lock.until = until;
                return Ok(Acquired::Held(lock.token));
            }
            Some(_) => {}
            None => self.make_room(now)?,
        }
        let token = FencingToken::next(now.0.saturating_mul(1_000), self.last, seen);
        self.last = token;
        let lock = Lock {
            owner,
            token,
            until,
        };
        self.locks.insert(name.clone(), lock);
        Ok(Acquired::Held(token))
    }

    fn make_room(&mut self, now: Timestamp) -> Result<()> {
        if self.locks.len() >= MOST {
            self.locks.retain(|_, lock| now < lock.until);
        }
        if self.locks.len() >= MOST {
            let message = format!("there are {MOST} locks in this process");
            return Err(Error::new(ErrorKind::Overloaded, message));
        }
        Ok(())
    }

    fn of(&mut self, name: &Bytes, owner: Owner, now: Timestamp) -> Option<&mut Lock> {
        let lock = self.locks.get_mut(name)?;
        (lock.owner == owner && now < lock.until).then_some(lock)
    }
}

impl Fences {
    /// Remembers that a token was seen for a key, unless a greater one was.
    fn pass(&mut self, key: &Bytes, token: FencingToken, last: FencingToken) -> bool {
        let seen = self.young.get(key).or_else(|| self.old.get(key));
        let seen = seen.copied().unwrap_or_default();
        if token < self.floor || token > last || token < seen {
            return false;
        }
        if self.young.len() >= FENCES {
            self.floor = self.floor.max(self.top);
            self.top = last;
            self.old = mem::take(&mut self.young);
            if token < self.floor {
                return false;
            }
        }
        self.young.insert(key.clone(), token);
        true
    }
}

impl LockTable {
    /// Releases the memory of locks that are over.
    pub(super) fn sweep(&self, now: Timestamp) {
        let mut held = self.held.lock();
        held.locks.retain(|_, lock| now < lock.until);
        if held.locks.capacity() > 4 * held.locks.len().max(64) {
            held.locks.shrink_to_fit();
        }
    }
}

impl Inner {
    fn commit_fenced(&self, key: &Bytes, token: FencingToken, batch: Batch) -> Result<Fenced> {
        if !batch.checks.is_empty() {
            let message = "a batch with a token is without checks";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.check_room(&batch)?;
        let last = self.locks.held.lock().last;
        // Held while the batch takes place: of two tokens the older one is written first, or never.
        let mut fences = self.locks.fences.lock();
        if !fences.pass(key, token, last) {
            return Ok(Fenced::Refused);
        }
        match self.commit(batch) {
            Committed::Done(outcomes) => Ok(Fenced::Done(outcomes)),
            Committed::Refused(_) => unreachable!("a batch without checks is never refused"),
        }
    }
}

struct Told(broadcast::Receiver<Bytes>);

impl Releases for Told {
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(async {
            loop {
                match self.0.recv().await {
                    Ok(name) => return Some(name),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        })
    }
}

impl Locks for Embedded {
    fn acquire<'a>(
        &'a self,
        name: &'a Bytes,
        owner: Owner,
        ttl: Duration,
        seen: FencingToken,
    ) -> Pending<'a, Acquired> {
        if ttl.is_zero() || ttl > MAX_TTL {
            let message = format!("a lock lasts up to {MAX_TTL:?}, and not {ttl:?}");
            return Pending::ready(Err(Error::new(ErrorKind::Invalid, message)));
        }
        let mut held = self.inner.locks.held.lock();
        Pending::ready(held.acquire(name, (owner, seen), ttl, self.inner.now()))
    }

    fn prolong<'a>(&'a self, name: &'a Bytes, owner: Owner, ttl: Duration) -> Pending<'a, bool> {
        let mut held = self.inner.locks.held.lock();
        let now = self.inner.now();
        let lock = held.of(name, owner, now);
        Pending::ready(Ok(lock.map(|lock| lock.until = now.after(ttl)).is_some()))
    }

    fn release<'a>(&'a self, name: &'a Bytes, owner: Owner) -> Pending<'a, bool> {
        let mut held = self.inner.locks.held.lock();
        let is_held = held.of(name, owner, self.inner.now()).is_some();
        if is_held {
            held.locks.remove(name);
            drop(held);
            // Nobody may be listening.
            let _ = self.inner.locks.told.send(name.clone());
        }
        Pending::ready(Ok(is_held))
    }

    fn commit_fenced<'a>(
        &'a self,
        key: &'a Bytes,
        token: FencingToken,
        batch: Batch,
    ) -> Pending<'a, Fenced> {
        Pending::ready(self.inner.commit_fenced(key, token, batch))
    }

    fn releases(&self) -> Pending<'_, Box<dyn Releases>> {
        Pending::ready(Ok(Box::new(Told(self.inner.locks.told.subscribe()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: u64) -> FencingToken {
        FencingToken::from_number(number)
    }

    #[test]
    fn what_is_forgotten_is_refused() {
        let mut fences = Fences::default();
        let last = token(10_000_000);
        let key = |at: usize| Bytes::from(format!("k{at}"));
        assert!(fences.pass(&key(0), token(7), last));
        // The half of that key is full, and another one after it.
        for at in 1..=2 * FENCES {
            assert!(fences.pass(&key(at), last, last), "{at}");
        }
        assert!(fences.young.len() + fences.old.len() <= 2 * FENCES);
        assert!(!fences.pass(&key(0), token(6), last));
        assert!(!fences.pass(&key(0), token(9_999_999), last));
        assert!(fences.pass(&key(0), last, last));
    }
}
