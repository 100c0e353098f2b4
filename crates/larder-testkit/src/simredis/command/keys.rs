//! Keys of any type, and all of them.

use bytes::Bytes;
use larder_core::glob;
use larder_resp::Reply;
use larder_resp::number::Integer;
use xxhash_rust::xxh3::xxh3_64;

use super::{Args, Outcome, count, integer, is, ok};
use crate::simredis::server::{SYNTAX, Server};

pub(super) fn exists(server: &mut Server, args: &Args<'_>) -> Outcome {
    let keys = args[1..].iter();
    Ok(count(
        keys.filter(|key| server.entry(key).is_some()).count(),
    ))
}

/// `DEL` and `UNLINK`.
pub(super) fn remove(server: &mut Server, args: &Args<'_>) -> Outcome {
    let now = server.now_ms();
    let keys = args[1..].iter();
    Ok(count(
        keys.filter(|key| server.keys.remove(key, now)).count(),
    ))
}

pub(super) fn type_of(server: &mut Server, args: &Args<'_>) -> Outcome {
    let kind = server.entry(args[1]).map(|entry| entry.content.kind());
    let kind = kind.unwrap_or("none");
    Ok(Reply::Simple(Bytes::from_static(kind.as_bytes())))
}

pub(super) fn flush(server: &mut Server, args: &Args<'_>) -> Outcome {
    match &args[1..] {
        [] => {}
        [word] if is(word, "async") || is(word, "sync") => {}
        _ => return Err(SYNTAX),
    }
    server.keys.clear();
    Ok(ok())
}

/// Which one is decided by the moment alone, so that a run can be repeated.
pub(super) fn randomkey(server: &mut Server, _args: &Args<'_>) -> Outcome {
    let now = server.now_ms();
    let keys: Vec<&Bytes> = server.keys.live(now).map(|(key, _)| key).collect();
    if keys.is_empty() {
        return Ok(Reply::Null);
    }
    let at = xxh3_64(&server.now_us.to_le_bytes()) % keys.len() as u64;
    let key = keys[usize::try_from(at).unwrap_or(0)];
    Ok(Reply::Bulk(key.clone()))
}

/// The place of a key in the order of a scan: anywhere, and never the beginning. Clients may take
/// cursors for signed numbers.
fn place(key: &[u8]) -> u64 {
    xxh3_64(key) >> 1 | 1
}

/// A key that is there from the beginning of a scan to its end is given; whether one is that comes
/// or goes meanwhile depends on its place.
pub(super) fn scan(server: &mut Server, args: &Args<'_>) -> Outcome {
    let cursor = std::str::from_utf8(args[1]).ok();
    let cursor: Option<u64> = cursor.and_then(|text| text.parse().ok());
    let cursor = cursor.ok_or("ERR invalid cursor")?;
    let (mut pattern, mut most, mut kind) = (None, 10, None);
    let options = args[2..].chunks(2);
    for option in options {
        match option {
            [word, value] if is(word, "count") => {
                most = integer(value)?;
                if most < 1 {
                    return Err(SYNTAX);
                }
            }
            [word, value] if is(word, "match") => pattern = Some(*value),
            [word, value] if is(word, "type") => kind = Some(*value),
            _ => return Err(SYNTAX),
        }
    }
    let now = server.now_ms();
    let live = server.keys.live(now);
    let mut keys: Vec<_> = live
        .map(|(key, entry)| (place(key), key, entry))
        .filter(|(place, _, _)| *place >= cursor)
        .collect();
    keys.sort_unstable_by_key(|(place, key, _)| (*place, *key));
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    // Keys of one place go together, because the next cursor lies behind all of them.
    let mut end = most.min(keys.len());
    while end > 0 && end < keys.len() && keys[end].0 == keys[end - 1].0 {
        end += 1;
    }
    let next = keys.get(end).map_or(0, |(place, _, _)| *place);
    let matches = |key: &[u8]| pattern.is_none_or(|pattern| glob::matches(pattern, key));
    let found = keys[..end].iter().filter(|(_, key, entry)| {
        kind.is_none_or(|kind| is(kind, entry.content.kind())) && matches(key)
    });
    let found = found.map(|(_, key, _)| Reply::Bulk((*key).clone()));
    let cursor = Bytes::copy_from_slice(Integer::unsigned(next).as_bytes());
    Ok(Reply::Array(vec![
        Reply::Bulk(cursor),
        Reply::Array(found.collect()),
    ]))
}
