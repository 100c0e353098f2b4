//! Saying what has happened: to subscribers of events, to counters, and to whoever reads the log of
//! the process.

use std::fmt;

use ::bytes::Bytes;
use larder_core::bus::{BusRecord, ChangeKind};
use larder_core::lane::Position;
use larder_core::space::system_key;
use larder_core::version::Version;

use super::{Engine, EngineKey};
use crate::events::{Changed, Event, EventCause, Target};

/// Changes that were just acknowledged, by cause. Keys are nobody's business.
struct Sent<'a>(&'a [EventCause]);

impl fmt::Display for Sent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for cause in EventCause::ALL {
            let number = self.0.iter().filter(|other| **other == cause).count();
            if number > 0 {
                write!(f, "{between}{number} {}", cause.as_str())?;
                between = ", ";
            }
        }
        Ok(())
    }
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// Counts changes that this cache has made, and says so: those that take something away at
    /// `info`, mere inserts at `debug`.
    pub(super) fn sent(&self, causes: &[EventCause], position: Option<Position>) {
        causes
            .iter()
            .for_each(|cause| self.counts.bus.sent.add(*cause));
        let (cache, seq) = (self.name.as_str(), position.map(|at| at.seq));
        let changes = Sent(causes);
        if causes.iter().all(|cause| *cause == EventCause::Inserted) {
            tracing::debug!(cache, seq, %changes, "sent");
        } else {
            tracing::info!(cache, seq, %changes, "sent");
        }
    }

    /// Tells of a record of the log.
    pub(crate) fn tell_record(&self, record: &BusRecord) {
        for change in &record.changes {
            let Some(target) = self.target(change.kind, &change.key) else {
                continue;
            };
            let cause = EventCause::of(change.kind);
            self.counts.bus.heard.add(cause);
            if self.coherence.hub.is_heard() {
                self.coherence.hub.tell(Event::Changed(Changed {
                    target,
                    cause,
                    origin: record.origin,
                    version: change.version,
                    position: Some(record.position),
                }));
            }
        }
    }

    /// What a change is about; `None` if it is no business of this cache.
    fn target(&self, kind: ChangeKind, key: &Bytes) -> Option<Target> {
        match kind {
            ChangeKind::Replaced | ChangeKind::Removed | ChangeKind::Expired => {
                let key = key.strip_prefix(&*self.prefix)?;
                Some(Target::Key(Bytes::copy_from_slice(key)))
            }
            ChangeKind::TagBumped => {
                let is_ours = key.starts_with(&self.tag_prefix()[..]);
                is_ours.then(|| self.tag_target(key))
            }
            ChangeKind::Cleared => {
                let is_ours = self.prefix.starts_with(key) || key.starts_with(&self.prefix);
                is_ours.then_some(Target::All)
            }
        }
    }

    /// What the stored keys of this cache's tags begin with.
    fn tag_prefix(&self) -> Bytes {
        system_key(&format!("tag:{}\0", self.name))
    }

    /// The target of an invalidation of a tag of this cache.
    pub(super) fn tag_target(&self, stored: &Bytes) -> Target {
        let name = &stored[self.tag_prefix().len()..];
        Target::Tag(String::from_utf8_lossy(name).into_owned())
    }

    /// Tells of a change of this cache, where no log does.
    pub(super) fn tell_own(
        &self,
        cause: EventCause,
        version: Version,
        target: impl FnOnce() -> Target,
    ) {
        let store = self.remote.as_ref();
        let has_log = store.is_some_and(|store| store.describe().bus.is_some());
        if !has_log && self.coherence.hub.is_heard() {
            self.coherence.hub.tell(Event::Changed(Changed {
                target: target(),
                cause,
                origin: self.coherence.node.number,
                version,
                position: None,
            }));
        }
    }

    /// The target of a change of one key.
    pub(super) fn key_target(key: &EngineKey) -> Target {
        Target::Key(Bytes::copy_from_slice(key.near().bytes))
    }
}
