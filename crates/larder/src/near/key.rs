//! The id of an entry's key, in the few bytes that entries have room for.

use larder_core::key::Id;

/// Bytes that lie in the entry itself.
const SHORT: usize = 14;
/// Bytes that lie in one piece beside it.
const MIDDLE: usize = 48;

/// The id of a key. Most are numbers or short texts, and need no memory but this.
pub(super) enum EntryKey {
    Number(u64),
    Short(u8, [u8; SHORT]),
    Middle(u8, Box<[u8; MIDDLE]>),
    /// Twice boxed, so that it is no larger than the others.
    Long(Box<Box<[u8]>>),
}

const _: () = assert!(size_of::<EntryKey>() == 16);

impl EntryKey {
    pub(super) fn new(id: Id<'_>) -> EntryKey {
        let text = match id {
            Id::Number(number) => return EntryKey::Number(number),
            Id::Text(text) => text,
        };
        match u8::try_from(text.len()) {
            Ok(length) if text.len() <= SHORT => EntryKey::Short(length, filled(text)),
            Ok(length) if text.len() <= MIDDLE => EntryKey::Middle(length, Box::new(filled(text))),
            _ => EntryKey::Long(Box::new(text.into())),
        }
    }

    #[inline]
    pub(super) fn id(&self) -> Id<'_> {
        match self {
            EntryKey::Number(number) => Id::Number(*number),
            EntryKey::Short(length, bytes) => Id::Text(&bytes[..usize::from(*length)]),
            EntryKey::Middle(length, bytes) => Id::Text(&bytes[..usize::from(*length)]),
            EntryKey::Long(bytes) => Id::Text(bytes),
        }
    }
}

impl EntryKey {
    /// Whether this is the id; a number is compared at once.
    #[inline]
    pub(super) fn is(&self, id: Id<'_>) -> bool {
        match (self, id) {
            (EntryKey::Number(number), Id::Number(other)) => *number == other,
            (EntryKey::Number(_), Id::Text(_)) | (_, Id::Number(_)) => false,
            (_, id) => self.id() == id,
        }
    }
}

fn filled<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..text.len()].copy_from_slice(text);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_all_lengths_are_kept() {
        assert_eq!(EntryKey::new(Id::Number(7)).id(), Id::Number(7));
        for length in 0..=300 {
            let text = vec![b'x'; length];
            assert_eq!(EntryKey::new(Id::Text(&text)).id(), Id::Text(&text));
        }
    }
}
