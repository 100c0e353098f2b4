//! Subscriptions that break: the reader hears of it, and nothing is missing afterwards.

use std::sync::Arc;
use std::time::Duration;

use larder_core::bus::{Bus, Subscription};
use larder_core::error::ErrorKind;
use larder_core::lane::Position;
use larder_redis::RedisStore;
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::super::{eventually, open, patient, put, start};
use super::{next, poll, replay, try_poll};

fn subscribers(server: &RedisServer) -> usize {
    let list = server.cli(&["CLIENT", "LIST", "TYPE", "pubsub"]);
    list.lines().filter(|line| !line.is_empty()).count()
}

/// Subscribes to a server that may be on its way back.
async fn subscribe(store: &Arc<RedisStore>) -> Box<dyn Subscription> {
    let again = Arc::clone(store);
    eventually("a subscription", move || {
        let store = Arc::clone(&again);
        async move { store.subscribe().await.is_ok() && try_poll(&store).await.is_ok() }
    })
    .await;
    store.subscribe().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_ends_the_subscription() {
    let Some(mut server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let mut subscription = store.subscribe().await.unwrap();
    let before = poll(&store).await;
    put(&*store, "k", "v").await;
    let last = next(&mut *subscription).await.unwrap();
    assert_eq!(last.position, Position { seq: 1, ..before });
    server.kill();
    assert_eq!(next(&mut *subscription).await, None);
    assert_eq!(next(&mut *subscription).await, None, "it has ended");
    let refused = store.subscribe().await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    server.restart();
    let mut subscription = subscribe(&store).await;
    let after = poll(&store).await;
    assert_ne!(after.incarnation, before.incarnation);
    put(&*store, "k", "v").await;
    let first = next(&mut *subscription).await.unwrap();
    assert_eq!(first.position, Position { seq: 1, ..after });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cut_subscriber_missed_is_in_the_log() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let (store, writer) = (start(patient(&server)), start(patient(&server)));
    let mut subscription = store.subscribe().await.unwrap();
    let first = poll(&store).await;
    put(&*writer, "k", "v").await;
    assert_eq!(next(&mut *subscription).await.unwrap().position.seq, 1);
    assert_eq!(server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]), "1");
    assert_eq!(next(&mut *subscription).await, None);
    for _ in 0..3 {
        put(&*writer, "k", "v").await;
    }
    let mut subscription = store.subscribe().await.unwrap();
    assert_eq!(poll(&store).await, Position { seq: 4, ..first });
    let missed = replay(&store, 2, 4).await;
    assert_eq!((missed.oldest, missed.records.len()), (1, 3));
    put(&*writer, "k", "v").await;
    assert_eq!(next(&mut *subscription).await.unwrap().position.seq, 5);
}

/// A server that has nothing to say is asked whether it is still there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_ends_the_subscription() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let short = Duration::from_millis(100);
    let store = start(open(&server.url()).response_timeout(short));
    let mut subscription = subscribe(&store).await;
    server.stop_signal();
    assert_eq!(next(&mut *subscription).await, None);
    server.cont_signal();
    let mut subscription = subscribe(&store).await;
    put(&*start(patient(&server)), "k", "v").await;
    assert!(next(&mut *subscription).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_subscription_leaves_no_connection() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let subscription = store.subscribe().await.unwrap();
    let server = Arc::new(server);
    assert_eq!(subscribers(&server), 1);
    drop(subscription);
    eventually("the end of the connection", move || {
        let server = Arc::clone(&server);
        async move { subscribers(&server) == 0 }
    })
    .await;
}

/// What waits for a reader is bounded: it is cut off and told so, and the log has the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_lags_too_far_behind_is_cut_off() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let mut subscription = store.subscribe().await.unwrap();
    poll(&store).await;
    for _ in 0..1_500 {
        put(&*store, "k", "v").await;
    }
    let server = Arc::new(server);
    eventually("the end of the connection", move || {
        let server = Arc::clone(&server);
        async move { subscribers(&server) == 0 }
    })
    .await;
    let mut given = 0;
    while let Some(record) = next(&mut *subscription).await {
        given += 1;
        assert_eq!(record.position.seq, given);
    }
    assert!(given < 1_500, "{given}");
}
