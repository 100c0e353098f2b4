//! Typed keys and names: from a Rust value to `<namespace>:<entity>:<id>:<field>`.
//!
//! Two different values of one key type never become the same bytes. Names (namespace, entity)
//! are chosen by programmers and are checked; ids come from data and are escaped instead, so
//! that no id can fail, break the structure or smuggle control characters into a log.

mod id;
mod name;
mod parts;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_KEY_BYTES;

pub use id::Id;
pub use name::Name;
pub use parts::{KeyWriter, escape};

/// A value that can name an entry.
///
/// Implemented for integers, `bool`, `char`, strings, `Uuid` (feature `uuid`), references and
/// tuples of up to four of them. For a type of your own, write its parts:
///
/// ```
/// use larder_core::key::{Key, KeyWriter};
///
/// struct UserId(u64);
///
/// impl Key for UserId {
///     fn write(&self, out: &mut KeyWriter<'_>) {
///         out.part(&self.0);
///     }
/// }
/// ```
///
/// Different values must write different parts; Larder keeps the parts apart.
pub trait Key {
    /// Appends the parts of this key.
    fn write(&self, out: &mut KeyWriter<'_>);
}

/// A key as bytes, on the stack when it is short.
pub type WireKey = SmallVec<[u8; 64]>;

/// Writes `key` behind `prefix` (which ends with `:` or is empty).
pub fn wire_key<K: Key + ?Sized>(prefix: &[u8], key: &K) -> Result<WireKey> {
    let mut out = WireKey::from_slice(prefix);
    write_key(&mut out, key);
    check_length(out.len())?;
    Ok(out)
}

/// Appends `key`, as it stands behind the name of its cache.
fn write_key<K: Key + ?Sized>(out: &mut WireKey, key: &K) {
    let mut writer = KeyWriter::new(out);
    writer.part(key);
    writer.spell_out();
}

/// Refuses wire keys that are longer than [`MAX_KEY_BYTES`].
#[inline]
pub fn check_length(bytes: usize) -> Result<()> {
    if bytes > MAX_KEY_BYTES {
        let message = format!("the key has {bytes} bytes; the limit is {MAX_KEY_BYTES}");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(())
}

/// A key that is used byte for byte, as RESP clients give it: no escaping, no structure.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RawKey(pub Bytes);

impl Key for RawKey {
    fn write(&self, out: &mut KeyWriter<'_>) {
        out.raw(&self.0);
    }
}

impl std::fmt::Debug for RawKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Both halves of a product, each bit of which depends on all lower bits of its factors, or on the upper
/// ones.
#[inline]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

/// Hashes keys over their wire bytes, with a seed that nobody outside knows, so that chosen keys
/// cannot be made to collide.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher {
    seed: u64,
    /// As secret as the seed, and odd.
    factor: u64,
}

/// Of the golden ratio (Steele, Lea, Flood 2014).
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl KeyHasher {
    /// A hasher with this seed.
    pub fn new(seed: u64) -> KeyHasher {
        KeyHasher {
            seed,
            factor: xxh3_64_with_seed(b"factor", seed) | 1,
        }
    }

    /// The hash of a key's bytes.
    #[inline]
    pub fn hash(&self, wire: &[u8]) -> u64 {
        xxh3_64_with_seed(wire, self.seed)
    }

    /// The hash of an id.
    #[inline]
    pub fn hash_id(&self, id: Id<'_>) -> u64 {
        match id {
            Id::Number(number) => fold(fold(number ^ self.seed, self.factor), ODD),
            Id::Text(text) => self.hash(text),
        }
    }
}
