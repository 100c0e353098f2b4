//! The values of a run and their codec, which can refuse and swell them: a value may be marked as
//! one that no tier takes.

use bytes::Bytes;
use larder::codec::{Codec, CodecError, CodecId};

/// Set in a value that cannot be encoded.
const UNENCODABLE: u64 = 1 << 62;
/// Set in a value that is encoded in more bytes than the simulated caches take.
const HEAVY: u64 = 1 << 61;

/// The largest value of a simulated cache, in bytes.
pub(super) const MAX_VALUE: u64 = 64;

/// Marks a value as one that cannot be encoded.
pub(super) fn unencodable(value: u64) -> u64 {
    value | UNENCODABLE
}

/// Marks a value as too large to be stored.
pub(super) fn heavy(value: u64) -> u64 {
    value | HEAVY
}

/// What the source said, whatever the marks.
pub(super) fn plain(value: u64) -> u64 {
    value & !(UNENCODABLE | HEAVY)
}

/// Eight bytes, or more than fit, or an error, as the value is marked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rows;

impl Codec<u64> for Rows {
    fn id(&self) -> CodecId {
        CodecId(64)
    }

    fn encode(&self, value: &u64, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if value & UNENCODABLE != 0 {
            return Err("marked as one that cannot be encoded".into());
        }
        out.extend_from_slice(&value.to_le_bytes());
        if value & HEAVY != 0 {
            out.resize(out.len() + MAX_VALUE as usize, 0);
        }
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<u64, CodecError> {
        let bytes: [u8; 8] = bytes[..].try_into()?;
        Ok(u64::from_le_bytes(bytes))
    }
}
