//! What one record of a mesh holds: changes, without values.
//!
//! The version of the format, the number of the node, the count of the changes, and for each its
//! kind, the length of its key and the key. Numbers are big endian.

use larder_core::bus::{BusChange, ChangeKind};
use larder_core::version::Version;

use ::bytes::{Buf, BufMut, Bytes, BytesMut};

/// The version of the format.
const FORMAT: u8 = 1;

/// A record takes no further change once it is so long, in bytes.
const FULL: usize = 1 << 20;

/// Bytes that are no record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unreadable;

/// Writes changes as one record or several, each as long as is handy; without changes, one.
pub(super) fn encode(origin: u32, changes: &[BusChange]) -> Vec<Bytes> {
    let mut records = Vec::new();
    let mut rest = changes;
    loop {
        let mut size = 0;
        let fits = rest.iter().take_while(|change| {
            let had_room = size < FULL;
            size += change.key.len() + 5;
            had_room
        });
        let (part, left) = rest.split_at(fits.count());
        records.push(encode_part(origin, part));
        rest = left;
        if rest.is_empty() {
            return records;
        }
    }
}

fn encode_part(origin: u32, changes: &[BusChange]) -> Bytes {
    let keys: usize = changes.iter().map(|change| change.key.len() + 5).sum();
    let mut out = BytesMut::with_capacity(9 + keys);
    out.put_u8(FORMAT);
    out.put_u32(origin);
    // What is counted are parts of one batch.
    out.put_u32(u32::try_from(changes.len()).unwrap_or(u32::MAX));
    for change in changes {
        out.put_u8(letter(change.kind));
        out.put_u32(u32::try_from(change.key.len()).unwrap_or(u32::MAX));
        out.put_slice(&change.key);
    }
    out.freeze()
}

/// Reads one record. The changes have no versions: whoever follows them gives his own.
pub(super) fn decode(mut bytes: Bytes) -> Result<(u32, Vec<BusChange>), Unreadable> {
    let unreadable = |_| Unreadable;
    let input = &mut bytes;
    if input.try_get_u8().map_err(unreadable)? != FORMAT {
        return Err(Unreadable);
    }
    let origin = input.try_get_u32().map_err(unreadable)?;
    let count = input.try_get_u32().map_err(unreadable)?;
    let mut changes = Vec::new();
    for _ in 0..count {
        let kind = kind(input.try_get_u8().map_err(unreadable)?).ok_or(Unreadable)?;
        let length = input.try_get_u32().map_err(unreadable)? as usize;
        if length > input.len() {
            return Err(Unreadable);
        }
        changes.push(BusChange::new(input.split_to(length), Version::ZERO, kind));
    }
    if bytes.is_empty() {
        Ok((origin, changes))
    } else {
        Err(Unreadable)
    }
}

fn letter(kind: ChangeKind) -> u8 {
    match kind {
        ChangeKind::Replaced => b'P',
        ChangeKind::Removed => b'R',
        ChangeKind::Expired => b'E',
        ChangeKind::Cleared => b'C',
        ChangeKind::TagBumped => b'T',
        ChangeKind::Voided => b'V',
    }
}

fn kind(letter: u8) -> Option<ChangeKind> {
    Some(match letter {
        b'P' => ChangeKind::Replaced,
        b'R' => ChangeKind::Removed,
        b'E' => ChangeKind::Expired,
        b'C' => ChangeKind::Cleared,
        b'T' => ChangeKind::TagBumped,
        b'V' => ChangeKind::Voided,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes() -> Vec<BusChange> {
        let kinds = [
            ChangeKind::Replaced,
            ChangeKind::Removed,
            ChangeKind::Expired,
            ChangeKind::Cleared,
            ChangeKind::TagBumped,
            ChangeKind::Voided,
        ];
        let change = |(at, kind)| {
            let key = Bytes::from(vec![b'k'; at]);
            BusChange::new(key, Version::ZERO, kind)
        };
        kinds.into_iter().enumerate().map(change).collect()
    }

    #[test]
    fn the_bytes_of_a_record_are_fixed_for_ever() {
        let key = Bytes::from_static(b"ab");
        let change = BusChange::new(key, Version(9), ChangeKind::Removed);
        let records = encode(7, &[change]);
        assert_eq!(records, [&b"\x01\0\0\0\x07\0\0\0\x01R\0\0\0\x02ab"[..]]);
    }

    #[test]
    fn a_record_reads_back_and_nothing_shorter_longer_or_unknown_does() {
        for changes in [changes(), Vec::new()] {
            let [record] = &encode(7, &changes)[..] else {
                panic!("it is short");
            };
            assert_eq!(decode(record.clone()), Ok((7, changes)));
            for end in 0..record.len() {
                assert_eq!(decode(record.slice(..end)), Err(Unreadable));
            }
            let longer = [&record[..], b"x"].concat();
            assert_eq!(decode(longer.into()), Err(Unreadable));
        }
        for bytes in [
            &b"\x02\0\0\0\x07\0\0\0\0"[..],
            b"\x01\0\0\0\0\0\0\0\x01?\0\0\0\0",
        ] {
            assert_eq!(decode(Bytes::from_static(bytes)), Err(Unreadable));
        }
    }

    #[test]
    fn many_changes_are_several_records() {
        let key = Bytes::from(vec![b'k'; 60_000]);
        let one = BusChange::new(key, Version::ZERO, ChangeKind::Removed);
        let changes = vec![one; 100];
        let records = encode(7, &changes);
        assert!(records.len() > 4, "{}", records.len());
        let read = records.into_iter().map(|record| {
            assert!(record.len() < FULL + 70_000);
            decode(record).expect("it is a record").1
        });
        assert_eq!(read.flatten().collect::<Vec<_>>(), changes);
    }
}
