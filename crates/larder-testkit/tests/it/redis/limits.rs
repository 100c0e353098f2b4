//! Bounds: commands under way, connections of the pool, sizes of batches.

use std::sync::Arc;
use std::time::Duration;

use larder_core::error::ErrorKind;
use larder_core::space::Space;
use larder_core::store::{Batch, Expect, Keyspace, Store, Write};
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::{SOON, bytes, connections, eventually, get, open, patient, put, start, value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_commands_than_allowed_wait_and_then_are_overload() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let limit = Duration::from_millis(200);
    let store = start(open(&server.url()).response_timeout(limit).max_in_flight(2));
    put(&*store, "k", "v").await;
    server.stop_signal();
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { get(&*store, "k").await.unwrap_err() })
        })
        .collect();
    let (mut timeouts, mut overloads) = (0, 0);
    for asked in asking {
        let error = tokio::time::timeout(SOON, asked).await.unwrap().unwrap();
        match error.kind() {
            ErrorKind::Timeout => timeouts += 1,
            ErrorKind::Overloaded => {
                assert!(error.to_string().contains("max_in_flight"), "{error}");
                overloads += 1;
            }
            _ => panic!("{error}"),
        }
    }
    assert!(
        timeouts >= 2 && overloads >= 10,
        "{timeouts} and {overloads}"
    );
    server.cont_signal();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_pool_is_overload_within_its_limit() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server).pool(0, 1, Duration::from_millis(100)));
    put(&*store, "k", "v").await;
    let all = Space::default();
    // Opens the one connection of the pool while the server still answers.
    assert_eq!(store.count(&all).await.unwrap(), 1);
    server.stop_signal();
    let (mut one, mut other) = (store.count(&all), store.count(&all));
    let first = async {
        tokio::select! {
            first = &mut one => first,
            first = &mut other => first,
        }
    };
    let error = tokio::time::timeout(SOON, first)
        .await
        .expect("within the limit");
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
    assert!(error.to_string().contains("CACHE_POOL_TIMEOUT"), "{error}");
    server.cont_signal();
    // The other one, still under way, is dropped: its connection goes back.
    drop((one, other));
    assert_eq!(store.count(&all).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_is_warmed_by_its_first_use() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server).pool(1, 5, SOON));
    assert_eq!(store.count(&Space::default()).await.unwrap(), 0);
    assert_eq!(connections(&server), 1, "only what is needed");
    let store = start(patient(&server).pool(3, 5, SOON));
    let server = Arc::new(server);
    let watched = Arc::clone(&server);
    eventually("three more connections", move || {
        let (store, server) = (Arc::clone(&store), Arc::clone(&watched));
        async move {
            store.count(&Space::default()).await.unwrap();
            connections(&server) == 4
        }
    })
    .await;
}

#[tokio::test]
async fn a_conditional_batch_that_is_too_large_is_invalid() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let batch = (0..1_100).fold(Batch::default(), |batch, at| {
        batch.write(bytes(&format!("k{at}")), Write::Put(value("v")))
    });
    let conditional = batch.clone().check(bytes("k0"), Expect::Absent);
    let error = store.commit(conditional).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(server.cli(&["DBSIZE"]), "0");
    store.commit(batch).await.unwrap();
    assert_eq!(store.count(&Space::default()).await.unwrap(), 1_100);
}
