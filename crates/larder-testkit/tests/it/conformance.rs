//! The claims of every store, on the embedded store and on real servers.

mod virtual_time;

use std::sync::Arc;
use std::time::Duration;

use larder::TokioRuntime;
use larder::embedded::Embedded;
use larder_core::codec::CodecId;
use larder_core::runtime::{BoxFuture, Runtime};
use larder_core::store::Store;
use larder_redis::Redis;
use larder_testkit::conformance::{self, Subject};
use larder_testkit::servers::{RedisOptions, RedisServer};

fn subject(server: RedisServer, runtime: Arc<TokioRuntime>, store: Arc<dyn Store>) -> Subject {
    let pass = move |time: Duration| -> BoxFuture<'static, ()> { runtime.sleep(time) };
    Subject::new(store, pass).with_guard(server)
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
    Some(subject(server, runtime, Arc::new(store)))
}

/// Everything holds behind a key prefix that looks like a pattern, too.
async fn prefixed() -> Option<Subject> {
    let server = RedisServer::start_or_skip(RedisOptions::new())?;
    let runtime = Arc::new(TokioRuntime::current());
    let redis = redis(&server).key_prefix("app[1]*\0:");
    let store = redis.store(runtime.clone());
    Some(subject(server, runtime, Arc::new(store)))
}

async fn plain() -> Option<Subject> {
    let server = RedisServer::start_or_skip(RedisOptions::new())?;
    let runtime = Arc::new(TokioRuntime::current());
    let store = redis(&server).plain_store(runtime.clone(), CodecId::RAW);
    Some(subject(server, runtime, Arc::new(store)))
}

async fn in_process() -> Option<Subject> {
    let time = Arc::new(virtual_time::VirtualTime::default());
    let store = Embedded::new(time.clone());
    let pass = move |passing: Duration| -> BoxFuture<'static, ()> {
        time.pass(passing);
        Box::pin(std::future::ready(()))
    };
    Some(Subject::new(Arc::new(store), pass))
}

conformance::store!(embedded, in_process);
conformance::store!(redis_enveloped, enveloped);
conformance::store!(redis_prefixed, prefixed);
conformance::plain_store!(redis_plain, plain);
conformance::bus!(embedded_bus, in_process);
conformance::bus!(redis_bus, enveloped);
conformance::bus!(redis_prefixed_bus, prefixed);
