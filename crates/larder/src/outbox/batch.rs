//! Notices of one cache, taken together and carried out together, in a task of their own.

use std::sync::Arc;
use std::time::Duration;

use larder_core::error::{Error, ErrorKind};
use larder_core::mutant::Mutant;
use larder_core::outbox::{Notice, Outbox};
use larder_core::runtime::{Mono, Runtime};
use tokio::sync::mpsc;

use super::counts::{Counts, add};
use super::state::is_passing;
use crate::invalidator::{Sweep, Target};

/// When notices are looked at again that were refused for what they are.
const REFUSED: Duration = Duration::from_secs(1);

/// When notices are looked at again that cannot be read.
const UNREADABLE: Duration = Duration::from_secs(10);

/// Notices of one cache.
pub(super) struct Batch {
    /// The place of the cache among the targets.
    pub(super) cache: usize,
    pub(super) target: Arc<dyn Target>,
    pub(super) notices: Vec<Notice>,
    /// When they were taken.
    pub(super) taken: Mono,
}

/// What became of a batch.
pub(super) struct Ended {
    pub(super) cache: usize,
    /// Carried out, but still in the outbox.
    pub(super) undeleted: Vec<u64>,
    /// Why some were given back, to be tried again soon.
    pub(super) failure: Option<Error>,
    /// Why some were refused for what they are. They are in nobody's way.
    pub(super) refusal: Option<Error>,
}

/// Says what became of a batch when it is dropped, so that no panic leaves a cache busy for ever.
pub(super) struct Notifier {
    ended: Option<Ended>,
    to: mpsc::Sender<Ended>,
}

impl Notifier {
    pub(super) fn new(cache: usize, to: mpsc::Sender<Ended>) -> Notifier {
        let message = "the task that carried out notices came to a sudden end";
        let ended = Ended {
            cache,
            undeleted: Vec::new(),
            failure: Some(Error::new(ErrorKind::Closed, message)),
            refusal: None,
        };
        Notifier {
            ended: Some(ended),
            to,
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            // There is room for one of each cache, and each has one batch at most. An error means
            // that the tail is gone.
            let _ = self.to.try_send(ended);
        }
    }
}

/// Notices by what became of them.
#[derive(Default)]
struct Sorted {
    done: Vec<u64>,
    /// For others, or for us a little later.
    given_back: Vec<u64>,
    refused: Vec<u64>,
    unreadable: Vec<u64>,
    failure: Option<Error>,
    refusal: Option<Error>,
}

impl Batch {
    /// Carries out the notices, deletes those that are done, and gives the others back.
    pub(super) async fn carry_out(
        self,
        outbox: Arc<dyn Outbox>,
        runtime: Arc<dyn Runtime>,
        counts: Arc<Counts>,
        mut notifier: Notifier,
    ) {
        let mut sweep = Sweep::default();
        for what in self.notices.iter().flat_map(|notice| &notice.what) {
            sweep.add(what.clone());
        }
        let swept = self.target.sweep(sweep).await;
        let took = runtime.now().since(self.taken);
        let mut sorted = Sorted::default();
        for notice in &self.notices {
            let Ok(what) = &notice.what else {
                sorted.unreadable.push(notice.id);
                continue;
            };
            let outcome = match Mutant::DoneAnyway.is_active() {
                true => Ok(()),
                false => swept.outcome(what),
            };
            match outcome {
                Ok(()) => {
                    counts.took(notice.age + took);
                    sorted.done.push(notice.id);
                }
                Err(error) if is_passing(&error) => {
                    sorted.given_back.push(notice.id);
                    sorted.failure.get_or_insert(error);
                }
                Err(error) => {
                    sorted.refused.push(notice.id);
                    sorted.refusal.get_or_insert(error);
                }
            }
        }
        add(&counts.carried_out, sorted.done.len());
        add(
            &counts.failed,
            sorted.given_back.len() + sorted.refused.len(),
        );
        add(&counts.unreadable, sorted.unreadable.len());
        let undeleted = sorted.conclude(&*outbox).await;
        notifier.ended = Some(Ended {
            cache: self.cache,
            undeleted,
            failure: sorted.failure,
            refusal: sorted.refusal,
        });
    }
}

impl Sorted {
    /// Tells the outbox; returns what should have been deleted and was not.
    async fn conclude(&mut self, outbox: &dyn Outbox) -> Vec<u64> {
        let lists = [
            (&self.given_back, Duration::ZERO),
            (&self.refused, REFUSED),
            (&self.unreadable, UNREADABLE),
        ];
        for (ids, by) in lists.into_iter().filter(|(ids, _)| !ids.is_empty()) {
            if let Err(error) = outbox.postpone(ids, by).await {
                // Then they are held for as long as they were taken for.
                tracing::debug!(%error, "outbox: notices could not be postponed");
            }
        }
        if self.done.is_empty() {
            return Vec::new();
        }
        match outbox.done(&self.done).await {
            Ok(()) => Vec::new(),
            Err(error) => {
                tracing::debug!(%error, "outbox: notices could not be deleted");
                std::mem::take(&mut self.done)
            }
        }
    }
}
