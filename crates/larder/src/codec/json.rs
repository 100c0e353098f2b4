//! JSON: readable with any tool; the usual choice with the plain layout.

use ::bytes::Bytes;
use larder_core::codec::{Codec, CodecError, CodecId};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<V: Serialize + DeserializeOwned> Codec<V> for Json {
    fn id(&self) -> CodecId {
        CodecId::JSON
    }

    fn encode(&self, value: &V, out: &mut Vec<u8>) -> Result<(), CodecError> {
        Ok(serde_json::to_writer(out, value)?)
    }

    fn decode(&self, bytes: &Bytes) -> Result<V, CodecError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
