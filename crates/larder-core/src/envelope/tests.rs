//! Golden bytes of format 1, and what happens to every kind of wrong bytes.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::codec::CodecId;
use crate::tag::{Tags, tag_key};

const KEY: &[u8] = b"app:users:1";

fn header() -> Header {
    Header {
        kind: Kind::Value,
        flags: FLAG_STALE,
        key_id: 0,
        version: Version(0x0001_0203_0405_0607),
        origin: 0x0a0b_0c0d,
        load_cost_ms: 250,
        created_us: 1_700_000_000_000_000,
        fresh_until: Some(Timestamp(1_700_000_060_000)),
        lease_token: 0,
        lease_until: Timestamp(0),
        cut: Cut(7),
        expires_at: Some(Timestamp(1_700_000_120_000)),
    }
}

fn sealed() -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&header().encode());
    bytes.extend_from_slice(&seal_payload(
        KEY,
        CodecId::JSON,
        3,
        &Tags::default(),
        b"{\"n\":1}",
    ));
    bytes.freeze()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Put together by hand and with another xxh3 (Python's `xxhash`), so that a mistake of ours does
/// not agree with itself.
const GOLDEN: &str = concat!(
    // magic, format, kind, flags, key id
    "4331010000010000",
    // version, origin, load cost
    "0001020304050607",
    "0a0b0c0d000000fa",
    // created, fresh until, lease token, lease until, cut, expires at
    "00060a24181e4000",
    "0000018bcfe65260",
    "0000000000000000",
    "0000000000000000",
    "0000000000000007",
    "0000018bcfe73cc0",
    // checksum, codec, reserved, tags, schema, key hash, value
    "98f88a0ec12f7f9d",
    "0200000000000003",
    "0e6ca4403c818615",
    "7b226e223a317d",
);

#[test]
fn format_1_is_these_bytes() {
    assert_eq!(hex(&sealed()), GOLDEN);
}

#[test]
fn a_sealed_record_opens_with_all_its_fields() {
    let record = open(KEY, &sealed()).unwrap().unwrap();
    assert_eq!(record.kind, Kind::Value);
    assert!(record.marked_stale);
    assert_eq!(record.version, header().version);
    assert_eq!(record.created, Timestamp(1_700_000_000_000));
    assert_eq!(record.fresh_until, header().fresh_until);
    assert_eq!(record.expires_at, header().expires_at);
    assert_eq!((record.codec, record.schema), (CodecId::JSON, 3));
    assert_eq!(record.value, "{\"n\":1}");
}

#[test]
fn tags_lie_before_the_value() {
    let tags = Tags::new([tag_key("app:users", "tenant:7").unwrap()]).unwrap();
    let mut bytes = BytesMut::from(&header().encode()[..]);
    bytes.extend_from_slice(&seal_payload(KEY, CodecId::RAW, 0, &tags, b"v"));
    let record = open(KEY, &bytes.freeze()).unwrap().unwrap();
    assert_eq!((record.tags, record.cut), (tags, Cut(7)));
    assert_eq!(record.value, "v");
}

#[test]
fn leases_and_tombstones_are_no_records() {
    for kind in [Kind::Lease, Kind::Tombstone] {
        let bytes = Bytes::copy_from_slice(&Header { kind, ..header() }.encode());
        assert_eq!(open(KEY, &bytes), Ok(None));
    }
}

#[test]
fn wrong_bytes_are_named_and_never_a_value() {
    let good = sealed();
    let with = |at: usize, byte: u8| {
        let mut bytes = BytesMut::from(&good[..]);
        bytes[at] = byte;
        bytes.freeze()
    };
    for (bytes, damage) in [
        (Bytes::new(), Damage::Foreign),
        (Bytes::from_static(b"{\"json\":true}"), Damage::Foreign),
        (with(2, 9), Damage::UnknownFormat),
        (with(3, 9), Damage::UnknownFormat),
        (with(5, 5), Damage::Sealed),
        (with(7, 1), Damage::Sealed),
        (good.slice(..HEADER_LEN - 1), Damage::Truncated),
        (good.slice(..HEADER_LEN + PREFIX_LEN - 1), Damage::Truncated),
        (good.slice(..good.len() - 1), Damage::Corrupt),
        (with(good.len() - 1, b'x'), Damage::Corrupt),
        (with(HEADER_LEN + 8, 1), Damage::Corrupt),
    ] {
        assert_eq!(open(KEY, &bytes), Err(damage), "{bytes:?}");
    }
    assert_eq!(open(b"app:users:2", &good), Err(Damage::OtherKey));
}

proptest! {
    #[test]
    fn headers_round_trip(
        version in 0u64..1 << 53, flags: u16, key_id: u16, created_us: u64, ends: (u64, u64),
        lease: (u64, u64), cut: u64,
    ) {
        let end = |ms: u64| (ms != 0).then_some(Timestamp(ms));
        let header = Header {
            version: Version(version), flags, key_id, created_us, cut: Cut(cut),
            fresh_until: end(ends.0), expires_at: end(ends.1),
            lease_token: lease.0, lease_until: Timestamp(lease.1), ..header()
        };
        prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, magic: bool) {
        let mut bytes = bytes;
        if magic && bytes.len() > 3 {
            bytes[..4].copy_from_slice(&[b'C', b'1', FORMAT, 0]);
        }
        let _ = open(KEY, &Bytes::from(bytes));
    }

    #[test]
    fn every_flipped_payload_bit_is_noticed(at in 0usize..31 * 8) {
        let mut bytes = BytesMut::from(&sealed()[..]);
        bytes[HEADER_LEN + at / 8] ^= 1 << (at % 8);
        prop_assert!(open(KEY, &bytes.freeze()).is_err());
    }
}
