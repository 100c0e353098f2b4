//! The bytes of a record; `log.lua` writes them, `docs/wire-format.md` describes them.

use bytes::{Buf, Bytes};
use larder_core::bus::{BusChange, BusRecord, ChangeKind};
use larder_core::lane::Position;
use larder_core::version::Version;

const FORMAT: u8 = 1;

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
    let mut changes = Vec::new();
    while rest.has_remaining() {
        changes.push(change(&mut rest)?);
    }
    Some(BusRecord { position, changes })
}

fn change(rest: &mut Bytes) -> Option<BusChange> {
    let kind = match rest.try_get_u8().ok()? {
        1 => ChangeKind::Replaced,
        2 => ChangeKind::Removed,
        3 => ChangeKind::Expired,
        4 => ChangeKind::TagBumped,
        5 => ChangeKind::Cleared,
        6 => ChangeKind::Voided,
        _ => return None,
    };
    let version = Version(rest.try_get_u64().ok()?);
    let length = usize::try_from(rest.try_get_u32().ok()?).ok()?;
    if rest.remaining() < length {
        return None;
    }
    let key = rest.split_to(length);
    Some(BusChange { key, version, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &[u8] = b"\x01\
        \x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x2a\
        \x01\x00\x06\x0a\x24\x18\x1e\x40\x00\x00\x00\x00\x06user:1\
        \x02\x00\x06\x0a\x24\x18\x1e\x40\x01\x00\x00\x00\x04\x00d\x03k\
        \x03\x00\x06\x0a\x24\x18\x1e\x40\x02\x00\x00\x00\x00\
        \x04\x00\x06\x0a\x24\x18\x1e\x40\x03\x00\x00\x00\x09\x00stag:c\x00t\
        \x05\x00\x06\x0a\x24\x18\x1e\x40\x04\x00\x00\x00\x04app:";

    #[test]
    fn the_golden_bytes_are_read() {
        let first: u64 = 0x0006_0a24_181e_4000;
        let change = |kind, at: u64, key: &'static [u8]| BusChange {
            key: Bytes::from_static(key),
            version: Version(first + at),
            kind,
        };
        let record = BusRecord {
            position: Position {
                incarnation: 7,
                seq: 42,
            },
            changes: vec![
                change(ChangeKind::Replaced, 0, b"user:1"),
                change(ChangeKind::Removed, 1, b"\0d\x03k"),
                change(ChangeKind::Expired, 2, b""),
                change(ChangeKind::TagBumped, 3, b"\0stag:c\0t"),
                change(ChangeKind::Cleared, 4, b"app:"),
            ],
        };
        assert_eq!(decode(&Bytes::from_static(GOLDEN)), Some(record));
    }

    #[test]
    fn nothing_else_is_a_record() {
        let golden = Bytes::from_static(GOLDEN);
        // Between two changes a record could end, too.
        let sound = [17, 36, 53, 66, 88, golden.len()];
        for length in 0..golden.len() {
            let record = decode(&golden.slice(..length));
            assert_eq!(record.is_some(), sound.contains(&length), "{length}");
        }
        for (at, byte) in [(0, 2), (17, 0), (17, 7), (26, 0xff)] {
            let mut bytes = GOLDEN.to_vec();
            bytes[at] = byte;
            assert_eq!(decode(&bytes.into()), None, "{at}");
        }
    }
}
