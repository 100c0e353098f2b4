//! What protects the source, and those who wait for it: limits of waiting, the pause after a load that
//! failed, and the limit of loads.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use larder_core::error::{Error, ErrorKind};
use larder_core::freshness::Freshness;
use larder_core::runtime::{BoxFuture, Mono};
use larder_core::version::Version;

use super::claim::Proof;
use super::flight::{Announcer, Landed, Offer, Outcome};
use super::retries::Retries;
use super::{Engine, EngineKey, Incoming, Kept};
use crate::limit::{Admitted, LoadLimit, Refused};
use crate::loaded::{Source, StaleReason};
use crate::loader::Failure;
use crate::near::{Content, Entry};
use crate::observe::count;
use crate::options::{LoadOptions, TimeoutPolicy};
use crate::sync::atomic::{AtomicUsize, Ordering};

/// One of so many that may be under way.
pub(super) struct Permit(Arc<AtomicUsize>);

impl Permit {
    /// One of at most `limit`, unless all are taken.
    pub(super) fn of(under_way: &Arc<AtomicUsize>, limit: usize) -> Option<Permit> {
        let permit = Permit(under_way.clone());
        (under_way.fetch_add(1, Ordering::Relaxed) < limit).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The settings and the state of one cache.
pub(crate) struct Protection {
    pub(crate) timeouts: TimeoutPolicy,
    /// After a load that failed; zero for none.
    pub(crate) throttle: Duration,
    pub(crate) limit: Option<LoadLimit>,
    failures: Retries,
    behind: Arc<AtomicUsize>,
}

impl Protection {
    pub(crate) fn new(
        timeouts: TimeoutPolicy,
        throttle: Duration,
        limit: Option<LoadLimit>,
    ) -> Protection {
        Protection {
            timeouts,
            throttle,
            limit,
            failures: Retries::new(!throttle.is_zero()),
            behind: Arc::default(),
        }
    }

    /// For an engine that loads nothing.
    pub(crate) fn none() -> Protection {
        let timeouts = TimeoutPolicy {
            soft: None,
            hard: None,
            wait: None,
            behind: 0,
            behind_for: Duration::ZERO,
        };
        Protection::new(timeouts, Duration::ZERO, None)
    }

    /// How long a caller that begins now waits.
    pub(crate) fn patience<V>(&self, options: &LoadOptions<V>, now: Mono) -> Patience {
        Patience {
            soft: options.soft.or(self.timeouts.soft),
            hard: options.hard.or(self.timeouts.hard),
            wait: options.wait.or(self.timeouts.wait),
            since: now,
        }
    }

    /// Loads that go on behind.
    pub(crate) fn behind(&self) -> usize {
        self.behind.load(Ordering::Relaxed)
    }

    /// The right of a load to go on without anybody waiting, and until when.
    pub(super) fn permit(&self, now: Mono) -> Option<(Permit, Mono)> {
        let permit = Permit::of(&self.behind, self.timeouts.behind)?;
        Some((permit, now.after(self.timeouts.behind_for)))
    }

    /// Whether a key may be loaded that has a stale value.
    pub(super) fn may_load(&self, key: &EngineKey, now: Mono) -> bool {
        self.failures.may(key.hash(), now)
    }
}

/// How long one caller waits.
#[derive(Clone, Copy, Default)]
pub(crate) struct Patience {
    soft: Option<Duration>,
    hard: Option<Duration>,
    wait: Option<Duration>,
    since: Mono,
}

impl Patience {
    /// From when on a stale value will do, in a load that began at `began`.
    pub(super) fn soft(&self, began: Mono) -> Option<Mono> {
        self.soft.map(|soft| self.since.min(began).after(soft))
    }

    /// When the caller leaves, and what to tell it.
    pub(super) fn end(&self, is_follower: bool) -> Option<(Mono, &'static str)> {
        let hard = self.hard.map(|hard| (hard, "hard timeout"));
        let wait = self.wait.filter(|_| is_follower);
        let wait = wait.map(|wait| (wait, "limit of waiting for the load of another caller"));
        let first = hard.into_iter().chain(wait).min();
        first.map(|(limit, what)| (self.since.after(limit), what))
    }
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// The error of a caller that has waited long enough.
    pub(super) fn timed_out(&self, patience: &Patience, what: &'static str) -> Failure {
        count(&self.counts.protection.timed_out);
        let waited = self.runtime.now().since(patience.since);
        let message = format!(
            "the load of a key of {} has not ended within {waited:?} ({what}); repeat later",
            self.name
        );
        Failure::Cache(Error::new(ErrorKind::Timeout, message))
    }

    /// What may be given out of that which a flight has found stale, now that its load takes too
    /// long. `None` for `at_hand`: nobody has said yet what the remote tier has.
    pub(super) fn late(
        &self,
        key: &EngineKey,
        at_hand: Option<&Option<Offer<V>>>,
    ) -> Option<Landed<V>> {
        let (entry, source) = match at_hand {
            None | Some(Some((_, Source::Near))) => (self.near_stale(key)?, Source::Near),
            Some(None) => return None,
            Some(Some((entry, source))) => {
                self.near.holds(entry, self.runtime.now())?;
                (entry.clone(), *source)
            }
        };
        if self.is_fresh(&entry) {
            return Some(Landed::fresh(entry, source));
        }
        Some(Landed::stale(entry, source, StaleReason::TimedOut, None))
    }

    fn is_fresh(&self, entry: &Entry<V>) -> bool {
        self.near.usable(entry, self.runtime.now()) == Some(Freshness::Fresh)
    }

    /// A stale value that will do, because a load of its key has failed a moment ago.
    pub(super) fn throttled(&self, key: &EngineKey, stale: Option<&Offer<V>>) -> Option<Landed<V>> {
        let (entry, source) = stale?;
        if self.protection.may_load(key, self.runtime.now()) {
            return None;
        }
        count(&self.counts.protection.throttled);
        let stale = Landed::stale(entry.clone(), *source, StaleReason::Throttled, None);
        Some(stale)
    }

    /// A default value, for the one who gave it.
    pub(crate) fn default_of(&self, key: &EngineKey, value: V, failure: Failure) -> Landed<V> {
        count(&self.counts.protection.defaults);
        let reason = match &failure {
            Failure::Cache(error) if error.kind() == ErrorKind::Timeout => StaleReason::TimedOut,
            Failure::Cache(_) => StaleReason::Overloaded,
            _ => StaleReason::Failed,
        };
        let nothing = Incoming::unkept(Content::Own(value));
        let now = self.runtime.now();
        let entry = self.entry(key, nothing, Kept::unproven(Version::ZERO), (now, now));
        Landed::stale(entry, Source::Default, reason, Some(failure))
    }

    /// What a failed load still has to offer: a stale value, if there is one.
    pub(super) fn fail_safe(
        &self,
        key: &EngineKey,
        stale: Option<Offer<V>>,
        failure: Failure,
        flight: &Announcer<V>,
    ) -> Outcome<V> {
        let reason = match &failure {
            Failure::Cache(_) => StaleReason::Overloaded,
            _ => {
                count(&self.counts.load_failed);
                StaleReason::Failed
            }
        };
        let stale = match stale {
            // Anew: the load took its time, and its waiters may have come late.
            Some((_, Source::Near)) => self.near_stale(key).map(|entry| (entry, Source::Near)),
            other => other,
        };
        let Some((entry, source)) = stale else {
            return Err(failure);
        };
        if reason == StaleReason::Failed {
            let throttle = self.protection.throttle;
            let failures = &self.protection.failures;
            failures.put_off(key.hash(), self.runtime.now(), throttle);
        }
        if !flight.is_refresh() {
            count(&self.counts.stale_served);
        }
        Ok(Landed::stale(entry, source, reason, Some(failure)))
    }

    /// A load of this key has succeeded.
    pub(super) fn succeeded(&self, key: &EngineKey) {
        count(&self.counts.loaded);
        self.protection.failures.allow(key.hash());
    }

    /// Waits for the right to ask the source, renewing the lease meanwhile. A load inside of another
    /// one has that one's right: it would wait for itself. A refresh waits only while somebody waits
    /// for it.
    pub(super) async fn admission(
        &self,
        proof: &Proof,
        is_inside: bool,
        flight: &Announcer<V>,
    ) -> Result<Option<Admitted>, Failure> {
        let Some(limit) = self.protection.limit.as_ref().filter(|_| !is_inside) else {
            return Ok(None);
        };
        if let Some(admitted) = limit.try_admit(self.runtime.now()) {
            return Ok(Some(admitted));
        }
        let waiting = Box::pin(self.holding(proof, limit.admit(&*self.runtime)));
        let left: BoxFuture<'_, ()> = match flight.is_refresh() {
            true => Box::pin(flight.left()),
            false => Box::pin(std::future::pending()),
        };
        let admitted = match select(left, waiting).await {
            Either::Left(((), _)) => {
                count(&self.counts.refreshes.limited);
                return Err(Failure::Abandoned);
            }
            Either::Right((admitted, _)) => admitted,
        };
        admitted
            .map(Some)
            .map_err(|refused| self.overloaded(&refused))
    }

    /// The same for a call of a loader of many keys, whose leases are renewed meanwhile. As a refresh,
    /// of all of them, it does not wait.
    pub(crate) async fn admission_together(
        &self,
        is_inside: bool,
        is_refresh: bool,
    ) -> Result<Option<Admitted>, Failure> {
        let Some(limit) = self.protection.limit.as_ref().filter(|_| !is_inside) else {
            return Ok(None);
        };
        if let Some(admitted) = limit.try_admit(self.runtime.now()) {
            return Ok(Some(admitted));
        }
        if is_refresh {
            count(&self.counts.refreshes.limited);
            return Err(Failure::Abandoned);
        }
        let admitted = limit.admit(&*self.runtime).await;
        admitted
            .map(Some)
            .map_err(|refused| self.overloaded(&refused))
    }

    fn overloaded(&self, refused: &Refused) -> Failure {
        count(&self.counts.protection.overloaded);
        let message = format!(
            "a load of {} was refused: {refused}; repeat later",
            self.name
        );
        Failure::Cache(Error::new(ErrorKind::Overloaded, message))
    }

    /// All of this cache was cleared, or lost with its remote tier: what is asked for from now on must be loaded.
    pub(crate) fn cleared(&self) {
        if let Some(limit) = &self.protection.limit {
            limit.begin_ramp(self.runtime.now());
        }
    }
}
