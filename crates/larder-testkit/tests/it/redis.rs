//! The Redis tier against real servers that are hurt, guarded, full, or used by others too.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, to which the exception for tests does not reach"
)]

mod access;
mod breaker;
mod bus;
mod faults;
mod foreign;
mod inspect;
mod leases;
mod limits;
mod plain;
mod tags;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder::TokioRuntime;
use larder_core::codec::CodecId;
use larder_core::error::Result;
use larder_core::record::{Kind, Life};
use larder_core::store::{Batch, Committed, LeaseToken, Lookup, Outcome, Put, Store, Write};
use larder_core::tag::{Cut, Tags};
use larder_redis::{Redis, RedisStore};
use larder_testkit::servers::{RedisServer, until};

/// Far more than anything here takes, and an end for what never comes.
const SOON: Duration = Duration::from_secs(30);

fn open(url: &str) -> Redis {
    Redis::open(url).expect("the handle knows its address")
}

/// A patient client: only tests of limits set short ones.
fn patient(server: &RedisServer) -> Redis {
    let redis = open(&server.url()).response_timeout(SOON);
    redis.connect_timeout(SOON)
}

fn start(redis: Redis) -> Arc<RedisStore> {
    Arc::new(redis.store(Arc::new(TokioRuntime::current())))
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn token(number: u64) -> LeaseToken {
    LeaseToken::from_random(number << 11)
}

fn value(text: &str) -> Put {
    Put {
        kind: Kind::Value,
        life: Life::fresh_for_ms(600_000),
        origin: 0,
        load_cost_ms: 0,
        codec: CodecId::RAW,
        schema: 0,
        tags: Tags::default(),
        bonds: Vec::new(),
        within: None,
        cut: Cut(0),
        value: bytes(text),
    }
}

/// A value for a fill that no number stands in the way of.
fn loaded(text: &str) -> Put {
    Put {
        cut: Cut(Cut::LOST.0 - 1),
        ..value(text)
    }
}

async fn try_write(store: &dyn Store, key: &str, write: Write) -> Result<Outcome> {
    match store.commit(Batch::one(bytes(key), write)).await? {
        Committed::Done(outcomes) => Ok(outcomes[0]),
        Committed::Refused(_) => unreachable!("there was no check"),
    }
}

async fn write(store: &dyn Store, key: &str, write: Write) -> Outcome {
    try_write(store, key, write).await.unwrap()
}

async fn put(store: &dyn Store, key: &str, text: &str) -> Outcome {
    write(store, key, Write::Put(value(text))).await
}

async fn get(store: &dyn Store, key: &str) -> Result<Option<Bytes>> {
    let record = store.get(&bytes(key)).await?.into_record();
    Ok(record.map(|record| record.value))
}

async fn lookup(store: &dyn Store, key: &str) -> Lookup {
    store.get(&bytes(key)).await.unwrap()
}

/// Looks again and again until `condition` holds, without holding up the runtime.
async fn eventually<F>(what: &'static str, condition: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = bool>,
{
    let handle = tokio::runtime::Handle::current();
    let looking =
        tokio::task::spawn_blocking(move || until(SOON, what, || handle.block_on(condition())));
    looking.await.unwrap().unwrap();
}

/// Connections that the server has from us.
fn connections(server: &RedisServer) -> usize {
    let list = server.cli(&["CLIENT", "LIST"]);
    list.lines()
        .filter(|line| line.contains("name=larder"))
        .count()
}
