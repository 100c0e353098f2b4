//! Batches of the enveloped layout: one script call, or several for many unconditional writes.

use std::collections::BTreeSet;

use bytes::Bytes;
use larder_core::bus::MAX_CARRIED;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lane::Position;
use larder_core::limits::MAX_KEYS_PER_SCRIPT;
use larder_core::lock::{Fenced, FencingToken};
use larder_core::store::{Batch, Committed, Expect, Outcome, Outcomes, Write};
use larder_core::tag::Cut;
use larder_core::version::Version;
use redis::Cmd;
use smallvec::SmallVec;

use super::{RedisStore, encode};
use crate::reply::Reply;
use crate::scripts::{COMMIT, FENCED};

/// Most checks and writes of a conditional batch: one call of this size holds the server for
/// about 6 ms.
pub(crate) const MAX_CONDITIONAL: usize = 1024;

/// Script calls that are sent without waiting in between.
pub(crate) const CALLS_PER_TRIP: usize = 16;

type Writes = [(Bytes, Write)];

/// The key that a token is held against, and the token.
type Fence<'a> = (&'a Bytes, FencingToken);

/// In place of the index of a check: a greater token was seen.
const OLDER: i64 = -2;

impl RedisStore {
    pub(super) async fn commit_batch(&self, batch: Batch) -> Result<Committed> {
        let keys = batch.checks.len() + batch.writes.len();
        if keys == 0 && !batch.probe {
            return Ok(Committed::Done(Outcomes::default()));
        }
        if batch.checks.is_empty() && keys > MAX_KEYS_PER_SCRIPT {
            return self.commit_many(&batch).await;
        }
        if keys > MAX_CONDITIONAL {
            return Err(too_many(keys));
        }
        let call = self.call(&batch, &batch.writes, None)?;
        outcomes(self.tier.run(&COMMIT, &call).await?)
    }

    /// A batch without checks.
    async fn commit_many(&self, batch: &Batch) -> Result<Committed> {
        let mut done = Outcomes::default();
        for part in batch.writes.chunks(MAX_KEYS_PER_SCRIPT * CALLS_PER_TRIP) {
            let calls: Vec<Cmd> = part
                .chunks(MAX_KEYS_PER_SCRIPT)
                .map(|writes| self.call(batch, writes, None))
                .collect::<Result<_>>()?;
            for answer in self.tier.run_all(&COMMIT, &calls).await? {
                if let Committed::Done(part) = outcomes(answer)? {
                    done.append(part);
                }
            }
        }
        Ok(Committed::Done(done))
    }

    /// One call of a batch without checks that bears a token.
    pub(super) async fn commit_under(&self, fence: Fence<'_>, batch: Batch) -> Result<Fenced> {
        let keys = batch.checks.len() + batch.writes.len();
        if !batch.checks.is_empty() || keys > MAX_KEYS_PER_SCRIPT {
            let message = format!(
                "a batch with a token is without checks and has up to {MAX_KEYS_PER_SCRIPT} writes"
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let call = self.call(&batch, &batch.writes, Some(fence))?;
        let mut reply = self.tier.run(&FENCED, &call).await?;
        Ok(match reply.int()? {
            OLDER => Fenced::Refused,
            _ => Fenced::Done(done(reply)?),
        })
    }

    /// One call for the checks of a batch and some of its writes.
    fn call(&self, batch: &Batch, writes: &Writes, fence: Option<Fence<'_>>) -> Result<Cmd> {
        let (tier, checks) = (&self.tier, &batch.checks);
        let tags = tags_of(writes);
        let fences = fence.map(|_| tier.keys.fences());
        let script = if fence.is_some() { &FENCED } else { &COMMIT };
        let keys = 2 + checks.len() + writes.len() + tags.len();
        let mut call = script.call(keys + fences.as_ref().map_or(0, |halves| halves.len() + 1));
        call.arg(&tier.keys.shard()[..]).arg(&tier.keys.log()[..]);
        let checked = checks.iter().map(|(key, _)| key);
        let written = writes.iter().map(|(key, _)| key);
        for key in checked.chain(written).chain(tags.iter().copied()) {
            call.arg(&tier.keys.wire(key)[..]);
        }
        if let (Some((key, _)), Some([one, other])) = (fence, &fences) {
            call.arg(&one[..]).arg(&other[..]);
            call.arg(&tier.keys.wire(key)[..]);
        }
        let needs_memory = writes
            .iter()
            .any(|(_, write)| matches!(write, Write::Put(_)));
        call.arg(checks.len())
            .arg(u8::from(!needs_memory && !writes.is_empty()));
        call.arg(&tier.channel[..]).arg(tier.keys.prefix_len());
        call.arg(tags.len()).arg(batch.origin);
        call.arg(if batch.carry { MAX_CARRIED } else { 0 });
        call.arg(u8::from(batch.probe));
        for (_, expect) in checks {
            self::expect(&mut call, *expect);
        }
        for (key, write) in writes {
            self::write(&mut call, key, write)?;
        }
        if let Some((_, token)) = fence {
            call.arg(token.get());
        }
        Ok(call)
    }
}

pub(crate) fn expect(call: &mut Cmd, expect: Expect) {
    let (kind, version) = match expect {
        Expect::Absent => ("A", 0),
        Expect::Present => ("P", 0),
        Expect::Version(version) => ("V", version.0),
    };
    call.arg(kind).arg(version);
}

pub(crate) fn too_many(keys: usize) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!(
            "a batch with conditions takes up to {MAX_CONDITIONAL} checks and writes, \
             because it is one script call; this one has {keys}"
        ),
    )
}

/// What all records that are put depend on, each once.
fn tags_of(writes: &Writes) -> BTreeSet<&Bytes> {
    let mut tags = BTreeSet::new();
    for (_, write) in writes {
        if let Write::Put(put) = write {
            tags.extend(put.tags.keys());
            tags.extend(put.bonds.iter().map(|bond| &bond.tag));
        }
    }
    tags
}

fn write(call: &mut Cmd, key: &Bytes, write: &Write) -> Result<()> {
    match write {
        Write::Put(put) => {
            call.arg("P");
            encode::put(call, key, put)?;
        }
        Write::Remove { tombstone_ms } => {
            call.arg("R").arg(*tombstone_ms);
        }
        Write::Expire => {
            call.arg("E");
        }
        Write::Touch(life) => {
            call.arg("T");
            encode::life(call, *life);
        }
        Write::Bump => {
            call.arg("B");
        }
        Write::Void(area) => {
            let (kind, bytes) = area.parts();
            call.arg("A").arg(&[kind][..]).arg(&bytes[..]);
        }
    }
    Ok(())
}

fn outcomes(mut reply: Reply) -> Result<Committed> {
    let refused = reply.int()?;
    if let Ok(check) = usize::try_from(refused) {
        return Ok(Committed::Refused(check));
    }
    done(reply).map(Committed::Done)
}

/// What stands behind the index of the failed check, if none failed.
fn done(mut reply: Reply) -> Result<Outcomes> {
    let (incarnation, seq) = (reply.number()?, reply.number()?);
    let position = (incarnation != 0).then_some(Position { incarnation, seq });
    let mut done: SmallVec<[Outcome; 1]> = SmallVec::with_capacity(reply.left() / 2);
    while reply.left() > 0 {
        let version = Version(reply.number()?);
        done.push(Outcome {
            version,
            // Tags, areas and versions have one high-water.
            cut: Cut(version.0),
            existed: reply.int()? == 1,
        });
    }
    Ok(Outcomes::from(done).at(position))
}
