//! The claims of every store, on the embedded store, on real servers and on the simulated one.

mod virtual_time;

use std::sync::Arc;
use std::time::Duration;

use larder::TokioRuntime;
use larder::embedded::Embedded;
use larder_core::codec::CodecId;
use larder_core::runtime::{BoxFuture, Runtime};
use larder_core::store::Store;
use larder_redis::Redis;
use larder_testkit::conformance::{self, OnReal, OnSimulated, Subject};
use larder_testkit::mesh::{Members, MeshNodes};
use larder_testkit::servers::{RedisOptions, RedisServer};
use larder_testkit::simredis::{Direct, SimRedis};
use virtual_time::VirtualTime;

/// What the keys of a store begin with that looks like a pattern.
const PREFIX: &str = "app[1]*\0:";

fn subject(
    server: RedisServer,
    prefix: &str,
    runtime: Arc<TokioRuntime>,
    store: Arc<dyn Store>,
) -> Subject {
    let pass = move |time: Duration| -> BoxFuture<'static, ()> { runtime.sleep(time) };
    Subject::new(store, pass).on(OnReal::new(server), prefix.as_bytes())
}

/// A server of its own for each test. The time limit is for a machine that is busy with all of
/// them; that limits are kept is tested elsewhere.
fn redis(server: &RedisServer) -> Redis {
    let redis = Redis::open(&server.url()).expect("the handle knows its address");
    redis.response_timeout(Duration::from_secs(30))
}

async fn enveloped() -> Option<Subject> {
    let server = RedisServer::start_or_skip(RedisOptions::new())?;
    let runtime = Arc::new(TokioRuntime::current());
    let store = redis(&server).store(runtime.clone());
    Some(subject(server, "", runtime, Arc::new(store)))
}

/// Everything holds behind a key prefix that looks like a pattern, too.
async fn prefixed() -> Option<Subject> {
    let server = RedisServer::start_or_skip(RedisOptions::new())?;
    let runtime = Arc::new(TokioRuntime::current());
    let redis = redis(&server).key_prefix(PREFIX);
    let store = redis.store(runtime.clone());
    Some(subject(server, PREFIX, runtime, Arc::new(store)))
}

async fn plain() -> Option<Subject> {
    let server = RedisServer::start_or_skip(RedisOptions::new())?;
    let runtime = Arc::new(TokioRuntime::current());
    let store = redis(&server).plain_store(runtime.clone(), CodecId::RAW);
    Some(subject(server, "", runtime, Arc::new(store)))
}

fn in_virtual_time(store: impl FnOnce(Arc<VirtualTime>) -> Arc<dyn Store>) -> Option<Subject> {
    let time = Arc::<VirtualTime>::default();
    let store = store(time.clone());
    let pass = move |passing: Duration| -> BoxFuture<'static, ()> {
        time.pass(passing);
        Box::pin(std::future::ready(()))
    };
    Some(Subject::new(store, pass))
}

async fn in_process() -> Option<Subject> {
    in_virtual_time(|time| Arc::new(Embedded::new(time)))
}

/// All keys share one lock, and a scan is one step.
async fn in_one_shard() -> Option<Subject> {
    in_virtual_time(|time| Arc::new(Embedded::with_shards(time, 1)))
}

/// A store over a simulated server.
fn simulated(
    prefix: &'static str,
    store: impl FnOnce(Redis, Arc<VirtualTime>) -> Arc<dyn Store>,
) -> Option<Subject> {
    let mut server = None;
    let subject = in_virtual_time(|time| {
        let simulated = server.insert(SimRedis::new(time.clone()));
        let redis = Redis::open("redis://simulated").expect("this is an address");
        let redis = redis.over(Arc::new(Direct(simulated.clone())));
        store(redis.key_prefix(prefix), time)
    });
    let hand = OnSimulated::new(server?);
    Some(subject?.on(hand, prefix.as_bytes()))
}

pub(crate) async fn simulated_enveloped() -> Option<Subject> {
    simulated("", |redis, time| Arc::new(redis.store(time)))
}

async fn simulated_prefixed() -> Option<Subject> {
    simulated(PREFIX, |redis, time| Arc::new(redis.store(time)))
}

pub(crate) async fn simulated_plain() -> Option<Subject> {
    simulated("", |redis, time| {
        Arc::new(redis.plain_store(time, CodecId::RAW))
    })
}

/// The first of three nodes that have found each other, over real links.
async fn meshed() -> Option<Subject> {
    let nodes = MeshNodes::start(3, Members::Configured).await;
    let runtime = Arc::new(TokioRuntime::current());
    let store = Arc::new(nodes.node(0).clone());
    let pass = move |time: Duration| -> BoxFuture<'static, ()> { runtime.sleep(time) };
    Some(Subject::new(store, pass).with_guard(nodes))
}

conformance::store!(embedded, in_process);
conformance::store!(embedded_in_one_shard, in_one_shard);
conformance::store!(redis_enveloped, enveloped);
conformance::store!(redis_prefixed, prefixed);
conformance::plain_store!(redis_plain, plain);
conformance::store!(simulated_redis_enveloped, simulated_enveloped);
conformance::store!(simulated_redis_prefixed, simulated_prefixed);
conformance::plain_store!(simulated_redis_plain, simulated_plain);
conformance::store!(mesh, meshed);
conformance::bus!(mesh_bus, meshed);
conformance::bus!(embedded_bus, in_process);
conformance::bus!(embedded_in_one_shard_bus, in_one_shard);
conformance::bus!(simulated_redis_bus, simulated_enveloped);
conformance::bus!(simulated_redis_prefixed_bus, simulated_prefixed);
conformance::bus!(redis_bus, enveloped);
conformance::bus!(redis_prefixed_bus, prefixed);
conformance::server!(simulated_redis_server, simulated_enveloped);
conformance::server!(simulated_redis_prefixed_server, simulated_prefixed);
conformance::server!(redis_server, enveloped);
conformance::server!(redis_prefixed_server, prefixed);
conformance::primitives!(embedded_primitives, in_process);
conformance::primitives!(simulated_redis_primitives, simulated_enveloped);
conformance::primitives!(simulated_redis_prefixed_primitives, simulated_prefixed);
conformance::primitives!(redis_primitives, enveloped);
conformance::primitives!(redis_prefixed_primitives, prefixed);
