//! Parts of strings.

use std::ops::Range;

use bytes::Bytes;
use larder_resp::Reply;

use super::{Args, Outcome, count, integer};
use crate::simredis::keyspace::Content;
use crate::simredis::server::Server;

/// The longest string.
const LONGEST: i64 = 512 << 20;

pub(super) fn getrange(server: &mut Server, args: &Args<'_>) -> Outcome {
    let (first, last) = (integer(args[2])?, integer(args[3])?);
    let part = server.text(args[1])?.map(|text| {
        let range = range(first, last, text.len());
        text.slice(range)
    });
    Ok(Reply::Bulk(part.unwrap_or_default()))
}

/// The bytes from one index to another, both included; negative ones count from the end.
fn range(first: i64, last: i64, length: usize) -> Range<usize> {
    if first < 0 && last < 0 && first > last {
        return 0..0;
    }
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let place = |index: i64| {
        if index < 0 {
            (length + index).max(0)
        } else {
            index
        }
    };
    let (first, last) = (place(first), place(last).min(length - 1));
    if first > last || length == 0 {
        return 0..0;
    }
    let place = |index: i64| usize::try_from(index).unwrap_or(0);
    place(first)..place(last) + 1
}

pub(super) fn setrange(server: &mut Server, args: &Args<'_>) -> Outcome {
    let (key, offset, part) = (args[1], integer(args[2])?, args[3]);
    if offset < 0 {
        return Err("ERR offset is out of range".into());
    }
    let text = server.text(key)?;
    if part.is_empty() {
        return Ok(count(text.map_or(0, |text| text.len())));
    }
    let part_length = i64::try_from(part.len()).unwrap_or(i64::MAX);
    if offset.saturating_add(part_length) > LONGEST {
        let why = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
        return Err(why.into());
    }
    let from = usize::try_from(offset).unwrap_or(0);
    let mut bytes = text.as_deref().map_or_else(Vec::new, |text| text.to_vec());
    bytes.resize(bytes.len().max(from + part.len()), 0);
    bytes[from..from + part.len()].copy_from_slice(part);
    let length = bytes.len();
    match text {
        Some(text) => *text = bytes.into(),
        None => server
            .keys
            .put(key, Content::Text(Bytes::from(bytes)), None),
    }
    Ok(count(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_string() {
        for (first, last, length, found) in [
            (0, -1, 5, 0..5),
            (1, 3, 5, 1..4),
            (-3, -2, 5, 2..4),
            (-100, 100, 5, 0..5),
            (3, 1, 5, 0..0),
            (5, 9, 5, 0..0),
            (0, 0, 0, 0..0),
            (0, -100, 5, 0..1),
            (i64::MIN, i64::MAX, 5, 0..5),
        ] {
            assert_eq!(range(first, last, length), found, "{first} {last} {length}");
        }
    }
}
