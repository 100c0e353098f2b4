//! The bytes of a record; `log.lua` writes them, `docs/wire-format.md` describes them.

use bytes::{Buf, Bytes};
use larder_core::bus::{BusChange, BusRecord, ChangeKind, Pushed};
use larder_core::envelope;
use larder_core::lane::Position;
use larder_core::record::Record;
use larder_core::runtime::Timestamp;
use larder_core::version::Version;

const FORMAT: u8 = 1;

/// The message that asks all readers to poll: no format of a record begins with 0.
pub(super) const NUDGE: &[u8] = &[0];

/// What a message begins with that tells of a lease which is free; its stored key comes behind.
const FREE: &[u8] = &[0, 1];

/// A change of this kind is a replacement, and the new record comes behind the key.
const CARRIED: u8 = 7;

/// A pushed message; `None` for what is none, or of another format.
pub(super) fn pushed(bytes: &Bytes) -> Option<Pushed> {
    if bytes == NUDGE {
        return Some(Pushed::Nudge);
    }
    if bytes.starts_with(FREE) {
        return Some(Pushed::Free(bytes.slice(FREE.len()..)));
    }
    decode(bytes).map(Pushed::Record)
}

/// The record; `None` for another format, and for bytes that are none.
pub(super) fn decode(bytes: &Bytes) -> Option<BusRecord> {
    let mut rest = bytes.clone();
    if rest.try_get_u8().ok()? != FORMAT {
        return None;
    }
    let position = Position {
        incarnation: rest.try_get_u64().ok()?,
        seq: rest.try_get_u64().ok()?,
    };
    let origin = rest.try_get_u32().ok()?;
    let written = Timestamp(rest.try_get_u64().ok()?);
    let mut changes = Vec::new();
    while rest.has_remaining() {
        changes.push(change(&mut rest)?);
    }
    Some(BusRecord {
        position,
        origin,
        written,
        changes,
    })
}

fn change(rest: &mut Bytes) -> Option<BusChange> {
    let number = rest.try_get_u8().ok()?;
    let kind = match number {
        1 | CARRIED => ChangeKind::Replaced,
        2 => ChangeKind::Removed,
        3 => ChangeKind::Expired,
        4 => ChangeKind::TagBumped,
        5 => ChangeKind::Cleared,
        6 => ChangeKind::Voided,
        _ => return None,
    };
    let version = Version(rest.try_get_u64().ok()?);
    let key = part(rest)?;
    let carried = match number {
        CARRIED => record(&key, &part(rest)?, version),
        _ => None,
    };
    Some(BusChange {
        key,
        version,
        kind,
        carried,
    })
}

/// Bytes behind their length.
fn part(rest: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(rest.try_get_u32().ok()?).ok()?;
    (rest.remaining() >= length).then(|| rest.split_to(length))
}

/// The record that travelled along. Without it, or if it is not sound, there is still the change.
fn record(key: &Bytes, bytes: &Bytes, version: Version) -> Option<Box<Record>> {
    let record = envelope::open(key, bytes).ok().flatten();
    record
        .filter(|record| record.version == version)
        .map(Box::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_core::codec::CodecId;
    use larder_core::envelope::Header;
    use larder_core::record::Kind;
    use larder_core::tag::{Cut, Tags};

    const GOLDEN: &[u8] = b"\x01\
        \x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x2a\
        \x00\x00\x01\x02\x00\x00\x01\x8b\xcf\xe5\x68\x00\
        \x01\x00\x06\x0a\x24\x18\x1e\x40\x00\x00\x00\x00\x06user:1\
        \x02\x00\x06\x0a\x24\x18\x1e\x40\x01\x00\x00\x00\x04\x00d\x03k\
        \x03\x00\x06\x0a\x24\x18\x1e\x40\x02\x00\x00\x00\x00\
        \x04\x00\x06\x0a\x24\x18\x1e\x40\x03\x00\x00\x00\x09\x00stag:c\x00t\
        \x05\x00\x06\x0a\x24\x18\x1e\x40\x04\x00\x00\x00\x04app:\
        \x06\x00\x06\x0a\x24\x18\x1e\x40\x05\x00\x00\x00\x0b\x00sarea:c\x00pa";

    #[test]
    fn the_golden_bytes_are_read() {
        let first: u64 = 0x0006_0a24_181e_4000;
        let change = |kind, at: u64, key: &'static [u8]| {
            BusChange::new(Bytes::from_static(key), Version(first + at), kind)
        };
        let record = BusRecord {
            position: Position {
                incarnation: 7,
                seq: 42,
            },
            origin: 0x0102,
            written: Timestamp(1_700_000_000_000),
            changes: vec![
                change(ChangeKind::Replaced, 0, b"user:1"),
                change(ChangeKind::Removed, 1, b"\0d\x03k"),
                change(ChangeKind::Expired, 2, b""),
                change(ChangeKind::TagBumped, 3, b"\0stag:c\0t"),
                change(ChangeKind::Cleared, 4, b"app:"),
                change(ChangeKind::Voided, 5, b"\0sarea:c\0pa"),
            ],
        };
        assert_eq!(decode(&Bytes::from_static(GOLDEN)), Some(record));
    }

    #[test]
    fn nothing_else_is_a_record() {
        let golden = Bytes::from_static(GOLDEN);
        // Between two changes a record could end, too.
        let sound = [29, 48, 65, 78, 100, 117, golden.len()];
        for length in 0..golden.len() {
            let record = decode(&golden.slice(..length));
            assert_eq!(record.is_some(), sound.contains(&length), "{length}");
        }
        for (at, byte) in [(0, 2), (29, 0), (29, 7), (29, 8), (38, 0xff)] {
            let mut bytes = GOLDEN.to_vec();
            bytes[at] = byte;
            assert_eq!(decode(&bytes.into()), None, "{at}");
        }
    }

    /// What the script makes of a put: the header with the version, and the payload.
    fn carrying(header_version: u64) -> Bytes {
        let payload = envelope::seal_payload(b"k", CodecId::RAW, 0, &Tags::default(), b"new value");
        let header = Header {
            kind: Kind::Value,
            flags: 0,
            key_id: 0,
            version: Version(header_version),
            origin: 9,
            load_cost_ms: 0,
            created_us: 5_000,
            fresh_until: None,
            lease_token: 0,
            lease_until: Timestamp(0),
            cut: Cut(0),
            expires_at: None,
        };
        let record = [&header.encode()[..], &payload[..]].concat();
        let mut bytes = GOLDEN[..29].to_vec();
        bytes.push(CARRIED);
        bytes.extend(7_u64.to_be_bytes());
        bytes.extend(b"\0\0\0\x01k");
        bytes.extend(u32::try_from(record.len()).unwrap().to_be_bytes());
        bytes.extend(record);
        bytes.into()
    }

    #[test]
    fn a_record_that_travels_along_is_read_and_a_wrong_one_is_left_out() {
        let carried = |bytes: Bytes| {
            let change = decode(&bytes).unwrap().changes.remove(0);
            assert_eq!(
                (change.kind, &change.key[..]),
                (ChangeKind::Replaced, &b"k"[..])
            );
            change.carried.map(|record| record.value)
        };
        assert_eq!(carried(carrying(7)), Some(Bytes::from_static(b"new value")));
        assert_eq!(carried(carrying(8)), None, "of another version");
        let mut damaged = carrying(7).to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(carried(damaged.into()), None, "damaged");
        let whole = carrying(7);
        assert_eq!(decode(&whole.slice(..whole.len() - 1)), None, "cut short");
    }

    #[test]
    fn a_free_lease_is_no_record() {
        let free = pushed(&Bytes::from_static(b"\0\x01user:1"));
        assert_eq!(free, Some(Pushed::Free(Bytes::from_static(b"user:1"))));
    }

    #[test]
    fn a_nudge_is_no_record() {
        assert_eq!(pushed(&Bytes::from_static(NUDGE)), Some(Pushed::Nudge));
        assert_eq!(pushed(&Bytes::from_static(b"\0\0")), None);
        let golden = pushed(&Bytes::from_static(GOLDEN));
        assert!(matches!(golden, Some(Pushed::Record(_))));
    }
}
