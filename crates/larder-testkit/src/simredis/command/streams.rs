//! Streams, without groups of readers.

use bytes::Bytes;
use larder_resp::Reply;

use super::{Args, Outcome, count, integer, is};
use crate::simredis::keyspace::Content;
use crate::simredis::server::{Failure, SYNTAX, Server};
use crate::simredis::stream::{Fields, Id};

const NO_ID: Failure =
    Failure::Borrowed("ERR Invalid stream ID specified as stream command argument");

/// Records in one node of a real stream: `~` trims whole nodes only.
const NODE: usize = 100;

/// How much of a stream may stay.
struct Trimming {
    keep: usize,
    is_rough: bool,
}

impl Trimming {
    /// `MAXLEN [=|~] number`, and what follows it.
    fn parse<'a>(words: &'a [&'a [u8]]) -> Result<(Trimming, &'a [&'a [u8]]), Failure> {
        let (is_rough, words) = match words {
            [sign @ (b"~" | b"="), rest @ ..] => (*sign == b"~", rest),
            words => (false, words),
        };
        let [number, rest @ ..] = words else {
            return Err(SYNTAX);
        };
        let number = integer(number)?;
        let keep = usize::try_from(number);
        let keep = keep.map_err(|_| "ERR The MAXLEN argument must be >= 0.")?;
        Ok((Trimming { keep, is_rough }, rest))
    }

    /// How many records to keep of a stream that has so many.
    fn keep(&self, length: usize) -> usize {
        if self.is_rough {
            let surplus = length.saturating_sub(self.keep);
            length - surplus / NODE * NODE
        } else {
            self.keep
        }
    }
}

pub(super) fn xadd(server: &mut Server, args: &Args<'_>) -> Outcome {
    let (mut rest, mut trimming, mut makes) = (&args[2..], None, true);
    loop {
        match rest {
            [word, more @ ..] if is(word, "nomkstream") => {
                makes = false;
                rest = more;
            }
            [word, more @ ..] if is(word, "maxlen") => {
                let (parsed, more) = Trimming::parse(more)?;
                trimming = Some(parsed);
                rest = more;
            }
            _ => break,
        }
    }
    let [id, fields @ ..] = rest else {
        return Err(wrong_number());
    };
    let wanted = Wanted::parse(id)?;
    if fields.is_empty() || !fields.len().is_multiple_of(2) {
        return Err(wrong_number());
    }
    if wanted == Wanted::Exactly(Id(0, 0)) {
        return Err("ERR The ID specified in XADD must be greater than 0-0".into());
    }
    let now = u64::try_from(server.now_ms()).unwrap_or(0);
    if server.stream(args[1])?.is_none() {
        if !makes {
            return Ok(Reply::Null);
        }
        let stream = Content::Stream(super::super::stream::Stream::default());
        server.keys.put(args[1], stream, None);
    }
    let stream = server.stream(args[1])?;
    let stream = stream.expect("it is there, or has just been made");
    let id = wanted.after(stream.last(), now)?;
    let fields: Fields = fields
        .iter()
        .map(|field| Bytes::copy_from_slice(field))
        .collect();
    stream.add(id, fields);
    if let Some(trimming) = trimming {
        let keep = trimming.keep(stream.len());
        stream.trim(keep);
    }
    Ok(Reply::Bulk(id.to_bytes()))
}

fn wrong_number() -> Failure {
    "ERR wrong number of arguments for 'xadd' command".into()
}

/// The id that a new record is to have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Exactly(Id),
    /// `5-*`.
    Within(u64),
    /// `*`.
    Any,
}

impl Wanted {
    fn parse(text: &[u8]) -> Result<Wanted, Failure> {
        if text == b"*" {
            return Ok(Wanted::Any);
        }
        match text.strip_suffix(b"-*") {
            Some(first) => Id::parse(first, 0)
                .filter(|_| !first.contains(&b'-'))
                .map(|id| Wanted::Within(id.0)),
            None => Id::parse(text, 0).map(Wanted::Exactly),
        }
        .ok_or(NO_ID)
    }

    fn after(self, last: Id, now_ms: u64) -> Result<Id, Failure> {
        let id = match self {
            Wanted::Exactly(id) => Some(id),
            Wanted::Within(first) if first == last.0 => last.next().filter(|id| id.0 == first),
            Wanted::Within(first) => Some(Id(first, 0)),
            Wanted::Any => Some(Id(now_ms, 0).max(last.next().unwrap_or(last))),
        };
        let smaller =
            "ERR The ID specified in XADD is equal or smaller than the target stream top item";
        id.filter(|id| *id > last).ok_or(smaller.into())
    }
}

pub(super) fn xtrim(server: &mut Server, args: &Args<'_>) -> Outcome {
    if !is(args[2], "maxlen") {
        return Err(SYNTAX);
    }
    let (trimming, rest) = Trimming::parse(&args[3..])?;
    if !rest.is_empty() {
        return Err(SYNTAX);
    }
    let gone = server.stream(args[1])?.map_or(0, |stream| {
        let keep = trimming.keep(stream.len());
        stream.trim(keep)
    });
    Ok(count(gone))
}

pub(super) fn xlen(server: &mut Server, args: &Args<'_>) -> Outcome {
    Ok(count(
        server.stream(args[1])?.map_or(0, |stream| stream.len()),
    ))
}

pub(super) fn xdel(server: &mut Server, args: &Args<'_>) -> Outcome {
    let ids = args[2..].iter().map(|text| Id::parse(text, 0));
    let Some(stream) = server.stream(args[1])? else {
        return Ok(count(0));
    };
    let ids: Option<Vec<Id>> = ids.collect();
    let ids = ids.ok_or(NO_ID)?;
    Ok(count(
        ids.into_iter().filter(|id| stream.forget(*id)).count(),
    ))
}

pub(super) fn xrange(server: &mut Server, args: &Args<'_>) -> Outcome {
    range(server, args, false)
}

pub(super) fn xrevrange(server: &mut Server, args: &Args<'_>) -> Outcome {
    range(server, args, true)
}

fn range(server: &mut Server, args: &Args<'_>, backwards: bool) -> Outcome {
    let (first, last) = if backwards { (3, 2) } else { (2, 3) };
    let (first, last) = (bound(args[first], true)?, bound(args[last], false)?);
    let most = match &args[4..] {
        [] => -1,
        // Less than none is none.
        [word, number] if is(word, "count") => integer(number)?.max(0),
        _ => return Err(SYNTAX),
    };
    let Some(stream) = server.stream(args[1])? else {
        return Ok(Reply::Array(Vec::new()));
    };
    if most == 0 {
        return Ok(Reply::NullArray);
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let records = stream.range(first, last);
    let records = if backwards {
        records.rev().take(most).map(record).collect()
    } else {
        records.take(most).map(record).collect()
    };
    Ok(Reply::Array(records))
}

fn record((id, fields): &(Id, Fields)) -> Reply {
    let fields = fields.iter().cloned().map(Reply::Bulk).collect();
    Reply::Array(vec![Reply::Bulk(id.to_bytes()), Reply::Array(fields)])
}

/// `-`, `+`, `5`, `5-3`, `(5-3`.
fn bound(text: &[u8], is_first: bool) -> Result<Id, Failure> {
    let missing = if is_first { 0 } else { u64::MAX };
    let id = |text: &[u8]| match text {
        b"-" => Some(Id(0, 0)),
        b"+" => Some(Id::MAX),
        text => Id::parse(text, missing),
    };
    let Some(excluded) = text.strip_prefix(b"(") else {
        return id(text).ok_or(NO_ID);
    };
    let id = Id::parse(excluded, missing).ok_or(NO_ID)?;
    if is_first {
        id.next()
            .ok_or("ERR invalid start ID for the interval".into())
    } else {
        id.before()
            .ok_or("ERR invalid end ID for the interval".into())
    }
}
