//! The list of readers, as text: `registry.lua` keeps it, `docs/wire-format.md` describes it.

use larder_core::bus::{Reader, Readers, Seen};
use larder_core::error::Result;
use larder_core::lane::Position;
use larder_core::runtime::Timestamp;

use crate::reply::Reply;

/// The field of a reader: `node cache name`.
pub(super) fn name(reader: &Reader) -> String {
    format!("{} {} {}", reader.node, reader.cache, reader.name)
}

/// How far a reader has read: `incarnation number`.
pub(super) fn read(reader: &Reader) -> String {
    let applied = reader.applied;
    let (incarnation, seq) = applied.map_or((0, 0), |at| (at.incarnation, at.seq));
    format!("{incarnation} {seq}")
}

/// Reads the answer of `readers.lua`. What is none of our entries is left out.
pub(super) fn readers(mut reply: Reply) -> Result<Readers> {
    let (incarnation, seq) = (reply.number()?, reply.number()?);
    let mut time = || -> Result<Option<Timestamp>> {
        Ok(Some(Timestamp(reply.number()?)).filter(|time| time.0 != 0))
    };
    let (remembers_since, since) = (time()?, time()?);
    let mut readers = Readers {
        now: reply.time,
        log: position(incarnation, seq),
        remembers_since,
        since,
        seen: Vec::with_capacity(reply.left() / 2),
    };
    while reply.left() > 0 {
        let (field, entry) = (reply.bytes()?, reply.bytes()?);
        let texts = field.as_deref().zip(entry.as_deref());
        let texts = texts.map(|(field, entry)| (str::from_utf8(field), str::from_utf8(entry)));
        if let Some((Ok(field), Ok(entry))) = texts {
            readers.seen.extend(seen(field, entry));
        }
    }
    Ok(readers)
}

fn position(incarnation: u64, seq: u64) -> Option<Position> {
    (incarnation != 0).then_some(Position { incarnation, seq })
}

fn seen(field: &str, entry: &str) -> Option<Seen> {
    let mut field = field.splitn(3, ' ');
    let mut entry = entry.split(' ').map(str::parse);
    Some(Seen {
        node: field.next()?.parse().ok()?,
        cache: field.next()?.into(),
        name: field.next()?.into(),
        polled: Timestamp(entry.next()?.ok()?),
        applied: position(entry.next()?.ok()?, entry.next()?.ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(applied: Option<Position>) -> Reader {
        Reader {
            node: 7,
            name: "web 1".into(),
            cache: "app:users".into(),
            applied,
            leaves: false,
        }
    }

    #[test]
    fn entries_read_back() {
        let at = Position {
            incarnation: 9,
            seq: 42,
        };
        for applied in [None, Some(at)] {
            let reader = reader(applied);
            let entry = format!("1700000000000 {}", read(&reader));
            let seen = seen(&name(&reader), &entry).unwrap();
            assert_eq!((seen.node, seen.applied), (7, applied));
            assert_eq!((&*seen.name, &*seen.cache), ("web 1", "app:users"));
            assert_eq!(seen.polled, Timestamp(1_700_000_000_000));
        }
    }

    #[test]
    fn what_others_wrote_is_no_reader() {
        for (field, entry) in [
            ("", ""),
            ("x y z", "1 0 0"),
            ("1 y", "1 0 0"),
            ("1 y z", "1 0"),
        ] {
            assert_eq!(seen(field, entry), None, "{field:?} {entry:?}");
        }
    }
}
