//! Leases and versions where the server forgets, its clock is off, or several clients meet.

use std::sync::Arc;
use std::time::Duration;

use larder_core::record::Life;
use larder_core::runtime::Timestamp;
use larder_core::store::{Batch, Committed, Expect, Fill, Lease, Leases, Store, Write};
use larder_core::version::Version;
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::{bytes, get, loaded, lookup, patient, put, start, token, value};

const LEASE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_flushed_server_refuses_the_fill() {
    let Some(mut server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let key = bytes("k");
    store
        .lease(&key, token(1), LEASE, larder_core::Version::ZERO)
        .await
        .unwrap();
    server.cli(&["FLUSHALL"]);
    let filled = store.fill(&key, token(1), loaded("v")).await.unwrap();
    assert_eq!(filled, Fill::Lost);
    store
        .lease(&key, token(2), LEASE, larder_core::Version::ZERO)
        .await
        .unwrap();
    server.restart();
    let mut filled = store.fill(&key, token(2), loaded("v")).await;
    // The first command may still meet the old connection.
    // LIMIT: an attempt for each pause up to the longest.
    for _ in 0..100_000 {
        if filled.is_ok() {
            break;
        }
        tokio::task::yield_now().await;
        filled = store.fill(&key, token(2), loaded("v")).await;
    }
    assert_eq!(filled.unwrap(), Fill::Lost);
    assert_eq!(get(&*store, "k").await.unwrap(), None);
}

#[tokio::test]
async fn an_evicted_lease_refuses_the_fill() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let key = bytes("k");
    store
        .lease(&key, token(1), LEASE, larder_core::Version::ZERO)
        .await
        .unwrap();
    assert_eq!(server.cli(&["DEL", "k"]), "1");
    assert!(!store.renew(&key, token(1), LEASE).await.unwrap());
    let filled = store.fill(&key, token(1), loaded("v")).await.unwrap();
    assert_eq!(filled, Fill::Lost);
}

#[tokio::test]
async fn a_lease_leaves_nothing_behind() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let key = bytes("k");
    store
        .lease(&key, token(1), LEASE, larder_core::Version::ZERO)
        .await
        .unwrap();
    let left: u64 = server.cli(&["PTTL", "k"]).parse().unwrap();
    assert!(left <= 120_000, "{left}");
    store.release(&key, token(1)).await.unwrap();
    // The clock of the tags stays.
    assert_eq!(server.cli(&["DBSIZE"]), "1");
    assert_eq!(server.cli(&["EXISTS", "k"]), "0");
    store
        .lease(&key, token(2), LEASE, larder_core::Version::ZERO)
        .await
        .unwrap();
    store.commit(Batch::one(key, Write::Expire)).await.unwrap();
    assert_eq!(server.cli(&["EXISTS", "k"]), "0");
}

#[tokio::test]
async fn the_servers_own_expiry_follows_the_record() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let key = bytes("k");
    let left = || server.cli(&["PTTL", "k"]).parse::<i64>().unwrap();
    let touch = |life| store.commit(Batch::one(bytes("k"), Write::Touch(life)));
    put(&*store, "k", "v").await;
    assert!((500_000..=600_000).contains(&left()), "{}", left());
    touch(Life::FOREVER).await.unwrap();
    assert_eq!(left(), -1);
    touch(Life::fresh_for_ms(50_000)).await.unwrap();
    assert!((40_000..=50_000).contains(&left()), "{}", left());
    store
        .commit(Batch::one(key.clone(), Write::Expire))
        .await
        .unwrap();
    assert!((40_000..=50_000).contains(&left()), "{}", left());
    // A record stays for its lease, and twice as long as that, for a fill that comes late.
    store
        .lease(&key, token(1), LEASE, larder_core::Version::ZERO)
        .await
        .unwrap();
    assert!((110_000..=120_000).contains(&left()), "{}", left());
    assert!(store.renew(&key, token(1), LEASE * 2).await.unwrap());
    assert!((230_000..=240_000).contains(&left()), "{}", left());
    let remove = Write::Remove {
        tombstone_ms: 70_000,
    };
    store.commit(Batch::one(key, remove)).await.unwrap();
    assert!((60_000..=70_000).contains(&left()), "{}", left());
}

#[tokio::test]
async fn versions_stay_above_the_high_water_of_the_shard() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server).key_prefix("p:"));
    let first = put(&*store, "k", "v").await.version;
    // As after a clock that stepped back: versions were given that lie ahead of it.
    let ahead = first.0 + 3_600_000_000;
    let set = server.cli(&[
        "EVAL",
        "return redis.call('HSET', 'p:\\0sshard', 'high_water', ARGV[1])",
        "0",
        &ahead.to_string(),
    ]);
    assert_eq!(set, "0", "the field is there");
    assert_eq!(put(&*store, "other", "v").await.version, Version(ahead + 1));
    let key = bytes("filled");
    store
        .lease(&key, token(1), LEASE, larder_core::Version::ZERO)
        .await
        .unwrap();
    let filled = store.fill(&key, token(1), loaded("v")).await.unwrap();
    assert!(matches!(filled, Fill::Stored { version, .. } if version == Version(ahead + 2)));
    server.cli(&["DEL", "p:other"]);
    assert_eq!(put(&*store, "other", "v").await.version, Version(ahead + 3));
    // And where that was lost, above the version of the key itself.
    server.cli(&["EVAL", "return redis.call('DEL', 'p:\\0sshard')", "0"]);
    assert_eq!(put(&*store, "other", "v").await.version, Version(ahead + 4));
}

#[tokio::test]
async fn the_clock_is_the_servers_and_never_behind_it() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    put(&*store, "k", "v").await;
    for _ in 0..20 {
        let time = server.cli(&[
            "EVAL",
            "local t = redis.call('TIME') \
            return t[1] * 1000 + math.floor(t[2] / 1000)",
            "0",
        ]);
        let before = Timestamp(time.parse().unwrap());
        // The coarse clock of the runtime is some milliseconds behind.
        assert!(
            store.now().0 + 10 >= before.0,
            "{:?} and {before:?}",
            store.now()
        );
        let created = lookup(&*store, "k").await.into_record().unwrap().created;
        assert!(created <= store.now());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_lose_no_increment() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let stores = [start(patient(&server)), start(patient(&server))];
    let tasks: Vec<_> = (0..8)
        .map(|task: usize| {
            let store = Arc::clone(&stores[task % 2]);
            tokio::spawn(async move {
                let key = bytes("n");
                let mut done = 0;
                while done < 50 {
                    let record = store.get(&key).await.unwrap().into_record();
                    let version = record
                        .as_ref()
                        .map_or(Version::ZERO, |record| record.version);
                    let number: u32 = record.map_or(0, |record| {
                        std::str::from_utf8(&record.value).unwrap().parse().unwrap()
                    });
                    let next = Write::Put(value(&(number + 1).to_string()));
                    let batch =
                        Batch::one(key.clone(), next).check(key.clone(), Expect::Version(version));
                    let committed = store.commit(batch).await.unwrap();
                    done += u32::from(matches!(committed, Committed::Done(_)));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(get(&*stores[0], "n").await.unwrap().unwrap(), "400");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_by_one_client_refuses_the_load_of_another() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let (loading, invalidating) = (start(patient(&server)), start(patient(&server)));
    let key = bytes("k");
    let lease = loading
        .lease(&key, token(1), LEASE, larder_core::Version::ZERO)
        .await
        .unwrap();
    assert!(
        matches!(lease, Lease::Granted { stale: None, .. }),
        "{lease:?}"
    );
    let remove = Write::Remove {
        tombstone_ms: 60_000,
    };
    invalidating
        .commit(Batch::one(key.clone(), remove))
        .await
        .unwrap();
    let filled = loading.fill(&key, token(1), loaded("old")).await.unwrap();
    assert_eq!(filled, Fill::Revoked);
    assert_eq!(get(&*loading, "k").await.unwrap(), None);
}
