//! Lives of a log: whatever a server forgets, its log is another one afterwards.

use std::sync::Arc;

use larder_core::bus::Bus;
use larder_core::error::ErrorKind;
use larder_core::lane::Position;
use larder_redis::RedisStore;
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::super::{eventually, get, patient, put, start};
use super::{lua, poll, replay, try_poll};

async fn three_records(server: &RedisServer) -> (Arc<RedisStore>, Position) {
    let store = start(patient(server));
    poll(&store).await;
    for at in 0..3 {
        put(&*store, &format!("k{at}"), "v").await;
    }
    let position = poll(&store).await;
    assert_eq!(position.seq, 3);
    (store, position)
}

/// Polls until a server that was just started answers.
async fn poll_again(store: &Arc<RedisStore>) -> Position {
    let again = Arc::clone(store);
    eventually("an answer", move || {
        let store = Arc::clone(&again);
        async move { try_poll(&store).await.is_ok() }
    })
    .await;
    poll(store).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_no_new_life() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let (store, before) = three_records(&server).await;
    assert_eq!(poll(&start(patient(&server))).await, before);
    server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert_eq!(poll_again(&store).await, before);
    assert_eq!(replay(&store, 1, 3).await.records.len(), 3);
}

#[tokio::test]
async fn a_flushed_server_begins_another_life() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let (store, before) = three_records(&server).await;
    server.cli(&["FLUSHALL"]);
    // Not logged, and nobody may rely on copies until the next poll.
    put(&*store, "k", "v").await;
    assert_eq!(replay(&store, 1, 3).await.incarnation, 0);
    let after = poll(&store).await;
    assert_eq!(after.seq, 0);
    assert_ne!(after.incarnation, before.incarnation);
    put(&*store, "k", "v").await;
    assert_eq!(replay(&store, 1, 1).await.records.len(), 1);
}

/// As by eviction: the numbers begin again, and records of before are not taken for those of now.
#[tokio::test]
async fn a_lost_hash_is_another_life_without_the_old_records() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let (store, before) = three_records(&server).await;
    lua(&server, "redis.call('DEL', shard)");
    let after = poll(&store).await;
    assert!(after.incarnation != before.incarnation && after.seq == 0);
    put(&*store, "new", "v").await;
    let replay = replay(&store, 1, 3).await;
    assert_eq!((replay.oldest, replay.records.len()), (1, 1));
    assert_eq!(replay.records[0].changes[0].key, "new");
}

/// Also when nobody polls in between: a connection looks before its first command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_after_an_old_dump_is_of_the_new_life() {
    let Some(mut server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let (store, before) = three_records(&server).await;
    server.cli(&["SAVE"]);
    put(&*store, "k", "lost").await;
    server.restart();
    let writer = start(patient(&server));
    let mut subscription = store.subscribe().await.unwrap();
    put(&*writer, "k", "v").await;
    let record = super::next(&mut *subscription).await.unwrap();
    assert_eq!(record.position.seq, 4);
    assert_ne!(record.position.incarnation, before.incarnation);
    assert_eq!(poll(&writer).await, record.position);
    // A read is a first command, too.
    server.restart();
    let reader = start(patient(&server));
    get(&*reader, "k").await.unwrap();
    let incarnation = lua(&server, "return redis.call('HGET', shard, 'inc')");
    assert_ne!(incarnation, before.incarnation.to_string());
}

/// A dump of a shard that nobody had asked for its log does not begin one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_begins_no_log() {
    let Some(mut server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    put(&*start(patient(&server)), "k", "v").await;
    server.cli(&["SAVE"]);
    server.restart();
    put(&*start(patient(&server)), "k", "v").await;
    assert_eq!(lua(&server, "return redis.call('EXISTS', log)"), "0");
}

/// A replica has the log and may be behind. While it is one it does not answer; as a primary it
/// begins another life, on connections that were open all the while, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_begins_another_life() {
    let Some(primary) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let replica = RedisServer::start(RedisOptions::new());
    let (_, before) = three_records(&primary).await;
    let port = primary.port().to_string();
    replica.cli(&["REPLICAOF", "127.0.0.1", &port]);
    let store = start(patient(&replica));
    let copied = Arc::clone(&store);
    eventually("a copy of the data", move || {
        let store = Arc::clone(&copied);
        async move { get(&*store, "k2").await.is_ok_and(|found| found.is_some()) }
    })
    .await;
    let error = try_poll(&store).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("replica"), "{error}");
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    let after = poll(&store).await;
    assert_eq!(after.seq, 3);
    assert_ne!(after.incarnation, before.incarnation);
}
