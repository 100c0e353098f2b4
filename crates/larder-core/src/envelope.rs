//! The byte form of a record in a remote tier.
//!
//! One string per key: a fixed header of [`HEADER_LEN`] bytes, which scripts read and change in
//! place, and behind it, for values and negative entries, a payload that no script looks into.
//! All numbers are big-endian. `docs/wire-format.md` is this page for people; the golden bytes in
//! the tests are its proof.
//!
//! | offset | bytes | header field |
//! |---|---|---|
//! | 0 | 2 | magic `C1` |
//! | 2 | 1 | format, [`FORMAT`] |
//! | 3 | 1 | kind: 0 value, 1 tombstone, 2 lease, 3 negative |
//! | 4 | 2 | flags: bit 0 marked stale, bit 1 somebody waits for its lease; the others are reserved for sealed payloads |
//! | 6 | 2 | key id of the encryption key, 0 for none |
//! | 8 | 8 | version |
//! | 16 | 4 | origin node |
//! | 20 | 4 | load cost, ms |
//! | 24 | 8 | created, µs since the epoch, store clock |
//! | 32 | 8 | fresh until, ms since the epoch, 0 for ever |
//! | 40 | 8 | lease token, 0 for none |
//! | 48 | 8 | lease until, ms since the epoch |
//! | 56 | 8 | cut: the tag clock when all that the value depends on was known to hold |
//! | 64 | 8 | expires at, ms since the epoch, 0 for never |
//!
//! | offset | bytes | payload field |
//! |---|---|---|
//! | 0 | 8 | xxh3-64 of all payload bytes behind it |
//! | 8 | 1 | codec |
//! | 9 | 1 | reserved, 0 |
//! | 10 | 2 | length of the tag section |
//! | 12 | 4 | schema |
//! | 16 | 8 | hash of the stored key |
//! | 24 | | tag section, then the encoded value |

mod payload;
#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes};

use crate::record::{Kind, Record};
use crate::runtime::Timestamp;
use crate::tag::Cut;
use crate::version::Version;

pub use payload::{PREFIX_LEN, seal_payload};

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 72;
/// The first two bytes of every record.
pub const MAGIC: [u8; 2] = *b"C1";
/// The format that this version of Larder writes, and the only one that it reads.
pub const FORMAT: u8 = 1;

/// The flag of a value that is kept only for fail-safe.
pub const FLAG_STALE: u16 = 1;

/// Somebody was refused the lease, and waits to be told of its end. Says nothing about the value.
pub const FLAG_AWAITED: u16 = 2;

/// Why bytes are not a sound record. The metric label of damaged reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Damage {
    /// Not written by Larder.
    Foreign,
    /// Written by a version of Larder with another format.
    UnknownFormat,
    /// Cut short.
    Truncated,
    /// The checksum does not match.
    Corrupt,
    /// A sound record, but of another key.
    OtherKey,
    /// Sealed with features that this version does not have.
    Sealed,
}

impl Damage {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Damage::Foreign => "foreign",
            Damage::UnknownFormat => "unknown_format",
            Damage::Truncated => "truncated",
            Damage::Corrupt => "corrupt",
            Damage::OtherKey => "other_key",
            Damage::Sealed => "sealed",
        }
    }
}

/// The header of a record, field by field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What the record stands for.
    pub kind: Kind,
    /// See [`FLAG_STALE`].
    pub flags: u16,
    /// Encryption key, 0 for none.
    pub key_id: u16,
    /// The record's version.
    pub version: Version,
    /// The node that wrote it.
    pub origin: u32,
    /// How long the load took.
    pub load_cost_ms: u32,
    /// When the shard stored it, in µs.
    pub created_us: u64,
    /// End of the fresh life.
    pub fresh_until: Option<Timestamp>,
    /// The lease in force, 0 for none.
    pub lease_token: u64,
    /// Its end.
    pub lease_until: Timestamp,
    /// The tag clock when all that the value depends on was known to hold.
    pub cut: Cut,
    /// End of all life.
    pub expires_at: Option<Timestamp>,
}

impl Header {
    /// The header as bytes.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let end = |at: Option<Timestamp>| at.map_or(0, |at| at.0);
        out[..2].copy_from_slice(&MAGIC);
        out[2] = FORMAT;
        out[3] = match self.kind {
            Kind::Value => 0,
            Kind::Tombstone => 1,
            Kind::Lease => 2,
            Kind::Negative => 3,
        };
        out[4..6].copy_from_slice(&self.flags.to_be_bytes());
        out[6..8].copy_from_slice(&self.key_id.to_be_bytes());
        out[8..16].copy_from_slice(&self.version.0.to_be_bytes());
        out[16..20].copy_from_slice(&self.origin.to_be_bytes());
        out[20..24].copy_from_slice(&self.load_cost_ms.to_be_bytes());
        out[24..32].copy_from_slice(&self.created_us.to_be_bytes());
        out[32..40].copy_from_slice(&end(self.fresh_until).to_be_bytes());
        out[40..48].copy_from_slice(&self.lease_token.to_be_bytes());
        out[48..56].copy_from_slice(&self.lease_until.0.to_be_bytes());
        out[56..64].copy_from_slice(&self.cut.0.to_be_bytes());
        out[64..72].copy_from_slice(&end(self.expires_at).to_be_bytes());
        out
    }

    /// Reads a header from the front of `bytes`.
    pub fn decode(mut bytes: &[u8]) -> Result<Header, Damage> {
        if bytes.len() < 3 || bytes[..2] != MAGIC {
            return Err(Damage::Foreign);
        }
        if bytes[2] != FORMAT {
            return Err(Damage::UnknownFormat);
        }
        if bytes.len() < HEADER_LEN {
            return Err(Damage::Truncated);
        }
        bytes.advance(3);
        let kind = match bytes.get_u8() {
            0 => Kind::Value,
            1 => Kind::Tombstone,
            2 => Kind::Lease,
            3 => Kind::Negative,
            _ => return Err(Damage::UnknownFormat),
        };
        let end = |ms: u64| (ms != 0).then_some(Timestamp(ms));
        Ok(Header {
            kind,
            flags: bytes.get_u16(),
            key_id: bytes.get_u16(),
            version: Version(bytes.get_u64()),
            origin: bytes.get_u32(),
            load_cost_ms: bytes.get_u32(),
            created_us: bytes.get_u64(),
            fresh_until: end(bytes.get_u64()),
            lease_token: bytes.get_u64(),
            lease_until: Timestamp(bytes.get_u64()),
            cut: Cut(bytes.get_u64()),
            expires_at: end(bytes.get_u64()),
        })
    }
}

/// Reads the record that is stored under `key`. `None`: a tombstone or a lease. Never panics,
/// and never returns a value whose checksum, key or format does not fit.
pub fn open(key: &[u8], bytes: &Bytes) -> Result<Option<Record>, Damage> {
    let header = Header::decode(bytes)?;
    if matches!(header.kind, Kind::Tombstone | Kind::Lease) {
        return Ok(None);
    }
    if header.key_id != 0 || header.flags & !(FLAG_STALE | FLAG_AWAITED) != 0 {
        return Err(Damage::Sealed);
    }
    let payload = payload::open_payload(key, bytes.slice(HEADER_LEN..))?;
    Ok(Some(Record {
        kind: header.kind,
        version: header.version,
        marked_stale: header.flags & FLAG_STALE != 0,
        origin: header.origin,
        load_cost_ms: header.load_cost_ms,
        created: Timestamp(header.created_us / 1_000),
        fresh_until: header.fresh_until,
        expires_at: header.expires_at,
        codec: payload.codec,
        schema: payload.schema,
        tags: payload.tags,
        cut: header.cut,
        value: payload.value,
    }))
}
