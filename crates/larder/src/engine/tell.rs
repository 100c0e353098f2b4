//! Saying what has happened: to subscribers of events, to counters, and to whoever reads the log of
//! the process.

use std::fmt;

use ::bytes::Bytes;
use larder_core::area::{Area, cache_of};
use larder_core::bus::{BusChange, BusRecord, ChangeKind};
use larder_core::lane::Position;
use larder_core::tag::{depended_on, name_of, tag_prefix};
use larder_core::version::Version;

use super::areas::Reach;
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
        let is_plain = causes.iter().all(|cause| *cause == EventCause::Inserted);
        // A store is changed by commands of others: a line for each of them helps nobody.
        if is_plain || self.reach == Reach::Store {
            tracing::debug!(cache, seq, %changes, "sent");
        } else {
            tracing::info!(cache, seq, %changes, "sent");
        }
    }

    /// Tells of a record of the log.
    pub(crate) fn tell_record(&self, record: &BusRecord) {
        for change in &record.changes {
            // It has the value that it had: only what was made from it is void.
            if change.kind == ChangeKind::Replaced && renews(record, &change.key) {
                continue;
            }
            let Some((cause, target)) = self.meaning(change) else {
                continue;
            };
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

    /// What a change in the log amounts to; `None` if it is no business of this cache.
    fn meaning(&self, change: &BusChange) -> Option<(EventCause, Target)> {
        let cause = match change.kind {
            ChangeKind::Replaced => EventCause::Inserted,
            ChangeKind::Removed => EventCause::Invalidated,
            ChangeKind::Expired => EventCause::Expired,
            ChangeKind::TagBumped => return self.tag_meaning(&change.key),
            ChangeKind::Voided => {
                let (cache, area) = larder_core::bus::voided(&change.key)?;
                let is_ours = cache_of(&cache).is_some_and(|name| self.reaches(name));
                return is_ours.then(|| area_meaning(area));
            }
            ChangeKind::Cleared => {
                let (ours, theirs) = (&self.prefix[..], &change.key[..]);
                let is_ours = ours.starts_with(theirs) || theirs.starts_with(ours);
                return is_ours.then_some((EventCause::Cleared, Target::All));
            }
        };
        let key = change.key.strip_prefix(&*self.prefix)?;
        Some((cause, Target::Key(Bytes::copy_from_slice(key))))
    }

    /// What the invalidation of a tag, or of what depends on a key, amounts to.
    pub(super) fn tag_meaning(&self, stored: &[u8]) -> Option<(EventCause, Target)> {
        if let Some(key) = depended_on(stored) {
            let key = Bytes::copy_from_slice(key.strip_prefix(&*self.prefix)?);
            return Some((EventCause::Invalidated, Target::Dependents(key)));
        }
        let name = match self.reach {
            Reach::Cache => stored.strip_prefix(&tag_prefix(self.name.as_str())[..])?,
            Reach::Store => name_of(stored)?,
        };
        let name = String::from_utf8_lossy(name).into_owned();
        Some((EventCause::Tag, Target::Tag(name)))
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

    /// Tells of the invalidation of an area, where no log does.
    pub(super) fn tell_area(&self, area: &Area) {
        let (cause, target) = area_meaning(area.clone());
        self.tell_own(cause, self.local_version(), || target);
    }

    /// The target of a change of one key.
    pub(super) fn key_target(key: &EngineKey) -> Target {
        Target::Key(Bytes::copy_from_slice(key.id_bytes()))
    }
}

/// Whether a record of the log invalidates what depends on a key.
fn renews(record: &BusRecord, key: &[u8]) -> bool {
    let is_bump = |change: &BusChange| change.kind == ChangeKind::TagBumped;
    let mut bumps = record.changes.iter().filter(|change| is_bump(change));
    bumps.any(|change| depended_on(&change.key) == Some(key))
}

/// What the invalidation of an area amounts to.
pub(super) fn area_meaning(area: Area) -> (EventCause, Target) {
    match area {
        Area::Prefix(prefix) if prefix.is_empty() => (EventCause::Cleared, Target::All),
        Area::Expired => (EventCause::Expired, Target::All),
        Area::Prefix(prefix) => (EventCause::Invalidated, Target::Prefix(prefix)),
        Area::Pattern(pattern) => (EventCause::Invalidated, Target::Pattern(pattern)),
    }
}
