//! Counters: whole numbers that many add to, without one addition being lost.

use std::time::Duration;

use bytes::Bytes;

use crate::store::Pending;

/// What came of an addition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Added {
    /// The number after it.
    Now(i64),
    /// Nothing was added: the number would have left the range of `i64`.
    Overflow,
}

/// Counters in a store. Names are stored keys of the system ([`counter_key`]). Each method is one
/// round trip and atomic; nothing is kept near.
pub trait Counters: Send + Sync {
    /// Adds `by`, which may be negative, to a counter; one that is not there begins at 0, and ends
    /// `ttl` from then on if there is one. A failed or dropped request may or may not have added.
    fn add<'a>(&'a self, name: &'a Bytes, by: i64, ttl: Option<Duration>) -> Pending<'a, Added>;

    /// The number; `None` for a counter that is not there.
    fn read<'a>(&'a self, name: &'a Bytes) -> Pending<'a, Option<i64>>;

    /// Takes a counter away: gives the number it had.
    fn take<'a>(&'a self, name: &'a Bytes) -> Pending<'a, Option<i64>>;
}

/// The stored key of the counter `name`.
pub fn counter_key(name: &[u8]) -> Bytes {
    crate::space::system_key_of(b"count:", name)
}
