//! The locks of the store that counts what it is asked, and can be made to fail or to wait.

use std::time::Duration;

use bytes::Bytes;
use larder::core::lock::{Acquired, Fenced, FencingToken, Locks, Owner, Releases};
use larder::core::store::{Batch, Pending};
use larder::embedded::Embedded;

use super::probe::{Op, Probe};

impl Locks for Probe {
    fn acquire<'a>(
        &'a self,
        name: &'a Bytes,
        owner: Owner,
        ttl: Duration,
        seen: FencingToken,
    ) -> Pending<'a, Acquired> {
        let acquire = move || Locks::acquire(&self.inner, name, owner, ttl, seen);
        Pending::waiting(self.call(Op::Acquire, acquire))
    }

    fn prolong<'a>(&'a self, name: &'a Bytes, owner: Owner, ttl: Duration) -> Pending<'a, bool> {
        let prolong = move || Locks::prolong(&self.inner, name, owner, ttl);
        Pending::waiting(self.call(Op::Prolong, prolong))
    }

    fn release<'a>(&'a self, name: &'a Bytes, owner: Owner) -> Pending<'a, bool> {
        let release = move || <Embedded as Locks>::release(&self.inner, name, owner);
        Pending::waiting(self.call(Op::Unlock, release))
    }

    fn commit_fenced<'a>(
        &'a self,
        key: &'a Bytes,
        token: FencingToken,
        batch: Batch,
    ) -> Pending<'a, Fenced> {
        let commit = move || Locks::commit_fenced(&self.inner, key, token, batch);
        Pending::waiting(self.call(Op::Fenced, commit))
    }

    fn releases(&self) -> Pending<'_, Box<dyn Releases>> {
        Pending::waiting(self.call(Op::Releases, || Locks::releases(&self.inner)))
    }
}
