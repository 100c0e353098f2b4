//! `CACHE.INVALIDATE`: makes unusable what Redis has no word for, on all nodes.
//!
//! ```text
//! CACHE.INVALIDATE KEYS n key…             →  :1, how many had a value
//! CACHE.INVALIDATE TAGS cache n tag…       →  +OK
//! CACHE.INVALIDATE PREFIX cache prefix     →  +OK
//! CACHE.INVALIDATE MATCH cache pattern     →  +OK
//! CACHE.INVALIDATE NAMESPACE cache         →  +OK
//! CACHE.INVALIDATE DEPENDENTS key          →  +OK
//! … WAIT ms                                →  a map: who has heard of it
//! ```
//!
//! O(1), O(N) with N keys or tags. One round trip to a remote store, whatever the number of values
//! (one for each 64 keys); with `WAIT` as long as others take to hear of it.

use std::time::Duration;

use larder::Receipt;
use larder_core::area::Area;

use super::set::options::Labels;
use super::{Call, Failure, Outcome};

const NO_TARGET: Failure = Failure::fixed(
    "ERR CACHE.INVALIDATE begins with KEYS, TAGS, PREFIX, MATCH, NAMESPACE or DEPENDENTS",
);
const ELSEWHERE: Failure = Failure::fixed(
    "ERR the keys of caches are in database 0; SELECT 0, or use FLUSHDB for another one",
);

/// The longest that a client may wait for others.
const LONGEST_WAIT: u64 = 60_000;

pub(super) async fn invalidate(call: &mut Call<'_>) -> Outcome {
    let target = Target::read(call)?;
    let wait = target.read_wait(call)?;
    let receipt = target.invalidate(call).await?;
    match (wait, target) {
        (Some(timeout), _) => return report(call, &receipt, timeout).await,
        (None, Target::Keys { .. }) => call.reply().integer(receipt.existed() as i64),
        (None, _) => call.reply().ok(),
    }
    Ok(())
}

/// What is to be invalidated, by the places of its arguments.
#[derive(Clone, Copy)]
enum Target {
    Keys { first: usize, count: usize },
    Tags(Labels),
    Prefix,
    Match,
    Namespace,
    Dependents,
}

impl Target {
    fn read(call: &Call<'_>) -> Result<Target, Failure> {
        let (target, least) = match call.argument(1).to_ascii_uppercase().as_slice() {
            b"KEYS" if call.argc() > 3 => {
                let count = call.count_of(2, "keys")?;
                (Target::Keys { first: 3, count }, 3 + count)
            }
            b"TAGS" => (Target::Tags(Labels::read(call, 2)?), 4),
            b"PREFIX" => (Target::Prefix, 4),
            b"MATCH" => (Target::Match, 4),
            b"NAMESPACE" => (Target::Namespace, 3),
            b"DEPENDENTS" => (Target::Dependents, 3),
            b"KEYS" => return Err(Failure::SYNTAX),
            _ => return Err(NO_TARGET),
        };
        if call.argc() < least {
            return Err(Failure::SYNTAX);
        }
        let is_area = matches!(target, Target::Prefix | Target::Match | Target::Namespace);
        if is_area && call.session.client.database() != 0 {
            return Err(ELSEWHERE);
        }
        Ok(target)
    }

    /// Where the arguments of the target end.
    fn end(self) -> usize {
        match self {
            Target::Keys { first, count } => first + count,
            Target::Tags(labels) => labels.first + labels.count,
            Target::Prefix | Target::Match => 4,
            Target::Namespace | Target::Dependents => 3,
        }
    }

    fn read_wait(self, call: &Call<'_>) -> Result<Option<Duration>, Failure> {
        let end = self.end();
        match call.argc() - end {
            0 => Ok(None),
            2 if call.is(end, "WAIT") => {
                let ms = u64::try_from(call.integer(end + 1)?);
                let ms = ms.ok().filter(|ms| *ms <= LONGEST_WAIT).ok_or_else(|| {
                    Failure::new(format!("ERR WAIT takes 0 to {LONGEST_WAIT} milliseconds"))
                })?;
                Ok(Some(Duration::from_millis(ms)))
            }
            _ => Err(Failure::SYNTAX),
        }
    }

    async fn invalidate(self, call: &Call<'_>) -> Result<Receipt, Failure> {
        let node = &call.session.shared.node;
        let cache = || call.text(2, "the name of a cache");
        let done = match self {
            // Nothing is kept, and so nothing is left.
            _ if !node.settings.enabled => return Ok(Receipt::default()),
            Target::Keys { first, count } => {
                let keys: Result<Vec<_>, _> =
                    (first..first + count).map(|at| call.key(at)).collect();
                call.database().invalidate(&keys?).await
            }
            Target::Tags(labels) => {
                let (cache, tags) = labels.names(call)?;
                node.cache.invalidate_tags(&cache, &tags).await
            }
            Target::Prefix => {
                node.cache
                    .void(&cache()?, Area::prefix(call.argument(3))?)
                    .await
            }
            Target::Match => {
                node.cache
                    .void(&cache()?, Area::pattern(call.argument(3))?)
                    .await
            }
            Target::Namespace => node.cache.void(&cache()?, Area::ALL).await,
            Target::Dependents => call.database().invalidate_dependents(&call.key(2)?).await,
        };
        Ok(done?)
    }
}

/// Waits until nobody can read an older copy, or no longer than told, and tells what was reached.
async fn report(call: &mut Call<'_>, receipt: &Receipt, timeout: Duration) -> Outcome {
    let heard = receipt.wait_all(timeout).await?;
    let mut reply = call.reply();
    reply.map_len(5);
    reply.bulk("existed");
    reply.integer(receipt.existed() as i64);
    reply.bulk("complete");
    reply.boolean(heard.complete);
    reply.bulk("nodes");
    reply.integer(heard.nodes as i64);
    for (name, nodes) in [("fenced", &heard.fenced), ("lagging", &heard.lagging)] {
        reply.bulk(name);
        reply.array_len(nodes.len());
        for node in nodes {
            reply.bulk(node);
        }
    }
    Ok(())
}
