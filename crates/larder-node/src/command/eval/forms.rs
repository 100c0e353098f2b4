//! The scripts that are known, and what each of them means.
//!
//! They are what lock libraries send to compare a value with their own and then act: of redis-py,
//! redlock in its versions for Node, and of most others, which have the one that the documentation of
//! Redis gives.

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;
use larder::bytes::{Database, Decision, Item, put, remove};
use larder_core::Timestamp;
use larder_core::record::{Expiry, Life};
use larder_core::store::Write;
use larder_resp::number;

use super::words;
use crate::command::Failure;

/// A known script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Removes the key if it holds the argument.
    Delete,
    /// Gives the key another life if it holds the first argument: the second one in milliseconds.
    Expire,
    /// The same in seconds.
    ExpireSeconds,
    /// The same in milliseconds, added to what is left of it if the third argument is `0`.
    Extend,
    /// Sets a key that is not there: life in seconds, value.
    Add,
    /// Sets all keys, for milliseconds, if none of them is there.
    SetAll,
    /// Sets all keys anew, for milliseconds, if each of them holds the first argument.
    ResetAll,
    /// Removes those of the keys that hold the argument.
    DeleteEach,
}

const IF_MINE: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then return ";
const OR_NOT: &str = " else return 0 end";
const MINE_OR_LEAVE: &str = "local token = redis.call('get', KEYS[1])
    if not token or token ~= ARGV[1] then return 0 end ";
const EACH: &str = "for i, key in ipairs(KEYS) do ";
const SET_EACH: &str = "redis.call('set', key, ARGV[1], 'PX', ARGV[2]) end return #KEYS";

static FORMS: LazyLock<HashMap<String, Form>> = LazyLock::new(|| {
    let forms = [
        (
            Form::Delete,
            format!("{IF_MINE} redis.call('del', KEYS[1]) {OR_NOT}"),
        ),
        (
            Form::Delete,
            format!("{MINE_OR_LEAVE} redis.call('del', KEYS[1]) return 1"),
        ),
        (
            Form::Expire,
            format!("{IF_MINE} redis.call('pexpire', KEYS[1], ARGV[2]) {OR_NOT}"),
        ),
        (
            Form::ExpireSeconds,
            format!("{IF_MINE} redis.call('expire', KEYS[1], ARGV[2]) {OR_NOT}"),
        ),
        (
            Form::Expire,
            format!("{MINE_OR_LEAVE} redis.call('pexpire', KEYS[1], ARGV[2]) return 1"),
        ),
        (
            Form::Extend,
            format!(
                "{MINE_OR_LEAVE} local expiration = redis.call('pttl', KEYS[1])
                 if not expiration then expiration = 0 end if expiration < 0 then return 0 end
                 local newttl = ARGV[2]
                 if ARGV[3] == '0' then newttl = ARGV[2] + expiration end
                 redis.call('pexpire', KEYS[1], newttl) return 1"
            ),
        ),
        (
            Form::Add,
            "return redis.call('exists', KEYS[1]) < 1
                and redis.call('setex', KEYS[1], ARGV[2], ARGV[1])"
                .to_owned(),
        ),
        (
            Form::SetAll,
            format!(
                "{EACH} if redis.call('exists', key) == 1 then return 0 end end {EACH} {SET_EACH}"
            ),
        ),
        (
            Form::ResetAll,
            format!(
                "{EACH} if redis.call('get', key) ~= ARGV[1] then return 0 end end
                 {EACH} {SET_EACH}"
            ),
        ),
        (
            Form::DeleteEach,
            format!(
                "local count = 0 {EACH} if redis.call('get', key) == ARGV[1] then
                 redis.pcall('del', key) count = count + 1 end end return count"
            ),
        ),
    ];
    let words = |text: String| words::of(text.as_bytes()).expect("a known script has words");
    forms
        .into_iter()
        .map(|(form, text)| (words(text), form))
        .collect()
});

/// What a script was called with.
pub(super) struct Run<'a> {
    pub(super) database: &'a Database,
    pub(super) keys: Vec<Bytes>,
    pub(super) arguments: Vec<Bytes>,
}

impl Form {
    /// The form of a script, if it is a known one.
    pub(super) fn of(script: &[u8]) -> Option<Form> {
        FORMS.get(&words::of(script)?).copied()
    }

    /// How many keys, and how many arguments.
    fn takes(self, run: &Run<'_>) -> bool {
        let (one, some) = (run.keys.len() == 1, !run.keys.is_empty());
        let arguments = run.arguments.len();
        match self {
            Form::Delete => one && arguments >= 1,
            Form::Expire | Form::ExpireSeconds | Form::Add => one && arguments >= 2,
            Form::Extend => one && arguments >= 3,
            Form::SetAll | Form::ResetAll => some && arguments >= 2,
            Form::DeleteEach => some && arguments >= 1,
        }
    }

    /// Does what the script means, atomically; gives what it answers.
    pub(super) async fn run(self, run: Run<'_>) -> Result<i64, Failure> {
        if !self.takes(&run) {
            let text = "ERR this script needs other numbers of keys and arguments";
            return Err(Failure::fixed(text));
        }
        let Run {
            database,
            mut keys,
            arguments,
        } = run;
        match self {
            Form::Delete => {
                compare_and_act(database, keys.remove(0), &arguments[0], remove_it).await
            }
            Form::Expire | Form::ExpireSeconds => {
                let unit = if self == Form::Expire { 1 } else { 1_000 };
                let ms = millis(&arguments[1], unit)?;
                let act = move |_: &Item, _: Timestamp| Some(touch(ms));
                compare_and_act(database, keys.remove(0), &arguments[0], act).await
            }
            Form::Extend => {
                let (ms, adds) = (millis(&arguments[1], 1)?, arguments[2] == "0");
                let act = move |item: &Item, now: Timestamp| {
                    let left = item.expires_at?.since(now).as_millis();
                    let left = i64::try_from(left).unwrap_or(i64::MAX);
                    let ms = if adds { ms.saturating_add(left) } else { ms };
                    Some(touch(ms))
                };
                compare_and_act(database, keys.remove(0), &arguments[0], act).await
            }
            Form::Add => {
                let life = life(millis(&arguments[1], 1_000)?)?;
                set_all(database, &keys, (&arguments[0], life), |item| {
                    item.is_none()
                })
                .await
            }
            Form::SetAll => {
                let life = life(millis(&arguments[1], 1)?)?;
                set_all(database, &keys, (&arguments[0], life), |item| {
                    item.is_none()
                })
                .await
            }
            Form::ResetAll => {
                let life = life(millis(&arguments[1], 1)?)?;
                let is_mine =
                    |item: Option<&Item>| item.is_some_and(|item| item.value == arguments[0]);
                set_all(database, &keys, (&arguments[0], life), is_mine).await
            }
            Form::DeleteEach => delete_each(database, &keys, &arguments[0]).await,
        }
    }
}

/// Acts on a key if it holds `value`; 1 if something was done. Two round trips, one if nothing is.
pub(in crate::command) async fn compare_and_act(
    database: &Database,
    key: Bytes,
    value: &Bytes,
    act: impl Fn(&Item, Timestamp) -> Option<Write>,
) -> Result<i64, Failure> {
    let keys = [key];
    let done = database.update(&keys, |items, now| {
        let item = items[0].as_ref().filter(|item| item.value == *value);
        match item.and_then(|item| act(item, now)) {
            Some(write) => Decision::answer(1).write(0, write),
            None => Decision::answer(0),
        }
    });
    Ok(done.await?)
}

/// For [`compare_and_act`].
pub(in crate::command) fn remove_it(_: &Item, _: Timestamp) -> Option<Write> {
    Some(remove())
}

/// Sets all keys if each is as it must be; gives their number, or 0.
async fn set_all(
    database: &Database,
    keys: &[Bytes],
    (value, life): (&Bytes, Life),
    may: impl Fn(Option<&Item>) -> bool,
) -> Result<i64, Failure> {
    let set = database.update(keys, |items, _| {
        if !items.iter().all(|item| may(item.as_ref())) {
            return Decision::answer(0);
        }
        let set = Decision::answer(count(keys));
        (0..keys.len()).fold(set, |set, at| set.write(at, put(value.clone(), life)))
    });
    Ok(set.await?)
}

async fn delete_each(database: &Database, keys: &[Bytes], value: &Bytes) -> Result<i64, Failure> {
    let deleted = database.update(keys, |items, _| {
        let is_mine = |(at, item): (usize, &Option<Item>)| {
            let is_mine = item.as_ref().is_some_and(|item| item.value == *value);
            is_mine.then_some(at)
        };
        let mine: Vec<usize> = items.iter().enumerate().filter_map(is_mine).collect();
        let answer = Decision::answer(count(&mine));
        mine.into_iter()
            .fold(answer, |answer, at| answer.write(at, remove()))
    });
    Ok(deleted.await?)
}

fn count<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

fn millis(argument: &Bytes, unit: i64) -> Result<i64, Failure> {
    let number = number::parse_i64(argument).ok_or(Failure::INTEGER)?;
    number.checked_mul(unit).ok_or(Failure::INTEGER)
}

/// What `PEXPIRE` does: a life that is over removes the key.
fn touch(ms: i64) -> Write {
    match u64::try_from(ms) {
        Ok(ms) if ms > 0 => Write::Touch(Life {
            fresh: Expiry::In(ms),
            stale_for_ms: 0,
        }),
        _ => remove(),
    }
}

/// What `SET … PX` takes.
fn life(ms: i64) -> Result<Life, Failure> {
    let ms = u64::try_from(ms).ok().filter(|ms| *ms > 0);
    let ms = ms.ok_or(Failure::fixed("ERR invalid expire time in 'set' command"))?;
    Ok(Life::fresh_for_ms(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_of_the_documentation_is_known_however_it_is_written() {
        let text = "if redis.call(\"get\",KEYS[1]) == ARGV[1] then
            return redis.call(\"del\",KEYS[1])
        else
            return 0
        end";
        assert_eq!(Form::of(text.as_bytes()), Some(Form::Delete));
        let other = text.replace("del", "unlink");
        assert_eq!(Form::of(other.as_bytes()), None);
        let other = text.replace("KEYS[1])\n        else", "KEYS[2])\n        else");
        assert_eq!(Form::of(other.as_bytes()), None);
        assert_eq!(Form::of(b"return 1"), None);
    }

    #[test]
    fn every_form_has_words_of_its_own() {
        assert_eq!(FORMS.len(), 10);
    }
}
