//! The caches of a program by their names, for those who invalidate without knowing their types:
//! rules ([`crate::Rules`]) and the outbox ([`crate::outbox`]).
//!
//! Nothing here decides anything about coherence. A cache is asked to invalidate as its users ask.

mod delivery;
mod named;
mod target;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::join_all;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::outbox::{Notice, Outbox};

use crate::bytes::ByteCache;
use crate::cache::Cache;
use crate::rules::{self, Plan, Report, Rules};
pub use delivery::Delivery;
use named::Named;
pub(crate) use target::{Hands, Sweep, Swept, Target, sweep};

/// Invalidates by name: events by [rules](Rules), and notices of an [outbox](crate::outbox).
///
/// Cheap to clone; clones are the same. What is invalidated reaches what the caches' own
/// [`invalidate`](Cache::invalidate) reaches: all processes by way of the remote tier, and this
/// process alone for a cache that has none.
#[derive(Clone)]
pub struct Invalidator {
    shared: Arc<Shared>,
}

struct Shared {
    /// In the order of their names.
    targets: Vec<Arc<dyn Target>>,
    plan: Plan,
}

/// Collects the caches and the rules of an [`Invalidator`].
#[derive(Default)]
#[must_use]
pub struct InvalidatorBuilder {
    targets: Vec<Arc<dyn Target>>,
    rules: Rules,
    wrong: Vec<String>,
}

impl InvalidatorBuilder {
    /// Adds a cache. It is known by its name, and stays open for as long as anybody uses it.
    pub fn cache<K, V: Send + Sync + 'static>(mut self, cache: &Cache<K, V>) -> Self {
        self.targets.push(Arc::new(cache.engine().clone()));
        self
    }

    /// Adds a cache of which nothing is known here but its name, and which lies in this store:
    /// somebody else has built it. Names that cannot be one are reported by
    /// [`build`](InvalidatorBuilder::build).
    pub fn named(mut self, store: &ByteCache, cache: &str) -> Self {
        match Named::new(store, cache) {
            Ok(named) => self.targets.push(Arc::new(named)),
            Err(error) => self.wrong.push(error.message().to_owned()),
        }
        self
    }

    /// Adds rules to those that are there.
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = self.rules.and(rules);
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with everything that is wrong: caches of one name, rules for caches
    /// that were not added, templates that cannot be read.
    pub fn build(mut self) -> Result<Invalidator> {
        self.targets.sort_by(|a, b| a.name().cmp(b.name()));
        let names: Vec<&str> = self.targets.iter().map(|target| target.name()).collect();
        let mut wrong = self.wrong;
        let twice = names.windows(2).filter(|pair| pair[0] == pair[1]);
        wrong.extend(
            twice.map(|pair| format!("there are two caches named {:?}; add one of them", pair[0])),
        );
        let plan = rules::compile(&self.rules, &names, &mut wrong);
        if wrong.is_empty() {
            let targets = self.targets;
            return Ok(Invalidator {
                shared: Arc::new(Shared { targets, plan }),
            });
        }
        let message = format!("the invalidator cannot be built: {}", wrong.join("; "));
        Err(Error::new(ErrorKind::Config, message))
    }
}

impl Invalidator {
    /// Begins an invalidator.
    pub fn builder() -> InvalidatorBuilder {
        InvalidatorBuilder::default()
    }

    /// Invalidates what the rules say of an event, whose fields are names and values.
    ///
    /// Every cache is asked at the same time: about one round trip, whatever the number of caches.
    /// It is not one step; readers may see one cache before and another after it. Once this returns,
    /// what [`invalidate`](Cache::invalidate) promises holds for all of them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for an event without rules, and when a field is missing that its rules
    /// name; nothing was invalidated. Others: everything was tried, and the error names what failed.
    /// Repeat the event; invalidating again does no harm.
    ///
    /// # Cancellation
    ///
    /// What was sent is seen through.
    pub async fn event<N, T>(
        &self,
        event: &str,
        fields: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Report>
    where
        N: AsRef<str>,
        T: fmt::Display,
    {
        let fields: BTreeMap<String, String> = fields
            .into_iter()
            .map(|(name, value)| (name.as_ref().to_owned(), value.to_string()))
            .collect();
        let steps = self.shared.plan.steps(event, &fields)?;
        let mut sweeps: BTreeMap<usize, Sweep> = BTreeMap::new();
        for (cache, what) in steps.iter().flat_map(rules::Step::whats) {
            sweeps.entry(cache).or_default().add(what.clone());
        }
        let swept = self.sweep(sweeps).await;
        rules::report(event, steps, &self.shared.targets, &swept)
    }

    /// Carries out notices that a transaction has recorded and committed, and deletes them from its
    /// outbox: what a writer does so that nobody has to find them. One round trip to each remote
    /// tier, and one small transaction of the outbox.
    ///
    /// The change of the source has taken place, so that nothing here is an error: what could not be
    /// done stays in the outbox, for whoever [takes notices](crate::outbox::Tail) from it. Notices of
    /// caches that are not known here stay there as well.
    ///
    /// # Cancellation
    ///
    /// The same.
    pub async fn deliver(&self, outbox: &dyn Outbox, notices: &[Notice]) -> Delivery {
        let mut sweeps: BTreeMap<usize, Sweep> = BTreeMap::new();
        for notice in notices {
            if let (Some(cache), Ok(what)) = (self.position(&notice.cache), &notice.what) {
                sweeps.entry(cache).or_default().add(what.clone());
            }
        }
        let swept = self.sweep(sweeps).await;
        let outcome = |notice: &Notice| {
            let position = self.position(&notice.cache);
            let swept = position.and_then(|cache| swept.get(&cache));
            match (swept, &notice.what) {
                (Some(swept), Ok(what)) => swept.outcome(what),
                (None, _) => Err(unknown(&notice.cache)),
                (_, Err(problem)) => Err(Error::new(ErrorKind::Invalid, problem.clone())),
            }
        };
        delivery::conclude(outbox, notices, outcome).await
    }

    /// Commits a transaction and then [delivers](Invalidator::deliver) what it has recorded.
    ///
    /// ```text
    /// let notices = sqlite::record(&mut transaction, &notices).await?;
    /// invalidator.commit_and_deliver(transaction.commit(), &outbox, &notices).await?;
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the commit, as they are; nothing was invalidated. If it took place in spite of its
    /// error, the notices are in the outbox and will be found.
    ///
    /// # Cancellation
    ///
    /// If the transaction was committed, its notices are in the outbox and will be found.
    pub async fn commit_and_deliver<E>(
        &self,
        commit: impl Future<Output = Result<(), E>>,
        outbox: &dyn Outbox,
        notices: &[Notice],
    ) -> Result<Delivery, E> {
        commit.await?;
        Ok(self.deliver(outbox, notices).await)
    }

    /// The names of the caches, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shared.targets.iter().map(|target| target.name())
    }

    pub(crate) fn targets(&self) -> &[Arc<dyn Target>] {
        &self.shared.targets
    }

    fn position(&self, cache: &str) -> Option<usize> {
        let targets = &self.shared.targets;
        targets
            .binary_search_by(|target| target.name().cmp(cache))
            .ok()
    }

    async fn sweep(&self, sweeps: BTreeMap<usize, Sweep>) -> BTreeMap<usize, Swept> {
        let work = sweeps.into_iter().map(|(cache, sweep)| async move {
            let swept = self.shared.targets[cache].sweep(sweep).await;
            (cache, swept)
        });
        join_all(work).await.into_iter().collect()
    }
}

impl fmt::Debug for Invalidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

fn unknown(cache: &str) -> Error {
    let message = format!("no cache named {cache:?} was added to this invalidator");
    Error::new(ErrorKind::Config, message)
}
