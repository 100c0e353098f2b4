//! Streams: records under ids that only grow.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use larder_resp::number::Integer;

/// The two numbers of an id, `milliseconds-sequence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Id(pub(super) u64, pub(super) u64);

impl Id {
    pub(super) const MAX: Id = Id(u64::MAX, u64::MAX);

    /// `5`, `5-3`; `missing` is the second number where there is none.
    pub(super) fn parse(text: &[u8], missing: u64) -> Option<Id> {
        // As C's `strtoull` reads: blanks and a plus may stand in front.
        let number = |text: &[u8]| -> Option<u64> {
            let text = text.trim_ascii_start();
            let text = text.strip_prefix(b"+").unwrap_or(text);
            if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
                return None;
            }
            std::str::from_utf8(text).ok()?.parse().ok()
        };
        match text.iter().position(|&byte| byte == b'-') {
            None => Some(Id(number(text)?, missing)),
            Some(at) => Some(Id(number(&text[..at])?, number(&text[at + 1..])?)),
        }
    }

    pub(super) fn to_bytes(self) -> Bytes {
        let mut text = Vec::with_capacity(24);
        text.extend_from_slice(Integer::unsigned(self.0).as_bytes());
        text.push(b'-');
        text.extend_from_slice(Integer::unsigned(self.1).as_bytes());
        text.into()
    }

    pub(super) fn next(self) -> Option<Id> {
        match (self.0, self.1.checked_add(1)) {
            (first, Some(second)) => Some(Id(first, second)),
            (first, None) => Some(Id(first.checked_add(1)?, 0)),
        }
    }

    pub(super) fn before(self) -> Option<Id> {
        match (self.0, self.1.checked_sub(1)) {
            (first, Some(second)) => Some(Id(first, second)),
            (first, None) => Some(Id(first.checked_sub(1)?, u64::MAX)),
        }
    }
}

/// Fields and values of one record, in turn.
pub(super) type Fields = Arc<[Bytes]>;

/// Records in the order of their ids.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Stream {
    records: VecDeque<(Id, Fields)>,
    last: Id,
}

impl Stream {
    /// The greatest id that a record ever had.
    pub(super) fn last(&self) -> Id {
        self.last
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Adds a record; its id must be greater than all before.
    pub(super) fn add(&mut self, id: Id, fields: Fields) {
        debug_assert!(id > self.last);
        self.last = id;
        self.records.push_back((id, fields));
    }

    /// Forgets the oldest records, up to so many; gives how many went.
    pub(super) fn trim(&mut self, keep: usize) -> usize {
        let gone = self.records.len().saturating_sub(keep);
        self.records.drain(..gone);
        gone
    }

    /// Forgets one record; tells whether it was there.
    pub(super) fn forget(&mut self, id: Id) -> bool {
        let found = self.records.binary_search_by_key(&id, |(id, _)| *id);
        found.is_ok_and(|at| self.records.remove(at).is_some())
    }

    /// The records from one id to another, both included.
    pub(super) fn range(
        &self,
        first: Id,
        last: Id,
    ) -> impl DoubleEndedIterator<Item = &(Id, Fields)> {
        let from = self.records.partition_point(|(id, _)| *id < first);
        let to = self.records.partition_point(|(id, _)| *id <= last);
        let (from, to) = (Bound::Included(from), Bound::Excluded(to.max(from)));
        self.records.range((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_two_numbers() {
        assert_eq!(Id::parse(b"5", 7), Some(Id(5, 7)));
        assert_eq!(Id::parse(b"5-3", 7), Some(Id(5, 3)));
        assert_eq!(Id::parse(b" +5", 7), Some(Id(5, 7)));
        for wrong in ["", "-", "5-", "-5", "a", "5-a", "+", "5-3-1", "5 ", "++5"] {
            assert_eq!(Id::parse(wrong.as_bytes(), 0), None, "{wrong:?}");
        }
        assert_eq!(Id(5, u64::MAX).next(), Some(Id(6, 0)));
        assert_eq!(Id(6, 0).before(), Some(Id(5, u64::MAX)));
        assert_eq!((Id::MAX.next(), Id(0, 0).before()), (None, None));
        assert_eq!(Id(5, 3).to_bytes(), "5-3");
    }
}
