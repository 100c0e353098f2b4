//! Strings, but for `SET` and parts of them.

use bytes::Bytes;
use larder_resp::Reply;
use larder_resp::number::{Integer, parse_i64};

use super::{Args, Outcome, count, integer, ok};
use crate::simredis::keyspace::Content;
use crate::simredis::server::{Failure, NO_INTEGER, Server};

pub(super) fn get(server: &mut Server, args: &Args<'_>) -> Outcome {
    let text = server.text(args[1])?;
    Ok(text.map_or(Reply::Null, |text| Reply::Bulk(text.clone())))
}

pub(super) fn mget(server: &mut Server, args: &Args<'_>) -> Outcome {
    let read = |key: &&[u8]| match server.text(key) {
        Ok(Some(text)) => Reply::Bulk(text.clone()),
        // A key of another type counts as none.
        Ok(None) | Err(_) => Reply::Null,
    };
    Ok(Reply::Array(args[1..].iter().map(read).collect()))
}

pub(super) fn mset(server: &mut Server, args: &Args<'_>) -> Outcome {
    if args.len().is_multiple_of(2) {
        return Err("ERR wrong number of arguments for 'mset' command".into());
    }
    for pair in args[1..].chunks(2) {
        let text = Content::Text(Bytes::copy_from_slice(pair[1]));
        server.keys.put(pair[0], text, None);
    }
    Ok(ok())
}

pub(super) fn strlen(server: &mut Server, args: &Args<'_>) -> Outcome {
    Ok(count(server.text(args[1])?.map_or(0, |text| text.len())))
}

pub(super) fn append(server: &mut Server, args: &Args<'_>) -> Outcome {
    let Some(text) = server.text(args[1])? else {
        let text = Content::Text(Bytes::copy_from_slice(args[2]));
        server.keys.put(args[1], text, None);
        return Ok(count(args[2].len()));
    };
    *text = [&text[..], args[2]].concat().into();
    Ok(count(text.len()))
}

pub(super) fn incr(server: &mut Server, args: &Args<'_>) -> Outcome {
    add(server, args[1], 1)
}

pub(super) fn incrby(server: &mut Server, args: &Args<'_>) -> Outcome {
    add(server, args[1], integer(args[2])?)
}

fn add(server: &mut Server, key: &[u8], by: i64) -> Outcome {
    let text = server.text(key)?;
    let number = text.as_ref().map_or(Some(0), |text| parse_i64(text));
    let sum = sum(number.ok_or(NO_INTEGER)?, by)?;
    let digits = Bytes::copy_from_slice(Integer::new(sum).as_bytes());
    match text {
        Some(text) => *text = digits,
        None => server.keys.put(key, Content::Text(digits), None),
    }
    Ok(Reply::Integer(sum))
}

pub(super) fn sum(number: i64, by: i64) -> Result<i64, Failure> {
    let sum = number.checked_add(by);
    sum.ok_or("ERR increment or decrement would overflow".into())
}
