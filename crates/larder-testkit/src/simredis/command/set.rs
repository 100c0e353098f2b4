//! `SET` with all that it can be told.

use bytes::Bytes;
use larder_resp::Reply;

use super::expiry::{self, Unit};
use super::{Args, Outcome, flag, integer, is, ok};
use crate::simredis::keyspace::Content;
use crate::simredis::server::{Failure, SYNTAX, Server, WRONG_TYPE};

/// What is to become of the end of the key's life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It has none.
    Endless,
    /// It stays as it was.
    Kept,
    /// It is a number, which stands at this place, in this unit.
    Ends(usize, Unit),
}

struct Options {
    life: Life,
    /// Only where there is no key.
    new: bool,
    /// Only where there is one.
    old: bool,
    /// Answers with what was there.
    gives_old: bool,
}

pub(super) fn set(server: &mut Server, args: &Args<'_>) -> Outcome {
    let options = options(args)?;
    let now = server.now_ms();
    let ends = match options.life {
        Life::Ends(at, unit) => Some(expiry::end("set", args[at], unit, now)?),
        Life::Endless | Life::Kept => None,
    };
    let key = args[1];
    let old = server.entry(key);
    let was_there = old.is_some();
    let answer = match old.as_ref().map(|entry| &entry.content) {
        _ if !options.gives_old => None,
        Some(Content::Text(text)) => Some(Reply::Bulk(text.clone())),
        Some(_) => return Err(WRONG_TYPE),
        None => Some(Reply::Null),
    };
    if (options.new && was_there) || (options.old && !was_there) {
        return Ok(answer.unwrap_or(Reply::Null));
    }
    let ends = match options.life {
        Life::Kept => old.and_then(|entry| entry.ends),
        Life::Endless | Life::Ends(..) => ends,
    };
    let text = Content::Text(Bytes::copy_from_slice(args[2]));
    server.keys.put(key, text, ends);
    Ok(answer.unwrap_or_else(ok))
}

fn options(args: &Args<'_>) -> Result<Options, Failure> {
    let mut options = Options {
        life: Life::Endless,
        new: false,
        old: false,
        gives_old: false,
    };
    let mut at = 3;
    while let Some(word) = args.get(at) {
        let units = [
            ("ex", Unit::Seconds),
            ("px", Unit::Milliseconds),
            ("exat", Unit::SecondsAt),
            ("pxat", Unit::MillisecondsAt),
        ];
        let unit = units.into_iter().find(|(name, _)| is(word, name));
        let is_endless = options.life == Life::Endless;
        if is(word, "nx") && !options.old {
            options.new = true;
        } else if is(word, "xx") && !options.new {
            options.old = true;
        } else if is(word, "get") {
            options.gives_old = true;
        } else if is(word, "keepttl") && matches!(options.life, Life::Endless | Life::Kept) {
            options.life = Life::Kept;
        } else if let Some((_, unit)) = unit.filter(|_| is_endless && args.len() > at + 1) {
            at += 1;
            options.life = Life::Ends(at, unit);
        } else {
            return Err(SYNTAX);
        }
        at += 1;
    }
    Ok(options)
}

pub(super) fn setnx(server: &mut Server, args: &Args<'_>) -> Outcome {
    let is_new = server.entry(args[1]).is_none();
    if is_new {
        let text = Content::Text(Bytes::copy_from_slice(args[2]));
        server.keys.put(args[1], text, None);
    }
    Ok(flag(is_new))
}

pub(super) fn psetex(server: &mut Server, args: &Args<'_>) -> Outcome {
    integer(args[2])?;
    let ends = expiry::end("psetex", args[2], Unit::Milliseconds, server.now_ms())?;
    let text = Content::Text(Bytes::copy_from_slice(args[3]));
    server.keys.put(args[1], text, Some(ends));
    Ok(ok())
}
