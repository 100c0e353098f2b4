//! Reading the log again.

use larder_core::bus::Replay;
use larder_core::lane::Gap;

use super::bus::{log_since, poll};
use super::subject::{Subject, fine};

async fn replay(subject: &Subject, first: u64, last: u64) -> Replay {
    fine(subject.bus().replay(Gap { first, last }).await)
}

async fn write(subject: &Subject, records: usize) {
    for at in 0..records {
        subject.put(&format!("k{}", at % 10), "v").await;
    }
}

/// Exactly the records that are asked for.
pub async fn a_part_is_read_again(subject: &Subject) {
    let first = poll(subject).await;
    write(subject, 20).await;
    let all = log_since(subject, first).await;
    for (from, to) in [(1, 1), (5, 9), (20, 20), (1, 20)] {
        let replay = replay(subject, first.seq + from, first.seq + to).await;
        assert_eq!(replay.records, all[from as usize - 1..to as usize]);
        assert_eq!(replay.incarnation, first.incarnation);
        assert_eq!(replay.oldest, first.seq + 1);
    }
}

/// The log does not change behind its end.
pub async fn what_is_read_twice_is_the_same(subject: &Subject) {
    let first = poll(subject).await;
    write(subject, 5).await;
    let before = log_since(subject, first).await;
    write(subject, 5).await;
    assert_eq!(log_since(subject, first).await[..5], before);
}

/// An answer may end early; going on from there reads everything.
pub async fn a_long_part_is_read_bit_by_bit(subject: &Subject) {
    let first = poll(subject).await;
    write(subject, 2_100).await;
    let all = log_since(subject, first).await;
    assert_eq!(all.len(), 2_100);
    let once = replay(subject, first.seq + 1, first.seq + 2_100).await;
    assert!(once.records.len() <= 1_000, "{}", once.records.len());
}

/// Records of the future are not there, and that is no reason to think that they are lost.
pub async fn what_is_not_there_yet_is_left_out(subject: &Subject) {
    let first = poll(subject).await;
    let empty = replay(subject, first.seq + 1, first.seq + 9).await;
    assert_eq!((empty.oldest, empty.records), (first.seq + 1, vec![]));
    write(subject, 3).await;
    let replay = replay(subject, first.seq + 2, first.seq + 9).await;
    assert_eq!((replay.oldest, replay.records.len()), (first.seq + 1, 2));
}
