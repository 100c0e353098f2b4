//! Waiting for a flight: as long as the caller does, and what becomes of the flight when it leaves.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use larder_core::error::ErrorKind;
use larder_core::runtime::Mono;

use super::{Aboard, Background, Behind, Landed, Listener, Outcome};
use crate::depend;
use crate::engine::protect::Patience;
use crate::engine::{Engine, EngineKey};
use crate::loaded::{Stale, StaleReason};
use crate::loader::Failure;
use crate::observe::count;

impl<V: Send + Sync + 'static> Engine<V> {
    /// Waits for the outcome of a flight as long as the caller does.
    pub(super) async fn hear_within(
        self: &Arc<Self>,
        key: &EngineKey,
        aboard: &mut Aboard<V>,
        patience: &Patience,
    ) -> Outcome<V> {
        let end = patience.end(aboard.is_follower);
        let until = end.map(|(until, _)| until);
        // What a loader makes of a stale value could not be stored.
        let soft = patience
            .soft(aboard.began)
            .filter(|_| !depend::is_loading());
        let first = soft.into_iter().chain(until).min();
        let heard = self.hear(key, &mut aboard.waiting, false);
        if let Some(outcome) = self.before_time(first, heard).await {
            return outcome;
        }
        let is_late = !depend::is_loading();
        let heard = self.hear(key, &mut aboard.waiting, is_late);
        let outcome = match (self.before_time(until, heard).await, end) {
            (Some(outcome), _) => outcome,
            (None, end) => Err(self.timed_out(patience, end.map_or("", |(_, what)| what))),
        };
        let is_late = |stale: &Arc<Stale>| stale.reason == StaleReason::TimedOut;
        match &outcome {
            Ok(Landed { stale, .. }) if stale.as_ref().is_some_and(is_late) => {
                count(&self.counts.protection.stale_in_time);
                self.leave_behind(aboard);
            }
            Err(Failure::Cache(error)) if error.kind() == ErrorKind::Timeout => {
                self.leave_behind(aboard);
            }
            _ => {}
        }
        outcome
    }

    /// What comes of some work, unless that takes too long. It is looked at once in any case.
    async fn before_time<T>(
        &self,
        until: Option<Mono>,
        work: impl Future<Output = T> + Send,
    ) -> Option<T> {
        let Some(until) = until else {
            return Some(work.await);
        };
        let now = self.runtime.now();
        if now >= until {
            return work.now_or_never();
        }
        match select(Box::pin(work), self.runtime.sleep(until.since(now))).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }

    /// Waits for the outcome of a flight, for what it offers meanwhile, and, once the caller has waited
    /// long enough, for a stale value.
    async fn hear(&self, key: &EngineKey, waiting: &mut Listener<V>, is_late: bool) -> Outcome<V> {
        let mut outcome = None;
        let heard = waiting.wait_for(|told| {
            outcome = match &told.outcome {
                Some(Ok(landed)) if !landed.is_stale() => Some(Ok(landed.clone())),
                // What is offered may be better than that, while it may be used.
                other => {
                    let offer = told.offer.as_ref();
                    let offered = offer.and_then(|offer| self.accept_offer(offer));
                    offered.map(Ok).or_else(|| other.clone())
                }
            };
            if outcome.is_none() && is_late {
                outcome = self.late(key, told.at_hand.as_ref()).map(Ok);
            }
            outcome.is_some()
        });
        // An error says that nothing will be told any more.
        let _ = heard.await;
        outcome.unwrap_or(Err(Failure::Abandoned))
    }

    /// The caller leaves, and its flight goes on; or not, if there are too many.
    fn leave_behind(&self, aboard: &Aboard<V>) {
        let Some(flight) = aboard.flight.upgrade() else {
            return;
        };
        let mut background = flight.background.lock();
        // A load inside of another one is over with it.
        if background.is_some() || aboard.reads.is_inside() {
            return;
        }
        let counts = &self.counts.protection;
        let Some((_permit, until)) = self.protection.permit(self.runtime.now()) else {
            count(&counts.behind_limited);
            return;
        };
        count(&counts.left_behind);
        let behind = Behind::Left(until);
        *background = Some(Background { _permit, behind });
    }
}
