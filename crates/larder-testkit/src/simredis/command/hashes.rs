//! Hashes.

use bytes::Bytes;
use larder_resp::Reply;
use larder_resp::number::{Integer, parse_i64};

use super::strings::sum;
use super::{Args, Outcome, count, flag, integer};
use crate::simredis::keyspace::Content;
use crate::simredis::server::{Failure, Server};

type Fields = Vec<(Bytes, Bytes)>;

fn find<'a>(fields: &'a Fields, name: &[u8]) -> Option<&'a Bytes> {
    let found = fields.iter().find(|(field, _)| field == name);
    found.map(|(_, value)| value)
}

/// The hash under a key; makes one where there is none.
fn make<'a>(server: &'a mut Server, key: &[u8]) -> Result<&'a mut Fields, Failure> {
    if server.hash(key)?.is_none() {
        server.keys.put(key, Content::Hash(Vec::new()), None);
    }
    let made = server.hash(key)?;
    Ok(made.expect("it is there, or has just been made"))
}

/// Tells whether the field is new.
fn put(fields: &mut Fields, name: &[u8], value: &[u8]) -> bool {
    let value = Bytes::copy_from_slice(value);
    match fields.iter_mut().find(|(field, _)| field == name) {
        Some((_, known)) => {
            *known = value;
            false
        }
        None => {
            fields.push((Bytes::copy_from_slice(name), value));
            true
        }
    }
}

pub(super) fn hset(server: &mut Server, args: &Args<'_>) -> Outcome {
    if !args.len().is_multiple_of(2) {
        return Err("ERR wrong number of arguments for 'hset' command".into());
    }
    let fields = make(server, args[1])?;
    let pairs = args[2..].chunks(2);
    let new = pairs.filter(|pair| put(fields, pair[0], pair[1])).count();
    Ok(count(new))
}

pub(super) fn hsetnx(server: &mut Server, args: &Args<'_>) -> Outcome {
    let fields = make(server, args[1])?;
    let is_new = find(fields, args[2]).is_none();
    if is_new {
        put(fields, args[2], args[3]);
    }
    Ok(flag(is_new))
}

pub(super) fn hget(server: &mut Server, args: &Args<'_>) -> Outcome {
    let fields = server.hash(args[1])?;
    let value = fields.and_then(|fields| find(fields, args[2]).cloned());
    Ok(value.map_or(Reply::Null, Reply::Bulk))
}

pub(super) fn hmget(server: &mut Server, args: &Args<'_>) -> Outcome {
    let fields = server.hash(args[1])?;
    let value = |name: &&[u8]| {
        let value = fields.as_ref().and_then(|fields| find(fields, name));
        value.map_or(Reply::Null, |value| Reply::Bulk(value.clone()))
    };
    Ok(Reply::Array(args[2..].iter().map(value).collect()))
}

pub(super) fn hgetall(server: &mut Server, args: &Args<'_>) -> Outcome {
    let fields = server.hash(args[1])?.map_or(&[][..], |fields| &fields[..]);
    let all = fields.iter().flat_map(|(name, value)| [name, value]);
    Ok(Reply::Array(all.cloned().map(Reply::Bulk).collect()))
}

pub(super) fn hexists(server: &mut Server, args: &Args<'_>) -> Outcome {
    let fields = server.hash(args[1])?;
    let found = fields.is_some_and(|fields| find(fields, args[2]).is_some());
    Ok(flag(found))
}

pub(super) fn hlen(server: &mut Server, args: &Args<'_>) -> Outcome {
    Ok(count(
        server.hash(args[1])?.map_or(0, |fields| fields.len()),
    ))
}

pub(super) fn hdel(server: &mut Server, args: &Args<'_>) -> Outcome {
    let Some(fields) = server.hash(args[1])? else {
        return Ok(count(0));
    };
    let before = fields.len();
    fields.retain(|(field, _)| !args[2..].contains(&&field[..]));
    let (gone, is_empty) = (before - fields.len(), fields.is_empty());
    if is_empty {
        let now = server.now_ms();
        server.keys.remove(args[1], now);
    }
    Ok(count(gone))
}

pub(super) fn hincrby(server: &mut Server, args: &Args<'_>) -> Outcome {
    let by = integer(args[3])?;
    let fields = server.hash(args[1])?;
    let known = fields.and_then(|fields| find(fields, args[2]).cloned());
    let number = known.map_or(Some(0), |text| parse_i64(&text));
    let number = number.ok_or("ERR hash value is not an integer")?;
    let sum = sum(number, by)?;
    put(
        make(server, args[1])?,
        args[2],
        Integer::new(sum).as_bytes(),
    );
    Ok(Reply::Integer(sum))
}
