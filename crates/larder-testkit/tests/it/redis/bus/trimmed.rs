//! Records that are gone or cannot be read: the reader is told that the log does not reach back.

use larder_core::bus::Bus;
use larder_core::lane::{Answer, Arrival, Gap, Lane};
use larder_core::runtime::Mono;
use larder_redis::RedisStore;
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::super::{patient, put, start};
use super::{lua, next, poll, replay};

async fn ten_records(server: &RedisServer) -> std::sync::Arc<RedisStore> {
    let store = start(patient(server));
    poll(&store).await;
    for at in 0..10 {
        put(&*store, &format!("k{at}"), "v").await;
    }
    store
}

async fn assert_reaches(store: &RedisStore, oldest: u64, seqs: &[u64]) {
    let replay = replay(store, 3, 10).await;
    let found = replay.records.iter().map(|record| record.position.seq);
    assert_eq!(
        (replay.oldest, found.collect::<Vec<_>>()),
        (oldest, seqs.to_vec())
    );
}

#[tokio::test]
async fn a_trimmed_log_says_how_far_it_reaches() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = ten_records(&server).await;
    assert_reaches(&store, 1, &[3, 4, 5, 6, 7, 8, 9, 10]).await;
    lua(&server, "redis.call('XTRIM', log, 'MAXLEN', 4)");
    assert_reaches(&store, 7, &[7, 8, 9, 10]).await;
    lua(&server, "redis.call('XTRIM', log, 'MAXLEN', 0)");
    assert_reaches(&store, 11, &[]).await;
    put(&*store, "k", "v").await;
    assert_eq!(replay(&store, 11, 11).await.records.len(), 1);
    assert_reaches(&store, 11, &[]).await;
}

#[tokio::test]
async fn a_log_without_its_stream_goes_on() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = ten_records(&server).await;
    let before = poll(&store).await;
    lua(&server, "redis.call('DEL', log)");
    assert_eq!(poll(&store).await, before);
    assert_reaches(&store, 11, &[]).await;
    put(&*store, "k", "v").await;
    let replay = replay(&store, 10, 11).await;
    assert_eq!((replay.oldest, replay.records.len()), (11, 1));
}

#[tokio::test]
async fn a_record_that_was_taken_out_counts_as_trimmed() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = ten_records(&server).await;
    lua(&server, "redis.call('XDEL', log, '5-0')");
    assert_reaches(&store, 6, &[6, 7, 8, 9, 10]).await;
    lua(&server, "redis.call('XDEL', log, '10-0')");
    assert_reaches(&store, 11, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_a_later_format_is_not_skipped() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = ten_records(&server).await;
    let mut subscription = store.subscribe().await.unwrap();
    lua(
        &server,
        "redis.call('HINCRBY', shard, 'seq', 1) \
         redis.call('XADD', log, '11-0', 'r', '\\2of later') \
         redis.call('PUBLISH', '\\0slog:0', '\\2of later')",
    );
    put(&*store, "k", "v").await;
    let replay = replay(&store, 9, 12).await;
    assert_eq!((replay.oldest, replay.records.len()), (12, 1));
    assert_eq!(next(&mut *subscription).await, None);
    assert_eq!(next(&mut *subscription).await, None, "it has ended");
}

/// However the log was hurt, a reader ends up with nothing missing and a lease.
#[tokio::test]
async fn a_reader_recovers_from_each_of_them() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = ten_records(&server).await;
    for hurt in [
        "redis.call('XTRIM', log, 'MAXLEN', 2)",
        "redis.call('XTRIM', log, 'MAXLEN', 0)",
        "redis.call('XDEL', log, redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1][1])",
        "redis.call('DEL', log)",
        "redis.call('HINCRBY', shard, 'seq', 3)",
    ] {
        let mut lane = Lane::default();
        let sent = lane.poll(Mono(1));
        assert_eq!(lane.on_poll(sent, poll(&store).await), Answer::Resync);
        let generation = lane.generation();
        for at in 0..5 {
            put(&*store, &format!("k{at}"), "v").await;
        }
        lua(&server, hurt);
        let sent = lane.poll(Mono(1_000_000_000));
        let answer = lane.on_poll(sent, poll(&store).await);
        let Answer::Replay(gap) = answer else {
            panic!("{hurt}: {answer:?}");
        };
        repair(&store, &mut lane, gap).await;
        assert!(lane.lease_until() > Mono(1_000_000_000), "{hurt}");
        assert_ne!(lane.generation(), generation, "{hurt}");
        assert_eq!(lane.position(), Some(poll(&store).await), "{hurt}");
    }
}

async fn repair(store: &RedisStore, lane: &mut Lane, gap: Gap) {
    let replay = replay(store, gap.first, gap.last).await;
    lane.on_replay(gap, replay.oldest);
    for record in replay.records {
        assert_eq!(lane.on_record(record.position), Arrival::Apply);
    }
}
