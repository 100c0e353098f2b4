//! Those who read a log, and whether a reader has heard of a change.

use std::sync::Arc;
use std::time::Duration;

use crate::lane::{LEASE, Position};
use crate::runtime::Timestamp;

/// By how much clocks may differ in speed, as a part: 10 %.
const DRIFT: u32 = 10;

/// Who reads a log, as the shard is told with each poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The number of the node, as in records.
    pub node: u32,
    /// What people call the node. No secrets.
    pub name: Arc<str>,
    /// The cache that reads. Without a blank.
    pub cache: Arc<str>,
    /// Up to where it has applied everything; `None` before its first answer.
    pub applied: Option<Position>,
    /// Whether this is its last poll. It must have no copies that could be used.
    pub leaves: bool,
}

/// A reader, as the shard last heard of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The number of the node.
    pub node: u32,
    /// What people call the node.
    pub name: Arc<str>,
    /// The cache that reads.
    pub cache: Arc<str>,
    /// Up to where it had applied everything when it polled.
    pub applied: Option<Position>,
    /// When that poll arrived, on the shard's clock.
    pub polled: Timestamp,
}

/// All readers of a log, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readers {
    /// The shard's clock.
    pub now: Timestamp,
    /// Where the log stands; `None` if the shard has none now.
    pub log: Option<Position>,
    /// Since when the shard would remember a log, if it had begun one: a shard that has lost its
    /// memory has lost its log, too. `None` if nobody knows.
    pub remembers_since: Option<Timestamp>,
    /// Since when the list is kept; `None` if there is none. Who polled before that, and not
    /// since, is not on it.
    pub since: Option<Timestamp>,
    /// Those who have polled within [`super::READER_LIFE_MS`], in no order.
    pub seen: Vec<Seen>,
}

/// What a reader makes of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hearing {
    /// It has applied the change, or dropped all copies since.
    Applied,
    /// It has not polled for so long that it may not use its copies.
    Silent,
    /// It polls, and has not said that it has applied the change.
    Behind,
}

/// After so long without a poll a reader has fenced itself, whatever the speed of its clock.
pub fn fenced_after() -> Duration {
    LEASE + LEASE / DRIFT
}

impl Readers {
    /// How a reader stands to the change that was given `position`, or that was made while the
    /// shard had no log.
    pub fn hearing(&self, reader: &Seen, position: Option<Position>) -> Hearing {
        let is_reached = reader.applied.is_some_and(|applied| match position {
            Some(position) if applied.incarnation == position.incarnation => {
                applied.seq >= position.seq
            }
            // With each life of the log a reader drops all that it has, and the present life is not
            // before the change. The one that the reader knows may be.
            _ => self.log.map(|log| log.incarnation) == Some(applied.incarnation),
        });
        if is_reached {
            Hearing::Applied
        } else if self.now.since(reader.polled) > fenced_after() {
            Hearing::Silent
        } else {
            Hearing::Behind
        }
    }

    /// Whether all who may use near copies under a lease now are on the list.
    pub fn are_complete(&self) -> bool {
        let is_old = |since: Timestamp| self.now.since(since) > fenced_after();
        // Whoever polls begins a log. Where there is none, and none was lost, nobody has polled for
        // as long as copies can be used after a poll.
        let nobody_reads = self.log.is_none() && self.remembers_since.is_some_and(is_old);
        nobody_reads || self.since.is_some_and(is_old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(100_000);

    fn at(incarnation: u64, seq: u64) -> Position {
        Position { incarnation, seq }
    }

    fn readers(log: Option<Position>) -> Readers {
        Readers {
            now: NOW,
            log,
            remembers_since: None,
            since: Some(Timestamp(0)),
            seen: Vec::new(),
        }
    }

    fn seen(applied: Option<Position>, age: u64) -> Seen {
        Seen {
            node: 1,
            name: "n".into(),
            cache: "c".into(),
            applied,
            polled: Timestamp(NOW.0 - age),
        }
    }

    #[test]
    fn a_reader_has_applied_a_change_or_is_silent_or_behind() {
        let hearing = |log, applied, age| readers(log).hearing(&seen(applied, age), Some(at(7, 5)));
        let log = Some(at(7, 9));
        for (applied, age, expected) in [
            (Some(at(7, 5)), 0, Hearing::Applied),
            (Some(at(7, 9)), 50_000, Hearing::Applied),
            (Some(at(7, 4)), 1_100, Hearing::Behind),
            (Some(at(7, 4)), 1_101, Hearing::Silent),
            (None, 0, Hearing::Behind),
            (None, 1_101, Hearing::Silent),
            // Of a life before the change, for all that anybody knows.
            (Some(at(6, 99)), 0, Hearing::Behind),
        ] {
            assert_eq!(hearing(log, applied, age), expected, "{applied:?} {age}");
        }
        // A later life than that of the change: everything was dropped when it was joined.
        let later = Some(at(8, 0));
        assert_eq!(hearing(later, later, 0), Hearing::Applied);
        assert_eq!(hearing(later, Some(at(6, 9)), 0), Hearing::Behind);
        assert_eq!(hearing(None, Some(at(6, 9)), 0), Hearing::Behind);
    }

    #[test]
    fn a_change_without_a_place_was_heard_of_by_those_who_joined_after_it() {
        let hearing = |log, applied, age| readers(log).hearing(&seen(applied, age), None);
        // The log that was there before is lost; one was begun since.
        let log = Some(at(8, 0));
        assert_eq!(hearing(log, log, 0), Hearing::Applied);
        assert_eq!(hearing(log, Some(at(7, 99)), 0), Hearing::Behind);
        assert_eq!(hearing(None, Some(at(7, 99)), 0), Hearing::Behind);
        assert_eq!(hearing(None, Some(at(7, 99)), 1_101), Hearing::Silent);
    }

    #[test]
    fn a_list_that_was_just_begun_lacks_readers() {
        let since = |since| Readers {
            since,
            ..readers(None)
        };
        assert!(!since(None).are_complete());
        assert!(!since(Some(Timestamp(NOW.0 - 1_100))).are_complete());
        assert!(since(Some(Timestamp(NOW.0 - 1_101))).are_complete());
    }

    #[test]
    fn where_a_log_may_have_been_lost_just_now_somebody_may_still_read() {
        let remembers = |log, since| Readers {
            remembers_since: since,
            since: None,
            ..readers(log)
        };
        let old = Some(Timestamp(NOW.0 - 1_101));
        assert!(remembers(None, old).are_complete());
        assert!(!remembers(None, None).are_complete());
        assert!(!remembers(None, Some(Timestamp(NOW.0 - 1_100))).are_complete());
        assert!(!remembers(Some(at(7, 5)), old).are_complete());
    }
}
