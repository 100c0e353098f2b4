//! `GETRANGE key start end` and its old name `SUBSTR`: returns a part of a value.
//!
//! ```text
//! *4 $8 GETRANGE $3 key $1 0 $2 -1  →  $5 value
//! ```
//!
//! Both ends are included and count from the end when negative. O(N) with the length returned;
//! one round trip to a remote store, over which the whole value travels, none if there is a near copy.

use std::ops::Range;

use super::{Call, Outcome};

pub(super) async fn getrange(call: &mut Call<'_>) -> Outcome {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let key = call.key(1)?;
    let value = call.database().value(&key).await?;
    call.count_reads(value.is_some().into(), value.is_none().into());
    let value = value.unwrap_or_default();
    let part = range(start, end, value.len());
    call.reply().bulk(&value[part]);
    Ok(())
}

fn range(start: i64, end: i64, length: usize) -> Range<usize> {
    let length = length as i64;
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let from_end = |at: i64| {
        if at < 0 {
            at.saturating_add(length).max(0)
        } else {
            at
        }
    };
    let (start, end) = (from_end(start), from_end(end).min(length - 1));
    if start > end || length == 0 {
        return 0..0;
    }
    start as usize..end as usize + 1
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ends_are_included_and_clamped() {
        let table = [
            ((0, 1, 3), 0..2),
            ((-2, -1, 3), 1..3),
            ((5, 10, 3), 0..0),
            ((-1, -2, 3), 0..0),
            ((0, -100, 3), 0..1),
            ((0, 0, 0), 0..0),
            ((i64::MIN, i64::MAX, 3), 0..3),
            ((i64::MAX, i64::MAX, 3), 0..0),
        ];
        for ((start, end, length), expected) in table {
            assert_eq!(
                range(start, end, length),
                expected,
                "{start} {end} {length}"
            );
        }
    }
}
