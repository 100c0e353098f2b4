//! From stored keys to the keys that the server sees, and back.

use bytes::{BufMut, Bytes, BytesMut};
use larder_core::space::{Space, system_key};

/// The prefix that all keys of a store share.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: Bytes,
}

impl Keys {
    pub(crate) fn new(prefix: Bytes) -> Keys {
        Keys { prefix }
    }

    /// The key on the server. Copies nothing without a prefix.
    pub(crate) fn wire(&self, stored: &Bytes) -> Bytes {
        if self.prefix.is_empty() {
            return stored.clone();
        }
        let mut out = BytesMut::with_capacity(self.prefix.len() + stored.len());
        out.put_slice(&self.prefix);
        out.put_slice(stored);
        out.freeze()
    }

    /// The hash in which the shard keeps its own state.
    pub(crate) fn shard(&self) -> Bytes {
        self.wire(&system_key("shard"))
    }

    /// The stream that holds the log of the shard.
    pub(crate) fn log(&self) -> Bytes {
        self.wire(&system_key("log"))
    }

    /// The hash that lists who reads the log.
    pub(crate) fn readers(&self) -> Bytes {
        self.wire(&system_key("readers"))
    }

    /// The two hashes that remember which fencing tokens were seen.
    pub(crate) fn fences(&self) -> [Bytes; 2] {
        ["fences:1", "fences:2"].map(|half| self.wire(&system_key(half)))
    }

    /// The channel on which locks are told of that were given back.
    pub(crate) fn locks_channel(&self, database: u16) -> Bytes {
        self.of_database(&system_key("locks"), database)
    }

    /// The channel on which the log is pushed. Channels belong to the whole server, so the name
    /// says the database too.
    pub(crate) fn channel(&self, database: u16) -> Bytes {
        self.of_database(&system_key("log"), database)
    }

    fn of_database(&self, name: &Bytes, database: u16) -> Bytes {
        let mut out = BytesMut::from(&self.wire(name)[..]);
        out.put_slice(format!(":{database}").as_bytes());
        out.freeze()
    }

    /// How many bytes of a key on the server are not of the stored key.
    pub(crate) fn prefix_len(&self) -> usize {
        self.prefix.len()
    }

    /// The stored key behind a key of the server, if it belongs to `space`.
    pub(crate) fn stored(&self, space: &Space, wire: &Bytes) -> Option<Bytes> {
        if !wire.starts_with(&self.prefix) {
            return None;
        }
        let stored = wire.slice(self.prefix.len()..);
        space.contains(&stored).then_some(stored)
    }

    /// A pattern that all keys of `space` match, or `None` if every key does.
    pub(crate) fn pattern(&self, space: &Space) -> Option<Vec<u8>> {
        let common = self.wire(&space.stored_prefix());
        if common.is_empty() {
            return None;
        }
        let mut pattern = Vec::with_capacity(common.len() + 8);
        for &byte in &common {
            if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\' | b'^' | b'-') {
                pattern.push(b'\\');
            }
            pattern.push(byte);
        }
        pattern.push(b'*');
        Some(pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_its_prefix_letter_by_letter() {
        let keys = Keys::new(Bytes::from_static(b"a*"));
        let pattern = keys.pattern(&Space::prefix("[x]?")).unwrap();
        assert_eq!(pattern, br"a\*\[x\]\?*");
        assert_eq!(Keys::new(Bytes::new()).pattern(&Space::default()), None);
    }

    #[test]
    fn only_keys_with_the_prefix_belong() {
        let keys = Keys::new(Bytes::from_static(b"app:"));
        let own = keys.wire(&Bytes::from_static(b"k"));
        assert_eq!(own, "app:k");
        assert_eq!(keys.stored(&Space::default(), &own).unwrap(), "k");
        let other = Bytes::from_static(b"other:k");
        assert_eq!(keys.stored(&Space::default(), &other), None);
        assert_eq!(keys.stored(&Space::default(), &keys.shard()), None);
    }

    #[test]
    fn channels_of_databases_and_prefixes_differ() {
        let channel = |prefix: &'static str, database| {
            Keys::new(Bytes::from_static(prefix.as_bytes())).channel(database)
        };
        assert_eq!(channel("p:", 3), "p:\0slog:3");
        let all = [channel("", 0), channel("", 1), channel("p", 0)];
        assert!(all[0] != all[1] && all[0] != all[2]);
    }
}
