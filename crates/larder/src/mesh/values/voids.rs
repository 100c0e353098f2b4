//! Which tags and areas were made void, and when: what arrives later and was written before is void,
//! too, on every node the same.
//!
//! Pure.

use std::collections::{BTreeMap, VecDeque};

use ::bytes::Bytes;
use larder_core::area::{self, Area, Covered, area_key};
use larder_core::bus::voided;
use larder_core::tag::Tags;

use super::ledger::Stamp;
use crate::engine::areas::lies;

/// LIMIT: most tags that are remembered, and most areas.
const TAGS: usize = 1 << 16;
const AREAS: usize = 1024;

/// What was made void last.
#[derive(Default, Debug)]
pub(super) struct Voids {
    tags: BTreeMap<Bytes, Stamp>,
    /// The same in the order in which they came, some of them overtaken.
    order: VecDeque<(Bytes, Stamp)>,
    areas: VecDeque<Voided>,
    newest: Stamp,
}

#[derive(Debug)]
struct Voided {
    key: Bytes,
    cache: Bytes,
    area: Area,
    stamp: Stamp,
}

impl Voids {
    /// Notes a tag; `None` if a later one of it is known, else up to where all is forgotten now.
    pub(super) fn tag(&mut self, tag: &Bytes, stamp: Stamp) -> Option<Stamp> {
        let known = self.tags.get(tag);
        if known.is_some_and(|known| *known >= stamp) {
            return None;
        }
        self.newest = self.newest.max(stamp);
        let tag = Bytes::copy_from_slice(tag);
        self.tags.insert(tag.clone(), stamp);
        self.order.push_back((tag, stamp));
        let mut forgotten = Stamp::ZERO;
        while self.order.len() > TAGS
            && let Some((tag, stamp)) = self.order.pop_front()
        {
            if self.tags.get(&tag) == Some(&stamp) {
                self.tags.remove(&tag);
                forgotten = stamp;
            }
        }
        Some(forgotten)
    }

    /// The same for an area, by the key under which logs tell of it.
    pub(super) fn area(&mut self, key: &Bytes, stamp: Stamp) -> Option<Stamp> {
        let (cache, area) = voided(key)?;
        let known = self.areas.iter().position(|known| known.key == *key);
        if let Some(at) = known {
            if self.areas[at].stamp >= stamp {
                return None;
            }
            self.areas.remove(at);
        }
        self.newest = self.newest.max(stamp);
        self.areas.push_back(Voided {
            key: key.clone(),
            cache,
            area,
            stamp,
        });
        if self.areas.len() <= AREAS {
            return Some(Stamp::ZERO);
        }
        self.areas.pop_front().map(|voided| voided.stamp)
    }

    /// What has become of a value that was written at this moment.
    pub(super) fn covered(&self, key: &Bytes, tags: &Tags, stamp: Stamp) -> Covered {
        if stamp > self.newest {
            return Covered::Not;
        }
        let is_later = |tag: &Bytes| self.tags.get(tag).is_some_and(|voided| *voided > stamp);
        if tags.keys().iter().any(is_later) {
            return Covered::Void;
        }
        let later = self.areas.iter().filter(|voided| voided.stamp > stamp);
        let lies = lies::any_of(key);
        let lies = |voided: &Voided| {
            lies.iter()
                .find(|lies| area_key(lies.cache) == voided.cache)
        };
        area::worst(later.filter_map(|voided| {
            let rest = key.get(lies(voided)?.at..).unwrap_or_default();
            Some(voided.area.covered(rest))
        }))
    }

    /// Whether there never were any.
    pub(super) fn is_blank(&self) -> bool {
        self.newest == Stamp::ZERO
    }

    /// The tags, and the keys of the areas.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&Bytes, Stamp)> {
        self.tags.iter().map(|(tag, stamp)| (tag, *stamp))
    }

    pub(super) fn areas(&self) -> impl Iterator<Item = (&Bytes, Stamp)> {
        self.areas.iter().map(|voided| (&voided.key, voided.stamp))
    }
}
