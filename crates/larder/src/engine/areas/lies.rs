//! In which caches a key lies: what decides whose areas it is held against.

use larder_core::key::Name;
use larder_core::limits::MAX_NAME_BYTES;
use smallvec::{SmallVec, smallvec};

/// One cache in which a stored key may lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lies<'a> {
    /// Its name. Empty for no cache at all: such a record is only held against where the tag clock
    /// began, and no cache has this name.
    pub(crate) cache: &'a str,
    /// Where the user's part of the stored key begins.
    pub(crate) at: usize,
}

/// Which keys of the remote tier belong to an engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// Those that begin with the name of its cache.
    Cache,
    /// All of them, of whatever cache and database.
    Store,
}

/// The caches in which a stored key may lie, if it is not known of which one it is: one for each
/// beginning of it that could be a name.
pub(crate) fn any_of(stored: &[u8]) -> SmallVec<[Lies<'_>; 2]> {
    let mut lies = SmallVec::new();
    for (at, byte) in stored.iter().enumerate().take(MAX_NAME_BYTES + 1) {
        match byte {
            b':' => match name(&stored[..at]) {
                Some(cache) => lies.push(Lies { cache, at: at + 1 }),
                None => break,
            },
            b'_' | b'-' | b'.' => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ => break,
        }
    }
    if lies.is_empty() {
        return smallvec![Lies { cache: "", at: 0 }];
    }
    lies
}

fn name(bytes: &[u8]) -> Option<&str> {
    let is_whole = !bytes.is_empty() && bytes.last() != Some(&b':');
    let name = std::str::from_utf8(bytes).ok().filter(|_| is_whole)?;
    debug_assert!(Name::new(name).is_ok(), "{name:?}");
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caches(stored: &[u8]) -> Vec<&str> {
        any_of(stored).iter().map(|lies| lies.cache).collect()
    }

    #[test]
    fn every_beginning_that_could_be_a_name_is_one() {
        assert_eq!(
            caches(b"app:users:7:short"),
            ["app", "app:users", "app:users:7"]
        );
        assert_eq!(caches(b"app:u*:7"), ["app"]);
        assert_eq!(caches(b"app::7"), ["app"]);
        for none in [
            &b""[..],
            b"x",
            b":x",
            b"a b:c",
            b"\0d\x01app:1",
            b"\0\0app:1",
        ] {
            assert_eq!(caches(none), [""], "{none:?}");
        }
        let long = [&[b'x'; MAX_NAME_BYTES][..], b":k"].concat();
        assert_eq!(caches(&long).len(), 1);
        assert_eq!(caches(&[b"y", &long[..]].concat()), [""]);
    }

    #[test]
    fn the_rest_is_the_key_in_that_cache() {
        let stored = b"app:users:7";
        let rest: Vec<&[u8]> = any_of(stored)
            .iter()
            .map(|lies| &stored[lies.at..])
            .collect();
        assert_eq!(rest, [&b"users:7"[..], b"7"]);
    }
}
