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

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use crate::error::{Error, ErrorKind, Result};
use crate::space::system_key;

/// Most tags of one entry: each is checked with every read.
pub const MAX_TAGS: usize = 32;

/// Longest tag, in bytes.
pub const MAX_TAG_BYTES: usize = 256;

/// A number of the tag clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Cut(pub u64);

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
    // The name of a cache contains no 0, so that the two parts stay apart.
    Ok(system_key(&format!("tag:{cache}\0{tag}")))
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
            if end > section.len() || tags.len() == MAX_TAGS {
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
    fn caches_do_not_share_tags() {
        assert_ne!(tag_key("a", "b").unwrap(), tag_key("ab", "b").unwrap());
        assert_ne!(tag_key("a", "x").unwrap(), tag_key("b", "x").unwrap());
    }
}
