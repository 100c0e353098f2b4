//! MessagePack with field names: compact, self-describing, and tolerant of added fields. The
//! default.

use ::bytes::Bytes;
use larder_core::codec::{Codec, CodecError, CodecId};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// MessagePack with field names, so that fields can be added and reordered between releases.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagePack;

impl<V: Serialize + DeserializeOwned> Codec<V> for MessagePack {
    fn id(&self) -> CodecId {
        CodecId::MESSAGE_PACK
    }

    fn encode(&self, value: &V, out: &mut Vec<u8>) -> Result<(), CodecError> {
        Ok(rmp_serde::encode::write_named(out, value)?)
    }

    fn decode(&self, bytes: &Bytes) -> Result<V, CodecError> {
        Ok(rmp_serde::from_slice(bytes)?)
    }
}
