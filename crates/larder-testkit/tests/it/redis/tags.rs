//! Tags where the server forgets, is full, or holds keys of others; and what lies there.

use std::time::Duration;

use bytes::Bytes;
use larder_core::error::ErrorKind;
use larder_core::store::{Batch, Committed, Fill, Lease, Leases, Put, Store, TagStore, Write};
use larder_core::tag::{Cut, Tags, tag_key};
use larder_redis::RedisStore;
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::{bytes, lookup, patient, put, start, token, value, write};

const LEASE: Duration = Duration::from_secs(60);

fn tag(name: &str) -> Bytes {
    tag_key("c", name).unwrap()
}

fn tagged(names: &[&str]) -> Put {
    Put {
        tags: Tags::new(names.iter().map(|name| tag(name))).unwrap(),
        ..value("v")
    }
}

async fn try_bump(store: &RedisStore, name: &str) -> larder_core::error::Result<Cut> {
    match store.commit(Batch::one(tag(name), Write::Bump)).await? {
        Committed::Done(outcomes) => Ok(Cut(outcomes[0].version.0)),
        Committed::Refused(_) => unreachable!("there was no check"),
    }
}

async fn bump(store: &RedisStore, name: &str) -> Cut {
    try_bump(store, name).await.unwrap()
}

async fn number(store: &RedisStore, name: &str) -> Cut {
    store.tags(&[tag(name)]).await.unwrap()[0]
}

async fn cut_of(store: &RedisStore, key: &str) -> Cut {
    lookup(store, key).await.into_record().unwrap().cut
}

async fn lease(store: &RedisStore, key: &str) -> Cut {
    match store
        .lease(&bytes(key), token(1), LEASE, larder_core::Version::ZERO)
        .await
        .unwrap()
    {
        Lease::Granted { cut, .. } => cut,
        other => panic!("{other:?}"),
    }
}

async fn fill(store: &RedisStore, key: &str, names: &[&str], cut: Cut) -> Fill {
    let put = Put {
        cut,
        ..tagged(names)
    };
    store.fill(&bytes(key), token(1), put).await.unwrap()
}

/// Runs a script that knows the shard's hash and the key of a tag.
fn lua(server: &RedisServer, script: &str) -> String {
    let names = "local shard = '\\0sshard' \
        local function tag(name) return '\\0stag:c\\0' .. name end ";
    server.cli(&["EVAL", &format!("{names}{script}"), "0"])
}

#[tokio::test]
async fn a_lost_tag_is_never_older_than_its_last_bump() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let bumped = bump(&store, "t").await;
    write(&*store, "k", Write::Put(tagged(&["t"]))).await;
    bump(&store, "other").await;
    assert_eq!(number(&store, "t").await, bumped);
    assert!(bumped <= cut_of(&store, "k").await);
    assert_eq!(lua(&server, "return redis.call('DEL', tag('t'))"), "1");
    assert!(number(&store, "t").await > cut_of(&store, "k").await);
    let cut = lease(&store, "l").await;
    assert!(cut >= bumped);
    let filled = fill(&store, "l", &["t"], cut).await;
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
}

#[tokio::test]
async fn a_flushed_server_has_a_clock_beyond_all_before() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    bump(&store, "t").await;
    let cut = lease(&store, "k").await;
    server.cli(&["FLUSHALL"]);
    let after = number(&store, "t").await;
    assert!(after > cut, "{after:?} after {cut:?}");
    assert_eq!(number(&store, "u").await, after, "it is kept");
    assert_eq!(fill(&store, "k", &["t"], cut).await, Fill::Lost);
    // A token of before, if somebody drew it again.
    lease(&store, "k").await;
    assert_eq!(fill(&store, "k", &["t"], cut).await, Fill::Lost);
    assert!(bump(&store, "u").await > after);
}

/// As after a clock that stepped back.
#[tokio::test]
async fn the_clock_and_the_versions_stay_above_what_was_given() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let ahead = bump(&store, "t").await.0 + 3_600_000_000;
    let set = format!("return redis.call('HSET', shard, 'tags', '{ahead}')");
    lua(&server, &set);
    assert_eq!(lease(&store, "k").await, Cut(ahead));
    assert_eq!(bump(&store, "t").await, Cut(ahead + 1));
    assert!(put(&*store, "k", "v").await.version.0 > ahead + 1);
    // And a clock that is lost alone goes on from the versions.
    lua(&server, "redis.call('HDEL', shard, 'tags')");
    assert!(lease(&store, "l").await.0 > ahead + 1);
}

/// Otherwise an entry whose tags were never invalidated would not outlive the next invalidation of
/// any tag, and a slow load would never be stored while there are some.
#[tokio::test]
async fn an_entry_outlives_the_bumps_of_other_tags() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    write(&*store, "put", Write::Put(tagged(&["a", "b"]))).await;
    let cut = lease(&store, "filled").await;
    let filled = fill(&store, "filled", &["c"], cut).await;
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
    bump(&store, "other").await;
    let (put, filled) = (cut_of(&store, "put").await, cut_of(&store, "filled").await);
    assert!(number(&store, "a").await <= put && number(&store, "b").await <= put);
    assert!(number(&store, "c").await <= filled);

    let cut = lease(&store, "slow").await;
    bump(&store, "other").await;
    assert!(matches!(
        fill(&store, "slow", &["d"], cut).await,
        Fill::Raced(_)
    ));
    let cut = lease(&store, "slow").await;
    bump(&store, "other").await;
    let filled = fill(&store, "slow", &["d"], cut).await;
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
}

#[tokio::test]
async fn a_number_lives_for_a_month_from_its_last_use() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let left = || -> i64 {
        let left = lua(&server, "return redis.call('PTTL', tag('t'))");
        left.parse().unwrap()
    };
    let month = 30 * 86_400_000;
    let is_whole = |left: i64| left > month - 60_000 && left <= month;
    let bumped = bump(&store, "t").await;
    assert!(is_whole(left()), "{}", left());
    lua(&server, "redis.call('PEXPIRE', tag('t'), 60000)");
    number(&store, "t").await;
    assert!(left() <= 60_000, "reading changes nothing");
    let cut = lease(&store, "k").await;
    fill(&store, "k", &["t"], cut).await;
    assert!(is_whole(left()), "{}", left());
    lua(&server, "redis.call('PEXPIRE', tag('t'), 60000)");
    write(&*store, "k", Write::Put(tagged(&["t"]))).await;
    assert!(is_whole(left()), "{}", left());
    assert_eq!(number(&store, "t").await, bumped);
}

/// As `docs/wire-format.md` says.
#[tokio::test]
async fn what_lies_there_is_as_written() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server).key_prefix("p:"));
    let bumped = bump(&store, "t").await;
    let ask = |script: &str| server.cli(&["EVAL", script, "0"]);
    let at = bumped.0.to_string();
    assert_eq!(ask("return redis.call('GET', 'p:\\0stag:c\\0t')"), at);
    let clock = ask("return redis.call('HGET', 'p:\\0sshard', 'tags')");
    assert_eq!(clock, at);
    write(&*store, "k", Write::Put(tagged(&["t"]))).await;
    let header = ask("local bytes = redis.call('GETRANGE', 'p:k', 56, 63) \
        return string.format('%.0f', struct.unpack('>I8', bytes))");
    assert_eq!(header, at);
    // The length of the section, and the section: without the prefix.
    let length = ask("return string.byte(redis.call('GETRANGE', 'p:k', 83, 83))");
    assert_eq!(length, "11");
    let section = ask("return redis.call('GETRANGE', 'p:k', 96, -1) == '\\0\\9\\0stag:c\\0tv'");
    assert_eq!(section, "1");
}

#[tokio::test]
async fn a_tag_of_another_type_is_refused_and_left_alone() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    lua(&server, "redis.call('RPUSH', tag('list'), 'one')");
    put(&*store, "k", "v").await;
    let batch = |write| Batch::one(bytes("k"), Write::Put(value("w"))).write(tag("list"), write);
    let with_tag = Batch::one(bytes("k"), Write::Put(tagged(&["list"])));
    for batch in [batch(Write::Bump), with_tag] {
        let error = store.commit(batch).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("WRONGTYPE"), "{error}");
        let record = lookup(&*store, "k").await.into_record().unwrap();
        assert_eq!(record.value, "v", "nothing in part");
    }
    let cut = lease(&store, "l").await;
    let put = Put {
        cut,
        ..tagged(&["list"])
    };
    let error = store.fill(&bytes("l"), token(1), put).await.unwrap_err();
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    assert!(number(&store, "list").await >= cut, "not known");
    let kept = lua(&server, "return redis.call('LLEN', tag('list'))");
    assert_eq!(kept, "1");
}

#[tokio::test]
async fn a_replica_invalidates_no_tag() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let bumped = bump(&store, "t").await;
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    let error = try_bump(&store, "t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert_eq!(number(&store, "t").await, bumped);
}

#[tokio::test]
async fn key_prefixes_keep_tags_apart() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let one = start(patient(&server).key_prefix("one:"));
    let two = start(patient(&server).key_prefix("two:"));
    let first = bump(&one, "t").await;
    bump(&two, "t").await;
    assert_eq!(number(&one, "t").await, first);
}

/// The shard forgets that anything depends on anything, and the number of the dependency stays.
#[tokio::test]
async fn a_dependency_that_outlives_the_shard_is_noted_again() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    let dependency = [larder_core::tag::dependency_key(b"inner").unwrap()];
    store.watch(&dependency).await.unwrap();
    assert_eq!(lua(&server, "return redis.call('DEL', shard)"), "1");
    let watched = store.watch(&dependency).await.unwrap()[0];
    put(&*store, "inner", "new").await;
    let after = store.tags(&dependency).await.unwrap()[0];
    assert!(after > watched, "{after:?} after {watched:?}");
}
