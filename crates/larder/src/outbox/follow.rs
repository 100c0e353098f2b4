//! The task that follows an outbox: it takes notices and hands them to batches.
//!
//! It remembers nothing that matters. Whatever is lost with it (a batch, the numbers of notices that
//! could not be deleted) is found again in the outbox, by this process or another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{Either, select};
use larder_core::outbox::{Backlog, Claim, Notice, Outbox, What};
use larder_core::runtime::{BoxFuture, Mono, Runtime};
use tokio::sync::{mpsc, oneshot};

use super::batch::{Batch, Ended, Notifier};
use super::counts::{Counts, add, millis};
use super::state::{CacheState, Pace, Retry};
use super::{HOLD, LIMIT};
use crate::invalidator::{Invalidator, Target};

/// Notices that were carried out and could not be deleted. With more, no more are taken: somebody
/// has to make the outbox writable.
const UNDELETED: usize = 8_192;

/// How often is looked at how much waits.
const SURVEY: Duration = Duration::from_secs(1);

/// Caches and kinds that were warned of. With more, nobody reads the warnings.
const WARNED: usize = 64;

pub(super) struct Follower {
    outbox: Arc<dyn Outbox>,
    targets: Vec<Arc<dyn Target>>,
    runtime: Arc<dyn Runtime>,
    counts: Arc<Counts>,
    /// In the order of the targets.
    caches: Vec<CacheState>,
    undeleted: BTreeSet<u64>,
    pace: Pace,
    /// Of the outbox itself.
    retry: Retry,
    next_survey: Mono,
    warned: BTreeSet<(String, String)>,
    ended: mpsc::Receiver<Ended>,
    to: mpsc::Sender<Ended>,
}

/// Why the follower goes on.
enum Woken {
    Stopped,
    Ended(Ended),
    Due,
}

impl Follower {
    pub(super) fn new(
        outbox: Arc<dyn Outbox>,
        invalidator: &Invalidator,
        runtime: Arc<dyn Runtime>,
        every: Duration,
        counts: Arc<Counts>,
    ) -> Follower {
        let targets = invalidator.targets().to_vec();
        // LIMIT: one batch of each cache.
        let (to, ended) = mpsc::channel(targets.len().max(1));
        Follower {
            outbox,
            runtime,
            counts,
            caches: targets.iter().map(|_| CacheState::default()).collect(),
            targets,
            undeleted: BTreeSet::new(),
            pace: Pace::new(every),
            retry: Retry::default(),
            next_survey: Mono::default(),
            warned: BTreeSet::new(),
            ended,
            to,
        }
    }

    /// Follows until `stopped`, and then until what was taken is carried out.
    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        loop {
            let pause = match select(&mut stopped, Box::pin(self.look())).await {
                Either::Left(_) => break,
                Either::Right((pause, _)) => pause,
            };
            let mut timer = self.runtime.sleep(pause);
            let is_stopped = loop {
                match self.wait(&mut stopped, &mut timer).await {
                    Woken::Stopped => break true,
                    Woken::Due => break false,
                    Woken::Ended(ended) => {
                        if self.take_in(ended) {
                            break false;
                        }
                    }
                }
            };
            if is_stopped {
                break;
            }
        }
        while self.caches.iter().any(|cache| cache.is_busy) {
            match self.ended.recv().await {
                Some(ended) => drop(self.take_in(ended)),
                None => break,
            }
        }
        if !self.undeleted.is_empty() {
            self.delete().await;
        }
    }

    async fn wait(
        &mut self,
        stopped: &mut oneshot::Receiver<()>,
        timer: &mut BoxFuture<'static, ()>,
    ) -> Woken {
        let ended = Box::pin(self.ended.recv());
        match select(stopped, select(ended, timer)).await {
            Either::Left(_) => Woken::Stopped,
            // `None` cannot be: this task holds a sender itself.
            Either::Right((Either::Left((Some(ended), _)), _)) => Woken::Ended(ended),
            Either::Right(_) => Woken::Due,
        }
    }

    /// Asks the outbox; tells when to ask again.
    async fn look(&mut self) -> Duration {
        let now = self.runtime.now();
        if !self.retry.is_due(now) {
            return self.pace.after(1);
        }
        if !self.undeleted.is_empty() {
            self.delete().await;
        }
        if now >= self.next_survey {
            self.next_survey = now.after(SURVEY);
            self.survey().await;
        }
        let targets = self.targets.iter().zip(&self.caches);
        let ready: Vec<&str> = targets
            .filter(|(_, state)| state.is_ready(now))
            .map(|(target, _)| target.name())
            .collect();
        if ready.is_empty() || self.undeleted.len() > UNDELETED {
            return self.pace.after(1);
        }
        let except: Vec<u64> = self.undeleted.iter().copied().collect();
        let claim = Claim {
            caches: &ready,
            except: &except,
            limit: LIMIT,
            hold: HOLD,
        };
        match self.outbox.claim(claim).await {
            Ok(notices) => {
                if self.retry.succeeded() {
                    tracing::info!("outbox: can be read again");
                }
                let found = notices.len();
                self.hand_out(notices);
                match found >= LIMIT {
                    // Other caches may have some too.
                    true => Duration::ZERO,
                    false => self.pace.after(found),
                }
            }
            Err(error) => {
                add(&self.counts.outbox_errors, 1);
                if self.retry.failed(self.runtime.now()) {
                    tracing::warn!(%error, "outbox: cannot be read; trying again");
                }
                self.pace.after(1)
            }
        }
    }

    /// Makes a batch for each cache.
    fn hand_out(&mut self, notices: Vec<Notice>) {
        let is_full = notices.len() >= LIMIT;
        let mut batches: BTreeMap<usize, Vec<Notice>> = BTreeMap::new();
        for notice in notices {
            let place = self
                .targets
                .iter()
                .position(|target| target.name() == notice.cache);
            // Others are not asked for; an outbox that gives them all the same has them back when
            // their hold ends.
            if let Some(cache) = place.filter(|_| !self.undeleted.contains(&notice.id)) {
                if let Err(problem) = &notice.what {
                    self.warn_of_unreadable(&notice, problem);
                }
                batches.entry(cache).or_default().push(notice);
            }
        }
        let taken = self.runtime.now();
        for (cache, notices) in batches {
            self.caches[cache].is_busy = true;
            self.caches[cache].has_more = is_full;
            let batch = Batch {
                cache,
                target: self.targets[cache].clone(),
                notices,
                taken,
            };
            let notifier = Notifier::new(cache, self.to.clone());
            let work = batch.carry_out(
                self.outbox.clone(),
                self.runtime.clone(),
                self.counts.clone(),
                notifier,
            );
            self.runtime.spawn(Box::pin(work));
        }
    }

    /// Notes what became of a batch; tells whether there is more for the same cache.
    fn take_in(&mut self, ended: Ended) -> bool {
        let now = self.runtime.now();
        let cache = self.targets[ended.cache].name().to_owned();
        let state = &mut self.caches[ended.cache];
        state.is_busy = false;
        let has_more = state.has_more && ended.failure.is_none();
        match ended.failure {
            None => {
                if state.retry.succeeded() {
                    tracing::info!(cache, "outbox: notices are carried out again");
                }
            }
            Some(error) => {
                if state.retry.failed(now) {
                    tracing::warn!(cache, %error, "outbox: notices wait; trying again");
                }
            }
        }
        if let Some(error) = ended.refusal
            && self.warns_of(&cache, "refused")
        {
            tracing::warn!(cache, %error, "outbox: notices are refused; trying again");
        }
        self.undeleted.extend(ended.undeleted);
        has_more
    }

    /// Deletes what was carried out before.
    async fn delete(&mut self) {
        let ids: Vec<u64> = self.undeleted.iter().copied().collect();
        match self.outbox.done(&ids).await {
            Ok(()) => self.undeleted.clear(),
            Err(error) => tracing::debug!(%error, "outbox: notices could not be deleted"),
        }
    }

    /// Looks at how much waits.
    async fn survey(&mut self) {
        let Ok(backlog) = self.outbox.backlog().await else {
            // The next claim says the same, and is counted.
            return;
        };
        let (mut waiting, mut oldest, mut not_understood) = (0, Duration::ZERO, 0);
        for group in &backlog {
            if self.understands(group) {
                waiting += group.count;
                oldest = oldest.max(group.oldest);
            } else {
                not_understood += group.count;
                self.warn_of_unknown(group);
            }
        }
        let counts = &self.counts;
        counts.waiting.store(waiting, Ordering::Relaxed);
        counts.oldest_ms.store(millis(oldest), Ordering::Relaxed);
        counts
            .not_understood
            .store(not_understood, Ordering::Relaxed);
    }

    fn understands(&self, group: &Backlog) -> bool {
        let is_known = |target: &Arc<dyn Target>| target.name() == group.cache;
        What::KINDS.contains(&group.kind.as_str()) && self.targets.iter().any(is_known)
    }

    fn warn_of_unknown(&mut self, group: &Backlog) {
        let Backlog { cache, kind, .. } = group;
        if self.warns_of(cache, kind) {
            tracing::warn!(
                cache,
                kind,
                "outbox: notices wait that cannot be carried out here; add their cache to an \
                 invalidator, or update"
            );
        }
    }

    fn warn_of_unreadable(&mut self, notice: &Notice, problem: &str) {
        if self.warns_of(&notice.cache, "unreadable") {
            tracing::warn!(
                cache = notice.cache,
                id = notice.id,
                problem,
                "outbox: a notice cannot be read; delete it once its cache is in order"
            );
        }
    }

    /// Whether this is the first time.
    fn warns_of(&mut self, cache: &str, kind: &str) -> bool {
        self.warned.len() < WARNED && self.warned.insert((cache.to_owned(), kind.to_owned()))
    }
}
