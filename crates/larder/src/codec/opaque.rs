//! No codec: for values that never leave the process.

use ::bytes::Bytes;
use larder_core::codec::{Codec, CodecError, CodecId};

/// For caches with a near tier only, whose values cannot be, or need not be, turned into bytes.
/// Such values weigh what the weigher says, or their own size without what they point to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opaque;

impl Opaque {
    pub(crate) const ID: CodecId = CodecId(63);
}

impl<V> Codec<V> for Opaque {
    fn id(&self) -> CodecId {
        Opaque::ID
    }

    fn encode(&self, _: &V, _: &mut Vec<u8>) -> Result<(), CodecError> {
        Err("this cache was built without a codec".into())
    }

    fn decode(&self, _: &Bytes) -> Result<V, CodecError> {
        Err("this cache was built without a codec".into())
    }
}
