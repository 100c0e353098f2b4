//! The engine with byte keys and byte values: what the node puts a RESP port in front of.
//!
//! Every command of the node is a decision over some records: read them, decide, and write what
//! was decided if they are still the same. [`Database::update`] is that loop; commands that need
//! no look beforehand write at once.

use std::sync::Arc;

use ::bytes::Bytes;
use larder_core::codec::CodecId;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::freshness::{Freshness, classify};
use larder_core::record::{Kind, Life, Record};
use larder_core::runtime::{Runtime, Timestamp};
use larder_core::space::Space;
use larder_core::store::{
    Batch, Committed, Damage, Expect, Keyspace, Lookup, Outcome, Outcomes, Page, Put, Store, Write,
};
use larder_core::tag::{Cut, Tags};
use larder_core::version::Version;
use smallvec::SmallVec;

use crate::node::node_number;

/// How often an update is tried before it gives up with [`ErrorKind::Conflict`]. Each failure
/// means that somebody else succeeded, so this many in a row is a sign of extreme contention.
const TRIES: usize = 256;

/// A store behind byte keys. Cheap to clone.
#[derive(Clone)]
pub struct ByteCache {
    store: Arc<dyn Store>,
    runtime: Arc<dyn Runtime>,
    /// What the log calls it.
    node: u32,
}

/// One database of a [`ByteCache`]. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    cache: ByteCache,
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
    Write::Put(Put {
        kind: Kind::Value,
        life,
        origin: 0,
        load_cost_ms: 0,
        codec: CodecId::RAW,
        schema: 0,
        tags: Tags::default(),
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
    /// The cache over `store`.
    pub fn new(store: Arc<dyn Store>, runtime: Arc<dyn Runtime>) -> ByteCache {
        let node = node_number(&*runtime);
        ByteCache {
            store,
            runtime,
            node,
        }
    }

    /// Database `number`.
    pub fn database(&self, number: u8) -> Database {
        Database {
            cache: self.clone(),
            space: Space::database(number),
        }
    }

    /// What it stores into, for people.
    pub fn describe(&self) -> &str {
        self.store.describe().name
    }

    /// The surroundings it runs in.
    pub fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.runtime
    }
}

impl Database {
    /// The clock by which items end.
    pub fn now(&self) -> Timestamp {
        self.cache.store.now()
    }

    /// Reads one key. One round trip to the store, and another one if its record has tags.
    pub async fn get(&self, key: &Bytes) -> Result<Option<Item>> {
        let stored = self.space.stored(key);
        let found = self.cache.store.get(&stored).await?;
        self.item(found).await
    }

    /// Reads many keys, in order. One round trip per shard of the store, and another one for each
    /// record that has tags.
    pub async fn get_many(&self, keys: &[Bytes]) -> Result<Vec<Option<Item>>> {
        let stored: Vec<Bytes> = keys.iter().map(|key| self.space.stored(key)).collect();
        let found = self.cache.store.get_many(&stored).await?;
        let mut items = Vec::with_capacity(found.len());
        for found in found {
            items.push(self.item(found).await?);
        }
        Ok(items)
    }

    /// The live value that was found. A value that is only good for fail-safe counts as absent: no
    /// Redis client knows what to do with it.
    async fn item(&self, found: Lookup) -> Result<Option<Item>> {
        let Some(record) = found.into_record() else {
            return Ok(None);
        };
        let is_fresh = classify(&record, self.now()) == Freshness::Fresh;
        if record.kind != Kind::Value || !is_fresh || self.is_void(&record).await? {
            return Ok(None);
        }
        Ok(Some(Item {
            value: record.value,
            version: record.version,
            expires_at: record.fresh_until,
        }))
    }

    /// Whether a tag of the record was invalidated since its value was read.
    async fn is_void(&self, record: &Record) -> Result<bool> {
        match self.cache.store.describe().tags {
            Some(there) if !record.tags.is_empty() => {
                let numbers = there.tags(record.tags.keys()).await?;
                Ok(numbers.iter().any(|number| *number > record.cut))
            }
            _ => Ok(false),
        }
    }

    /// Writes one key if `expect` holds; `None` if it does not. One round trip.
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
        match self.commit(batch).await? {
            Committed::Done(outcomes) => Ok(outcomes.first().copied()),
            Committed::Refused(_) => Ok(None),
        }
    }

    /// Writes several keys together, in order. One round trip. On a remote store, more than
    /// [`larder_core::limits::MAX_KEYS_PER_SCRIPT`] keys are written in groups of so many.
    pub async fn write_many(
        &self,
        writes: impl IntoIterator<Item = (Bytes, Write)>,
    ) -> Result<Outcomes> {
        let stored = |(key, write): (Bytes, Write)| (self.space.stored(&key), write);
        let batch = Batch {
            writes: writes.into_iter().map(stored).collect(),
            ..Batch::default()
        };
        match self.commit(batch).await? {
            Committed::Done(outcomes) => Ok(outcomes),
            Committed::Refused(_) => unreachable!("a batch without checks is never refused"),
        }
    }

    /// Looks at `keys`, lets `decide` choose, and writes what it chose if all `keys` are still
    /// as it saw them; else looks again. Two round trips when nobody interferes, one when
    /// nothing is written. `decide` may be called several times.
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
            if let Committed::Done(_) = self.commit(batch).await? {
                return Ok(decision.answer);
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("others changed the same key {TRIES} times in a row; try again"),
        ))
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        self.cache.store.commit(batch.by(self.cache.node)).await
    }

    /// What is there, and the checks that it still is.
    async fn look(&self, keys: &[Bytes]) -> Result<(Batch, Vec<Option<Item>>)> {
        let stored: Vec<Bytes> = keys.iter().map(|key| self.space.stored(key)).collect();
        let found = self.cache.store.get_many(&stored).await?;
        let mut batch = Batch::default();
        let mut items = Vec::with_capacity(keys.len());
        for (key, found) in stored.into_iter().zip(found) {
            let version = match &found {
                Lookup::Absent => Version::ZERO,
                Lookup::Found(record) => record.version,
                Lookup::Damaged(Damage::Foreign) => Version::ZERO,
                Lookup::Damaged(damage) => return Err(damaged(*damage)),
            };
            batch.checks.push((key, Expect::Version(version)));
            items.push(self.item(found).await?);
        }
        Ok((batch, items))
    }

    /// One step through the live keys; see [`Keyspace::scan`].
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

    /// Removes everything; see [`Keyspace::clear`].
    pub async fn clear(&self) -> Result<u64> {
        self.keyspace()?.clear(&self.space).await
    }

    fn keyspace(&self) -> Result<&dyn Keyspace> {
        let description = self.cache.store.describe();
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
