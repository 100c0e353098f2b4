//! Key and value of a record in one piece of memory.

use std::iter::repeat_n;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// A key and its value, side by side behind one reference count: a lookup compares the key and
/// hands out the value without touching memory anywhere else.
///
/// Always a copy of its own: a slice of a network buffer would keep the whole buffer alive.
#[derive(Clone)]
pub(super) struct Data {
    bytes: Arc<[u8]>,
    key: u32,
}

impl Data {
    pub(super) fn new(key: &[u8], value: &[u8]) -> Data {
        let mut bytes: Arc<[u8]> = repeat_n(0, key.len() + value.len()).collect();
        let fresh = Arc::get_mut(&mut bytes).expect("nobody else has it yet");
        fresh[..key.len()].copy_from_slice(key);
        fresh[key.len()..].copy_from_slice(value);
        Data {
            bytes,
            key: u32::try_from(key.len()).expect("a key is far shorter than 4 GiB"),
        }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.bytes[..self.key as usize]
    }

    /// The value, sharing this memory.
    pub(super) fn value(&self) -> Bytes {
        let range = self.key as usize..self.bytes.len();
        if range.is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(Part {
            bytes: self.bytes.clone(),
            range,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

struct Part {
    bytes: Arc<[u8]>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_value_keep_apart_whatever_their_length() {
        for (key, value) in [
            (&b""[..], &b""[..]),
            (b"k", b""),
            (b"", b"v"),
            (b"key", b"value"),
        ] {
            let data = Data::new(key, value);
            assert_eq!((data.key(), &data.value()[..]), (key, value));
            assert_eq!(data.len(), key.len() + value.len());
        }
    }
}
