//! The store under test, and short words for what the claims do with it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder_core::bus::Bus;
use larder_core::codec::CodecId;
use larder_core::error::Result;
use larder_core::record::{Expiry, Kind, Life, Record};
use larder_core::runtime::BoxFuture;
use larder_core::space::system_key;
use larder_core::store::{
    Batch, Committed, Fill, Keyspace, Lease, LeaseToken, Leases, Lookup, Outcome, Put, Store,
    TagStore, Write,
};
use larder_core::tag::Cut;
use larder_core::version::Version;

use super::hand::{Hand, lua_key};

/// Long enough that nothing given it ends during a test.
pub(super) const LONG: u64 = 600_000;
/// Over once [`Subject::pass_short`] has returned.
pub(super) const SHORT: u64 = 20;

/// A lease that does not end during a test.
pub(super) const LONG_LEASE: Duration = Duration::from_millis(LONG);
/// A lease that is over once [`Subject::pass_short`] has returned.
pub(super) const SHORT_LEASE: Duration = Duration::from_millis(SHORT);

type PassTime = Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// A fresh, empty store and a way to let its time pass.
pub struct Subject {
    /// The store.
    pub store: Arc<dyn Store>,
    pass_time: PassTime,
    served: Option<Served>,
    _guard: Box<dyn Any + Send + Sync>,
}

/// The server under the store.
struct Served {
    hand: Box<dyn Hand>,
    prefix: Vec<u8>,
}

impl Subject {
    /// A store whose clock moves by `pass_time`: virtual time, or a real wait.
    pub fn new(
        store: Arc<dyn Store>,
        pass_time: impl Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Subject {
        Subject {
            store,
            pass_time: Box::new(pass_time),
            served: None,
            _guard: Box::new(()),
        }
    }

    /// Keeps `guard` (a server) until the test is over.
    #[must_use]
    pub fn with_guard(mut self, guard: impl Any + Send + Sync) -> Subject {
        self._guard = Box::new(guard);
        self
    }

    /// Says what server is under the store, and what the store's keys there begin with.
    #[must_use]
    pub fn on(mut self, hand: impl Hand + 'static, key_prefix: &[u8]) -> Subject {
        self.served = Some(Served {
            hand: Box::new(hand),
            prefix: key_prefix.to_vec(),
        });
        self
    }

    fn served(&self) -> &Served {
        self.served.as_ref().expect("there is a server to be hurt")
    }

    pub(super) fn hand(&self) -> &dyn Hand {
        &*self.served().hand
    }

    /// Runs a script on the server. `shard` and `log` are the keys of the shard's hash and of its
    /// log there, `held` is what the server calls the stored key `key`.
    pub(super) fn meddle(&self, key: &[u8], script: &str) {
        let name = |key: &[u8]| lua_key(&self.served().prefix, key);
        let (shard, log) = (name(&system_key("shard")), name(&system_key("log")));
        let held = name(key);
        self.hand().run(&format!(
            "local shard, log, held = {shard}, {log}, {held} {script}"
        ));
    }

    /// The server loses what it remembers of the shard, as by eviction. Its clock goes on: what breaks
    /// when it stands still or goes back at that moment is said in docs/consistency.md.
    pub(super) async fn forget_the_shard(&self) {
        self.pass(1).await;
        self.meddle(b"", "assert(redis.call('DEL', shard) == 1)");
    }

    /// Lets time pass on the store's clock.
    pub async fn pass(&self, ms: u64) {
        (self.pass_time)(Duration::from_millis(ms)).await;
    }

    pub(super) async fn pass_short(&self) {
        self.pass(SHORT * 2).await;
    }

    pub(super) fn leases(&self) -> &dyn Leases {
        self.store.describe().leases.expect("the store has leases")
    }

    pub(super) fn keyspace(&self) -> &dyn Keyspace {
        let description = self.store.describe();
        description.keyspace.expect("the store has a keyspace")
    }

    pub(super) fn bus(&self) -> &dyn Bus {
        self.store.describe().bus.expect("the store has a bus")
    }

    pub(super) fn tags(&self) -> &dyn TagStore {
        self.store.describe().tags.expect("the store has tags")
    }

    pub(super) async fn get(&self, key: &str) -> Lookup {
        fine(self.store.get(&bytes(key)).await)
    }

    pub(super) async fn record(&self, key: &str) -> Record {
        match self.get(key).await {
            Lookup::Found(record) => record,
            other => panic!("a record was expected under {key:?}, and found: {other:?}"),
        }
    }

    pub(super) async fn assert_value(&self, key: &str, value: &str) {
        assert_eq!(self.record(key).await.value, value, "under {key:?}");
    }

    pub(super) async fn assert_absent(&self, key: &str) {
        assert_eq!(self.get(key).await, Lookup::Absent, "under {key:?}");
    }

    pub(super) async fn commit(&self, batch: Batch) -> Committed {
        fine(self.store.commit(batch).await)
    }

    pub(super) async fn done(&self, batch: Batch) -> Vec<Outcome> {
        match self.commit(batch).await {
            Committed::Done(outcomes) => outcomes.to_vec(),
            Committed::Refused(check) => panic!("refused by check {check}"),
        }
    }

    pub(super) async fn write(&self, key: &str, write: Write) -> Outcome {
        let outcomes = self.done(Batch::one(bytes(key), write)).await;
        assert_eq!(outcomes.len(), 1);
        outcomes[0]
    }

    pub(super) async fn put(&self, key: &str, value: &str) -> Outcome {
        self.write(key, put(value, Life::fresh_for_ms(LONG))).await
    }

    pub(super) async fn put_for(&self, key: &str, value: &str, life: Life) -> Outcome {
        self.write(key, put(value, life)).await
    }

    /// Puts a value that is stale by time when this returns.
    pub(super) async fn put_stale(&self, key: &str, value: &str) -> Outcome {
        let life = Life {
            fresh: Expiry::In(1),
            stale_for_ms: LONG,
        };
        let outcome = self.put_for(key, value, life).await;
        self.pass_short().await;
        outcome
    }

    /// Puts a value whose life is over when this returns.
    pub(super) async fn put_ended(&self, key: &str, value: &str) {
        self.put_for(key, value, Life::fresh_for_ms(SHORT)).await;
        self.pass_short().await;
    }

    pub(super) async fn remove(&self, key: &str) -> Outcome {
        self.write(key, Write::Remove { tombstone_ms: 0 }).await
    }

    pub(super) async fn bury(&self, key: &str) -> Outcome {
        self.write(key, Write::Remove { tombstone_ms: LONG }).await
    }

    pub(super) async fn lease(&self, key: &str, token: u64) -> Lease {
        self.lease_for(key, token, LONG_LEASE).await
    }

    pub(super) async fn lease_for(&self, key: &str, token: u64, ttl: Duration) -> Lease {
        let key = bytes(key);
        fine(
            self.leases()
                .lease(&key, self::token(token), ttl, Version::ZERO)
                .await,
        )
    }

    /// Takes a lease that must be given.
    pub(super) async fn granted(&self, key: &str, token: u64) -> Option<Record> {
        match self.lease(key, token).await {
            Lease::Granted { stale, .. } => stale,
            other => panic!("a lease of {key:?} was expected, and got: {other:?}"),
        }
    }

    pub(super) async fn renew(&self, key: &str, token: u64) -> bool {
        let key = bytes(key);
        fine(
            self.leases()
                .renew(&key, self::token(token), LONG_LEASE)
                .await,
        )
    }

    pub(super) async fn fill(&self, key: &str, token: u64, value: &str) -> Fill {
        let key = bytes(key);
        let mut put = put_of(value, Life::fresh_for_ms(LONG));
        put.cut = ANY_CUT;
        fine(self.leases().fill(&key, self::token(token), put).await)
    }

    pub(super) async fn release(&self, key: &str, token: u64) {
        let key = bytes(key);
        fine(self.leases().release(&key, self::token(token)).await);
    }

    /// Nobody holds the lease: somebody new gets it.
    pub(super) async fn assert_free(&self, key: &str) {
        let lease = self.lease(key, 99).await;
        assert!(matches!(lease, Lease::Granted { .. }), "{lease:?}");
    }

    /// A fill that must be refused.
    pub(super) async fn assert_refused(&self, key: &str, token: u64) {
        let fill = self.fill(key, token, "outdated").await;
        assert!(matches!(fill, Fill::Revoked | Fill::Lost), "{fill:?}");
    }
}

/// For fills of values that depend on nothing: later than everything.
pub(super) const ANY_CUT: Cut = Cut(Cut::LOST.0 - 1);

pub(super) fn fine<T>(result: Result<T>) -> T {
    result.expect("the store answers")
}

pub(super) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(super) fn token(number: u64) -> LeaseToken {
    LeaseToken::from_random(number << 11)
}

pub(super) fn put(value: &str, life: Life) -> Write {
    Write::Put(put_of(value, life))
}

pub(super) fn put_long(value: &str) -> Write {
    put(value, Life::fresh_for_ms(LONG))
}

pub(super) fn put_of(value: &str, life: Life) -> Put {
    Put {
        kind: Kind::Value,
        life,
        origin: 0,
        load_cost_ms: 0,
        codec: CodecId::RAW,
        schema: 0,
        tags: larder_core::tag::Tags::default(),
        bonds: Vec::new(),
        within: None,
        cut: Cut::default(),
        value: bytes(value),
    }
}

pub(super) const REMOVE: Write = Write::Remove { tombstone_ms: 0 };
