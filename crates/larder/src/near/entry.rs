//! A value in the near cache, with what decides about its use.

use std::sync::Arc;
use std::time::Duration;

use larder_core::freshness::{Freshness, NearLife};
use larder_core::key::Id;
use larder_core::runtime::Mono;
use larder_core::tag::Cut;
use larder_core::version::Version;

use super::key::EntryKey;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::tags::EntryTags;

/// In place of an instant: somebody has ended the fresh life, or there never was one.
const ENDED: u64 = 0;

/// What an entry holds.
pub(crate) enum Content<V> {
    /// A value.
    Own(V),
    /// The value of an entry before it, which its load has confirmed.
    Of(Arc<Entry<V>>),
    /// That the source has no record. For all but [`Near::absent`](super::Near::absent) such an entry is at
    /// its end: nobody asks it for a value.
    Nothing,
}

impl<V> Content<V> {
    /// The same value once more. Keeps the entry that owns it, and none in between.
    pub(crate) fn of(entry: &Arc<Entry<V>>) -> Content<V> {
        Content::Of(Entry::owner(entry).clone())
    }

    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Content::Nothing)
    }
}

/// A value that was read or written, shared by the near cache and everyone who holds it.
///
/// What a hit looks at comes first, and then the value: the reference counts, what decides about the
/// hit and the beginning of the value are 64 bytes.
#[repr(C)]
pub(crate) struct Entry<V> {
    /// Before this it is fresh, and no read has anything to do about it: the end of its fresh life, or
    /// the instant from which reads may refresh it, if that is earlier. 0 once somebody has ended its
    /// fresh life.
    quiet_until: AtomicU64,
    /// The epoch of the near cache in which it was last known to hold.
    epoch: AtomicU64,
    key: EntryKey,
    content: Content<V>,
    /// The end of its fresh life, if nobody ends it before.
    fresh_until: Mono,
    usable_until: Mono,
    /// Usable before this even without a lease of the bus: it was read so recently that no change
    /// which had to be seen can be missing.
    proven_until: Mono,
    /// The instant at which the value was stored, or loaded.
    created: Mono,
    tags: Option<Box<EntryTags>>,
    version: Version,
    cut: Cut,
    is_proven: bool,
    /// How long its load took, in milliseconds; up to a minute.
    load_cost_ms: u16,
    weight: u32,
}

/// Everything about an entry but its key and value.
pub(crate) struct EntryMeta {
    pub(crate) version: Version,
    /// As of when it holds, on the tag clock.
    pub(crate) cut: Cut,
    /// Whether others may rely on it: it is stored, under this version.
    pub(crate) is_proven: bool,
    pub(crate) created: Mono,
    pub(crate) life: NearLife,
    pub(crate) refresh_from: Mono,
    pub(crate) load_cost: Duration,
    pub(crate) proven_until: Mono,
    pub(crate) tags: Option<Box<EntryTags>>,
    pub(crate) weight: usize,
}

impl<V> Entry<V> {
    pub(crate) fn new(id: Id<'_>, content: Content<V>, meta: EntryMeta) -> Entry<V> {
        let quiet_until = match content {
            // Whoever looks for a value goes on to where it shows that there is none.
            Content::Nothing => ENDED,
            _ => meta.life.fresh_until.min(meta.refresh_from).0.max(1),
        };
        Entry {
            key: EntryKey::new(id),
            version: meta.version,
            cut: meta.cut,
            is_proven: meta.is_proven,
            created: meta.created,
            load_cost_ms: u16::try_from(meta.load_cost.as_millis()).unwrap_or(u16::MAX),
            quiet_until: AtomicU64::new(quiet_until),
            fresh_until: meta.life.fresh_until,
            usable_until: meta.life.usable_until,
            proven_until: meta.proven_until,
            epoch: AtomicU64::new(0),
            tags: meta.tags,
            weight: u32::try_from(meta.weight).unwrap_or(u32::MAX),
            content,
        }
    }

    #[inline]
    pub(crate) fn id(&self) -> Id<'_> {
        self.key.id()
    }

    #[inline]
    pub(super) fn is(&self, id: Id<'_>) -> bool {
        self.key.is(id)
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn cut(&self) -> Cut {
        self.cut
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.is_proven
    }

    pub(crate) fn tags(&self) -> Option<&EntryTags> {
        self.tags.as_deref()
    }

    pub(crate) fn created(&self) -> Mono {
        self.created
    }

    /// From here on reads may refresh it, while it is fresh.
    #[inline]
    pub(crate) fn refresh_from(&self) -> Mono {
        let quiet_until = self.quiet_until.load(Ordering::Relaxed);
        if quiet_until == ENDED || Mono(quiet_until) == self.fresh_until {
            return Mono::MAX;
        }
        Mono(quiet_until)
    }

    /// Whether a read at this time, of a fresh value, has no refresh to think of.
    #[inline]
    pub(crate) fn is_quiet(&self, now: Mono) -> bool {
        now.0 < self.quiet_until.load(Ordering::Relaxed)
    }

    pub(crate) fn load_cost(&self) -> Duration {
        Duration::from_millis(self.load_cost_ms.into())
    }

    pub(crate) fn weight(&self) -> u32 {
        self.weight
    }

    #[inline]
    pub(crate) fn value(&self) -> &V {
        self.held().expect("what holds nothing is given to nobody")
    }

    /// The value, if it holds one.
    #[inline]
    pub(crate) fn held(&self) -> Option<&V> {
        match &self.content {
            Content::Own(value) => Some(value),
            Content::Of(owner) => owner.held(),
            Content::Nothing => None,
        }
    }

    pub(crate) fn into_value(self) -> V
    where
        V: Clone,
    {
        match self.content {
            Content::Own(value) => value,
            _ => self.value().clone(),
        }
    }

    /// The entry that has its value: itself, or the one that it was confirmed from.
    pub(crate) fn owner(entry: &Arc<Entry<V>>) -> &Arc<Entry<V>> {
        match &entry.content {
            Content::Of(owner) => owner,
            Content::Own(_) | Content::Nothing => entry,
        }
    }

    /// Whether it holds that the source has no record.
    pub(crate) fn is_nothing(&self) -> bool {
        self.content.is_nothing()
    }

    /// The same, as something that may be said now.
    pub(crate) fn says_nothing(&self, now: Mono) -> bool {
        self.is_nothing() && now < self.fresh_until
    }

    #[inline]
    pub(crate) fn freshness(&self, now: Mono) -> Freshness {
        // The ends lie elsewhere in memory.
        if self.is_quiet(now) {
            return Freshness::Fresh;
        }
        self.later_freshness(now)
    }

    #[cold]
    fn later_freshness(&self, now: Mono) -> Freshness {
        if self.is_nothing() {
            return Freshness::Expired;
        }
        let fresh_until = if self.is_marked_stale() {
            Mono(0)
        } else {
            self.fresh_until
        };
        NearLife {
            fresh_until,
            usable_until: self.usable_until,
        }
        .classify(now)
    }

    /// Whether none of its tags was invalidated since it was read.
    pub(crate) fn are_tags_valid(&self) -> bool {
        self.tags.as_ref().is_none_or(|tags| tags.are_valid())
    }

    pub(crate) fn proven_until(&self) -> Mono {
        self.proven_until
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// It holds in this epoch too, stale if it was marked so before.
    pub(super) fn raise_epoch(&self, epoch: u64) {
        self.epoch.fetch_max(epoch, Ordering::Release);
    }

    /// Whether somebody has ended its fresh life, and not the time.
    pub(crate) fn is_marked_stale(&self) -> bool {
        self.quiet_until.load(Ordering::Relaxed) == ENDED
    }

    /// Ends the fresh life. Ordered against admissions by the stripe's lock, which the caller
    /// holds.
    pub(crate) fn mark_stale(&self) {
        self.quiet_until.store(ENDED, Ordering::Relaxed);
    }
}
