//! The list of readers on a real server, and what becomes of it.

use larder_core::bus::{Bus, Reader, Readers, fenced_after};
use larder_core::lane::Position;
use larder_redis::RedisStore;
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::super::{patient, start};
use super::{lua, poll, reader};

async fn readers(store: &RedisStore) -> Readers {
    store.readers().await.unwrap()
}

/// Runs Lua on the server, with the name of the list.
fn list(server: &RedisServer, script: &str) -> String {
    lua(server, &format!("local readers = '\\0sreaders' {script}"))
}

/// The page says how the list lies there; this is what really does.
#[tokio::test]
async fn the_list_is_that_of_the_page() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    poll(&store).await;
    let applied = Some(Position {
        incarnation: 7,
        seq: 42,
    });
    let other = Reader {
        node: 77,
        applied,
        ..reader()
    };
    store.poll(&other).await.unwrap();
    let seen = readers(&store).await;
    let polled = |node| {
        let seen = seen.seen.iter().find(|seen| seen.node == node);
        seen.unwrap().polled.0
    };
    let get = |field: &str| {
        list(
            &server,
            &format!("return redis.call('HGET', readers, '{field}')"),
        )
    };
    assert_eq!(get("since"), seen.since.unwrap().0.to_string());
    assert_eq!(get("1 app:users test"), format!("{} 0 0", polled(1)));
    assert_eq!(get("77 app:users test"), format!("{} 7 42", polled(77)));
    assert_eq!(list(&server, "return redis.call('HLEN', readers)"), "3");
}

#[tokio::test]
async fn the_silent_and_those_from_the_future_are_forgotten_by_whoever_looks() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    poll(&store).await;
    list(
        &server,
        "local now = redis.call('TIME')[1] * 1000 \
         local function at(ms) return string.format('%.0f 0 0', ms) end \
         redis.call('HSET', readers, '2 app:users old', at(now - 61000), \
           '3 app:users quiet', at(now - 50000), '4 app:users ahead', at(now + 70000), \
           '5 app:users damaged', 'what')",
    );
    let seen = readers(&store).await.seen;
    let mut nodes: Vec<u32> = seen.iter().map(|seen| seen.node).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, [1, 3]);
    assert_eq!(list(&server, "return redis.call('HLEN', readers)"), "3");
}

#[tokio::test]
async fn a_lost_list_is_begun_anew_and_not_taken_for_whole() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    poll(&store).await;
    let fields = "redis.call('HSET', readers, 'since', string.format('%.0f', \
                  redis.call('TIME')[1] * 1000 - 5000))";
    list(&server, fields);
    assert!(readers(&store).await.are_complete());
    list(&server, "redis.call('DEL', readers)");
    let lost = readers(&store).await;
    assert!(lost.since.is_none() && lost.seen.is_empty() && lost.log.is_some());
    poll(&store).await;
    let again = readers(&store).await;
    let age = again.now.since(again.since.unwrap());
    assert_eq!(again.are_complete(), age > fenced_after());
    assert_eq!(again.seen.len(), 1);
}

/// Who read a log that was lost a moment ago may still use copies, and is on no list.
#[tokio::test]
async fn without_a_log_nobody_reads_only_if_none_was_lost_just_now() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    assert!(!readers(&store).await.are_complete(), "nothing is known");
    super::put(&*store, "k", "v").await;
    let fresh = readers(&store).await;
    let age = fresh.now.since(fresh.remembers_since.unwrap());
    assert_eq!(fresh.are_complete(), age > fenced_after());
    let older = "redis.call('HINCRBY', shard, 'base', -5000000)";
    lua(&server, older);
    let old = readers(&store).await;
    assert!(old.log.is_none() && old.are_complete(), "{old:?}");
    poll(&store).await;
    lua(&server, "redis.call('DEL', shard)");
    super::put(&*store, "k", "v").await;
    lua(&server, "redis.call('DEL', '\\0sreaders')");
    let lost = readers(&store).await;
    let age = lost.now.since(lost.remembers_since.unwrap());
    assert_eq!(lost.are_complete(), age > fenced_after(), "{lost:?}");
}

/// Connections ask where the log stands too, and are no readers.
#[tokio::test]
async fn connecting_enters_nobody() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    assert_eq!(readers(&store).await.since, None);
    assert_eq!(list(&server, "return redis.call('EXISTS', readers)"), "0");
}

#[tokio::test]
async fn a_list_that_is_no_list_costs_the_lease_and_not_the_log() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    list(&server, "redis.call('SET', readers, 'of another program')");
    store.poll(&reader()).await.unwrap_err();
    super::put(&*store, "k", "v").await;
}
