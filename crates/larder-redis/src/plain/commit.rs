//! Batches of the plain layout: one script call, or several for many unconditional writes.

use bytes::Bytes;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::limits::MAX_KEYS_PER_SCRIPT;
use larder_core::record::Kind;
use larder_core::store::{Batch, Committed, Expect, Outcome, Outcomes, Write};
use larder_core::tag::Cut;
use larder_core::version::Version;
use redis::Cmd;
use smallvec::SmallVec;

use super::{PlainStore, version};
use crate::reply::Reply;
use crate::scripts::PLAIN_COMMIT;
use crate::store::commit::{CALLS_PER_TRIP, MAX_CONDITIONAL, expect, too_many};
use crate::store::encode;

type Checks = [(Bytes, Expect)];
type Writes = [(Bytes, Write)];

impl PlainStore {
    pub(super) async fn commit_batch(&self, batch: Batch) -> Result<Committed> {
        if batch.writes.iter().any(|(_, write)| needs_tags(write)) {
            let message = format!(
                "{}: the plain layout keeps no tags; use the enveloped one for caches with tags",
                self.tier.name
            );
            return Err(Error::new(ErrorKind::Refused, message));
        }
        let keys = batch.checks.len() + batch.writes.len();
        if !batch.checks.is_empty() {
            if keys > MAX_CONDITIONAL {
                return Err(too_many(keys));
            }
            return self.commit_part(&batch.checks, &batch.writes).await;
        }
        if keys <= MAX_KEYS_PER_SCRIPT {
            return self.commit_part(&[], &batch.writes).await;
        }
        let mut done = Outcomes::default();
        for part in batch.writes.chunks(MAX_KEYS_PER_SCRIPT * CALLS_PER_TRIP) {
            let chunks = || part.chunks(MAX_KEYS_PER_SCRIPT);
            let calls: Vec<Cmd> = chunks().map(|writes| self.call(&[], writes)).collect();
            let answers = self.tier.run_all(&PLAIN_COMMIT, &calls).await?;
            for (answer, writes) in answers.into_iter().zip(chunks()) {
                if let Committed::Done(part) = outcomes(answer, writes)? {
                    done.append(part);
                }
            }
        }
        Ok(Committed::Done(done))
    }

    async fn commit_part(&self, checks: &Checks, writes: &Writes) -> Result<Committed> {
        let call = self.call(checks, writes);
        outcomes(self.tier.run(&PLAIN_COMMIT, &call).await?, writes)
    }

    fn call(&self, checks: &Checks, writes: &Writes) -> Cmd {
        let mut call = PLAIN_COMMIT.call(checks.len() + writes.len());
        let checked = checks.iter().map(|(key, _)| key);
        for key in checked.chain(writes.iter().map(|(key, _)| key)) {
            call.arg(&self.tier.keys.wire(key)[..]);
        }
        call.arg(checks.len());
        for (_, check) in checks {
            expect(&mut call, *check);
        }
        for (_, write) in writes {
            self::write(&mut call, write);
        }
        call
    }
}

fn needs_tags(write: &Write) -> bool {
    match write {
        Write::Bump | Write::Void(_) => true,
        Write::Put(put) => !put.tags.is_empty(),
        Write::Remove { .. } | Write::Expire | Write::Touch(_) => false,
    }
}

fn outcomes(mut reply: Reply, writes: &Writes) -> Result<Committed> {
    if let Ok(check) = usize::try_from(reply.int()?) {
        return Ok(Committed::Refused(check));
    }
    let mut done: SmallVec<[Outcome; 1]> = SmallVec::with_capacity(writes.len());
    for (_, write) in writes {
        done.push(Outcome {
            version: version_after(write),
            cut: Cut::default(),
            existed: reply.int()? == 1,
        });
    }
    Ok(Committed::Done(done.into()))
}

fn version_after(write: &Write) -> Version {
    match write {
        Write::Put(put) if put.kind != Kind::Negative => version(&put.value),
        // A touched value keeps its version, which is not known here.
        _ => Version::ZERO,
    }
}

fn write(call: &mut Cmd, write: &Write) {
    match write {
        Write::Put(put) if put.kind != Kind::Negative => {
            call.arg("P");
            encode::fresh(call, put.life.fresh);
            call.arg(&put.value[..]);
        }
        Write::Put(_) | Write::Remove { .. } | Write::Expire => {
            call.arg("R");
        }
        Write::Touch(life) => {
            call.arg("T");
            encode::fresh(call, life.fresh);
        }
        Write::Bump | Write::Void(_) => unreachable!("refused before"),
    }
}
