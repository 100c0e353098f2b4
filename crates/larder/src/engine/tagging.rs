//! Tags in the engine: what a value depends on, and whether that still holds.

use std::sync::Arc;

use ::bytes::Bytes;
use larder_core::admit::Refusal;
use larder_core::backlog::Late;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::mutant::Mutant;
use larder_core::record::{Life, Record};
use larder_core::store::{Batch, Committed, Store, Write};
use larder_core::tag::{Cut, MAX_BONDS, Tags, dependency_key, tag_key};
use larder_core::version::Version;

use super::{Engine, EngineKey};
use crate::backlog::Entry;
use crate::events::EventCause;
use crate::receipt::Receipt;
use crate::tags::{EntryTags, Held};

/// What became of a record's tags.
pub(crate) enum Tagged {
    /// It has none, or all of them hold.
    Valid(Option<Box<EntryTags>>),
    /// One was invalidated since the value was read: it must never be used again.
    Void,
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// The stored keys of tags that a user named.
    pub(crate) fn tags(&self, names: &[String]) -> Result<Tags> {
        let keys: Result<Vec<Bytes>> = names
            .iter()
            .map(|name| tag_key(self.name.as_str(), name))
            .collect();
        Tags::new(keys?)
    }

    /// Where the tag clock of a cache without a remote tier stands.
    pub(super) fn local_cut(&self) -> Cut {
        Cut(self.local_version().0)
    }

    /// Sees to it that the numbers of these cells are known, as of now; gives the greatest. One
    /// round trip, unless all are known and the bus says that they are current.
    pub(super) async fn know(&self, store: &dyn Store, held: &Held) -> Result<Cut> {
        let is_current = self.near.view().is_current(self.runtime.now());
        if is_current && held.are_known() {
            return Ok(Cut::default());
        }
        let Some(there) = store.describe().tags else {
            let message = format!("{} has no tags", store.describe().name);
            return Err(Error::new(ErrorKind::Refused, message));
        };
        let keys: Vec<Bytes> = held.keys().cloned().collect();
        let numbers = there.tags(&keys).await;
        let numbers = numbers.map_err(|error| self.failed(error))?;
        self.tags.learn(held, &numbers);
        Ok(numbers.into_iter().max().unwrap_or_default())
    }

    /// Checks the tags of a record from the remote tier.
    pub(crate) async fn check_tags(&self, store: &dyn Store, record: &Record) -> Result<Tagged> {
        if record.tags.is_empty() {
            return Ok(Tagged::Valid(None));
        }
        let held = self.tags.hold(record.tags.keys());
        let newest = self.know(store, &held).await?;
        let tags = held.with(record.cut);
        Ok(if newest <= record.cut && tags.are_valid() {
            Tagged::Valid(Some(Box::new(tags)))
        } else {
            Tagged::Void
        })
    }

    /// What a value loaded without a remote tier depends on.
    pub(super) fn local_tags(
        &self,
        tags: &Tags,
        cut: Cut,
        more: EntryTags,
    ) -> Result<Option<Box<EntryTags>>, Refusal> {
        if tags.is_empty() && more.len() == 0 {
            return Ok(None);
        }
        let held = self.tags.hold(tags.keys());
        if !held.are_known() {
            self.tags
                .learn(&held, &vec![self.tags.floor(); tags.keys().len()]);
        }
        let mut tags = held.with(cut);
        if !tags.are_valid() {
            return Err(Refusal::TagRaced);
        }
        tags.extend(&more);
        if tags.len() > MAX_BONDS {
            return Err(Refusal::TagsRefused);
        }
        if tags.are_valid() {
            Ok(Some(Box::new(tags)))
        } else {
            Err(Refusal::DependencyRaced)
        }
    }

    /// Invalidates tags: one round trip, whatever the number of entries.
    pub(crate) async fn invalidate_tags(
        self: &std::sync::Arc<Self>,
        names: &[String],
    ) -> Result<Receipt> {
        let tags = self.tags(names)?;
        self.bump(tags).await
    }

    /// Invalidates what depends on a key, and not the key itself.
    pub(crate) async fn invalidate_dependents(
        self: &std::sync::Arc<Self>,
        key: &EngineKey,
    ) -> Result<Receipt> {
        let Some(dependency) = dependency_key(&key.stored()) else {
            // Nothing ever depends on so long a key.
            return Ok(Receipt::default());
        };
        if self.remote.is_none() {
            self.tags.void(&dependency);
            self.flights.detach_all();
            self.tell_tag(&dependency, self.local_version());
            return Ok(Receipt::default());
        }
        self.bump_with(Tags::new([dependency])?, Some(key.clone()))
            .await
    }

    /// Invalidates tags by their stored keys.
    pub(crate) async fn bump(self: &std::sync::Arc<Self>, tags: Tags) -> Result<Receipt> {
        self.bump_with(tags, None).await
    }

    /// The same, and gives the record of a key another version. A load that has read it proves by
    /// its version that nothing has changed since, whatever number its dependency was given: the
    /// number may be new only because nobody had asked for it before.
    async fn bump_with(
        self: &std::sync::Arc<Self>,
        tags: Tags,
        renewed: Option<EngineKey>,
    ) -> Result<Receipt> {
        if tags.is_empty() {
            return Ok(Receipt::default());
        }
        let Some(store) = self.remote.clone() else {
            for tag in tags.keys() {
                let version = self.local_version();
                self.tags.raise_or_insert(tag, version.0);
                self.tell_tag(tag, version);
            }
            self.flights.detach_all();
            return Ok(Receipt::default());
        };
        let engine = self.clone();
        self.detached(async move {
            match engine.bump_now(&store, &tags, renewed.as_ref()).await {
                Err(error) => {
                    let entries = |moment| {
                        let tags = tags.keys().iter().cloned().map(Entry::Tag);
                        let touched = renewed
                            .iter()
                            .map(|key| Entry::Key(key.stored(), Late::Remove, moment));
                        tags.chain(touched).collect()
                    };
                    engine.defer(error, entries).await
                }
                done => done,
            }
        })
        .await
    }

    /// The same while the caller waits for it, and an error if the remote tier is away.
    pub(super) async fn bump_now(
        &self,
        store: &Arc<dyn Store>,
        tags: &Tags,
        renewed: Option<&EngineKey>,
    ) -> Result<Receipt> {
        let bumps = tags.keys().iter().map(|tag| (tag.clone(), Write::Bump));
        let touch = |key: &EngineKey| (key.stored(), Write::Touch(Life::KEEP));
        let touched = renewed.filter(|_| !Mutant::UntoldReaders.is_active());
        let writes = bumps.chain(touched.map(touch)).collect();
        let batch = Batch {
            writes,
            origin: self.coherence.node.number,
            ..Batch::default()
        };
        match store.commit(batch).await {
            Ok(Committed::Done(outcomes)) => {
                let position = outcomes.position;
                let cause = |tag: &Bytes| self.tag_meaning(tag).map(|(cause, _)| cause);
                let causes: Vec<EventCause> = tags.keys().iter().filter_map(cause).collect();
                for (tag, outcome) in tags.keys().iter().zip(&*outcomes) {
                    self.tags.raise(tag, outcome.version.0);
                }
                if let (Some(key), Some(last)) = (renewed, outcomes.last()) {
                    let now = self.runtime.now();
                    let end = || self.near.replaced(key.near(), last.version, now);
                    self.show(key, &key.stored(), end);
                }
                // Which loads under way will name these tags only shows when they end. Their
                // leases see to it that whoever comes now does not load beside them.
                self.flights.detach_all();
                self.sent(&causes, position);
                Ok(self.receipt(Vec::new(), position))
            }
            Ok(Committed::Refused(_)) => unreachable!("a batch without checks is never refused"),
            Err(error) => {
                // It may or may not have taken place: what depends on these tags is void here.
                tags.keys().iter().for_each(|tag| self.tags.void(tag));
                if let Some(key) = renewed {
                    let now = self.runtime.now();
                    self.show(key, &key.stored(), || self.near.forget(key.near(), now));
                }
                self.flights.detach_all();
                Err(self.failed(error))
            }
        }
    }

    /// Tells of the invalidation of a tag, where no log does.
    fn tell_tag(&self, stored: &[u8], version: Version) {
        if let Some((cause, target)) = self.tag_meaning(stored) {
            self.tell_own(cause, version, || target);
        }
    }
}
