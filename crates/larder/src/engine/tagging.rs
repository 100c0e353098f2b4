//! Tags in the engine: what a value depends on, and whether that still holds.

use ::bytes::Bytes;
use larder_core::admit::Refusal;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::record::Record;
use larder_core::store::{Batch, Committed, Store, Write};
use larder_core::tag::{Cut, Tags, tag_key};

use super::Engine;
use crate::events::EventCause;
use crate::tags::{EntryTags, Held};

/// What became of a record's tags.
pub(super) enum Tagged {
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

    /// The cells of `tags`, with their numbers. One round trip, unless all are known and the bus
    /// says that they are current.
    pub(super) async fn hold(&self, store: &dyn Store, tags: &Tags) -> Result<Held> {
        let held = self.tags.hold(tags);
        let is_current = self.near.view().is_current(self.runtime.now());
        if is_current && held.are_known() {
            return Ok(held);
        }
        let Some(there) = store.describe().tags else {
            let message = format!("{} has no tags", store.describe().name);
            return Err(Error::new(ErrorKind::Refused, message));
        };
        let numbers = there.tags(tags.keys()).await;
        held.learn(&numbers.map_err(|error| self.failed(error))?);
        Ok(held)
    }

    /// Checks the tags of a record from the remote tier.
    pub(super) async fn check_tags(&self, store: &dyn Store, record: &Record) -> Result<Tagged> {
        if record.tags.is_empty() {
            return Ok(Tagged::Valid(None));
        }
        let tags = self.hold(store, &record.tags).await?.with(record.cut);
        Ok(if tags.are_valid() {
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
    ) -> Result<Option<Box<EntryTags>>, Refusal> {
        if tags.is_empty() {
            return Ok(None);
        }
        let held = self.tags.hold(tags);
        if !held.are_known() {
            held.learn(&vec![self.tags.floor(); tags.keys().len()]);
        }
        let tags = held.with(cut);
        if tags.are_valid() {
            Ok(Some(Box::new(tags)))
        } else {
            Err(Refusal::TagRaced)
        }
    }

    /// Invalidates tags: one round trip, whatever the number of entries.
    pub(crate) async fn invalidate_tags(
        self: &std::sync::Arc<Self>,
        names: &[String],
    ) -> Result<()> {
        let tags = self.tags(names)?;
        if tags.is_empty() {
            return Ok(());
        }
        let Some(store) = self.remote.clone() else {
            for tag in tags.keys() {
                let version = self.local_version();
                self.tags.raise_or_insert(tag, version.0);
                self.tell_own(EventCause::Tag, version, || self.tag_target(tag));
            }
            self.flights.detach_all();
            return Ok(());
        };
        let engine = self.clone();
        self.detached(async move {
            let writes = tags
                .keys()
                .iter()
                .map(|tag| (tag.clone(), Write::Bump))
                .collect();
            let batch = Batch {
                writes,
                origin: engine.coherence.node.number,
                ..Batch::default()
            };
            match store.commit(batch).await {
                Ok(Committed::Done(outcomes)) => {
                    engine.sent(&vec![EventCause::Tag; outcomes.len()], outcomes.position);
                    for (tag, outcome) in tags.keys().iter().zip(outcomes) {
                        engine.tags.raise(tag, outcome.version.0);
                    }
                    // Which loads under way will name these tags only shows when they end. Their
                    // leases see to it that whoever comes now does not load beside them.
                    engine.flights.detach_all();
                    Ok(())
                }
                Ok(Committed::Refused(_)) => {
                    unreachable!("a batch without checks is never refused")
                }
                Err(error) => {
                    // It may or may not have taken place: what depends on these tags is void here.
                    tags.keys().iter().for_each(|tag| engine.tags.void(tag));
                    engine.flights.detach_all();
                    Err(engine.failed(error))
                }
            }
        })
        .await
    }
}
