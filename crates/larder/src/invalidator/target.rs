//! A cache whose types are forgotten: what can be invalidated in it by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ::bytes::Bytes;
use futures_util::future::{join, join_all};
use larder_core::area::Area;
use larder_core::error::{ErrorKind, Result};
use larder_core::key::RawKey;
use larder_core::outbox::What;
use larder_core::runtime::BoxFuture;
use larder_core::tag::MAX_TAGS;

use crate::engine::{Change, Engine};

/// What is to be invalidated in one cache.
#[derive(Default, Debug)]
pub(crate) struct Sweep {
    keys: BTreeSet<Bytes>,
    tags: BTreeSet<String>,
    /// What takes a round trip of its own.
    others: BTreeSet<Other>,
}

/// What is invalidated one by one. Every one of them stands for many entries.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Other {
    Prefix(Bytes),
    Pattern(Bytes),
    Dependents(Bytes),
    Clear,
}

impl Sweep {
    /// Adds something. What is there already is invalidated once.
    pub(crate) fn add(&mut self, what: What) {
        match what {
            What::Key(key) => drop(self.keys.insert(key)),
            What::Tag(tag) => drop(self.tags.insert(tag)),
            What::Prefix(prefix) => drop(self.others.insert(Other::Prefix(prefix))),
            What::Pattern(pattern) => drop(self.others.insert(Other::Pattern(pattern))),
            What::Dependents(key) => drop(self.others.insert(Other::Dependents(key))),
            What::Clear => drop(self.others.insert(Other::Clear)),
        }
    }
}

/// What became of a [`Sweep`].
#[derive(Debug)]
pub(crate) struct Swept {
    /// How many of the keys had a value.
    pub(crate) keys: Result<usize>,
    tags: Result<()>,
    others: BTreeMap<Other, Result<()>>,
}

impl Swept {
    /// What became of one thing.
    pub(crate) fn outcome(&self, what: &What) -> Result<()> {
        let other = match what {
            What::Key(_) => return self.keys.clone().map(drop),
            What::Tag(_) => return self.tags.clone(),
            What::Prefix(prefix) => Other::Prefix(prefix.clone()),
            What::Pattern(pattern) => Other::Pattern(pattern.clone()),
            What::Dependents(key) => Other::Dependents(key.clone()),
            What::Clear => Other::Clear,
        };
        self.others[&other].clone()
    }
}

/// A cache to those who know its name only.
pub(crate) trait Target: Send + Sync {
    /// Its name.
    fn name(&self) -> &str;

    /// Invalidates, everything at the same time: all keys in one round trip or few, all tags as well,
    /// and one for each of the others. What was sent is seen through.
    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Swept>;
}

/// How a target does each kind of thing.
pub(crate) trait Hands: Send + Sync {
    /// Invalidates keys, without the name of their cache; tells how many had a value.
    fn keys(&self, keys: BTreeSet<Bytes>) -> BoxFuture<'_, Result<usize>>;

    /// Invalidates no more tags than one entry may have.
    fn tags<'a>(&'a self, tags: &'a [String]) -> BoxFuture<'a, Result<()>>;

    /// Invalidates a part of the cache.
    fn void(&self, area: Area) -> BoxFuture<'_, Result<()>>;

    /// Invalidates what was made from a key, which has no name of a cache.
    fn dependents(&self, key: Bytes) -> BoxFuture<'_, Result<()>>;
}

/// Does everything at the same time.
pub(crate) async fn sweep(hands: &dyn Hands, sweep: Sweep) -> Swept {
    let keys = async {
        match sweep.keys.is_empty() {
            true => Ok(0),
            false => hands.keys(sweep.keys).await,
        }
    };
    let tags: Vec<String> = sweep.tags.into_iter().collect();
    let tags = async {
        // All are tried, whatever becomes of the first.
        let parts = tags.chunks(MAX_TAGS).map(|tags| hands.tags(tags));
        join_all(parts).await.into_iter().collect()
    };
    let others = sweep.others.into_iter().map(|other| async move {
        let done = invalidate_other(hands, &other).await;
        (other, done)
    });
    let ((keys, tags), others) = join(join(keys, tags), join_all(others)).await;
    Swept {
        keys,
        tags,
        others: others.into_iter().collect(),
    }
}

async fn invalidate_other(hands: &dyn Hands, other: &Other) -> Result<()> {
    match other {
        Other::Prefix(prefix) => hands.void(Area::prefix(prefix)?).await,
        Other::Pattern(pattern) => hands.void(Area::pattern(pattern)?).await,
        Other::Clear => hands.void(Area::ALL).await,
        Other::Dependents(key) => hands.dependents(key.clone()).await,
    }
}

impl<V: Send + Sync + 'static> Target for Arc<Engine<V>> {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Swept> {
        Box::pin(self::sweep(self, sweep))
    }
}

impl<V: Send + Sync + 'static> Hands for Arc<Engine<V>> {
    fn keys(&self, keys: BTreeSet<Bytes>) -> BoxFuture<'_, Result<usize>> {
        Box::pin(async move {
            let mut changes = Vec::with_capacity(keys.len());
            for key in keys {
                match self.key(&RawKey(key)) {
                    Ok(key) => changes.push((key, Change::Invalidate)),
                    // Behind the name of this cache it is longer than any key that could be stored.
                    Err(error) if error.kind() == ErrorKind::TooLarge => {}
                    Err(error) => return Err(error),
                }
            }
            let receipt = self.change(changes).await?.settled()?;
            Ok(receipt.existed())
        })
    }

    fn tags<'a>(&'a self, tags: &'a [String]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            check_open(self)?;
            self.invalidate_tags(tags).await?.settled().map(drop)
        })
    }

    fn void(&self, area: Area) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            check_open(self)?;
            Engine::void(self, area).await?.settled().map(drop)
        })
    }

    fn dependents(&self, key: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            match self.key(&RawKey(key)) {
                Ok(key) => self.invalidate_dependents(&key).await?.settled().map(drop),
                // No such key could be stored, and nothing was made from it.
                Err(error) if error.kind() == ErrorKind::TooLarge => Ok(()),
                Err(error) => Err(error),
            }
        })
    }
}

fn check_open<V: Send + Sync + 'static>(engine: &Engine<V>) -> Result<()> {
    engine.key(&0u8).map(drop)
}
