//! The log of a real server: its bytes, what becomes of it when somebody meddles, and its lives.

mod faults;
mod lives;
mod readers;
mod rights;
mod trimmed;

use std::time::Duration;

use larder_core::bus::{Bus, BusRecord, Pushed, Reader, Replay, Subscription};
use larder_core::error::Result;
use larder_core::lane::{Gap, Position};
use larder_core::space::Space;
use larder_core::store::{Batch, Keyspace, Write};
use larder_redis::RedisStore;
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::{SOON, bytes, open, patient, put, start, value, write};

const REMOVE: Write = Write::Remove { tombstone_ms: 0 };

/// Runs Lua on the server, with the names of the shard's hash and log, without a key prefix.
fn lua(server: &RedisServer, script: &str) -> String {
    let names = "local shard, log = '\\0sshard', '\\0slog' ";
    server.cli(&["EVAL", &format!("{names}{script}"), "0"])
}

/// Somebody who polls.
pub(super) fn reader() -> Reader {
    Reader {
        node: 1,
        name: "test".into(),
        cache: "app:users".into(),
        applied: None,
        leaves: false,
    }
}

async fn try_poll(store: &RedisStore) -> Result<Position> {
    store.poll(&reader()).await
}

async fn poll(store: &RedisStore) -> Position {
    try_poll(store).await.unwrap()
}

async fn replay(store: &RedisStore, first: u64, last: u64) -> Replay {
    store.replay(Gap { first, last }).await.unwrap()
}

async fn next(subscription: &mut dyn Subscription) -> Option<BusRecord> {
    let next = tokio::time::timeout(SOON, subscription.next());
    match next.await.expect("a message, or the end")? {
        Pushed::Record(record) => Some(record),
        Pushed::Nudge => panic!("nobody has asked for a poll"),
        Pushed::Free(_) => panic!("nobody waits for a lease"),
    }
}

/// The page says how a record lies there; this is what really does.
#[tokio::test]
async fn the_bytes_are_those_of_the_page() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    poll(&store).await;
    lua(
        &server,
        "redis.call('HSET', shard, 'inc', '7', 'seq', '41')",
    );
    let batch = Batch::one(bytes("user:1"), Write::Put(value("v")))
        .by(0x0102)
        .write(Space::database(3).stored(&bytes("k")), REMOVE)
        .write(bytes("x"), Write::Expire);
    let larder_core::store::Committed::Done(outcomes) =
        larder_core::store::Store::commit(&*store, batch)
            .await
            .unwrap()
    else {
        unreachable!("there was no check");
    };
    let written = replay(&store, 42, 42).await.records[0].written.0;
    let version = |at: usize| format!("{:016x}", outcomes[at].version.0);
    let golden = [
        "01".to_owned(),
        "0000000000000007".to_owned(),
        "000000000000002a".to_owned(),
        "00000102".to_owned(),
        format!("{written:016x}"),
        format!("01{}00000006757365723a31", version(0)),
        format!("02{}000000040064036b", version(1)),
        format!("03{}0000000178", version(2)),
    ];
    let found = lua(
        &server,
        "local entry = redis.call('XRANGE', log, '-', '+')[1] \
         local hex = string.gsub(entry[2][2], '.', function(c) \
           return string.format('%02x', string.byte(c)) end) \
         return entry[1] .. ' ' .. entry[2][1] .. ' ' .. hex",
    );
    assert_eq!(found, format!("42-0 r {}", golden.concat()));
    assert!(store_time(&store).abs_diff(written) < SOON.as_millis() as u64);
}

#[tokio::test]
async fn nothing_is_logged_before_the_first_poll() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let (writer, reader) = (start(patient(&server)), start(patient(&server)));
    put(&*writer, "k", "v").await;
    reader.count(&Space::default()).await.unwrap();
    let is_there = "return redis.call('EXISTS', log) + redis.call('HEXISTS', shard, 'inc')";
    assert_eq!(lua(&server, is_there), "0");
    let first = poll(&reader).await;
    assert_eq!(first.seq, 0);
    put(&*writer, "k", "v").await;
    assert_eq!(lua(&server, "return redis.call('XLEN', log)"), "1");
    assert_eq!(poll(&writer).await, Position { seq: 1, ..first });
    let before = replay(&reader, 1, 1).await;
    assert_eq!(before.records[0].changes[0].key, "k");
}

#[tokio::test]
async fn nobody_asked_so_a_replay_finds_no_log() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let replay = replay(&store, 1, 5).await;
    assert_eq!((replay.incarnation, replay.records), (0, vec![]));
}

/// Neither records nor pushed messages mix, and keys are told without the prefix.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefixes_and_databases_have_logs_of_their_own() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let five = server.url().replace("/0", "/5");
    let patient = || patient(&server);
    let five = || open(&five).response_timeout(SOON);
    let stores = [
        start(patient()),
        start(patient().key_prefix("p:")),
        start(patient().key_prefix("p:\0slog")),
        start(five()),
        start(five().key_prefix("p:")),
    ];
    let mut feeds = Vec::new();
    let mut lives = Vec::new();
    for store in &stores {
        feeds.push(store.subscribe().await.unwrap());
        lives.push(poll(store).await);
    }
    for (at, store) in stores.iter().enumerate() {
        for _ in 0..=at {
            put(&**store, "own", "v").await;
        }
        put(&**store, &format!("of {at}"), "v").await;
    }
    for (at, store) in stores.iter().enumerate() {
        let own = at as u64 + 2;
        assert_eq!(
            poll(store).await,
            Position {
                seq: own,
                ..lives[at]
            }
        );
        for seq in 1..=own {
            let record = next(&mut *feeds[at]).await.unwrap();
            assert_eq!(record.position, Position { seq, ..lives[at] });
            let key = if seq == own {
                format!("of {at}")
            } else {
                "own".to_owned()
            };
            assert_eq!(record.changes[0].key, key);
        }
        assert_eq!(replay(store, 1, own).await.records.len() as u64, own);
    }
    let lives: std::collections::BTreeSet<u64> =
        lives.iter().map(|life| life.incarnation).collect();
    assert_eq!(lives.len(), stores.len());
}

#[tokio::test]
async fn a_full_server_still_logs_what_it_still_does() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    put(&*store, "k", "v").await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let first = poll(&store).await;
    assert!(
        super::try_write(&*store, "k", Write::Put(value("w")))
            .await
            .is_err()
    );
    assert_eq!(poll(&store).await, first);
    write(&*store, "k", Write::Expire).await;
    write(&*store, "k", REMOVE).await;
    let replay = replay(&store, 1, 2).await;
    assert_eq!((replay.oldest, replay.records.len()), (1, 2));
}

/// The cost of a reader of the log while nothing happens.
#[tokio::test]
async fn a_poll_is_one_short_command() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    poll(&store).await;
    let calls = |command: &str| {
        let stats = server.cli(&["INFO", "commandstats"]);
        let line = stats
            .lines()
            .find(|line| line.starts_with(&format!("cmdstat_{command}:")));
        let calls = line.and_then(|line| line.split("calls=").nth(1)?.split(',').next());
        calls.map_or(0, |calls| calls.parse::<u64>().unwrap())
    };
    let before = (calls("evalsha"), calls("eval"), calls("hset"));
    for _ in 0..20 {
        poll(&store).await;
    }
    assert_eq!(
        (calls("evalsha"), calls("eval"), calls("hset")),
        (before.0 + 20, before.1, before.2 + 20),
        "one call, which writes down who has asked"
    );
    // The clock was read with it.
    let skew = store_time(&store).abs_diff(server_time(&server));
    assert!(
        skew < Duration::from_secs(5).as_millis() as u64,
        "{skew} ms"
    );
}

fn store_time(store: &RedisStore) -> u64 {
    larder_core::store::Store::now(store).0
}

fn server_time(server: &RedisServer) -> u64 {
    let time = lua(server, "return redis.call('TIME')[1] * 1000");
    time.parse().unwrap()
}
