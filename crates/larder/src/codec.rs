//! The codecs that come with Larder. [`Codec`] is the trait for one of your own.

#[cfg(feature = "json")]
mod json;
#[cfg(feature = "msgpack")]
mod msgpack;
mod opaque;
#[cfg(feature = "postcard")]
mod postcard;
mod raw;

#[cfg(feature = "json")]
pub use json::Json;
pub use larder_core::codec::{Codec, CodecError, CodecId};
#[cfg(feature = "msgpack")]
pub use msgpack::MessagePack;
pub use opaque::Opaque;
#[cfg(feature = "postcard")]
pub use postcard::Postcard;
pub use raw::Raw;

#[cfg(test)]
mod tests;
