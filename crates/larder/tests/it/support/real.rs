//! Caches on a real server, and waiting for what they do by themselves.

use std::net::SocketAddr;
use std::time::Duration;

use larder::redis::Redis;
use larder::{Builder, Cache, Near};
use larder_testkit::servers::{RedisOptions, RedisServer, until};

/// Far more than anything takes.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A server that does not answer is given up after this, so that fenced reads come to an end.
pub(crate) const BRIEF: Duration = Duration::from_millis(200);

pub(crate) fn server() -> Option<RedisServer> {
    RedisServer::start_or_skip(RedisOptions::new())
}

/// The address of a server without a password.
pub(crate) fn redis_at(address: SocketAddr) -> Redis {
    let redis = Redis::open(&format!("redis://{address}/0"));
    redis.expect("an address is a URL").response_timeout(BRIEF)
}

pub(crate) fn address(server: &RedisServer) -> SocketAddr {
    ([127, 0, 0, 1], server.port()).into()
}

/// A cache with both tiers in which nothing ends by itself.
pub(crate) fn node_at(address: SocketAddr) -> Builder<u64, u64> {
    node_on(redis_at(address))
}

pub(crate) fn node_on(redis: Redis) -> Builder<u64, u64> {
    Cache::builder("app:users")
        .ttl("1h")
        .stale_for("1h")
        .near(Near::bytes("1MiB"))
        .remote(redis)
}

/// Looks again and again until `condition` holds, without holding up the runtime.
pub(crate) async fn eventually<F>(what: &'static str, condition: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = bool>,
{
    let handle = tokio::runtime::Handle::current();
    let looking =
        tokio::task::spawn_blocking(move || until(SOON, what, || handle.block_on(condition())));
    looking
        .await
        .expect("looking does not panic")
        .expect("it happens");
}

/// A number from the environment for the long form of a test, or the one of its usual form.
pub(crate) fn or_from_env(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a whole number"),
        Err(_) => usual,
    }
}
