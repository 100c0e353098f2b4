//! Servers that come back with less than they had confirmed: an old dump, a replica that lagged. What
//! they hold is void, and so are the leases in it.

use larder::core::Version;
use larder::core::store::{Fill, Lease, LeaseToken, Leases, Store};
use larder::redis::Redis;
use larder::{Builder, Cache, Near, TokioRuntime};
use larder_testkit::servers::{RedisOptions, RedisServer};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Oops, Users, in_time};

fn on(server: &RedisServer) -> Builder<u64, u64> {
    let redis = Redis::open(&server.url()).unwrap();
    let redis = redis.response_timeout(Duration::from_secs(5));
    Cache::builder("app:users")
        .ttl("1h")
        .stale_for("1h")
        .remote(redis)
}

async fn nodes(server: &RedisServer) -> [Users; 2] {
    let near = on(server).near(Near::bytes("1MiB"));
    [
        near.build().await.unwrap(),
        on(server).build().await.unwrap(),
    ]
}

async fn load(cache: &Users, key: u64, value: u64) -> u64 {
    let load = move |_| async move { Ok::<_, Oops>(value) };
    *cache.get_or_load(&key, load).await.unwrap()
}

/// What is found without a loader, once the server answers again.
async fn found(cache: &Users, key: u64) -> Option<u64> {
    in_time(async {
        loop {
            if let Ok(found) = cache.get(&key).await {
                return found.map(|value| *value);
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_old_dump_brings_back_is_void() {
    for is_followed in [true, false] {
        let Some(mut server) = RedisServer::start_or_skip(RedisOptions::new()) else {
            return;
        };
        let [near, far] = nodes(&server).await;
        // Without a near cache at work nobody has asked for the log.
        let writer = if is_followed { &near } else { &far };
        for key in 0..4 {
            load(writer, key, 1).await;
        }
        assert_eq!(server.cli(&["SAVE"]), "OK");
        let _ = writer.invalidate(&0).await.unwrap();
        let _ = writer.invalidate_prefix("1").await.unwrap();
        let _ = writer.clear().await.unwrap();
        load(writer, 3, 2).await;
        server.restart();
        assert_eq!(
            server.cli(&["EXISTS", "app:users:0"]),
            "1",
            "it is the dump"
        );
        for reader in [&near, &far] {
            for key in 0..4 {
                let found = found(reader, key).await;
                // A near copy of what was loaded last may be used until its lease has run out.
                let may_be = if key == 3 {
                    [None, Some(2)]
                } else {
                    [None, None]
                };
                assert!(may_be.contains(&found), "{is_followed}: {key}: {found:?}");
            }
        }
        // And it is a cache again.
        assert_eq!(load(&near, 0, 3).await, 3);
        assert_eq!(found(&far, 0).await, Some(3));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_of_an_old_dump_stores_nothing() {
    let Some(mut server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let redis = || {
        let redis = Redis::open(&server.url()).unwrap();
        redis.store(Arc::new(TokioRuntime::current()))
    };
    let store = redis();
    let (key, token) = ("app:users:1".into(), LeaseToken::from_random(7 << 20));
    let minute = Duration::from_secs(60);
    let lease = store
        .lease(&key, token, minute, Version::ZERO)
        .await
        .unwrap();
    let Lease::Granted { cut, .. } = lease else {
        panic!("{lease:?}")
    };
    assert_eq!(server.cli(&["SAVE"]), "OK");
    // The change that revokes it is lost with the process.
    let remove = larder::core::store::Write::Remove {
        tombstone_ms: 60_000,
    };
    let batch = larder::core::store::Batch::one(key.clone(), remove);
    store.commit(batch).await.unwrap();
    server.restart();
    let store = Redis::open(&server.url()).unwrap();
    let store = store.store(Arc::new(TokioRuntime::current()));
    let renewed = in_time(async {
        loop {
            if let Ok(renewed) = store.renew(&key, token, minute).await {
                return renewed;
            }
            tokio::task::yield_now().await;
        }
    });
    assert!(renewed.await, "the token is in the dump");
    let larder::core::store::Write::Put(mut put) =
        larder::bytes::put("old".into(), larder::core::record::Life::FOREVER)
    else {
        unreachable!("it is a put")
    };
    put.cut = cut;
    let filled = store.fill(&key, token, put).await.unwrap();
    assert_eq!(filled, Fill::Lost);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_voids_what_it_holds() {
    let Some(primary) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let replica = RedisServer::start(RedisOptions::new());
    let [near, _] = nodes(&primary).await;
    load(&near, 1, 1).await;
    let port = primary.port().to_string();
    replica.cli(&["REPLICAOF", "127.0.0.1", &port]);
    let copied = || replica.cli(&["EXISTS", "app:users:1"]) == "1";
    in_time(async {
        while !copied() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // It misses the removal.
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    let _ = near.invalidate(&1).await.unwrap();
    for reader in nodes(&replica).await {
        assert_eq!(found(&reader, 1).await, None);
        assert_eq!(load(&reader, 2, 2).await, 2);
    }
}
