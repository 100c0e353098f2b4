//! Where a key lives inside a store: user keys, databases and system keys side by side.
//!
//! A store is one flat map from bytes to records. The first byte `0x00` is reserved there:
//!
//! | stored key | meaning |
//! |---|---|
//! | `k` (first byte not 0) | user key `k` of database 0, byte for byte |
//! | `00 00 rest` | user key `00 rest` of database 0 |
//! | `00 'd' n rest` | user key `rest` of database `n` |
//! | `00 's' name` | a key of the system itself |
//!
//! The mapping is one-to-one, so no user key, whatever its bytes, can name a system key, and the
//! keys that people use are readable with any tool.

use bytes::{BufMut, Bytes, BytesMut};

const RESERVED: u8 = 0;
const DATABASE: u8 = b'd';
const SYSTEM: u8 = b's';

/// A part of the store: one database, and in it the keys that begin with a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Space {
    /// The database, below [`crate::limits::DATABASES`].
    pub database: u8,
    /// What the user keys begin with; empty for all of them.
    pub prefix: Bytes,
}

impl Space {
    /// All of one database.
    pub fn database(database: u8) -> Space {
        Space {
            database,
            prefix: Bytes::new(),
        }
    }

    /// The keys of database 0 that begin with `prefix`.
    pub fn prefix(prefix: impl Into<Bytes>) -> Space {
        Space {
            database: 0,
            prefix: prefix.into(),
        }
    }

    /// The stored form of user key `key` (given without the space's prefix being added).
    /// Copies nothing for ordinary keys of database 0.
    pub fn stored(&self, key: &Bytes) -> Bytes {
        if self.database == 0 && key.first() != Some(&RESERVED) {
            return key.clone();
        }
        let mut out = BytesMut::with_capacity(key.len() + 3);
        out.put_u8(RESERVED);
        if self.database != 0 {
            out.put_u8(DATABASE);
            out.put_u8(self.database);
        }
        out.put_slice(key);
        out.freeze()
    }

    /// What all stored keys of this space begin with. Keys of database 0 whose prefix is empty
    /// have no common beginning: check each with [`Space::user_key`].
    pub fn stored_prefix(&self) -> Bytes {
        if self.database == 0 && self.prefix.is_empty() {
            return Bytes::new();
        }
        self.stored(&self.prefix)
    }

    /// Whether `stored` is a key of this space.
    pub fn contains(&self, stored: &[u8]) -> bool {
        self.start_of_user_key(stored).is_some()
    }

    /// The user key behind `stored`, if it belongs to this space.
    pub fn user_key(&self, stored: &Bytes) -> Option<Bytes> {
        self.start_of_user_key(stored).map(|at| stored.slice(at..))
    }

    fn start_of_user_key(&self, stored: &[u8]) -> Option<usize> {
        let (database, at) = match stored.first() {
            Some(&RESERVED) => match stored.get(1) {
                Some(&RESERVED) => (0, 1),
                Some(&DATABASE) => (*stored.get(2)?, 3),
                _ => return None,
            },
            _ => (0, 0),
        };
        (database == self.database && stored[at..].starts_with(&self.prefix)).then_some(at)
    }
}

/// The stored form of a system key. No [`Space`] contains it.
pub fn system_key(name: &str) -> Bytes {
    system_key_of(name.as_bytes(), b"")
}

/// The same of one that stands for something of users: what it is, then whose.
pub fn system_key_of(what: &[u8], whose: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(what.len() + whose.len() + 2);
    out.put_u8(RESERVED);
    out.put_u8(SYSTEM);
    out.put_slice(what);
    out.put_slice(whose);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_keys_are_stored_as_they_are() {
        let key = Bytes::from_static(b"app:users:1");
        assert_eq!(Space::default().stored(&key), key);
    }

    #[test]
    fn no_user_key_names_a_system_key_or_another_database() {
        let system = system_key("certificate");
        for database in 0..4 {
            let space = Space::database(database);
            assert_eq!(space.user_key(&system), None);
            for forged in [&system[..], b"\0d\x01x", b"\0", b"\0\0", b"s", b""] {
                let key = Bytes::copy_from_slice(forged);
                let stored = space.stored(&key);
                assert_ne!(stored, system, "{forged:?}");
                assert_eq!(space.user_key(&stored), Some(key));
                let other = Space::database((database + 1) % 4);
                assert_eq!(other.user_key(&stored), None, "{forged:?}");
            }
        }
    }

    #[test]
    fn a_prefix_selects() {
        let space = Space::prefix("app:");
        assert!(space.user_key(&Bytes::from_static(b"app:1")).is_some());
        assert!(space.user_key(&Bytes::from_static(b"apple")).is_none());
        assert_eq!(space.stored_prefix(), "app:");
        assert_eq!(Space::database(3).stored_prefix(), &b"\0d\x03"[..]);
    }
}
