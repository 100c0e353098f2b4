//! Batches on the embedded store: all checks, then all writes, under the locks of all shards
//! that they touch.

use bytes::Bytes;
use larder_core::bus::{BusChange, ChangeKind, MAX_CARRIED, voided_key};
use larder_core::envelope::{HEADER_LEN, PREFIX_LEN};
use larder_core::record::{Kind, Record};
use larder_core::runtime::Timestamp;
use larder_core::store::{Batch, Committed, Expect, Outcome, Outcomes, Put, Write};
use larder_core::tag::Cut;
use larder_core::version::Version;
use parking_lot::MutexGuard;
use smallvec::SmallVec;

use super::Inner;
use super::log::Written;
use super::shard::Shard;

/// The shards of one batch, locked in ascending order, so that two batches never wait for each
/// other.
struct Locked<'a> {
    guards: SmallVec<[(usize, MutexGuard<'a, Shard>); 1]>,
}

impl<'a> Locked<'a> {
    fn all(inner: &'a Inner, batch: &Batch) -> Locked<'a> {
        let shard = |key: &Bytes| inner.shard_of(inner.hasher.hash(key));
        let checks = batch.checks.iter().map(|(key, _)| shard(key));
        let writes = batch.writes.iter().map(|(key, _)| shard(key));
        let mut shards: SmallVec<[usize; 8]> = checks.chain(writes).collect();
        shards.sort_unstable();
        shards.dedup();
        let lock = |at: usize| (at, inner.shards[at].lock());
        Locked {
            guards: shards.into_iter().map(lock).collect(),
        }
    }

    fn shard(&mut self, at: usize) -> &mut Shard {
        let found = self.guards.binary_search_by_key(&at, |(shard, _)| *shard);
        &mut self.guards[found.expect("every shard of the batch is locked")].1
    }
}

impl Inner {
    pub(super) fn commit(&self, batch: Batch) -> Committed {
        self.commit_as(batch, None)
    }

    /// The same for what others have made: the log tells of these kinds of changes instead.
    pub(super) fn commit_as(&self, batch: Batch, made: Option<&[ChangeKind]>) -> Committed {
        let committed = self.apply(batch, made);
        self.make_room();
        committed
    }

    /// The same without making room for it.
    pub(super) fn apply(&self, batch: Batch, made: Option<&[ChangeKind]>) -> Committed {
        let now = self.now();
        let now_us = now.0.saturating_mul(1_000);
        let mut locked = Locked::all(self, &batch);
        for (at, (key, expect)) in batch.checks.iter().enumerate() {
            let hash = self.hasher.hash(key);
            let live = locked.shard(self.shard_of(hash)).live(hash, key, now);
            let holds = match expect {
                Expect::Absent => live.is_none(),
                Expect::Present => live.is_some(),
                Expect::Version(version) => {
                    live.map_or(Version::ZERO, |slot| slot.version) == *version
                }
            };
            if !holds {
                return Committed::Refused(at);
            }
        }
        let outcome = |(key, write): &(Bytes, Write)| {
            let hash = self.hasher.hash(key);
            let number = match write {
                Write::Bump => self.tags.bump(key, now_us),
                Write::Void(area) => self.tags.void(key, area, now_us),
                _ => {
                    let shard = locked.shard(self.shard_of(hash));
                    // First, so that a value which replaces another one is newer than what this
                    // makes void.
                    self.tags.changed(key, now_us);
                    let cut = self.cut_of(write, now_us);
                    return shard.apply((hash, key), write, now, (cut, self.tags.has_areas()));
                }
            };
            Outcome {
                version: Version(number),
                cut: Cut(number),
                existed: false,
            }
        };
        let outcomes: SmallVec<[Outcome; 1]> = batch.writes.iter().map(outcome).collect();
        let written = Written {
            origin: batch.origin,
            at: now,
            probe: batch.probe,
            is_own: made.is_none(),
        };
        let position = self.log.append(written, || {
            let mut room = if batch.carry { MAX_CARRIED } else { 0 };
            let change = |(at, ((key, write), outcome)): (usize, (&(Bytes, Write), &Outcome))| {
                let key = match write {
                    Write::Void(area) => voided_key(key, area),
                    _ => Bytes::copy_from_slice(key),
                };
                let kind = made.map_or_else(|| kind_of(write), |made| made[at]);
                let mut change = BusChange::new(key, outcome.version, kind);
                change.carried = self.carried(&mut locked, (&change, write), &mut room, now);
                change
            };
            let writes = batch.writes.iter().zip(&outcomes);
            writes.enumerate().map(change).collect()
        });
        drop(locked);
        Committed::Done(Outcomes::from(outcomes).at(position))
    }

    /// The record that a put has left, if there is still room for it to travel. Another write of the
    /// same batch may have come after it: then it does not.
    fn carried(
        &self,
        locked: &mut Locked<'_>,
        (change, write): (&BusChange, &Write),
        room: &mut usize,
        now: Timestamp,
    ) -> Option<Box<Record>> {
        let Write::Put(put) = write else { return None };
        let cost = HEADER_LEN + PREFIX_LEN + put.value.len();
        if cost > *room {
            return None;
        }
        let hash = self.hasher.hash(&change.key);
        let shard = locked.shard(self.shard_of(hash));
        let slot = shard.live(hash, &change.key, now);
        let slot = slot.filter(|slot| slot.version == change.version)?;
        *room -= cost;
        Some(Box::new(self.record_of(slot)))
    }

    fn cut_of(&self, write: &Write, now_us: u64) -> Cut {
        match write {
            Write::Put(put) => {
                let present = self.tags.cut_for(&put.tags, &put.bonds, now_us);
                if put.cut == Cut::default() {
                    present
                } else {
                    put.cut
                }
            }
            _ => Cut::default(),
        }
    }
}

/// What a write means for older copies.
fn kind_of(write: &Write) -> ChangeKind {
    match write {
        Write::Put(_) | Write::Touch(_) => ChangeKind::Replaced,
        Write::Remove { .. } => ChangeKind::Removed,
        Write::Expire => ChangeKind::Expired,
        Write::Bump => ChangeKind::TagBumped,
        Write::Void(_) => ChangeKind::Voided,
    }
}

/// What the store adds to a record.
pub(super) struct Stamp {
    pub(super) version: Version,
    pub(super) cut: Cut,
    /// Whether even a value that names nothing keeps its cut.
    pub(super) keeps_cut: bool,
    pub(super) now: Timestamp,
    /// The ends of the record that is replaced.
    pub(super) kept: (Option<Timestamp>, Option<Timestamp>),
}

impl Shard {
    fn apply(
        &mut self,
        (hash, key): (u64, &[u8]),
        write: &Write,
        now: Timestamp,
        (cut, keeps_cut): (Cut, bool),
    ) -> Outcome {
        let live = self.live(hash, key, now);
        let existed = live.is_some();
        let (stored, kept) = match live {
            Some(slot) => (slot.version, slot.ends()),
            None => (Version::ZERO, (None, None)),
        };
        let version = self.next_version(now, stored);
        match write {
            Write::Put(put) => {
                self.revoke(key);
                self.store(
                    hash,
                    key,
                    put,
                    Stamp {
                        version,
                        cut,
                        keeps_cut,
                        now,
                        kept,
                    },
                );
            }
            // One copy in one process: nothing travels that a tombstone could stop, and a load
            // in flight is refused because its lease is gone.
            Write::Remove { .. } => {
                self.revoke(key);
                self.remove(hash, key);
            }
            Write::Expire => {
                self.revoke(key);
                if existed {
                    self.alter(hash, key, version, |slot| slot.marked_stale = true);
                } else {
                    self.remove(hash, key);
                }
            }
            Write::Touch(life) if existed => {
                self.revoke(key);
                let ends = life.resolve(now, kept);
                self.alter(hash, key, version, |slot| slot.set_ends(ends));
            }
            Write::Touch(_) => {}
            Write::Bump | Write::Void(_) => unreachable!("the tag clock takes these"),
        }
        Outcome {
            version,
            cut,
            existed,
        }
    }

    /// Gives the live record another life; key and value stay as they are.
    pub(super) fn confirm(&mut self, hash: u64, key: &[u8], put: &Put, stamp: Stamp) {
        let ends = put.life.resolve(stamp.now, stamp.kept);
        if ends.1.is_some_and(|end| end <= stamp.now) {
            self.remove(hash, key);
            return;
        }
        self.alter(hash, key, stamp.version, |slot| {
            slot.set_ends(ends);
            slot.set_cut(stamp.cut);
            slot.created = stamp.now;
            slot.origin = put.origin;
            slot.load_cost_ms = put.load_cost_ms;
            slot.marked_stale = false;
        });
    }

    pub(super) fn store(&mut self, hash: u64, key: &[u8], put: &Put, stamp: Stamp) {
        let Stamp {
            version,
            cut,
            keeps_cut,
            now,
            kept,
        } = stamp;
        let (fresh_until, expires_at) = put.life.resolve(now, kept);
        if expires_at.is_some_and(|end| end <= now) {
            self.remove(hash, key);
            return;
        }
        let record = Record {
            kind: if put.kind == Kind::Negative {
                Kind::Negative
            } else {
                Kind::Value
            },
            version,
            marked_stale: false,
            origin: put.origin,
            load_cost_ms: put.load_cost_ms,
            created: now,
            fresh_until,
            expires_at,
            codec: put.codec,
            schema: put.schema,
            tags: put.tags.with(&put.bonds).unwrap_or_default(),
            cut,
            value: put.value.clone(),
        };
        // Without a cache, tags or areas there is nothing to hold a cut against.
        let keeps_cut = keeps_cut || put.within.is_some() || !record.tags.is_empty();
        self.put(hash, key, record, keeps_cut);
    }
}
