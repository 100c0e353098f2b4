//! The part of a record that only readers look into: checksum, codec, schema, key hash, value.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Damage;
use crate::codec::CodecId;
use crate::tag::Tags;

/// Bytes before the value when there are no tags.
pub const PREFIX_LEN: usize = 24;

/// Sets the hash of keys apart from the checksum. Part of the wire format.
const KEY_SEED: u64 = 0x6c61_7264_6572_0001;

pub(super) struct Payload {
    pub(super) codec: CodecId,
    pub(super) schema: u32,
    pub(super) tags: Tags,
    pub(super) value: Bytes,
}

/// The payload of a record stored under `key`.
pub fn seal_payload(key: &[u8], codec: CodecId, schema: u32, tags: &Tags, value: &[u8]) -> Bytes {
    let section = tags.encode();
    let mut out = BytesMut::with_capacity(PREFIX_LEN + section.len() + value.len());
    out.put_u64(0);
    out.put_u8(codec.0);
    out.put_u8(0);
    out.put_u16(u16::try_from(section.len()).expect("Tags sees to that"));
    out.put_u32(schema);
    out.put_u64(xxh3_64_with_seed(key, KEY_SEED));
    out.put_slice(&section);
    out.put_slice(value);
    let checksum = xxh3_64(&out[8..]);
    out[..8].copy_from_slice(&checksum.to_be_bytes());
    out.freeze()
}

pub(super) fn open_payload(key: &[u8], mut bytes: Bytes) -> Result<Payload, Damage> {
    if bytes.len() < PREFIX_LEN {
        return Err(Damage::Truncated);
    }
    if bytes.get_u64() != xxh3_64(&bytes) {
        return Err(Damage::Corrupt);
    }
    let codec = CodecId(bytes.get_u8());
    if bytes.get_u8() != 0 {
        return Err(Damage::UnknownFormat);
    }
    let tags = usize::from(bytes.get_u16());
    let schema = bytes.get_u32();
    if bytes.get_u64() != xxh3_64_with_seed(key, KEY_SEED) {
        return Err(Damage::OtherKey);
    }
    if tags > bytes.len() {
        return Err(Damage::Truncated);
    }
    let Some(tags) = Tags::decode(&bytes.split_to(tags)) else {
        return Err(Damage::Corrupt);
    };
    Ok(Payload {
        codec,
        schema,
        tags,
        value: bytes,
    })
}
