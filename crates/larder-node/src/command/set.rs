//! `SET key value [NX|XX] [GET] [EX s|PX ms|EXAT s|PXAT ms|KEEPTTL]`: stores a value. `CACHE.SET` is
//! the same with `[TAGS cache n tag…]`: what it can be invalidated by beside its key; and `[FENCE n]`: the
//! fencing token of a lock, with which it is refused where a greater one was seen.
//!
//! ```text
//! *3 $3 SET $3 key $5 value  →  +OK  |  null when NX or XX did not hold  |  the old value with GET
//! ```
//!
//! O(1). One round trip to a remote store; two with `XX`, `GET`, or an `NX` that does not hold.

pub(super) mod options;

use bytes::Bytes;
use larder::bytes::{Decision, put, put_tagged};
use larder_core::record::Life;
use larder_core::store::{Expect, Write};
use larder_core::tag::Tags;

use super::{Call, Failure, Outcome, expiry};
use options::{Condition, Ending, Options};

const LEASELOST: Failure = Failure::fixed(
    "LEASELOST a greater fencing token was seen for this key, or this one cannot be vouched for any \
     more; nothing was stored",
);

#[inline]
pub(super) async fn set(call: &mut Call<'_>) -> Outcome {
    if call.argc() > 3 {
        return set_with_options(call, false).await;
    }
    let key = call.key(1)?;
    let write = put(call.value(2), call.life_of(&key));
    call.database().write(&key, None, write).await?;
    call.reply().ok();
    Ok(())
}

pub(super) async fn set_tagged(call: &mut Call<'_>) -> Outcome {
    set_with_options(call, true).await
}

/// What is stored.
pub(super) struct Stored {
    value: Bytes,
    tags: Tags,
}

impl Stored {
    /// A value that can be invalidated by its key only.
    pub(super) fn plain(value: Bytes) -> Stored {
        let tags = Tags::default();
        Stored { value, tags }
    }

    fn put(&self, life: Life) -> Write {
        put_tagged(self.value.clone(), life, self.tags.clone())
    }
}

async fn set_with_options(call: &mut Call<'_>, takes_tags: bool) -> Outcome {
    let options = Options::read_set(call, takes_tags)?;
    let key = call.key(1)?;
    let mut value = Stored::plain(call.value(2));
    if let Some(labels) = options.tags {
        let (cache, tags) = labels.names(call)?;
        value.tags = call.session.shared.node.cache.tags(&cache, &tags)?;
    }
    let plain = call.life_of(&key);
    let life = match options.ending {
        Ending::Unsaid => plain,
        // An absent key has no end to keep: where plain writes get one, look first.
        Ending::Keep | Ending::Persist => Life::KEEP,
        Ending::At { argument, unit } => {
            let now = call.database().now();
            expiry::positive(call.argument(argument), unit, now, "set")?
        }
    };
    if let Some(token) = options.fence {
        let write = value.put(life);
        if !call.database().write_fenced(&key, token, write).await? {
            return Err(LEASELOST);
        }
        call.reply().ok();
        return Ok(());
    }
    let keeps = options.ending == Ending::Keep && plain != Life::FOREVER;
    let written = match options.condition {
        _ if options.get || keeps => None,
        Condition::Always => {
            call.database().write(&key, None, value.put(life)).await?;
            Some(true)
        }
        Condition::Absent => Some(add(call, &key, &value, life).await?),
        Condition::Present => None,
    };
    let (written, old) = match written {
        Some(written) => (written, None),
        None => look_and_set(call, &key, &value, (life, plain), options.condition).await?,
    };
    match (options.get, written, old) {
        (true, _, Some(old)) => call.reply().bulk(&old),
        (true, _, None) | (false, false, _) => call.reply().null(),
        (false, true, _) => call.reply().ok(),
    }
    Ok(())
}

/// Stores a value if there is none. A refusal is looked into, because a remote store also refuses
/// when it holds something that is no value, such as a remembered absence.
pub(super) async fn add(
    call: &Call<'_>,
    key: &Bytes,
    value: &Stored,
    life: Life,
) -> Result<bool, Failure> {
    let write = value.put(life);
    let outcome = call
        .database()
        .write(key, Some(Expect::Absent), write)
        .await?;
    if outcome.is_some() {
        return Ok(true);
    }
    let (written, _) = look_and_set(call, key, value, (life, life), Condition::Absent).await?;
    Ok(written)
}

/// Reads, and writes if the condition holds; gives whether it did and the old value.
async fn look_and_set(
    call: &Call<'_>,
    key: &Bytes,
    value: &Stored,
    (present, absent): (Life, Life),
    condition: Condition,
) -> Result<(bool, Option<Bytes>), Failure> {
    let answer = call
        .database()
        .update(std::slice::from_ref(key), |items, _| {
            let old = items[0].as_ref();
            let keeps = present == Life::KEEP && old.is_none();
            let life = if keeps { absent } else { present };
            let writes = match condition {
                Condition::Always => true,
                Condition::Absent => old.is_none(),
                Condition::Present => old.is_some(),
            };
            let decision = Decision::answer((writes, old.map(|item| item.value.clone())));
            if writes {
                decision.write(0, value.put(life))
            } else {
                decision
            }
        });
    Ok(answer.await?)
}
