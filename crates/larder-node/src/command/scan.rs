//! `SCAN cursor [MATCH pattern] [COUNT n] [TYPE type]`: walks over the keys in steps.
//!
//! ```text
//! *2 $4 SCAN $1 0  →  *2 $2 17 *1 $3 key; cursor 0 when done
//! ```
//!
//! A key that is there all the while comes at least once. O(1) a call; one round trip to a remote
//! store.

use larder_core::glob;
use larder_resp::number;

use super::{Call, Failure, Outcome};

/// Keys looked at in one call when the client does not say, and at most.
const COUNT: usize = 10;
const MOST: usize = 10_000;
/// The only type there is.
const TYPE: &[u8] = b"string";

const CURSOR: Failure = Failure::fixed("ERR invalid cursor");

struct Options<'a> {
    pattern: Option<&'a [u8]>,
    count: usize,
    /// Whether keys with strings are wanted.
    strings: bool,
}

pub(super) async fn scan(call: &mut Call<'_>) -> Outcome {
    let cursor = cursor(call.argument(1)).ok_or(CURSOR)?;
    let options = Options::read(call)?;
    let mut page = call.database().scan(cursor, options.count).await?;
    page.keys.retain(|key| options.wants(key));
    let mut reply = call.reply();
    reply.array_len(2);
    reply.bulk(number::Integer::unsigned(page.next).as_bytes());
    reply.array_len(page.keys.len());
    for key in page.keys {
        reply.bulk(&key);
    }
    Ok(())
}

fn cursor(text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok()?;
    let digits_only = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits_only.then(|| digits.parse().ok()).flatten()
}

impl<'a> Options<'a> {
    fn read(call: &Call<'a>) -> Result<Options<'a>, Failure> {
        let mut options = Options {
            pattern: None,
            count: COUNT,
            strings: true,
        };
        let mut at = 2;
        while at < call.argc() {
            if at + 1 == call.argc() {
                return Err(Failure::SYNTAX);
            }
            if call.is(at, "COUNT") {
                let count = call.integer(at + 1)?;
                if count < 1 {
                    return Err(Failure::SYNTAX);
                }
                options.count = usize::try_from(count).unwrap_or(MOST).min(MOST);
            } else if call.is(at, "MATCH") {
                options.pattern = Some(call.argument(at + 1)).filter(|pattern| pattern != b"*");
            } else if call.is(at, "TYPE") {
                options.strings = call.argument(at + 1).eq_ignore_ascii_case(TYPE);
            } else {
                return Err(Failure::SYNTAX);
            }
            at += 2;
        }
        Ok(options)
    }

    fn wants(&self, key: &[u8]) -> bool {
        self.strings
            && self
                .pattern
                .is_none_or(|pattern| glob::matches(pattern, key))
    }
}
