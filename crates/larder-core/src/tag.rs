//! Tags: labels by which many entries are invalidated at once, at the cost of one.
//!
//! A store keeps, for each tag, the number of its last invalidation, drawn from one *tag clock* that
//! only rises. An entry names its tags and carries the *cut*: where the tag clock stood before its
//! value was read. It is valid while no tag of its has a number beyond the cut. So an invalidation
//! touches no entry, and a load that began before one is void, whichever of the two ends first.
//!
//! A tag of which the store knows nothing (never invalidated, evicted, lost) counts as invalidated
//! just now, at the clock's present number: that is never less than its true number, so that loss
//! can only make entries void, and entries read at that very number are rightly valid.
//!
//! A *dependency* is a tag that the system makes: it stands for one key, and every change of that
//! key invalidates it. A store notes such changes only while it knows the dependency, so that one
//! of which it knows nothing counts as newer than everything: [`Cut::LOST`].

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use crate::error::{Error, ErrorKind, Result};
use crate::space::system_key;
use crate::version::Version;

/// Most tags of one entry: each is checked with every read.
pub const MAX_TAGS: usize = 32;

/// Longest tag, in bytes.
pub const MAX_TAG_BYTES: usize = 256;

/// A number of the tag clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Cut(pub u64);

impl Cut {
    /// Newer than everything: what depends on this is void.
    pub const LOST: Cut = Cut((1 << 53) - 1);
}

/// What the stored keys of tags begin with, behind the mark of system keys.
const TAG: &str = "tag:";

/// What the stored keys of dependencies begin with, behind the mark of system keys.
pub const DEPENDENCY: &str = "dep:";

/// Longest stored key that others can depend on, in bytes.
pub const MAX_DEPENDENCY_BYTES: usize = 512;

/// Most tags and dependencies of one entry together. Each is checked with every fill, and with
/// every read that is not answered by the near cache.
pub const MAX_BONDS: usize = 256;

/// The stored key of the dependency on a stored key; `None` if that is too long.
pub fn dependency_key(stored: &[u8]) -> Option<Bytes> {
    if stored.len() > MAX_DEPENDENCY_BYTES {
        return None;
    }
    let mut out = BytesMut::from(&system_key(DEPENDENCY)[..]);
    out.put_slice(stored);
    Some(out.freeze())
}

/// The stored key that a dependency stands for, if this is one.
pub fn depended_on(tag: &[u8]) -> Option<&[u8]> {
    tag.strip_prefix(b"\0s")?
        .strip_prefix(DEPENDENCY.as_bytes())
}

/// What a value about to be stored depends on, and as of when that was known to hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bond {
    /// The stored key of a tag, of a dependency, or of the areas of another cache.
    pub tag: Bytes,
    /// It was valid at this number.
    pub cut: Cut,
    /// For a dependency: the version of the record that was read. While that stands, it holds.
    pub version: Version,
}

/// The tags of one entry, as stored keys ([`tag_key`]), sorted and without repetition.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tags(SmallVec<[Bytes; 1]>);

/// The stored key of a tag of the cache with this name. It lies in the reserved space: no user key
/// can name it.
pub fn tag_key(cache: &str, tag: &str) -> Result<Bytes> {
    if tag.is_empty() || tag.len() > MAX_TAG_BYTES {
        let message = format!(
            "the tag has {} bytes; it must have 1 to {MAX_TAG_BYTES}",
            tag.len()
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let mut key = BytesMut::from(&tag_prefix(cache)[..]);
    key.put_slice(tag.as_bytes());
    Ok(key.freeze())
}

/// What the stored keys of all tags of a cache begin with.
pub fn tag_prefix(cache: &str) -> Bytes {
    // The name of a cache contains no 0, so that the two parts stay apart.
    system_key(&format!("{TAG}{cache}\0"))
}

/// What the user called the tag of some cache, if this is the stored key of one.
pub fn name_of(stored: &[u8]) -> Option<&[u8]> {
    let rest = stored.strip_prefix(b"\0s")?.strip_prefix(TAG.as_bytes())?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(&rest[end + 1..])
}

impl Tags {
    /// Collects tags; an error if there are too many.
    pub fn new(tags: impl IntoIterator<Item = Bytes>) -> Result<Tags> {
        let mut tags: SmallVec<[Bytes; 1]> = tags.into_iter().collect();
        tags.sort_unstable();
        tags.dedup();
        if tags.len() > MAX_TAGS {
            let message = format!("the entry has {} tags; the limit is {MAX_TAGS}", tags.len());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(Tags(tags))
    }

    /// These and what a value depends on, as they are recorded with it: together at most
    /// [`MAX_BONDS`].
    pub fn with(&self, bonds: &[Bond]) -> Result<Tags> {
        let mut tags = self.0.clone();
        tags.extend(bonds.iter().map(|bond| bond.tag.clone()));
        tags.sort_unstable();
        tags.dedup();
        let tags = Tags(tags);
        if tags.0.len() > MAX_BONDS || tags.section_len() > usize::from(u16::MAX) {
            let message = format!(
                "the entry depends on {} keys and tags; the limit is {MAX_BONDS}",
                tags.0.len()
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(tags)
    }

    fn section_len(&self) -> usize {
        self.0.iter().map(|key| 2 + key.len()).sum()
    }

    /// The stored keys of the tags.
    pub fn keys(&self) -> &[Bytes] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag section of a payload: each key behind its length in two bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        for key in &self.0 {
            out.put_u16(u16::try_from(key.len()).expect("a tag and a name are short"));
            out.put_slice(key);
        }
        out.freeze()
    }

    /// Reads a tag section; `None` if it is not one.
    pub fn decode(section: &Bytes) -> Option<Tags> {
        let (mut tags, mut at) = (SmallVec::new(), 0);
        while at < section.len() {
            let length = section.get(at..at + 2)?;
            let end = at + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            if end > section.len() || tags.len() == MAX_BONDS {
                return None;
            }
            tags.push(section.slice(at + 2..end));
            at = end;
        }
        Some(Tags(tags))
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(tags: &[&str]) -> Tags {
        Tags::new(tags.iter().map(|tag| tag_key("app:users", tag).unwrap())).unwrap()
    }

    #[test]
    fn sections_read_back_and_damage_is_noticed() {
        for set in [&[][..], &["a"], &["tenant:7", "ü", "x y"]] {
            let tags = tags(set);
            assert_eq!(Tags::decode(&tags.encode()), Some(tags));
        }
        let section = tags(&["abc"]).encode();
        assert_eq!(Tags::decode(&section.slice(..section.len() - 1)), None);
        assert_eq!(Tags::decode(&section.slice(..1)), None);
    }

    #[test]
    fn repeated_tags_are_one_and_too_many_are_refused() {
        assert_eq!(tags(&["a", "a"]), tags(&["a"]));
        let many = (0..=MAX_TAGS).map(|n| tag_key("c", &n.to_string()).unwrap());
        assert!(Tags::new(many).unwrap_err().to_string().contains("33 tags"));
        assert!(tag_key("c", "").is_err());
        assert!(tag_key("c", &"x".repeat(MAX_TAG_BYTES + 1)).is_err());
    }

    #[test]
    fn dependencies_read_back_and_have_bounds() {
        let key = dependency_key(b"app:users:1").unwrap();
        assert_eq!(depended_on(&key), Some(&b"app:users:1"[..]));
        assert_eq!(depended_on(&tag_key("c", "dep:x").unwrap()), None);
        assert_eq!(dependency_key(&[b'x'; MAX_DEPENDENCY_BYTES + 1]), None);
        let bond = |n: usize| Bond {
            tag: dependency_key(n.to_string().as_bytes()).unwrap(),
            cut: Cut(1),
            version: Version(1),
        };
        let bonds: Vec<Bond> = (0..MAX_BONDS).map(bond).collect();
        let all = Tags::default().with(&bonds).unwrap();
        assert_eq!(Tags::decode(&all.encode()), Some(all));
        let error = tags(&["a"]).with(&bonds).unwrap_err();
        assert!(error.to_string().contains("257 keys and tags"), "{error}");
    }

    #[test]
    fn the_name_of_a_tag_reads_back_whatever_its_cache() {
        let key = tag_key("app:users", "tenant:7").unwrap();
        assert_eq!(name_of(&key), Some(&b"tenant:7"[..]));
        assert_eq!(name_of(&dependency_key(b"tag:a\0b").unwrap()), None);
        assert_eq!(name_of(b"tag:a\0b"), None);
    }

    #[test]
    fn caches_do_not_share_tags() {
        assert_ne!(tag_key("a", "b").unwrap(), tag_key("ab", "b").unwrap());
        assert_ne!(tag_key("a", "x").unwrap(), tag_key("b", "x").unwrap());
    }
}
