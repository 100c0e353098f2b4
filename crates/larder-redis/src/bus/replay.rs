//! The part of an answer that a reader can rely on: records without a gap, up to its end.

use bytes::Bytes;
use larder_core::bus::{BusRecord, Replay};
use larder_core::error::Result;
use larder_core::lane::{Gap, Position};

use super::record;
use crate::reply::Reply;

/// Reads the answer of `replay.lua`.
pub(super) fn read(gap: Gap, mut reply: Reply) -> Result<Replay> {
    let log = Position {
        incarnation: reply.number()?,
        seq: reply.number()?,
    };
    let oldest = match reply.number()? {
        0 => log.seq + 1,
        oldest => oldest,
    };
    let is_cut = reply.int()? == 1;
    let mut entries = Vec::with_capacity(reply.left() / 2);
    while reply.left() > 0 {
        let seq = reply.number()?;
        entries.push((seq, reply.bytes()?.unwrap_or_default()));
    }
    Ok(rely(gap, log, oldest, is_cut, entries))
}

/// A record that is missing (removed by hand, refused by the server) or cannot be read (a format
/// of later, bytes of others) is treated as if the log had been trimmed behind it, and so is all
/// before it: nobody knows what it said, and a reader that waited for it would wait for ever.
fn rely(gap: Gap, log: Position, oldest: u64, is_cut: bool, entries: Vec<(u64, Bytes)>) -> Replay {
    let mut replay = Replay {
        incarnation: log.incarnation,
        oldest,
        records: Vec::with_capacity(entries.len()),
    };
    let mut next = gap.first.max(oldest);
    for (seq, bytes) in entries {
        if seq != next {
            replay.records.clear();
            replay.oldest = seq;
        }
        next = seq + 1;
        match decode(log.incarnation, seq, &bytes) {
            Some(record) => replay.records.push(record),
            None => {
                replay.records.clear();
                replay.oldest = next;
            }
        }
    }
    let last = gap.last.min(log.seq);
    if !is_cut && next <= last {
        replay.records.clear();
        replay.oldest = last + 1;
    }
    replay
}

fn decode(incarnation: u64, seq: u64, bytes: &Bytes) -> Option<BusRecord> {
    record::decode(bytes).filter(|record| record.position == Position { incarnation, seq })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: Position = Position {
        incarnation: 7,
        seq: 9,
    };

    fn entry(seq: u64) -> (u64, Bytes) {
        let mut bytes = vec![1];
        bytes.extend(7_u64.to_be_bytes());
        bytes.extend(seq.to_be_bytes());
        bytes.extend([0; 12]);
        (seq, bytes.into())
    }

    fn relied(gap: (u64, u64), oldest: u64, is_cut: bool, seqs: &[u64]) -> (u64, Vec<u64>) {
        let entries = seqs.iter().map(|&seq| entry(seq)).collect();
        of(gap, oldest, is_cut, entries)
    }

    fn of(gap: (u64, u64), oldest: u64, cut: bool, entries: Vec<(u64, Bytes)>) -> (u64, Vec<u64>) {
        let gap = Gap {
            first: gap.0,
            last: gap.1,
        };
        let replay = rely(gap, LOG, oldest, cut, entries);
        assert_eq!(replay.incarnation, 7);
        let seqs = replay.records.iter().map(|record| record.position.seq);
        (replay.oldest, seqs.collect())
    }

    #[test]
    fn a_sound_answer_is_passed_on() {
        assert_eq!(relied((3, 5), 1, false, &[3, 4, 5]), (1, vec![3, 4, 5]));
        assert_eq!(relied((3, 9), 1, true, &[3, 4]), (1, vec![3, 4]));
        assert_eq!(relied((3, 5), 4, false, &[4, 5]), (4, vec![4, 5]));
        assert_eq!(relied((3, 5), 10, false, &[]), (10, vec![]));
        // The reader has heard of more than there is: a poll will tell.
        assert_eq!(relied((9, 20), 1, false, &[9]), (1, vec![9]));
    }

    #[test]
    fn a_hole_counts_as_trimmed() {
        assert_eq!(relied((3, 6), 1, false, &[3, 5, 6]), (5, vec![5, 6]));
        assert_eq!(relied((3, 6), 1, false, &[5, 6]), (5, vec![5, 6]));
        assert_eq!(relied((3, 6), 1, false, &[3, 4]), (7, vec![]));
        assert_eq!(relied((3, 6), 1, false, &[]), (7, vec![]));
    }

    #[test]
    fn what_cannot_be_read_counts_as_trimmed() {
        let later = |seq| (seq, Bytes::from_static(b"\x02whatever"));
        let entries = vec![entry(3), later(4), entry(5)];
        assert_eq!(of((3, 5), 1, false, entries), (5, vec![5]));
        assert_eq!(of((3, 4), 1, false, vec![entry(3), later(4)]), (5, vec![]));
        let misplaced = (4, entry(8).1);
        assert_eq!(of((3, 4), 1, false, vec![entry(3), misplaced]), (5, vec![]));
    }
}
