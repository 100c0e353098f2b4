//! postcard: the smallest and fastest, for values whose shape never changes without a new
//! schema number.

use ::bytes::Bytes;
use larder_core::codec::{Codec, CodecError, CodecId};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// postcard. It does not store field names: give the cache a new schema number with each change
/// of the type, or old values may decode into nonsense.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postcard;

impl<V: Serialize + DeserializeOwned> Codec<V> for Postcard {
    fn id(&self) -> CodecId {
        CodecId::POSTCARD
    }

    fn encode(&self, value: &V, out: &mut Vec<u8>) -> Result<(), CodecError> {
        postcard::to_io(value, out)?;
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<V, CodecError> {
        let (value, rest) = postcard::take_from_bytes(bytes)?;
        if rest.is_empty() {
            Ok(value)
        } else {
            Err("bytes are left over".into())
        }
    }
}
