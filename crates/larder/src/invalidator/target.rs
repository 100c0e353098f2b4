//! A cache whose types are forgotten: what can be invalidated in it by name.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::bytes::Bytes;
use futures_util::future::{join_all, join3};
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
    clear: bool,
}

impl Sweep {
    /// Adds something. What is there already is invalidated once.
    pub(crate) fn add(&mut self, what: What) {
        match what {
            What::Key(key) => drop(self.keys.insert(key)),
            What::Tag(tag) => drop(self.tags.insert(tag)),
            What::Clear => self.clear = true,
        }
    }
}

/// What became of a [`Sweep`], kind by kind.
#[derive(Debug)]
pub(crate) struct Swept {
    /// How many of the keys had a value.
    pub(crate) keys: Result<usize>,
    tags: Result<()>,
    clear: Result<()>,
}

impl Swept {
    /// What became of one thing.
    pub(crate) fn outcome(&self, what: &What) -> Result<()> {
        match what {
            What::Key(_) => self.keys.clone().map(drop),
            What::Tag(_) => self.tags.clone(),
            What::Clear => self.clear.clone(),
        }
    }
}

/// A cache to those who know its name only.
pub(crate) trait Target: Send + Sync {
    /// Its name.
    fn name(&self) -> &str;

    /// Invalidates; the kinds side by side, and each of them in one round trip or few. What was sent
    /// is seen through.
    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Swept>;
}

impl<V: Send + Sync + 'static> Target for Arc<Engine<V>> {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Swept> {
        Box::pin(async move {
            let keys = invalidate_keys(self, sweep.keys);
            let tags = invalidate_tags(self, sweep.tags);
            let clear = async {
                match sweep.clear {
                    true => self.void(Area::ALL).await,
                    false => Ok(()),
                }
            };
            let (keys, tags, clear) = join3(keys, tags, clear).await;
            Swept { keys, tags, clear }
        })
    }
}

async fn invalidate_keys<V: Send + Sync + 'static>(
    engine: &Arc<Engine<V>>,
    keys: BTreeSet<Bytes>,
) -> Result<usize> {
    let mut changes = Vec::with_capacity(keys.len());
    for key in keys {
        match engine.key(&RawKey(key)) {
            Ok(key) => changes.push((key, Change::Invalidate)),
            // Behind the name of this cache it is longer than any key that could be stored.
            Err(error) if error.kind() == ErrorKind::TooLarge => {}
            Err(error) => return Err(error),
        }
    }
    let existed = engine.change(changes).await?;
    Ok(existed.into_iter().filter(|existed| *existed).count())
}

async fn invalidate_tags<V: Send + Sync + 'static>(
    engine: &Arc<Engine<V>>,
    tags: BTreeSet<String>,
) -> Result<()> {
    let tags: Vec<String> = tags.into_iter().collect();
    let parts = tags
        .chunks(MAX_TAGS)
        .map(|tags| engine.invalidate_tags(tags));
    // All are tried, whatever becomes of the first.
    join_all(parts).await.into_iter().collect()
}
