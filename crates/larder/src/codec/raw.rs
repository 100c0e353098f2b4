//! Bytes as they are.

use ::bytes::Bytes;
use larder_core::codec::{Codec, CodecError, CodecId};

/// For values that are bytes already: `Bytes`, `Vec<u8>` or `String`. Decoding `Bytes` copies
/// nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

impl Codec<Bytes> for Raw {
    fn id(&self) -> CodecId {
        CodecId::RAW
    }

    fn encode(&self, value: &Bytes, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<Bytes, CodecError> {
        Ok(bytes.clone())
    }
}

impl Codec<Vec<u8>> for Raw {
    fn id(&self) -> CodecId {
        CodecId::RAW
    }

    fn encode(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<Vec<u8>, CodecError> {
        Ok(bytes.to_vec())
    }
}

impl Codec<String> for Raw {
    fn id(&self) -> CodecId {
        CodecId::RAW
    }

    fn encode(&self, value: &String, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<String, CodecError> {
        Ok(String::from_utf8(bytes.to_vec())?)
    }
}
