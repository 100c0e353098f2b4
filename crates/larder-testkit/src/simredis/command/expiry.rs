//! The ends of keys' lives.

use larder_resp::Reply;

use super::{Args, Outcome, flag, integer, is};
use crate::simredis::server::{Failure, Server};

/// How a number says when a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    SecondsAt,
    MillisecondsAt,
}

impl Unit {
    /// The moment in milliseconds, if there is one so late.
    fn moment(self, number: i64, now_ms: i64) -> Option<i64> {
        match self {
            Unit::Seconds => number.checked_mul(1_000)?.checked_add(now_ms),
            Unit::Milliseconds => number.checked_add(now_ms),
            Unit::SecondsAt => number.checked_mul(1_000),
            Unit::MillisecondsAt => Some(number),
        }
    }
}

fn invalid(name: &str) -> Failure {
    format!("ERR invalid expire time in '{name}' command").into()
}

/// The end of a life that begins with `SET`: later than the beginning of time.
pub(super) fn end(name: &str, text: &[u8], unit: Unit, now_ms: i64) -> Result<i64, Failure> {
    let number = integer(text)?;
    let moment = unit.moment(number, now_ms).filter(|_| number > 0);
    moment.ok_or_else(|| invalid(name))
}

pub(super) fn expire(server: &mut Server, args: &Args<'_>) -> Outcome {
    change(server, args, "expire", Unit::Seconds)
}

pub(super) fn pexpire(server: &mut Server, args: &Args<'_>) -> Outcome {
    change(server, args, "pexpire", Unit::Milliseconds)
}

pub(super) fn expireat(server: &mut Server, args: &Args<'_>) -> Outcome {
    change(server, args, "expireat", Unit::SecondsAt)
}

pub(super) fn pexpireat(server: &mut Server, args: &Args<'_>) -> Outcome {
    change(server, args, "pexpireat", Unit::MillisecondsAt)
}

/// On which condition the end is changed.
#[derive(Default)]
struct Conditions {
    new: bool,
    old: bool,
    later: bool,
    sooner: bool,
}

fn conditions(words: &Args<'_>) -> Result<Conditions, Failure> {
    let mut conditions = Conditions::default();
    for word in words {
        match word {
            word if is(word, "nx") => conditions.new = true,
            word if is(word, "xx") => conditions.old = true,
            word if is(word, "gt") => conditions.later = true,
            word if is(word, "lt") => conditions.sooner = true,
            _ => {
                let word = String::from_utf8_lossy(word);
                return Err(format!("ERR Unsupported option {word}").into());
            }
        }
    }
    let others = conditions.old || conditions.later || conditions.sooner;
    if conditions.new && others {
        let why = "ERR NX and XX, GT or LT options at the same time are not compatible";
        return Err(why.into());
    }
    if conditions.later && conditions.sooner {
        return Err("ERR GT and LT options at the same time are not compatible".into());
    }
    Ok(conditions)
}

fn change(server: &mut Server, args: &Args<'_>, name: &str, unit: Unit) -> Outcome {
    let conditions = conditions(&args[3..])?;
    let (number, now) = (integer(args[2])?, server.now_ms());
    let ends = unit.moment(number, now).ok_or_else(|| invalid(name))?;
    let Some(entry) = server.entry(args[1]) else {
        return Ok(flag(false));
    };
    let known = entry.ends;
    let refused = (conditions.new && known.is_some())
        || (conditions.old && known.is_none())
        || (conditions.later && known.is_none_or(|known| ends <= known))
        || (conditions.sooner && known.is_some_and(|known| ends >= known));
    if refused {
        return Ok(flag(false));
    }
    entry.ends = Some(ends);
    if ends <= now {
        server.keys.remove(args[1], now);
    }
    Ok(flag(true))
}

pub(super) fn persist(server: &mut Server, args: &Args<'_>) -> Outcome {
    let entry = server.entry(args[1]);
    Ok(flag(entry.is_some_and(|entry| entry.ends.take().is_some())))
}

/// What is told of a key's end: -2 without a key, -1 without an end.
fn tell(server: &mut Server, key: &[u8], tell: impl FnOnce(i64) -> i64) -> Outcome {
    Ok(Reply::Integer(match server.entry(key) {
        None => -2,
        Some(entry) => entry.ends.map_or(-1, tell),
    }))
}

pub(super) fn pttl(server: &mut Server, args: &Args<'_>) -> Outcome {
    let now = server.now_ms();
    tell(server, args[1], |ends| (ends - now).max(0))
}

pub(super) fn ttl(server: &mut Server, args: &Args<'_>) -> Outcome {
    let now = server.now_ms();
    tell(server, args[1], |ends| ((ends - now).max(0) + 500) / 1_000)
}

pub(super) fn pexpiretime(server: &mut Server, args: &Args<'_>) -> Outcome {
    tell(server, args[1], |ends| ends)
}
