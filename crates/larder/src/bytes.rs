//! The engine with byte keys and byte values: what the node puts a RESP port in front of.
//!
//! Every command of the node is a decision over some records: read them, decide, and write what
//! was decided if they are still the same. [`Database::update`] is that loop; commands that need
//! no look beforehand write at once. Commands that want nothing but a value ask for
//! [`Database::value`], which near copies may answer.
//!
//! The keys are those of a whole store, whatever cache they belong to. What a library cache has
//! stored is held against its tags and areas, as that cache itself would do it.

mod commit;
mod guarded;
mod invalidate;
mod open;
mod read;

use std::sync::Arc;

use ::bytes::Bytes;
use larder_core::codec::CodecId;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::record::{Kind, Life};
use larder_core::runtime::{Runtime, Timestamp};
use larder_core::space::Space;
use larder_core::store::{
    Batch, Committed, Damage, Expect, Keyspace, Outcome, Outcomes, Page, Put, Write,
};
use larder_core::tag::{Cut, Tags};
use larder_core::version::Version;
use smallvec::SmallVec;

use crate::engine::Engine;
use crate::engine::areas::Sight;
use crate::observe::Stats;

pub use open::Copies;

/// How often an update is tried before it gives up with [`ErrorKind::Conflict`]. Each failure
/// means that somebody else succeeded, so this many in a row is a sign of extreme contention.
const TRIES: usize = 256;

/// A store behind byte keys. Cheap to clone.
#[derive(Clone)]
pub struct ByteCache {
    engine: Arc<Engine<Bytes>>,
}

/// One database of a [`ByteCache`]. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    engine: Arc<Engine<Bytes>>,
    space: Space,
}

/// A live value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value's bytes.
    pub value: Bytes,
    /// Its version.
    pub version: Version,
    /// When it ends, on the store's clock; `None` is never.
    pub expires_at: Option<Timestamp>,
}

/// What to do after a look at some keys: the writes, by index of the key, and what to answer.
pub struct Decision<R> {
    /// Done together, if none of the keys that were looked at has changed.
    pub writes: SmallVec<[(usize, Write); 2]>,
    /// Returned once the writes are done.
    pub answer: R,
}

impl<R> Decision<R> {
    /// Answers without a change.
    pub fn answer(answer: R) -> Decision<R> {
        Decision {
            writes: SmallVec::new(),
            answer,
        }
    }

    /// Changes the key with this index.
    #[must_use]
    pub fn write(mut self, key: usize, write: Write) -> Decision<R> {
        self.writes.push((key, write));
        self
    }
}

/// The write that stores `value` for `life`.
pub fn put(value: Bytes, life: Life) -> Write {
    put_tagged(value, life, Tags::default())
}

/// The same for a value that can be invalidated by these tags ([`ByteCache::tags`]).
pub fn put_tagged(value: Bytes, life: Life, tags: Tags) -> Write {
    Write::Put(Put {
        kind: Kind::Value,
        life,
        origin: 0,
        load_cost_ms: 0,
        codec: CodecId::RAW,
        schema: 0,
        tags,
        bonds: Vec::new(),
        within: None,
        cut: Cut::default(),
        value,
    })
}

/// The write that removes a value.
pub fn remove() -> Write {
    Write::Remove { tombstone_ms: 0 }
}

impl ByteCache {
    /// Database `number`.
    pub fn database(&self, number: u8) -> Database {
        Database {
            engine: self.engine.clone(),
            space: Space::database(number),
        }
    }

    /// What it stores into, for people.
    pub fn describe(&self) -> &str {
        self.engine.store().describe().name
    }

    /// The surroundings it runs in.
    pub fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.engine.runtime
    }

    /// Whether values may be kept near.
    pub fn keeps_copies(&self) -> bool {
        self.engine.keeps_copies()
    }

    /// Counts since it was opened, and the present size of what is near. Nothing is ever loaded.
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }
}

impl Database {
    /// The clock by which items end.
    pub fn now(&self) -> Timestamp {
        self.engine.store().now()
    }

    /// The value of a key: a near copy that is known to be current, without a round trip, or else
    /// what the store has. One round trip, and another one if the record has tags that are not
    /// known here.
    ///
    /// Shows every change that was made through this [`ByteCache`] and is done, and every other one
    /// that was acknowledged more than a second ago.
    pub async fn value(&self, key: &Bytes) -> Result<Option<Bytes>> {
        if !self.engine.keeps_copies() {
            return Ok(self.get(key).await?.map(|item| item.value));
        }
        let key = self.engine.stored_key(&self.space.stored(key));
        match self.engine.near_value(&key) {
            Some(value) => Ok(Some(value)),
            None => self.engine.far_value(key).await,
        }
    }

    /// The same for many keys, in order. One round trip per shard of the store for those that are
    /// not near. Not a snapshot across keys.
    pub async fn values(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>> {
        let stored: Vec<Bytes> = keys.iter().map(|key| self.space.stored(key)).collect();
        self.engine.values(stored).await
    }

    /// Reads one key from the store. One round trip to the store, and another one if its record has
    /// tags.
    pub async fn get(&self, key: &Bytes) -> Result<Option<Item>> {
        let stored = self.space.stored(key);
        let sight = self.engine.look_at(self.engine.store(), &stored).await?;
        self.engine.item(&stored, sight).await
    }

    /// Reads many keys, in order. One round trip per shard of the store, and another one for each
    /// record that has tags.
    pub async fn get_many(&self, keys: &[Bytes]) -> Result<Vec<Option<Item>>> {
        let stored: Vec<Bytes> = keys.iter().map(|key| self.space.stored(key)).collect();
        self.engine.items(&stored).await
    }

    /// Writes one key if `expect` holds; `None` if it does not. One round trip.
    ///
    /// Once this returns, near copies of the key are gone, also if it failed. Dropping the future
    /// does not stop what was sent.
    pub async fn write(
        &self,
        key: &Bytes,
        expect: Option<Expect>,
        write: Write,
    ) -> Result<Option<Outcome>> {
        let stored = self.space.stored(key);
        let batch = match expect {
            Some(expect) => Batch::one(stored.clone(), write).check(stored, expect),
            None => Batch::one(stored, write),
        };
        match self.engine.commit(batch).await? {
            Committed::Done(outcomes) => Ok(outcomes.first().copied()),
            Committed::Refused(_) => Ok(None),
        }
    }

    /// Writes several keys together, in order. One round trip. On a remote store, more than
    /// [`larder_core::limits::MAX_KEYS_PER_SCRIPT`] keys are written in groups of so many. Near
    /// copies as for [`write`](Database::write).
    pub async fn write_many(
        &self,
        writes: impl IntoIterator<Item = (Bytes, Write)>,
    ) -> Result<Outcomes> {
        let stored = |(key, write): (Bytes, Write)| (self.space.stored(&key), write);
        let batch = Batch {
            writes: writes.into_iter().map(stored).collect(),
            ..Batch::default()
        };
        match self.engine.commit(batch).await? {
            Committed::Done(outcomes) => Ok(outcomes),
            Committed::Refused(_) => unreachable!("a batch without checks is never refused"),
        }
    }

    /// Looks at `keys` in the store, lets `decide` choose, and writes what it chose if all `keys`
    /// are still as it saw them; else looks again. Two round trips when nobody interferes, one when
    /// nothing is written. `decide` may be called several times. Near copies as for
    /// [`write`](Database::write).
    pub async fn update<R>(
        &self,
        keys: &[Bytes],
        mut decide: impl FnMut(&[Option<Item>], Timestamp) -> Decision<R>,
    ) -> Result<R> {
        for _ in 0..TRIES {
            let (batch, items) = self.look(keys).await?;
            let decision = decide(&items, self.now());
            if decision.writes.is_empty() {
                return Ok(decision.answer);
            }
            let stored = |(at, write): (usize, Write)| (self.space.stored(&keys[at]), write);
            let batch = Batch {
                writes: decision.writes.into_iter().map(stored).collect(),
                ..batch
            };
            if let Committed::Done(_) = self.engine.commit(batch).await? {
                return Ok(decision.answer);
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("others changed the same key {TRIES} times in a row; try again"),
        ))
    }

    /// What is there, and the checks that it still is.
    async fn look(&self, keys: &[Bytes]) -> Result<(Batch, Vec<Option<Item>>)> {
        let stored: Vec<Bytes> = keys.iter().map(|key| self.space.stored(key)).collect();
        let seen = match &stored[..] {
            [key] => vec![self.engine.look_at(self.engine.store(), key).await?],
            keys => self.engine.look(self.engine.store(), keys).await?,
        };
        let mut batch = Batch::default();
        let mut items = Vec::with_capacity(keys.len());
        for (key, sight) in stored.into_iter().zip(seen) {
            let version = match &sight {
                Sight::Absent | Sight::Damaged(Damage::Foreign) => Version::ZERO,
                Sight::Void(version) => *version,
                Sight::Found(record) => record.version,
                Sight::Damaged(damage) => return Err(damaged(*damage)),
            };
            items.push(self.engine.item(&key, sight).await?);
            batch.checks.push((key, Expect::Version(version)));
        }
        Ok((batch, items))
    }

    /// One step through the live keys; see [`Keyspace::scan`]. Keys of values that are void may be
    /// among them until their memory is released.
    pub async fn scan(&self, cursor: u64, count: usize) -> Result<Page> {
        self.keyspace()?.scan(&self.space, cursor, count).await
    }

    /// How many live keys there are.
    pub async fn count(&self) -> Result<u64> {
        self.keyspace()?.count(&self.space).await
    }

    /// Some live key.
    pub async fn random_key(&self) -> Result<Option<Bytes>> {
        self.keyspace()?.random_key(&self.space).await
    }

    /// Removes everything; see [`Keyspace::clear`]. Near copies as for [`write`](Database::write).
    pub async fn clear(&self) -> Result<u64> {
        self.keyspace()?;
        self.engine.clear_space(self.space.clone()).await
    }

    fn keyspace(&self) -> Result<&dyn Keyspace> {
        let description = self.engine.store().describe();
        description.keyspace.ok_or_else(|| {
            Error::new(
                ErrorKind::Refused,
                format!("{} cannot list or clear its keys", description.name),
            )
        })
    }
}

fn damaged(damage: Damage) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!(
            "what is stored under this key cannot be read ({}); SET or DEL it",
            damage.as_str()
        ),
    )
}
