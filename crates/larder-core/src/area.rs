//! Areas: all of a cache, the keys with a prefix, or those that match a pattern, invalidated at once
//! and at the cost of one; or all of a cache, expired.
//!
//! A store keeps, for each cache, the areas that were invalidated, each with its number on the tag
//! clock ([`crate::tag`]). A record carries the cut, where that clock stood when it was proven; an
//! area with a greater number that covers its key makes it void. Only so many areas are kept: before
//! one more, the number of the newest becomes the *floor*, at which everything older is void.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{Error, ErrorKind, Result};
use crate::glob;
use crate::mutant::Mutant;
use crate::space::system_key;
use crate::tag::Cut;

/// Areas that a store keeps for one cache. Each is held against every record that is older.
pub const MAX_AREAS: usize = 64;

/// Longest prefix or pattern, in bytes.
pub const MAX_AREA_BYTES: usize = 256;

static NOTHING: Bytes = Bytes::new();

/// What the fields or keys of areas begin with, in front of the cache's name.
pub const AREA: &str = "area:";

/// A part of a cache. Keys are those of users, without the cache's name.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Area {
    /// The keys that begin so; all of them, if it is empty.
    Prefix(Bytes),
    /// The keys that match, as Redis has patterns ([`crate::glob`]).
    Pattern(Bytes),
    /// All of them, and they are not void but stale.
    Expired,
}

/// What has become of a value by the areas that cover its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Covered {
    /// No area does.
    Not,
    /// It is only good for fail-safe.
    Stale,
    /// It must never be used again.
    Void,
}

impl Area {
    /// All of a cache.
    pub const ALL: Area = Area::Prefix(Bytes::new());

    /// The keys that begin with `prefix`.
    ///
    /// # Errors
    ///
    /// When it is longer than [`MAX_AREA_BYTES`].
    pub fn prefix(prefix: &[u8]) -> Result<Area> {
        check("prefix", prefix)?;
        Ok(Area::Prefix(Bytes::copy_from_slice(prefix)))
    }

    /// The keys that match `pattern`.
    ///
    /// # Errors
    ///
    /// When it is empty, which matches nothing, or longer than [`MAX_AREA_BYTES`].
    pub fn pattern(pattern: &[u8]) -> Result<Area> {
        if pattern.is_empty() {
            let message = "the pattern is empty and matches no key; * matches all";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        check("pattern", pattern)?;
        Ok(Area::Pattern(Bytes::copy_from_slice(pattern)))
    }

    /// Whether a key lies in it.
    pub fn covers(&self, key: &[u8]) -> bool {
        match self {
            Area::Prefix(prefix) => key.starts_with(prefix),
            Area::Pattern(pattern) => glob::matches(pattern, key),
            Area::Expired => true,
        }
    }

    /// What becomes of a value with this key.
    pub fn covered(&self, key: &[u8]) -> Covered {
        match self {
            Area::Expired => Covered::Stale,
            area if area.covers(key) => Covered::Void,
            _ => Covered::Not,
        }
    }

    /// The letter of its kind, and its bytes: what stores and logs keep.
    pub fn parts(&self) -> (u8, &Bytes) {
        match self {
            Area::Prefix(prefix) => (b'p', prefix),
            Area::Pattern(pattern) => (b'g', pattern),
            Area::Expired => (b'x', &NOTHING),
        }
    }

    /// The area behind [`Area::parts`]; `None` for a kind of a later version.
    pub fn from_parts(kind: u8, bytes: Bytes) -> Option<Area> {
        match kind {
            b'p' => Some(Area::Prefix(bytes)),
            b'g' => Some(Area::Pattern(bytes)),
            b'x' => Some(Area::Expired),
            _ => None,
        }
    }
}

/// What has become of a value to which all of these happened.
pub fn worst(all: impl Iterator<Item = Covered>) -> Covered {
    all.max().unwrap_or(Covered::Not)
}

fn check(what: &str, bytes: &[u8]) -> Result<()> {
    if bytes.len() <= MAX_AREA_BYTES {
        return Ok(());
    }
    let length = bytes.len();
    let message = format!("the {what} has {length} bytes; the limit is {MAX_AREA_BYTES}");
    Err(Error::new(ErrorKind::Invalid, message))
}

/// The stored key that stands for all areas of a cache.
pub fn area_key(cache: &str) -> Bytes {
    system_key(&format!("{AREA}{cache}"))
}

/// The cache whose areas a stored key stands for.
pub fn cache_of(key: &[u8]) -> Option<&str> {
    let name = key.strip_prefix(b"\0s")?.strip_prefix(AREA.as_bytes())?;
    std::str::from_utf8(name).ok()
}

/// The areas of one cache that were invalidated, as far as they are kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Areas {
    /// Records with an older cut are void.
    pub floor: Cut,
    /// The areas, in the order of their numbers.
    pub areas: Vec<(Cut, Area)>,
}

impl Areas {
    /// Everything is void: nothing is known.
    pub fn unknown() -> Areas {
        Areas {
            floor: Cut(u64::MAX),
            areas: Vec::new(),
        }
    }

    /// The number of the newest.
    pub fn latest(&self) -> Cut {
        self.areas.last().map_or(self.floor, |(number, _)| *number)
    }

    /// What has become of a value with this key and cut.
    pub fn covered(&self, key: &[u8], cut: Cut) -> Covered {
        if Mutant::AreaCheck.is_active() {
            return Covered::Not;
        }
        if cut < self.floor {
            return Covered::Void;
        }
        let newer = self.areas.iter().rev();
        let newer = newer.take_while(|(number, _)| *number > cut);
        worst(newer.map(|(_, area)| area.covered(key)))
    }

    /// Whether a value with this key and cut is no longer what a reader may be given, or what another
    /// value may be made of.
    pub fn cover(&self, key: &[u8], cut: Cut) -> bool {
        self.covered(key, cut) != Covered::Not
    }

    /// Adds one. Of two that are the same the newer counts. Areas may arrive in any order.
    pub fn add(&mut self, number: Cut, area: Area) {
        if number <= self.floor {
            return;
        }
        if area == Area::ALL {
            return self.raise_floor(number);
        }
        match self.areas.iter().position(|(_, other)| *other == area) {
            Some(at) if self.areas[at].0 >= number => return,
            Some(at) => drop(self.areas.remove(at)),
            None => {}
        }
        if self.areas.len() == MAX_AREAS {
            // Everything up to the newest is void from here on.
            self.floor = self.latest().max(number);
            self.areas.clear();
            return;
        }
        let at = self.areas.partition_point(|(other, _)| *other < number);
        self.areas.insert(at, (number, area));
    }

    /// Everything older than this is void.
    pub fn raise_floor(&mut self, floor: Cut) {
        self.floor = self.floor.max(floor);
        let floor = self.floor;
        self.areas.retain(|(number, _)| *number > floor);
    }

    /// Adds all that others know.
    pub fn merge(&mut self, other: Areas) {
        self.raise_floor(other.floor);
        for (number, area) in other.areas {
            self.add(number, area);
        }
    }

    /// As bytes: newest number and floor, 16 digits each, then each area: number, kind, length in
    /// 4 digits, bytes. Digits, because scripts read and write them too.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_slice(format!("{:016}{:016}", self.latest().0, self.floor.0).as_bytes());
        for (number, area) in &self.areas {
            let (kind, bytes) = area.parts();
            out.put_slice(format!("{:016}", number.0).as_bytes());
            out.put_u8(kind);
            out.put_slice(format!("{:04}", bytes.len()).as_bytes());
            out.put_slice(bytes);
        }
        out.freeze()
    }

    /// Reads what [`Areas::encode`] or a script wrote. What cannot be read is unknown.
    pub fn decode(bytes: &Bytes) -> Areas {
        Areas::read(bytes).unwrap_or_else(Areas::unknown)
    }

    fn read(bytes: &Bytes) -> Option<Areas> {
        let number = |at: usize, digits: usize| -> Option<u64> {
            let text = std::str::from_utf8(bytes.get(at..at + digits)?).ok()?;
            text.parse().ok()
        };
        number(0, 16)?;
        let mut areas = Areas {
            floor: Cut(number(16, 16)?),
            areas: Vec::new(),
        };
        let mut at = 32;
        while at < bytes.len() {
            let cut = Cut(number(at, 16)?);
            let kind = *bytes.get(at + 16)?;
            let length = usize::try_from(number(at + 17, 4)?).ok()?;
            let end = at + 21 + length;
            if end > bytes.len() || areas.areas.len() == MAX_AREAS {
                return None;
            }
            let area = Area::from_parts(kind, bytes.slice(at + 21..end))?;
            areas.areas.push((cut, area));
            at = end;
        }
        Some(areas)
    }
}

#[cfg(test)]
mod tests;
