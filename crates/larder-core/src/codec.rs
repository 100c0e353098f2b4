//! Values to bytes and back: the joint that users implement for formats of their own.

use std::error::Error as StdError;

use bytes::Bytes;

/// Which codec wrote a value; stored with it, so that a reader with another codec takes a miss
/// instead of decoding nonsense. 0 to 63 belong to Larder, 64 to 255 to users.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct CodecId(pub u8);

impl CodecId {
    /// Bytes as they are.
    pub const RAW: CodecId = CodecId(0);
    /// MessagePack with field names.
    pub const MESSAGE_PACK: CodecId = CodecId(1);
    /// JSON.
    pub const JSON: CodecId = CodecId(2);
    /// postcard.
    pub const POSTCARD: CodecId = CodecId(3);
}

/// A codec's own error.
pub type CodecError = Box<dyn StdError + Send + Sync>;

/// Turns values into bytes and back. Must be deterministic in what it accepts: bytes that
/// [`encode`](Codec::encode) wrote always decode, and damaged bytes give an error, never a panic.
pub trait Codec<V>: Send + Sync + 'static {
    /// The id stored with each value.
    fn id(&self) -> CodecId;

    /// Appends the encoded value to `out`.
    fn encode(&self, value: &V, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads a value. `bytes` may be kept (it is reference counted) instead of copied.
    fn decode(&self, bytes: &Bytes) -> Result<V, CodecError>;

    /// Whether bytes written by codec `id` may be given to [`decode`](Codec::decode).
    fn accepts(&self, id: CodecId) -> bool {
        id == self.id()
    }
}
