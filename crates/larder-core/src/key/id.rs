//! What stands behind the name of a cache in a key, in a form that is quick to hash and to compare.

use super::{Key, KeyWriter, WireKey};

/// Digits of the greatest number.
const DIGITS: usize = 20;

/// The id of a key within its cache. Two ids are equal exactly if they are spelled alike: a text of
/// nothing but digits is the number that it spells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Id<'a> {
    /// A number, spelled in decimal without zeros before it.
    Number(u64),
    /// Anything else, as it is spelled.
    Text(&'a [u8]),
}

impl<'a> Id<'a> {
    /// The id that is spelled so.
    #[inline]
    pub fn of(spelled: &'a [u8]) -> Id<'a> {
        // Most texts are told by their first byte.
        match spelled.first() {
            Some(b'0'..=b'9') => number(spelled).map_or(Id::Text(spelled), Id::Number),
            _ => Id::Text(spelled),
        }
    }

    /// The id of a typed key. `text` is empty, and takes what must be spelled; a number need not be.
    #[inline]
    pub fn write<K: Key + ?Sized>(key: &K, text: &'a mut WireKey) -> Id<'a> {
        let mut writer = KeyWriter::new(text);
        writer.part(key);
        match writer.end() {
            Some(number) => Id::Number(number),
            None => Id::of(text),
        }
    }

    /// How it is spelled.
    pub fn spelled(&self) -> WireKey {
        let mut out = WireKey::new();
        match self {
            Id::Number(number) => super::write_key(&mut out, number),
            Id::Text(text) => out.extend_from_slice(text),
        }
        out
    }
}

#[cold]
fn number(spelled: &[u8]) -> Option<u64> {
    if spelled.len() > DIGITS || (spelled[0] == b'0' && spelled.len() > 1) {
        return None;
    }
    spelled.iter().try_fold(0u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}
