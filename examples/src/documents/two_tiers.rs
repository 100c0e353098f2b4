//! Two tiers: five minutes in the process, an hour on the server.

use std::time::Duration;

use larder::redis::Redis;
use larder::{Cache, Near, Source};

use super::source::{Accounts, User};

async fn two_tiers(url: &str) -> Result<Cache<u64, User>, larder::Error> {
    let redis = Redis::open(url)?
        .key_prefix("myapp:")
        .pool(5, 20, Duration::from_secs(5));
    Cache::builder("app:users")
        .ttl("1h")
        .near(Near::bytes("256MiB").ttl("5m"))
        .remote(redis)
        .build()
        .await
}

/// No server runs at this address: a cache is built all the same, and its users are served.
#[tokio::test]
async fn a_dead_server_costs_hits_and_not_answers() {
    let cache = two_tiers("redis://127.0.0.1:1/0").await.unwrap();
    assert_eq!(cache.policy().near_ttl, Duration::from_mins(5));
    let accounts = Accounts::with_ada();
    let asked = accounts.clone();
    let load = move |_| async move { asked.get_user(7).await };
    let user = cache.get_or_load(&7, load).await.unwrap();
    assert_eq!((user.name.as_str(), user.source()), ("Ada", Source::Loaded));
    assert_eq!(accounts.queries(), 1);
}
